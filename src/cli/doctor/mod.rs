//! `vestibule doctor`: looks at everything a deployment leans on and says what to mend.
//!
//! Only looks: a running service has one more reader for a moment, and a stopped one keeps every
//! file as it is. Each check is a line of its own; one that fails hides no other.

mod deployment;
mod place;

use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::{Value, json};

use super::{Failure, print_json, print_line};
use crate::config::{DataAccess, Overrides};
use crate::domain::origin::Origin;

/// Check clock, data directory, database, master key, migrations, public URL, TLS and who may frame
///
/// Nothing is changed. Give the settings that the service runs with: --config, or the same
/// variables.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vestibule doctor --config /etc/vestibule.toml
  vestibule doctor --origin https://crm.example --json

Exit codes: 0 nothing failed, 1 a check failed, 2 unusable input or configuration")]
pub(super) struct Doctor {
    /// The page that shows the iframe, as browsers name it: scheme, host and perhaps a port
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// Where people reach the service [default: public_url, or the address it is bound to]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The data directory of the service [default: ./data]
    #[arg(long, value_name = "D")]
    data_dir: Option<PathBuf>,
    /// The TOML file of the service
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    /// Print {"checks":[{"check","verdict","finding","remedy"}]}
    #[arg(long)]
    json: bool,
}

/// What was found in one place.
#[derive(Debug)]
struct Finding {
    /// What was looked at.
    check: &'static str,
    verdict: Verdict,
    /// What there is, in words.
    finding: String,
    /// What to do about it.
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As it should be.
    Fine,
    /// It works, but not for everybody or not for long.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be looked at.
    Skipped,
}

impl Finding {
    fn fine(check: &'static str, finding: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fine, finding: finding.into(), remedy: None }
    }

    fn warning(check: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { check, verdict: Verdict::Warning, finding: finding.into(), remedy }
    }

    fn failed(check: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { check, verdict: Verdict::Failed, finding: finding.into(), remedy }
    }

    fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Skipped, finding: why.into(), remedy: None }
    }

    fn json(&self) -> Value {
        let Self { check, verdict, finding, remedy } = self;
        json!({"check": check, "verdict": verdict.word(), "finding": finding, "remedy": remedy})
    }

    fn line(&self, width: usize) -> String {
        let Self { check, verdict, finding, remedy } = self;
        let style = verdict.style();
        let line = format!("{style}{:<7}{style:#}  {check:<width$}  {finding}", verdict.word());
        match remedy {
            None => line,
            Some(remedy) => format!("{line}\n{:7}  {:width$}  → {remedy}", "", ""),
        }
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Fine => AnsiColor::Green.on_default(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Failed => AnsiColor::Red.on_default().bold(),
            Self::Skipped => AnsiColor::BrightBlack.on_default(),
        }
    }
}

impl Doctor {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { origin, public_url, data_dir, config, json } = self;
        let origin = origin.as_deref().map(read_origin).transpose()?;
        let overrides = Overrides { data_dir, config, public_url, ..Overrides::default() };
        let access = DataAccess::load(&overrides)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| {
            Failure::refused(format!("no thread can be started ({cause})"), "raise the limits")
        })?;
        let findings = runtime.block_on(async {
            let mut findings = place::examine(&access, origin.as_ref()).await;
            findings.extend(deployment::examine(&access, origin.as_ref()).await);
            findings
        });
        report(&findings, json)
    }
}

fn read_origin(text: &str) -> Result<Origin, Failure> {
    Origin::parse(text.trim_end_matches('/')).ok_or_else(|| {
        let help = "write scheme and host as browsers send them, like https://crm.example";
        Failure::unusable(format!("--origin {text} is no origin"), help)
    })
}

fn report(findings: &[Finding], json: bool) -> Result<(), Failure> {
    let count = |verdict| findings.iter().filter(|it| it.verdict == verdict).count();
    let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
    if json {
        let checks: Vec<_> = findings.iter().map(Finding::json).collect();
        print_json(&json!({ "checks": checks }))?;
    } else {
        let width = findings.iter().map(|it| it.check.len()).max().unwrap_or(0);
        for finding in findings {
            print_line(&finding.line(width))?;
        }
    }
    if failed > 0 {
        let problem = format!("{failed} of {} checks failed", findings.len());
        return Err(Failure::refused(problem, "do what the arrows say and run this again"));
    }
    if json {
        return Ok(());
    }
    print_line(&match warnings {
        0 => "\nNothing to mend.".to_owned(),
        1 => "\nNothing failed; one warning to think about.".to_owned(),
        more => format!("\nNothing failed; {more} warnings to think about."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedy_stands_under_its_finding() {
        let line = Finding::warning("public URL", "plain HTTP", "use https").line(12);
        let plain = anstream::adapter::strip_str(&line).to_string();
        assert_eq!(plain, "warning  public URL    plain HTTP\n                       → use https");
    }

    #[test]
    fn only_a_failed_check_fails_the_command() {
        let fine = [
            Finding::fine("clock", "runs"),
            Finding::warning("TLS", "soon", "renew"),
            Finding::skipped("frame ancestors", "no origin"),
        ];
        assert!(report(&fine, true).is_ok());
        assert!(report(&[Finding::failed("clock", "stands", "start it")], true).is_err());
    }
}
