//! `vestibule master-key`: make a new master key, see what the old ones still seal, let them go.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::listing::{columns, time};
use super::workplace::{Desk, Workplace};
use super::{Failure, print_json, print_line};
use crate::config::{add_last, keep_first, move_first, read_master_keys};
use crate::domain::token::LONGEST_LIFETIME_S;
use crate::resealing::Census;
use crate::store::Resealing;

/// The keys that seal secrets and sign sessions: the first seals and signs, all open and verify.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  vestibule master-key rotate           # running services notice; nothing is refused meanwhile
  vestibule master-key status
  vestibule master-key rotate --retire  # an hour later; a day later with Idempotency-Key in use

Keys that are given by a variable or in the TOML file are rotated by hand: add the new one last and
restart every instance, move it first and restart every instance, and remove the others when
`status` says that they seal nothing.

Exit codes: 0 done, 1 refused, 2 unusable input or configuration")]
pub(super) enum MasterKey {
    Rotate(Rotate),
    Status(Status),
}

/// Make a new first key in the file of master keys, and seal everything anew with it
///
/// The key is added last, and moved first once every running service knows it. The old keys stay:
/// tokens that they signed verify until they expire.
#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// Make no key, but remove the old ones; refused while anything needs them
    #[arg(long)]
    retire: bool,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"key","retired"}
    #[arg(long)]
    json: bool,
}

/// Show the keys by their fingerprints and how much each seals
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"keys","unknown","resealing"}
    #[arg(long)]
    json: bool,
}

/// Longer than a running service takes to look at the file again.
const UNTIL_NOTICED: Duration = Duration::from_secs(2);

/// Beyond the longest life of a token, for whoever took a moment longer to notice.
const MARGIN_MS: i64 = 60_000;

impl MasterKey {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Rotate(rotate) => rotate.run(),
            Self::Status(status) => status.run(),
        }
    }
}

impl Rotate {
    fn run(self) -> Result<(), Failure> {
        let Self { retire: retires, workplace, json } = self;
        let done = workplace.work(async |desk| {
            let file = file(desk)?;
            if retires { retire(desk, &file).await } else { rotate(desk, &file).await }
        });
        let (key, retired) = done?;
        if json {
            return print_json(&json!({"key": key, "retired": retired}));
        }
        if retires {
            return print_line(&format!("{retired} old keys are gone; {key} is the only one"));
        }
        print_line(&format!(
            "{key} seals everything now; run this with --retire in an hour to remove the old keys, or \
         in a day if callers send Idempotency-Key"
        ))
    }
}

fn file(desk: &Desk) -> Result<PathBuf, Failure> {
    desk.master_key_file.clone().ok_or_else(|| {
        let problem = "the master keys do not stand in a file of their own";
        Failure::unusable(problem, "see --help for how such keys are rotated by hand")
    })
}

async fn rotate(desk: &Desk, file: &std::path::Path) -> Result<(String, usize), Failure> {
    let fresh = SecretString::from(desk.ids.hex::<32>(""));
    add_last(file, fresh.expose_secret())?;
    anstream::eprintln!("a new key is in {}; waiting until every service knows it", file.display());
    tokio::time::sleep(UNTIL_NOTICED).await;
    move_first(file, fresh.expose_secret())?;
    desk.master_keys.replace(&read_master_keys(file)?);
    anstream::eprintln!("it is the first one now; sealing everything anew");
    tokio::time::sleep(UNTIL_NOTICED).await;
    desk.resealer().run().await?;
    Ok((desk.master_keys.fingerprints().swap_remove(0), 0))
}

async fn retire(desk: &Desk, file: &std::path::Path) -> Result<(String, usize), Failure> {
    let mut keys = desk.master_keys.fingerprints();
    let key = keys.swap_remove(0);
    if keys.is_empty() {
        let help = "make a new one first with `vestibule master-key rotate`";
        return Err(Failure::refused(format!("there is one key, {key}"), help));
    }
    let census = desk.resealer().census().await?;
    let others: u64 = census.by_key.iter().skip(1).sum::<u64>() + census.unknown;
    if others > 0 {
        let problem = format!("{others} values are sealed by other keys than {key}");
        let help = "start the service, or run `vestibule master-key status` to see how far it is";
        return Err(Failure::refused(problem, help));
    }
    let progress = desk.store.resealing().await?.filter(|it| it.key == key && it.is_done);
    let Some(Resealing { since, .. }) = progress else {
        let problem = format!("nobody has looked yet whether {key} seals everything");
        return Err(Failure::refused(problem, "start the service once with this key first"));
    };
    still_needed(desk, since).await?;
    Ok((key, keep_first(file)?))
}

/// Refuses while something lives that is never sealed or signed anew: tokens, and the answers that
/// are kept for requests with an idempotency key.
async fn still_needed(desk: &Desk, since: i64) -> Result<(), Failure> {
    let now = desk.clock.now_ms();
    let tokens_until = since.saturating_add(LONGEST_LIFETIME_S * 1000 + MARGIN_MS);
    if now < tokens_until {
        let problem = format!("tokens signed by the old keys live until {}", time(tokens_until));
        return Err(Failure::refused(problem, "run this again then"));
    }
    let kept_until = desk.store.answers_kept_until(since.saturating_add(MARGIN_MS)).await?;
    if let Some(until) = kept_until.filter(|until| now < *until) {
        let problem = format!(
            "answers to repeated requests are kept until {}, sealed by the old keys",
            time(until)
        );
        return Err(Failure::refused(problem, "run this again then"));
    }
    Ok(())
}

impl Status {
    fn run(self) -> Result<(), Failure> {
        let Self { workplace, json } = self;
        let (keys, census, progress) = workplace.work(async |desk| {
            let census = desk.resealer().census().await?;
            Ok((desk.master_keys.fingerprints(), census, desk.store.resealing().await?))
        })?;
        let progress = progress.filter(|progress| progress.key == keys[0]);
        if json {
            let each = keys.iter().zip(&census.by_key);
            let keys: Vec<_> =
                each.map(|(key, seals)| json!({"key": key, "seals": seals})).collect();
            let progress = progress.map(
                |it| json!({"since": time(it.since), "resealed": it.resealed, "done": it.is_done}),
            );
            let unknown = census.unknown;
            return print_json(&json!({"keys": keys, "unknown": unknown, "resealing": progress}));
        }
        print_line(&columns(["KEY", "ROLE", "SEALS"], &rows(&keys, &census)))?;
        print_line(&sentence(&census, progress.as_ref()))
    }
}

fn rows(keys: &[String], census: &Census) -> Vec<[String; 3]> {
    let each = keys.iter().zip(&census.by_key).enumerate();
    each.map(|(at, (key, seals))| {
        let role = if at == 0 { "seals and signs" } else { "opens and verifies" };
        [key.clone(), role.to_owned(), format!("{seals} values")]
    })
    .collect()
}

fn sentence(census: &Census, progress: Option<&Resealing>) -> String {
    let Census { by_key, unknown } = census;
    let others: u64 = by_key.iter().skip(1).sum();
    if *unknown > 0 {
        return format!("{unknown} values open with none of these keys; add the key they need");
    }
    if others > 0 {
        let resealed = progress.map_or(0, |progress| progress.resealed);
        return format!("{resealed} values are sealed anew, {others} wait for a running service");
    }
    if by_key.len() > 1 {
        return "the first key seals everything; `rotate --retire` removes the others".to_owned();
    }
    "there is one key, and it seals everything".to_owned()
}
