//! Tells a server that says nothing at all from one that is merely slow.
//!
//! Whoever waits for an answer longer than usual has the server asked for a new connection beside.
//! One that gives neither, nor anything to anybody else here, is given up within a second; a slow
//! one keeps the time that its statements have. Knows no statement but its own.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use tokio::sync::Mutex;

use super::super::engine::Failure;
use super::{ACQUIRE, SILENCE, Session};

/// How long an answer may take before the server is asked whether it is there.
const UNUSUAL: Duration = Duration::from_millis(250);

/// How long it may take to say so: together the second after which callers hear of it.
const SIGN: Duration = ACQUIRE.saturating_sub(UNUSUAL);

/// What was heard of a server by all connections of this instance.
pub(super) struct Pulse {
    options: PgConnectOptions,
    start: Instant,
    /// When anything was heard last, in milliseconds since the start.
    heard: AtomicU64,
    /// When it last gave no sign of life. Held while it is asked for one, which one does for all.
    silent: Mutex<Option<Instant>>,
}

/// Nothing came back in time.
#[derive(Debug)]
pub(super) enum Mute {
    /// Neither on this connection nor on a new one.
    Server,
    /// Not on this connection, and the server lives.
    Connection,
}

impl From<Mute> for Failure {
    fn from(mute: Mute) -> Self {
        let why = "the database says nothing".into();
        match mute {
            Mute::Server => Self::Silent(why),
            Mute::Connection => Self::Gone(why),
        }
    }
}

impl Pulse {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        let start = Instant::now();
        Self { options, start, heard: AtomicU64::new(0), silent: Mutex::default() }
    }

    /// Waits for an answer of any kind for somebody who waits since `since`, but not for ever.
    pub(super) async fn ask<T>(
        &self,
        since: Instant,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<Result<T, sqlx::Error>, Mute> {
        let mut answer = pin!(answer);
        if let Ok(answer) = tokio::time::timeout(UNUSUAL, &mut answer).await {
            self.hear();
            return Ok(answer);
        }
        let answer = tokio::time::timeout(SILENCE.saturating_sub(UNUSUAL), answer);
        let answer = tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| Mute::Connection)?,
            () = self.is_silent(since) => return Err(Mute::Server),
        };
        self.hear();
        Ok(answer)
    }

    /// Returns when the server is silent, and never when it is not.
    async fn is_silent(&self, since: Instant) {
        let mut patience = UNUSUAL;
        loop {
            let mut silent = self.silent.lock().await;
            let heard = self.last_heard();
            let quiet = since.max(heard).elapsed();
            if quiet < patience {
                drop(silent);
                tokio::time::sleep(patience.saturating_sub(quiet)).await;
                continue;
            }
            let is_told = silent.is_some_and(|at| at >= since && heard < at);
            if is_told || self.asks_in_vain().await {
                *silent = Some(Instant::now());
                return;
            }
            // A slow server is not made slower by asking it all the time.
            patience = ACQUIRE;
        }
    }

    /// Any answer is a sign of life, a refusal too.
    async fn asks_in_vain(&self) -> bool {
        let asked = Instant::now();
        let Ok(met) = tokio::time::timeout(SIGN, Session::meet(&self.options)).await else {
            return self.last_heard() < asked;
        };
        self.hear();
        if let Ok(session) = met {
            session.close().await;
        }
        false
    }

    fn hear(&self) {
        let now = self.start.elapsed().as_millis();
        self.heard.fetch_max(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn last_heard(&self) -> Instant {
        self.start + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }
}
