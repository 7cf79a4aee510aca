//! `vestibule keys`: everything that operators do with keys, in the store of a data directory.

mod create;
mod list;
mod rotate;
mod setting;
mod update;

use clap::{Args, Subcommand};

use super::workplace::{Desk, Workplace};
use super::{Failure, print_json, print_line};
use crate::domain::key::{Key, KeyState};
use crate::error::{Error, Thing};

/// Keys of the data directory, whether the service runs or not; it notices within a second.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  vestibule keys create --tenant ten_… --kind embed --label CRM --scope read-write --origin https://crm.acme.com
  vestibule keys create --tenant ten_… --kind chat --label Shop --origin 'https://*.acme.com' --all-intents
  vestibule keys list --kind chat --json | jq -r '.items[].publicId'
  vestibule keys update key_… --idle-timeout 1800 --requests-per-minute none
  vestibule keys rotate key_… --overlap 3600
  vestibule keys pause key_…

Exit codes: 0 done, 1 refused or not found, 2 unusable input or configuration")]
pub(super) enum Keys {
    List(list::List),
    Show(list::Show),
    Create(Box<create::Create>),
    Update(Box<update::Update>),
    Rotate(rotate::Rotate),
    /// Stop a key and its sessions until it is resumed
    Pause(One),
    /// Let a paused key work again
    Resume(One),
    /// End a key for good, with its sessions
    Revoke(One),
}

/// One key.
#[derive(Debug, Args)]
pub(super) struct One {
    /// key_…
    #[arg(value_name = "KEY")]
    id: String,
    #[command(flatten)]
    workplace: Workplace,
    /// Print the key as it then is
    #[arg(long)]
    json: bool,
}

impl Keys {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
            Self::Create(create) => create.run(),
            Self::Update(update) => update.run(),
            Self::Rotate(rotate) => rotate.run(),
            Self::Pause(one) => one.set(KeyState::Paused),
            Self::Resume(one) => one.set(KeyState::Active),
            Self::Revoke(one) => one.set(KeyState::Revoked),
        }
    }
}

impl One {
    fn set(self, state: KeyState) -> Result<(), Failure> {
        let Self { id, workplace, json } = self;
        let (key, shown) = workplace.work(async |desk| {
            if state != KeyState::Revoked {
                working(desk, &id).await?;
            }
            let key = desk.provision().set_key_state(&id, state).await?;
            let shown = list::shown(desk, &key).await?;
            Ok((key, shown))
        })?;
        if json {
            return print_json(&shown);
        }
        print_line(&format!("{id} is {}", key.state.name()))
    }
}

/// A key that is not revoked.
async fn working(desk: &Desk, id: &str) -> Result<Key, Failure> {
    let key = desk.store.key_by_id(id).await?.ok_or(Error::NotFound(Thing::Key))?;
    if key.state == KeyState::Revoked {
        let help = "make another one with `vestibule keys create`";
        return Err(Failure::refused(format!("{id} is revoked for good"), help));
    }
    Ok(key)
}
