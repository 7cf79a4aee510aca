//! A key's settings as flags: which flag is which member, and the words that flags take.

use std::str::FromStr;

use clap::ValueEnum;

use crate::cli::Failure;
use crate::domain::key::{Identity, KeyKind, Mode, Scope};
use crate::domain::key_settings::RedemptionMode;
use crate::domain::key_update::BoundChange;
use crate::error::Error;

/// The flag of each member of the admin document's `KeyCreate`, `KeyUpdate` and `KeyRotate`.
pub(super) const FLAGS: [(&str, &str); 17] = [
    ("/tenantId", "--tenant"),
    ("/label", "--label"),
    ("/allowedOrigins", "--origin"),
    ("/scope", "--scope"),
    ("/allowedIntents", "--intent or --all-intents"),
    ("/allowsAllIntents", "--all-intents"),
    ("/allowNoOrigin", "--allow-no-origin"),
    ("/identity", "--identity"),
    ("/redemptionMode", "--redemption-mode"),
    ("/maxRedemptions", "--max-redemptions"),
    ("/mode", "--mode"),
    ("/idleTimeoutSeconds", "--idle-timeout"),
    ("/maxLifetimeSeconds", "--max-lifetime"),
    ("/ceilings/sessionsPerDay", "--sessions-per-day"),
    ("/ceilings/liveSessions", "--live-sessions"),
    ("/ceilings/requestsPerMinute", "--requests-per-minute"),
    ("/overlapSeconds", "--overlap"),
];

/// [`KeyKind`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum KindChoice {
    /// Signs requests of the agent inbox
    Embed,
    /// Publishable key of a website widget
    Chat,
    /// Bearer key of the assistant
    Iframe,
}

/// [`Mode`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ModeChoice {
    /// For real users
    Live,
    /// For tests; may move its own clock
    Test,
}

/// [`Scope`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ScopeChoice {
    /// showChatsList and showChatPage alone
    Read,
    /// Every capability
    ReadWrite,
}

/// [`Identity`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum IdentityChoice {
    /// Customer tokens are ignored
    Off,
    /// A customer token is checked when it is given
    Optional,
    /// A customer id without a valid token is refused
    Required,
}

/// [`RedemptionMode`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RedemptionChoice {
    /// A cache key is redeemed once
    Single,
    /// A cache key is redeemed as often as --max-redemptions says
    Multiple,
}

/// A bound that may be taken away: a number or `none`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    None,
    Of(u32),
}

impl FromStr for Bound {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::None);
        }
        text.parse().map(Self::Of).map_err(|_| "give a whole number or none")
    }
}

impl Bound {
    /// What becomes of the bound when this was given, or nothing.
    pub(super) fn change(given: Option<Self>) -> BoundChange {
        match given {
            Some(Self::None) => BoundChange::Clear,
            Some(Self::Of(bound)) => BoundChange::Set(bound),
            None => BoundChange::Keep,
        }
    }
}

impl KindChoice {
    pub(super) fn kind(self) -> KeyKind {
        match self {
            Self::Embed => KeyKind::Embed,
            Self::Chat => KeyKind::Chat,
            Self::Iframe => KeyKind::Iframe,
        }
    }
}

impl ModeChoice {
    pub(super) fn mode(self) -> Mode {
        match self {
            Self::Live => Mode::Live,
            Self::Test => Mode::Test,
        }
    }
}

impl ScopeChoice {
    pub(super) fn scope(self) -> Scope {
        match self {
            Self::Read => Scope::Read,
            Self::ReadWrite => Scope::ReadWrite,
        }
    }
}

impl IdentityChoice {
    pub(super) fn identity(self) -> Identity {
        match self {
            Self::Off => Identity::Off,
            Self::Optional => Identity::Optional,
            Self::Required => Identity::Required,
        }
    }
}

impl RedemptionChoice {
    pub(super) fn mode(self) -> RedemptionMode {
        match self {
            Self::Single => RedemptionMode::Single,
            Self::Multiple => RedemptionMode::Multiple,
        }
    }
}

/// A refusal of the domain in the words of the flags.
pub(super) fn broken(error: Error) -> Failure {
    match error {
        Error::Rules(violations) => Failure::broken(&violations, &FLAGS),
        other => other.into(),
    }
}
