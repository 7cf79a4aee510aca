//! How a command ends when it does not succeed: one line of what, one of help, an exit code.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use vestibule_runtime::Violation;

use crate::config::ConfigError;
use crate::error::{Error, Thing};
use crate::serve::ServeError;
use crate::store::Displaced;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HELP: Style = AnsiColor::Cyan.on_default();

/// Why a command failed. Both texts are single lines.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    problem: String,
    help: Option<String>,
}

impl Failure {
    /// Exit code 1: refused, not found, or a finding about what was looked at.
    pub(super) fn refused(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code: 1, problem: problem.into(), help: Some(help.into()) }
    }

    /// Exit code 2: the input or the configuration cannot be used.
    pub(super) fn unusable(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code: 2, problem: problem.into(), help: Some(help.into()) }
    }

    /// Exit code 2: arguments that the document or the domain refuses. `flags` names the flag of
    /// each member's pointer.
    pub(super) fn broken(violations: &[Violation], flags: &[(&str, &str)]) -> Self {
        let of = |violation: &Violation| {
            let Violation { pointer, keyword, limit, actual, .. } = violation;
            let flag = flags.iter().find(|(member, _)| pointer.starts_with(member));
            let flag = flag.map_or(pointer.as_str(), |(_, flag)| flag);
            if keyword == "additionalProperties" {
                return format!("{flag} does not belong to this kind");
            }
            let limit = limit.as_ref().map(|limit| format!(" {limit}")).unwrap_or_default();
            let actual = actual.as_ref().map(|actual| format!(" ({actual})")).unwrap_or_default();
            format!("{flag} breaks {keyword}{limit}{actual}")
        };
        let problem = violations.iter().map(of).collect::<Vec<_>>().join("; ");
        Self::unusable(problem, "see --help for what each flag takes")
    }

    /// Writes the lines to standard error and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        anstream::eprintln!("{ERROR}error:{ERROR:#} {}", one_line(&self.problem));
        if let Some(help) = &self.help {
            anstream::eprintln!("{HELP}help:{HELP:#} {}", one_line(help));
        }
        ExitCode::from(self.code)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        // The remedy is part of the line already.
        Self { code: 2, problem: error.to_string(), help: None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let help = match &error {
            Error::NotFound(Thing::Webhook | Thing::Delivery) => {
                "see what there is with `vestibule webhooks list` or `webhooks deliveries`"
            }
            Error::NotFound(_) => {
                "see what there is with `vestibule tenants list`, `keys list` or `sessions list`"
            }
            Error::WebhookDisabled => "enable the endpoint with the operation webhookUpdate first",
            Error::Rules(violations) => return Self::broken(violations, &[]),
            Error::RotationInProgress { .. } => {
                "wait until the older one ends, or rotate with --overlap 0, which ends both"
            }
            Error::Unavailable(_) | Error::Internal(_) => {
                "check that data directory and database are this service's and writable"
            }
            Error::Restored { .. } => "wait a few minutes",
            Error::MissingCredentials
            | Error::InvalidApiKey
            | Error::InvalidSignature
            | Error::TimestampOutOfWindow { .. }
            | Error::SignatureReplayed
            | Error::IdempotencyInProgress
            | Error::IdempotencyKeyReused
            | Error::Answered(_)
            | Error::InvalidToken
            | Error::TokenExpired { .. }
            | Error::TokenRevoked
            | Error::InvalidCustomerToken(_)
            | Error::InsufficientScope { .. }
            | Error::WidgetDisabled
            | Error::OriginNotAllowed { .. }
            | Error::KeyDisabled
            | Error::IntentNotAllowed { .. }
            | Error::SessionEnded(_)
            | Error::LifetimeExhausted
            | Error::UnknownSource { .. }
            | Error::ThemeConflict
            | Error::CacheKeyExpired
            | Error::CacheKeyUsed
            | Error::TestClockRefused { .. }
            | Error::RateLimited { .. }
            | Error::LimitExceeded { .. } => "open a new session and try again",
        };
        Self::refused(error.to_string(), help)
    }
}

/// For a clock that is behind what is written: it is wrong now, or it was.
pub(super) const CLOCK_REMEDY: &str = "if this clock is wrong, set it (timedatectl set-ntp true); if it is right and was wrong \
     before, run `vestibule restore --fence-only --clock-is-right`, which ends all sessions";

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let help = match &error {
            ServeError::WrongMasterKey => {
                "configure the key that sealed it, or another --data-dir for a new database"
            }
            ServeError::Displaced(displaced) => remedy(*displaced),
            ServeError::ClockBehind { .. } => CLOCK_REMEDY,
            ServeError::NoAdminToken => "set admin.token or admin.token_file, or give --dev",
            ServeError::Bind { .. } => "give --bind an address of this machine with a free port",
            ServeError::MetricsBind { .. } => {
                "give metrics.bind an address of this machine with a free port"
            }
            ServeError::Tls(_) => {
                "give listener.tls_certificate and listener.tls_key the PEM files of one pair"
            }
            ServeError::Store(_) | ServeError::Server(_) | ServeError::RequestLog(_) => {
                "check that data directory and database are this service's and writable"
            }
        };
        match error {
            ServeError::WrongMasterKey
            | ServeError::Displaced(_)
            | ServeError::ClockBehind { .. }
            | ServeError::NoAdminToken
            | ServeError::Bind { .. }
            | ServeError::Tls(_)
            | ServeError::MetricsBind { .. } => Self::unusable(error.to_string(), help),
            ServeError::Store(_) | ServeError::Server(_) | ServeError::RequestLog(_) => {
                Self::refused(error.to_string(), help)
            }
        }
    }
}

impl From<Displaced> for Failure {
    fn from(displaced: Displaced) -> Self {
        Self::unusable(displaced.to_string(), remedy(displaced))
    }
}

fn remedy(displaced: Displaced) -> &'static str {
    match displaced {
        Displaced::Copy(_) => {
            "put backups in place with `vestibule restore FILE`; `vestibule restore --fence-only` \
             completes one that is in place already"
        }
        Displaced::Behind => {
            "put the newer one back, or run `vestibule restore --fence-only`, which ends all \
             sessions of this one"
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
