//! `vestibule tenants export` and `vestibule tenants erase`: what is held of a person or a tenant.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use super::listing::columns;
use super::workplace::{Desk, Workplace};
use super::{Failure, print_json, print_line};
use crate::domain::erasure::{Named, Whose};

/// Print every row that is held of a person or a tenant, one JSON value {"table","row"} a line
///
/// Secrets and hashes are left out. Of the audit there are the acts about the person.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// ten_…
    #[arg(value_name = "TENANT")]
    id: String,
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    workplace: Workplace,
}

/// Remove what is held of a person or a tenant, for good
///
/// Sessions end first. The audit keeps its entries, which name people by pseudonyms alone; of an
/// erased tenant the key of the pseudonyms is destroyed, and its record stays without name and
/// secret.
#[derive(Debug, Args)]
pub(super) struct Erase {
    /// ten_…
    #[arg(value_name = "TENANT")]
    id: String,
    #[command(flatten)]
    of: Of,
    /// Erase the whole tenant without asking back
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"erased","complete"}
    #[arg(long)]
    json: bool,
}

/// Whose data: exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Of {
    /// A user of the iframe surface
    #[arg(long, value_name = "UID")]
    uid: Option<String>,
    /// A customer of the chat surface, as claimed or proved
    #[arg(long, value_name = "CUSTOMER")]
    customer: Option<String>,
    /// An employee of the embed surface
    #[arg(long, value_name = "EMPLOYEE")]
    employee: Option<String>,
    /// Everything that the tenant owns
    #[arg(long)]
    everything: bool,
}

const PAGE: u32 = 200;

impl Of {
    fn whose(self) -> Result<Whose, Failure> {
        let Self { uid, customer, employee, everything } = self;
        Ok(Named { uid, customer, employee, everything }.whose()?)
    }
}

impl Export {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { id, of, workplace } = self;
        let whose = of.whose()?;
        let rows = workplace.work(async |desk| export(desk, &id, &whose).await)?;
        anstream::eprintln!("{rows} rows of {id} are exported; the file is as private as they are");
        Ok(())
    }
}

async fn export(desk: &Desk, tenant: &str, whose: &Whose) -> Result<usize, Failure> {
    let (mut rows, mut after) = (0, None::<String>);
    loop {
        let page = desk.store.held_page(tenant, whose, after.as_deref(), PAGE).await?;
        rows += page.rows.len();
        for (table, row) in page.rows {
            print_line(&json!({"table": table, "row": row}).to_string())?;
        }
        let Some(next) = page.next else { return Ok(rows) };
        after = Some(next);
    }
}

impl Erase {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { id, of, yes, workplace, json } = self;
        let whose = of.whose()?;
        if whose == Whose::Everything && !yes {
            let problem = format!("{id} would be erased with everything it owns");
            return Err(Failure::unusable(problem, "add --yes; nothing brings it back"));
        }
        let erased = workplace.work(async |desk| erase(desk, &id, &whose).await)?;
        if json {
            let rows: Vec<_> =
                erased.iter().map(|(table, rows)| json!({"table": table, "rows": rows})).collect();
            return print_json(&json!({"erased": rows, "complete": true}));
        }
        let rows: Vec<_> =
            erased.iter().map(|(table, rows)| [(*table).to_owned(), rows.to_string()]).collect();
        if rows.is_empty() {
            return print_line(&format!("nothing of it was held by {id}"));
        }
        print_line(&columns(["TABLE", "ROWS"], &rows))?;
        print_line(&format!("erased from {id}; `vestibule audit verify` still holds"))
    }
}

/// As many calls as it takes.
async fn erase(
    desk: &Desk,
    tenant: &str,
    whose: &Whose,
) -> Result<BTreeMap<&'static str, u64>, Failure> {
    let progress = indicatif::ProgressBar::new_spinner();
    let mut erased = BTreeMap::new();
    loop {
        let done = desk.provision().erase(tenant, whose).await?;
        for (table, rows) in done.rows {
            *erased.entry(table).or_default() += rows;
        }
        if done.is_complete {
            progress.finish_and_clear();
            return Ok(erased);
        }
        let rows: u64 = erased.values().sum();
        progress.set_message(format!("{rows} rows are erased"));
        progress.tick();
    }
}
