//! `vestibule keys rotate`: a new credential beside the old one, which ends at a time.

use clap::Args;
use serde_json::json;
use vestibule_api::{models, schemas};
use vestibule_runtime::Part;

use super::setting::FLAGS;
use super::{list, working};
use crate::cli::listing::{credential_json, credential_lines, time};
use crate::cli::workplace::Workplace;
use crate::cli::{Failure, print_json, print_line};

/// Give a key a new credential, shown once; the old one is accepted for a while
#[derive(Debug, Args)]
pub(in crate::cli) struct Rotate {
    /// key_…
    #[arg(value_name = "KEY")]
    id: String,
    /// Seconds for which the old credential is accepted; 0 ends it at once [default: a day]
    #[arg(long, value_name = "S")]
    overlap: Option<u32>,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"key","credential"}
    #[arg(long)]
    json: bool,
}

impl Rotate {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { id, overlap, workplace, json } = self;
        let asked = models::KeyRotate::default().overlap_seconds;
        let overlap = overlap.map_or(asked, i64::from);
        let body = json!({"overlapSeconds": overlap});
        let violations = schemas::admin::key_rotate().check(Part::Body, &body);
        if !violations.is_empty() {
            return Err(Failure::broken(&violations, &FLAGS));
        }
        let overlap_s = u32::try_from(overlap).unwrap_or(u32::MAX);
        let (key, credential, shown) = workplace.work(async |desk| {
            working(desk, &id).await?;
            let (key, credential) = desk.provision().rotate_key(&id, overlap_s, || None).await?;
            let shown = list::shown(desk, &key).await?;
            Ok((key, credential, shown))
        })?;
        if json {
            let credential = credential_json(&credential);
            return print_json(&json!({"key": shown, "credential": credential}));
        }
        print_line(&credential_lines(&key, &credential))?;
        match key.secrets.iter().find_map(|secret| secret.not_after) {
            Some(end) => print_line(&format!("the old credential is accepted until {}", time(end))),
            None => print_line("the old credential is not accepted any more"),
        }
    }
}
