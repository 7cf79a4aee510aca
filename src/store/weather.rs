//! What goes wrong with a database, transaction by transaction, in simulations. Nothing of it is in
//! the program.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::engine::Failure;

/// What becomes of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is as if nothing were in its way.
    Fine,
    /// The database is gone before it begins.
    NeverBegins,
    /// The database is gone before it commits.
    NeverCommits,
    /// It is rolled back for a statement's sake.
    IsSpoilt,
    /// It commits, and the answer is lost.
    CommitsUnheard,
    /// The process ends before it commits.
    DiesBefore,
    /// The process ends after it has committed.
    DiesAfter,
    /// It is rolled back and called committed: what no database may do, to show that it is found.
    IsForgotten,
}

/// The fates to come, and whether the process is at its end.
#[derive(Default)]
pub(super) struct Weather(Mutex<Sky>);

#[derive(Default)]
struct Sky {
    coming: VecDeque<Fate>,
    current: Option<Fate>,
    is_dead: bool,
}

impl Weather {
    /// Fates of the next transactions; those after them are fine.
    pub(super) fn send(&self, fates: impl IntoIterator<Item = Fate>) {
        let mut sky = self.sky();
        sky.coming.clear();
        sky.coming.extend(fates);
    }

    /// Whether the process is at its end: nothing is written any more.
    pub(super) fn is_dead(&self) -> bool {
        self.sky().is_dead
    }

    /// Another process begins.
    pub(super) fn revive(&self) {
        *self.sky() = Sky::default();
    }

    /// Before a transaction begins.
    pub(super) fn begins(&self) -> Result<(), Failure> {
        let mut sky = self.sky();
        if sky.is_dead {
            return gone("the process has ended");
        }
        sky.current = sky.coming.pop_front();
        match sky.current {
            Some(Fate::NeverBegins) => gone("nobody answers"),
            _ => Ok(()),
        }
    }

    /// Before it commits; whether it is to be forgotten instead.
    pub(super) fn commits(&self) -> Result<bool, Failure> {
        let mut sky = self.sky();
        match sky.current {
            Some(Fate::NeverCommits) => gone("the commit fails"),
            Some(Fate::IsSpoilt) => Err(Failure::Statement("a constraint".into())),
            Some(Fate::DiesBefore) => {
                sky.is_dead = true;
                gone("the process ends")
            }
            Some(Fate::IsForgotten) => Ok(true),
            _ => Ok(false),
        }
    }

    /// After it has committed.
    pub(super) fn committed(&self) -> Result<(), Failure> {
        let mut sky = self.sky();
        match sky.current {
            Some(Fate::CommitsUnheard) => gone("the answer is lost"),
            Some(Fate::DiesAfter) => {
                sky.is_dead = true;
                gone("the process ends")
            }
            _ => Ok(()),
        }
    }

    fn sky(&self) -> std::sync::MutexGuard<'_, Sky> {
        self.0.lock().expect("no simulation panics here")
    }
}

fn gone<T>(why: &str) -> Result<T, Failure> {
    Err(Failure::Gone(why.to_owned()))
}
