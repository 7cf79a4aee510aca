//! One client: it opens sessions through all three doors, uses, renews and revokes its own, counts
//! messages, and writes down what it was told until nobody answers any more.
//!
//! What it does next is drawn from a seed; when the server dies is not.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::{Client, Opened, Opening};
use crate::history::{Event, Guard, Heard};

/// Sessions of its own that a client goes on with.
const MOST_OWN: usize = 8;
/// Acknowledged requests of a client that are sent once more after a restart.
const MOST_REPEATED: usize = 8;

/// A client of one round.
pub struct Load {
    client: Client,
    /// What its subjects begin with: half of an id of 24 hex digits, which suit every surface.
    name: String,
    draws: Draws,
    made: u64,
    own: Vec<Opened>,
    /// Openings that may be sent again: their outcome is guarded.
    again: Vec<(String, Guard, Opening)>,
    /// What it was told, in order.
    pub events: Vec<Event>,
}

impl Load {
    /// A client with a name that no other one has.
    pub fn new(client: Client, name: String, seed: u64) -> Self {
        let (own, again, events) = Default::default();
        Self { client, name, draws: Draws(seed), made: 0, own, again, events }
    }

    /// Until an answer does not come; `answered` counts those that come.
    ///
    /// # Errors
    /// An answer that no such request may have.
    pub async fn until_unanswered(&mut self, answered: &AtomicU64) -> Result<(), String> {
        while self.act().await? {
            answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Sends once more what was not answered, and some of what was.
    ///
    /// # Errors
    /// An answer that no such request may have.
    pub async fn repeat(&mut self) -> Result<(), String> {
        for (subject, guard, opening) in std::mem::take(&mut self.again) {
            self.open(subject, guard, opening).await?;
        }
        // Backwards: one that is over is taken out, and the last one comes into its place.
        for place in (0..self.own.len()).rev() {
            self.use_own(place).await?;
        }
        Ok(())
    }

    /// One request; whether it was answered.
    async fn act(&mut self) -> Result<bool, String> {
        let own = self.draws.below(self.own.len().max(1) as u64) as usize;
        match self.draws.below(100) {
            0..30 => self.open_another(Guard::Signature).await,
            30..45 => self.open_another(Guard::Nothing).await,
            45..65 => self.open_another(Guard::Key).await,
            65..75 if own < self.own.len() => self.renew_own(own).await,
            75..82 if own < self.own.len() => self.end_own(own).await,
            82..90 if own < self.own.len() => self.use_own(own).await,
            _ => self.count().await,
        }
    }

    async fn open_another(&mut self, guard: Guard) -> Result<bool, String> {
        self.made += 1;
        let subject = format!("{}{:012x}", self.name, self.made);
        let opening = match guard {
            Guard::Signature => self.client.embed(&subject),
            Guard::Nothing => self.client.chat(&subject),
            Guard::Key => self.client.iframe(&subject),
        };
        self.open(subject, guard, opening).await
    }

    async fn open(
        &mut self,
        subject: String,
        guard: Guard,
        opening: Opening,
    ) -> Result<bool, String> {
        let heard = self.client.open(&opening).await?;
        let is_answered = heard != Heard::Unknown;
        let told = match heard {
            Heard::Acknowledged(opened) => {
                let sid = opened.sid.clone();
                self.take_over(opened);
                Heard::Acknowledged(sid)
            }
            Heard::Refused => Heard::Refused,
            Heard::Unknown => Heard::Unknown,
        };
        if guard != Guard::Nothing && (!is_answered || self.again.len() < MOST_REPEATED) {
            self.again.push((subject.clone(), guard, opening));
        }
        self.events.push(Event::Opened { subject, guard, heard: told });
        Ok(is_answered)
    }

    fn take_over(&mut self, opened: Opened) {
        if self.own.len() < MOST_OWN {
            self.own.push(opened);
        }
    }

    async fn renew_own(&mut self, place: usize) -> Result<bool, String> {
        let sid = self.own[place].sid.clone();
        let told = match self.client.renew(&sid).await? {
            Heard::Acknowledged((until, token)) => {
                let own = &mut self.own[place];
                own.token = own.token.is_some().then_some(token);
                Heard::Acknowledged(until)
            }
            Heard::Refused => Heard::Refused,
            Heard::Unknown => Heard::Unknown,
        };
        let is_answered = told != Heard::Unknown;
        self.events.push(Event::Renewed { sid, heard: told });
        Ok(is_answered)
    }

    /// And goes on with its token for a while: it must open nothing any more.
    async fn end_own(&mut self, place: usize) -> Result<bool, String> {
        let Opened { sid, token } = self.own[place].clone();
        let heard = self.client.end(&sid).await?;
        let is_answered = heard != Heard::Unknown;
        self.events.push(Event::Ended { sid, heard });
        if token.is_none() {
            self.own.swap_remove(place);
        }
        Ok(is_answered)
    }

    async fn use_own(&mut self, place: usize) -> Result<bool, String> {
        let Opened { sid, token } = self.own[place].clone();
        let Some(token) = token else { return Ok(true) };
        let heard = self.client.use_token(&token).await?;
        let is_answered = heard != Heard::Unknown;
        if heard == Heard::Refused {
            self.own.swap_remove(place);
        }
        self.events.push(Event::Used { sid, heard });
        Ok(is_answered)
    }

    async fn count(&mut self) -> Result<bool, String> {
        let uid = format!("{}-counts", self.name);
        let heard = self.client.count(&uid).await?;
        let is_answered = heard != Heard::Unknown;
        self.events.push(Event::Counted { uid, heard });
        Ok(is_answered)
    }
}

/// Numbers that look drawn and follow from a seed (SplitMix64).
pub struct Draws(pub u64);

impl Draws {
    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
