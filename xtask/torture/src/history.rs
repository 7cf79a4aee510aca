//! What clients asked for and were told, held against what is there afterwards. Pure.
//!
//! A request without an answer is *unknown*: it may have taken effect or not. Everything else
//! follows from that: acknowledged is there, what nobody asked for is not, one signature and one
//! idempotency key open one session, what was revoked stays revoked, and a count lies between what
//! was acknowledged and that with what is unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

#[cfg(test)]
mod tests;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard<T> {
    /// It took effect, and this was the answer.
    Acknowledged(T),
    /// It had no effect, says the answer.
    Refused,
    /// No answer came, or one that says that nobody knows.
    Unknown,
}

/// What keeps a repeated request from taking effect twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A signature: one request at most is acknowledged.
    Signature,
    /// An idempotency key: all acknowledgements name one session.
    Key,
    /// Nothing: each request may open a session.
    Nothing,
}

/// One request that was sent. Those of one session, or of one subject, are in the order in which
/// they were sent: each was over before the next began.
#[derive(Clone, Debug)]
pub enum Event {
    /// A session for a subject, of whom all requests are the same one; its id.
    Opened {
        /// Who it is for.
        subject: String,
        /// What makes repetitions of it one.
        guard: Guard,
        /// The session's id.
        heard: Heard<String>,
    },
    /// A session that was to be renewed; its new end, milliseconds since 1970.
    Renewed {
        /// The session.
        sid: String,
        /// Its new end.
        heard: Heard<i64>,
    },
    /// A session that was to be revoked.
    Ended {
        /// The session.
        sid: String,
        /// Nothing is told.
        heard: Heard<()>,
    },
    /// A token that was shown; refused is refused.
    Used {
        /// Its session.
        sid: String,
        /// Nothing is told.
        heard: Heard<()>,
    },
    /// A message of a user that was to be counted.
    Counted {
        /// The user.
        uid: String,
        /// Nothing is told.
        heard: Heard<()>,
    },
}

/// What is there afterwards.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// All sessions.
    pub sessions: Vec<SeenSession>,
    /// How many messages of each user are counted.
    pub used: BTreeMap<String, u64>,
}

/// A session as it is listed.
#[derive(Clone, Debug)]
pub struct SeenSession {
    /// Its id.
    pub sid: String,
    /// Who it is for.
    pub subject: String,
    /// Its end, milliseconds since 1970.
    pub expires_at: i64,
    /// Whether it was ended before that.
    pub is_revoked: bool,
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A session that was acknowledged is not there.
    LostSession(String),
    /// A renewal that was acknowledged did not last.
    LostRenewal(String),
    /// A session that was revoked is not, or lets somebody in.
    Revived(String),
    /// More sessions than requests or than one guard allows.
    Duplicate(String),
    /// A session that nobody asked for.
    Unasked(String),
    /// A session that ended without anybody's doing, or lets nobody in.
    Ended(String),
    /// Fewer messages than were acknowledged.
    LostCount(String),
    /// More messages than were sent.
    ExtraCount(String),
}

impl Fault {
    /// Whether something acknowledged is gone.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::LostSession(_)
            | Self::LostRenewal(_)
            | Self::Revived(_)
            | Self::Ended(_)
            | Self::LostCount(_) => true,
            Self::Duplicate(_) | Self::Unasked(_) | Self::ExtraCount(_) => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LostSession(it) => write!(f, "session {it} was acknowledged and is gone"),
            Self::LostRenewal(it) => write!(f, "the renewal of {it} was acknowledged and is gone"),
            Self::Revived(it) => write!(f, "session {it} was revoked and lives"),
            Self::Duplicate(it) => write!(f, "{it} was opened more often than it may be"),
            Self::Unasked(it) => write!(f, "session {it} was asked for by nobody"),
            Self::Ended(it) => write!(f, "session {it} was ended by nobody and is over"),
            Self::LostCount(it) => write!(f, "{it} has fewer messages than were acknowledged"),
            Self::ExtraCount(it) => write!(f, "{it} has more messages than were sent"),
        }
    }
}

/// How the requests about one thing ended.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    acknowledged: u64,
    unknown: u64,
}

impl Tally {
    fn note<T>(&mut self, heard: &Heard<T>) {
        match heard {
            Heard::Acknowledged(_) => self.acknowledged += 1,
            Heard::Unknown => self.unknown += 1,
            Heard::Refused => {}
        }
    }

    fn most(self) -> u64 {
        self.acknowledged + self.unknown
    }
}

/// Everything that must not be; empty when all is well.
pub fn check(events: &[Event], seen: &Seen) -> Vec<Fault> {
    let told = Told::of(events);
    let mut faults = told.faults.clone();
    faults.extend(told.openings(seen));
    faults.extend(told.lives(seen));
    faults.extend(told.counts(seen));
    faults
}

/// What the events come to.
#[derive(Default)]
struct Told<'a> {
    subjects: BTreeMap<&'a str, (Tally, Option<Guard>, BTreeSet<&'a str>)>,
    renewed: BTreeMap<&'a str, i64>,
    ended: BTreeMap<&'a str, Tally>,
    counted: BTreeMap<&'a str, Tally>,
    /// What contradicts itself.
    faults: Vec<Fault>,
}

impl<'a> Told<'a> {
    fn of(events: &'a [Event]) -> Self {
        let mut told = Self::default();
        for event in events {
            match event {
                Event::Opened { subject, guard, heard } => {
                    let (tally, by, sids) = told.subjects.entry(subject).or_default();
                    tally.note(heard);
                    *by = Some(*guard);
                    if let Heard::Acknowledged(sid) = heard {
                        sids.insert(sid);
                    }
                }
                Event::Renewed { sid, heard } => {
                    if let Heard::Acknowledged(until) = heard {
                        told.renewed.insert(sid, *until);
                        told.is_alive(sid);
                    }
                }
                Event::Ended { sid, heard } => told.ended.entry(sid).or_default().note(heard),
                Event::Used { sid, heard } => match heard {
                    Heard::Acknowledged(()) => told.is_alive(sid),
                    Heard::Refused if !told.ended.contains_key(sid.as_str()) => {
                        told.faults.push(Fault::Ended(sid.clone()));
                    }
                    Heard::Refused | Heard::Unknown => {}
                },
                Event::Counted { uid, heard } => told.counted.entry(uid).or_default().note(heard),
            }
        }
        told
    }

    /// A session did something that none does after its end.
    fn is_alive(&mut self, sid: &str) {
        if self.ended.get(sid).is_some_and(|tally| tally.acknowledged > 0) {
            self.faults.push(Fault::Revived(sid.to_owned()));
        }
    }

    /// What is acknowledged is there, and nothing more than was asked for.
    fn openings(&self, seen: &Seen) -> Vec<Fault> {
        let mut there: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for session in &seen.sessions {
            there.entry(&session.subject).or_default().push(&session.sid);
        }
        let mut faults = Vec::new();
        for (subject, (tally, guard, sids)) in &self.subjects {
            let found = there.remove(subject).unwrap_or_default();
            let lost = sids.iter().filter(|sid| !found.contains(sid));
            faults.extend(lost.map(|sid| Fault::LostSession((*sid).to_owned())));
            let is_twice = match guard {
                Some(Guard::Signature) => tally.acknowledged > 1 || found.len() > 1,
                Some(Guard::Key) => sids.len() > 1 || found.len() > 1,
                Some(Guard::Nothing) | None => found.len() as u64 > tally.most(),
            };
            if is_twice {
                faults.push(Fault::Duplicate((*subject).to_owned()));
            }
            if tally.most() == 0 {
                faults.extend(found.iter().map(|sid| Fault::Unasked((*sid).to_owned())));
            }
        }
        let unasked = there.into_values().flatten();
        faults.extend(unasked.map(|sid| Fault::Unasked(sid.to_owned())));
        faults
    }

    /// What was revoked is, nothing else is, and renewals last.
    fn lives(&self, seen: &Seen) -> Vec<Fault> {
        let mut faults = Vec::new();
        for SeenSession { sid, expires_at, is_revoked, .. } in &seen.sessions {
            let ended = self.ended.get(sid.as_str()).copied().unwrap_or_default();
            if ended.acknowledged > 0 && !is_revoked {
                faults.push(Fault::Revived(sid.clone()));
            }
            if ended.most() == 0 && *is_revoked {
                faults.push(Fault::Ended(sid.clone()));
            }
            if self.renewed.get(sid.as_str()).is_some_and(|until| expires_at < until) {
                faults.push(Fault::LostRenewal(sid.clone()));
            }
        }
        faults
    }

    fn counts(&self, seen: &Seen) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (uid, tally) in &self.counted {
            let used = seen.used.get(*uid).copied().unwrap_or(0);
            if used < tally.acknowledged {
                faults.push(Fault::LostCount((*uid).to_owned()));
            }
            if used > tally.most() {
                faults.push(Fault::ExtraCount((*uid).to_owned()));
            }
        }
        faults
    }
}
