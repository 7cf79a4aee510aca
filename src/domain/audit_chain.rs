//! Walking an audit chain: the first entry that is not as it was written, and what is wrong.
//!
//! Knows no table: entries come in one by one, in the order of their sequence.

use super::audit::{Hash, Record};

/// An entry as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The entry; `None` when a member is not even of its type.
    pub record: Option<Record>,
    /// The hash that stands with it.
    pub hash: Hash,
    /// Where it lies among the entries of all chains.
    pub position: i64,
}

/// A place in a chain and the hash of the entry there: `tenant:sequence:hash`, with `-` for no
/// tenant, to keep elsewhere. Whoever can rewrite the database cannot rewrite that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose chain; empty for what belongs to no tenant.
    pub tenant: String,
    /// How many entries it had.
    pub sequence: i64,
    /// The hash of the last of them.
    pub hash: Hash,
}

/// What is wrong at the first broken place of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The place.
    pub sequence: i64,
    /// The id of the entry that stands there, when one does.
    pub id: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The entry does not give its hash.
    #[error("altered: its words do not give the hash that was written with them")]
    Altered,
    /// The entry is genuine, but was written at another place.
    #[error("reordered: this entry was written as number {written}")]
    Reordered {
        /// Where it was written.
        written: i64,
    },
    /// Nothing stands at the place, and something stands behind it.
    #[error("missing: the next entry is number {next}")]
    Missing {
        /// The next place that is taken.
        next: i64,
    },
    /// The entry is genuine, but the one before it is not the one it was written behind.
    #[error("the entry before it was exchanged: this one was written behind another")]
    Detached,
    /// The chain was longer.
    #[error("truncated: the chain had {had} entries")]
    Truncated {
        /// How many there were.
        had: i64,
    },
    /// The entry is not the one that the end of the chain, or a head kept elsewhere, tells of.
    #[error("exchanged: the recorded head has another hash for this entry")]
    Exchanged,
    /// The row that tells where the chain ends is gone or does not reach the last entry.
    #[error("the record of where the chain ends is missing, unreadable or set back")]
    EndLost,
}

/// A chain that is being walked.
pub struct Walk {
    end: Head,
    position: i64,
    expected: Vec<Head>,
}

impl Walk {
    /// At the beginning of a tenant's chain. `expected` are heads that were kept elsewhere.
    pub fn new(tenant: &str, expected: &[Head]) -> Self {
        let expected = expected.iter().filter(|head| head.tenant == tenant).cloned().collect();
        let end = Head { tenant: tenant.to_owned(), sequence: 0, hash: Hash::NONE };
        Self { end, position: 0, expected }
    }

    /// Where the walk stands.
    pub fn head(&self) -> &Head {
        &self.end
    }

    /// Goes on to the next entry.
    ///
    /// # Errors
    /// What is wrong with it, or that it is not the next one.
    pub fn step(&mut self, found: &Found) -> Result<(), Break> {
        let next = self.end.sequence + 1;
        let Some(record) = &found.record else {
            return Err(Break { sequence: next, id: None, fault: Fault::Altered });
        };
        if let Some(fault) = self.fault(next, record, found) {
            let id = if record.sequence == next { Some(record.id.clone()) } else { None };
            return Err(Break { sequence: next, id, fault });
        }
        self.position = found.position;
        (self.end.sequence, self.end.hash) = (next, found.hash);
        Ok(())
    }

    /// Closes the walk, given what the database says of the chain's end.
    ///
    /// # Errors
    /// That the chain was longer, or ended in something else.
    pub fn finish(&self, recorded: Option<(i64, Hash)>) -> Result<(), Break> {
        let last = self.end.sequence;
        let broken = |sequence, fault| Err(Break { sequence, id: None, fault });
        if let Some(head) = self.expected.iter().find(|head| head.sequence > last) {
            return broken(last + 1, Fault::Truncated { had: head.sequence });
        }
        match recorded {
            Some((sequence, _)) if sequence > last => {
                broken(last + 1, Fault::Truncated { had: sequence })
            }
            Some((sequence, hash)) if sequence == last && hash != self.end.hash => {
                broken(last, Fault::Exchanged)
            }
            Some((sequence, _)) if sequence == last => Ok(()),
            Some(_) | None => broken(last, Fault::EndLost),
        }
    }

    fn fault(&self, next: i64, record: &Record, found: &Found) -> Option<Fault> {
        if record.sequence > next {
            return Some(Fault::Missing { next: record.sequence });
        }
        if record.hash() != found.hash {
            return Some(match written_at(record, found.hash) {
                Some(written) => Fault::Reordered { written },
                None => Fault::Altered,
            });
        }
        if record.sequence < next || found.position <= self.position {
            return Some(Fault::Reordered { written: record.sequence });
        }
        if record.previous != self.end.hash {
            return Some(Fault::Detached);
        }
        let known = self.expected.iter().find(|head| head.sequence == next);
        known.filter(|head| head.hash != found.hash).map(|_| Fault::Exchanged)
    }
}

/// How the chain that belongs to no tenant is written.
pub const NO_TENANT: &str = "-";

/// A chain's name as people write it.
pub fn shown(tenant: &str) -> &str {
    if tenant.is_empty() { NO_TENANT } else { tenant }
}

/// How far around its place the true place of an entry is looked for.
const NEARBY: i64 = 1000;

/// The sequence with which the entry gives its hash.
fn written_at(record: &Record, hash: Hash) -> Option<i64> {
    let around = record.sequence.saturating_sub(NEARBY)..record.sequence.saturating_add(NEARBY);
    around.into_iter().find(|sequence| {
        let moved = Record { sequence: *sequence, ..record.clone() };
        moved.hash() == hash
    })
}

impl std::str::FromStr for Head {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a head is tenant:sequence:hash, as `vestibule audit verify` prints it";
        let mut parts = text.trim().split(':');
        let (Some(tenant), Some(sequence), Some(hash), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(FORM);
        };
        let sequence = sequence.parse().map_err(|_| FORM)?;
        let hash = super::hex::decode(hash.as_bytes()).map(Hash).ok_or(FORM)?;
        let tenant = if tenant == NO_TENANT { "" } else { tenant }.to_owned();
        Ok(Self { tenant, sequence, hash })
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tenant, sequence, hash } = self;
        write!(out, "{}:{sequence}:{hash}", shown(tenant))
    }
}

#[cfg(test)]
mod tests;
