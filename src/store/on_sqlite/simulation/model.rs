//! What must hold, whatever happens to the database: one session for each signature and each
//! idempotency key, revoked stays revoked, no limit is passed and none refuses early, and nothing
//! acknowledged is lost.
//!
//! Knows what was asked for and told, not how the store does it.

use std::collections::{BTreeMap, BTreeSet};

use super::Draws;
use super::ask::{Ask, LIFE_MS, Told, name};
use crate::domain::key::Mode;
use crate::store::Store;

pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;
/// Sessions that the capped key may open, and messages of a user.
pub(super) const SESSIONS_A_DAY: u32 = 60;
pub(super) const MESSAGES_AN_HOUR: i64 = 40;

/// How far a signature's time may lie off, which the domain sees to.
const WINDOW_MS: i64 = 300_000;
/// Signatures, keys, sessions and messages that callers still come back to.
const RECENT: usize = 64;

/// What was asked for and told so far.
#[derive(Default)]
pub(super) struct Model {
    /// Requests so far.
    pub(super) steps: usize,
    /// What must not be.
    pub(super) faults: Vec<String>,
    sessions: BTreeMap<String, Life>,
    signatures: BTreeMap<u64, Guarded>,
    claims: BTreeMap<u64, Guarded>,
    days: BTreeMap<i64, Tally>,
    hours: BTreeMap<(u64, i64), Tally>,
    /// Messages that were acknowledged and may be taken back, with their users and hours.
    messages: Vec<(u64, String, i64)>,
    hour_of: BTreeMap<String, i64>,
    /// Sessions that ended before this may be gone.
    purged: i64,
    users: u64,
}

/// A session that somebody asked for.
#[derive(Clone, Copy, Debug)]
struct Life {
    opened: Certainty,
    revoked: Certainty,
    /// From when on it is revoked: a clock that goes back before that sees it live.
    revoked_at: i64,
    until: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Certainty {
    No,
    Perhaps,
    Yes,
}

/// Requests of which one may take effect.
#[derive(Default)]
struct Guarded {
    signed_at: i64,
    asked: Vec<String>,
    told: BTreeSet<String>,
    done: usize,
    unknown: usize,
}

/// How many.
#[derive(Clone, Copy, Default)]
struct Tally {
    done: i64,
    unknown: i64,
    taken_back: i64,
    perhaps_taken_back: i64,
}

impl Tally {
    fn least(self) -> i64 {
        self.done - self.taken_back - self.perhaps_taken_back
    }

    fn most(self) -> i64 {
        self.done + self.unknown - self.taken_back
    }

    fn note(&mut self, told: &Told) {
        self.done += i64::from(matches!(told, Told::Done(_)));
        self.unknown += i64::from(*told == Told::Unknown);
    }
}

impl Model {
    /// With so many users.
    pub(super) fn new(users: u64) -> Self {
        let mut model = Self { users, ..Self::default() };
        for uid in 0..users {
            model.open(&format!("ses_of_{uid}"), Certainty::Yes, super::START + LIFE_MS);
        }
        model
    }

    /// What somebody asks for next.
    pub(super) fn draw(&mut self, draws: &mut Draws, now: i64) -> Ask {
        self.steps += 1;
        let (step, sid) = (self.steps as u64, format!("ses_{}", self.steps));
        match draws.below(100) {
            0..30 => {
                let known = draws.below(3) == 0;
                let again = self.signatures.iter().rev().take(RECENT);
                let mut again = again.filter(|(_, it)| (it.signed_at - now).abs() <= WINDOW_MS);
                let again = again.nth(draws.below(RECENT as u64) as usize);
                match again.filter(|_| known) {
                    Some((mac, it)) => Ask::Embed { mac: *mac, signed_at: it.signed_at, sid },
                    None => Ask::Embed { mac: step, signed_at: now, sid },
                }
            }
            30..50 => {
                let again = self.claims.keys().rev().nth(draws.below(RECENT as u64) as usize);
                let claim = again.filter(|_| draws.below(3) == 0).copied().unwrap_or(step);
                Ask::Link { claim, sid }
            }
            50..56 => Ask::Capped { sid },
            56..72 => Ask::Message { uid: draws.below(self.users), id: format!("msg_{step}") },
            72..77 if !self.messages.is_empty() => {
                let (uid, id, _) =
                    self.messages[draws.below(self.messages.len() as u64) as usize].clone();
                Ask::Refund { uid, id }
            }
            77..99 => {
                let sid = self.recent_session(draws);
                match draws.below(22) {
                    0..5 => Ask::Revoke { sid },
                    5..10 => Ask::Renew { sid },
                    _ => Ask::Read { sid },
                }
            }
            99 if draws.below(20) == 0 => Ask::Purge,
            _ => Ask::Read { sid: self.recent_session(draws) },
        }
    }

    fn recent_session(&self, draws: &mut Draws) -> String {
        let from = self.steps.saturating_sub(draws.below(400) as usize);
        let near = self.sessions.range(format!("ses_{from}")..).next();
        near.map_or_else(|| "ses_of_0".to_owned(), |(sid, _)| sid.clone())
    }

    /// Takes in what a turn of callers was told. What they all knew before is compared with it;
    /// among themselves they have no order, so what was done counts before what was refused.
    pub(super) fn hear(&mut self, asks: &[Ask], told: &[Told], now: i64) {
        let revoked_before: BTreeSet<String> = self.of_revoked(Certainty::Yes);
        let taken_back = self.hours.clone();
        for (ask, told) in asks.iter().zip(told) {
            self.note(ask, told, now);
        }
        for (ask, told) in asks.iter().zip(told) {
            self.judge(ask, told, now, &revoked_before, &taken_back);
        }
    }

    fn of_revoked(&self, certainty: Certainty) -> BTreeSet<String> {
        let all = self.sessions.iter().filter(|(_, life)| life.revoked >= certainty);
        all.map(|(sid, _)| sid.clone()).collect()
    }

    fn note(&mut self, ask: &Ask, told: &Told, now: i64) {
        let certainty = match told {
            Told::Done(_) => Certainty::Yes,
            Told::Unknown => Certainty::Perhaps,
            Told::Refused | Told::Full | Told::Busy | Told::Seen(_) => Certainty::No,
        };
        match ask {
            Ask::Embed { mac, signed_at, sid } => {
                self.open(sid, certainty, now + LIFE_MS);
                let guarded = self.signatures.entry(*mac).or_default();
                guarded.signed_at = *signed_at;
                guarded.note(sid, told);
            }
            Ask::Link { claim, sid } => {
                self.claims.entry(*claim).or_default().note(sid, told);
                match told {
                    Told::Done(first) if first != sid => {
                        self.open(sid, Certainty::No, now);
                        self.open(first, Certainty::Yes, now);
                    }
                    _ => self.open(sid, certainty, now + LIFE_MS),
                }
            }
            Ask::Capped { sid } => {
                self.open(sid, certainty, now + LIFE_MS);
                self.days.entry(now.div_euclid(DAY_MS)).or_default().note(told);
            }
            Ask::Message { uid, id } => {
                let hour = now.div_euclid(HOUR_MS);
                self.hours.entry((*uid, hour)).or_default().note(told);
                if certainty == Certainty::Yes {
                    self.messages.push((*uid, id.clone(), hour));
                }
                self.hour_of.insert(id.clone(), hour);
            }
            Ask::Refund { uid, id } => {
                let is_first = self.messages.iter().position(|(_, known, _)| known == id);
                let hour = self.hour_of[id];
                let tally = self.hours.entry((*uid, hour)).or_default();
                if let Some(place) = is_first.filter(|_| certainty != Certainty::No) {
                    self.messages.swap_remove(place);
                    tally.taken_back += i64::from(certainty == Certainty::Yes);
                    tally.perhaps_taken_back += i64::from(certainty == Certainty::Perhaps);
                }
            }
            Ask::Revoke { sid } => {
                if let Some(life) = self.sessions.get_mut(sid) {
                    if certainty == Certainty::Yes && life.revoked < certainty {
                        life.revoked_at = now;
                    }
                    life.revoked = life.revoked.max(certainty);
                }
            }
            Ask::Renew { sid } => {
                if let Some(life) = self.sessions.get_mut(sid).filter(|_| certainty > Certainty::No)
                {
                    life.until = life.until.min(now + LIFE_MS);
                }
            }
            Ask::Purge => self.purged = self.purged.max(now - HOUR_MS),
            Ask::Read { .. } => {}
        }
    }

    fn open(&mut self, sid: &str, opened: Certainty, until: i64) {
        let (opened_before, revoked) = (Certainty::No, Certainty::No);
        let fresh = Life { opened: opened_before, revoked, revoked_at: 0, until };
        let life = self.sessions.entry(sid.to_owned()).or_insert(fresh);
        life.opened = life.opened.max(opened);
    }

    fn judge(
        &mut self,
        ask: &Ask,
        told: &Told,
        now: i64,
        revoked_before: &BTreeSet<String>,
        hours_before: &BTreeMap<(u64, i64), Tally>,
    ) {
        let fault = match (ask, told) {
            (Ask::Embed { mac, .. }, Told::Done(_)) if self.signatures[mac].done > 1 => {
                Some("opened twice")
            }
            (Ask::Embed { mac, .. }, Told::Refused) => {
                let guarded = &self.signatures[mac];
                (guarded.done + guarded.unknown == 0).then_some("refused, and nobody had it")
            }
            (Ask::Link { claim, .. }, Told::Done(_)) if self.claims[claim].told.len() > 1 => {
                Some("told of two sessions")
            }
            (Ask::Capped { .. }, Told::Done(_) | Told::Full) => {
                let tally = self.days[&now.div_euclid(DAY_MS)];
                of_limit(told, tally.least(), tally.most(), SESSIONS_A_DAY.into())
            }
            (Ask::Message { uid, .. }, Told::Done(_) | Told::Full) => {
                let hour = (*uid, now.div_euclid(HOUR_MS));
                let (tally, before) = (self.hours[&hour], hours_before.get(&hour));
                // What is taken back in this turn may have come later.
                let most = tally.most() + tally.taken_back - before.map_or(0, |it| it.taken_back);
                of_limit(told, tally.least(), most, MESSAGES_AN_HOUR)
            }
            (Ask::Renew { sid }, Told::Done(_)) if revoked_before.contains(sid) => {
                (self.sessions[sid].revoked_at <= now).then_some("renewed though revoked")
            }
            (Ask::Read { sid }, Told::Seen(seen)) => self.of_read(sid, *seen, revoked_before),
            _ => None,
        };
        self.faults.extend(fault.map(|fault| format!("{fault}: {ask:?} was told {told:?}")));
    }

    fn of_read(
        &self,
        sid: &str,
        seen: Option<bool>,
        revoked_before: &BTreeSet<String>,
    ) -> Option<&'static str> {
        let life = self.sessions.get(sid)?;
        let may_be_gone = life.opened < Certainty::Yes || life.until < self.purged;
        match seen {
            // It may have been opened in this very turn.
            None if may_be_gone || !self.is_old(sid) => None,
            None => Some("lost"),
            Some(false) if revoked_before.contains(sid) => Some("revived"),
            Some(true) if life.revoked == Certainty::No => Some("ended by nobody"),
            Some(_) => None,
        }
    }

    /// Whether a session was asked for before this turn, and not by the latest requests.
    fn is_old(&self, sid: &str) -> bool {
        let step = sid.strip_prefix("ses_").and_then(|text| text.parse::<usize>().ok());
        step.is_none_or(|step| step + super::CALLERS < self.steps)
    }

    /// Holds the whole database against what was told.
    pub(super) async fn look(&mut self, store: &Store, now: i64) {
        let sql = "SELECT session_id, revoked_at FROM sessions";
        let rows = store.readers.fetch(sql, Vec::new()).await.expect("reads");
        let mut there = BTreeMap::new();
        for mut row in rows {
            let sid = row.text(0).expect("an id");
            there.insert(sid, row.opt_int(1).expect("a time").is_some());
        }
        self.look_at_sessions(&there);
        for (what, all) in [("signature", &self.signatures), ("key", &self.claims)] {
            for (name, guarded) in all {
                let found = guarded.asked.iter().filter(|sid| there.contains_key(*sid)).count();
                if found > 1 {
                    self.faults.push(format!("{found} sessions of {what} {name}"));
                }
            }
        }
        for uid in 0..self.users {
            let usage = store.usage("ten_a", Mode::Live, &name(uid)).await.expect("reads");
            let used = usage.windows(now)[0].used;
            let tally = self.hours.get(&(uid, now.div_euclid(HOUR_MS))).copied();
            let tally = tally.unwrap_or_default();
            if used < tally.least() || used > tally.most() {
                let (least, most) = (tally.least(), tally.most());
                self.faults.push(format!("{used} messages of {uid}, not {least} to {most}"));
            }
        }
    }

    fn look_at_sessions(&mut self, there: &BTreeMap<String, bool>) {
        let mut faults = Vec::new();
        for (sid, life) in &self.sessions {
            let fault = match there.get(sid) {
                None if life.opened == Certainty::Yes && life.until >= self.purged => "lost",
                Some(_) if life.opened == Certainty::No => "there though refused",
                Some(false) if life.revoked == Certainty::Yes => "revived",
                Some(true) if life.revoked == Certainty::No => "ended by nobody",
                _ => continue,
            };
            faults.push(format!("{sid} is {fault}"));
        }
        let unasked = there.keys().filter(|sid| !self.sessions.contains_key(*sid));
        faults.extend(unasked.map(|sid| format!("{sid} was asked for by nobody")));
        self.faults.extend(faults);
    }
}

impl Guarded {
    fn note(&mut self, sid: &str, told: &Told) {
        self.asked.push(sid.to_owned());
        match told {
            Told::Done(told) => {
                self.told.insert(told.clone());
                self.done += 1;
            }
            Told::Unknown => self.unknown += 1,
            Told::Refused | Told::Full | Told::Busy | Told::Seen(_) => {}
        }
    }
}

/// A limit lets as many through as it says, and refuses nobody before.
fn of_limit(told: &Told, least: i64, most: i64, limit: i64) -> Option<&'static str> {
    match told {
        Told::Done(_) => (least > limit).then_some("more than the limit"),
        _ => (most < limit).then_some("refused below the limit"),
    }
}
