//! The clock that a request asks to be handled by: read from its header, granted to test keys.
//!
//! A caller is proved before its clock is granted, because only then its key is known: by the time
//! it asks for or by the service's own. Then, by the time that it was granted, once more.

use vestibule_runtime::{Part, Received};

use crate::context::Context;
use crate::domain::key::{Key, Mode};
use crate::domain::test_clock::AskedClock;
use crate::error::Result;

impl Context {
    /// What a request asks for.
    pub(super) fn asked_clock(&self, request: &Received) -> AskedClock {
        AskedClock {
            own_ms: self.clock.own_now_ms(),
            asked_ms: request.asked_clock().and_then(instant),
            ahead_ms: request.operation.test_clock.as_ref().map_or(0, |info| info.ahead_ms),
        }
    }

    /// Handles a request by the time it asks for, when its caller's key is of a mode that may ask;
    /// the operator has none.
    ///
    /// # Errors
    /// `TestClockRefused` when it asks for a time that it may not have.
    pub(super) fn grant_clock(&self, request: &Received, mode: Option<Mode>) -> Result<()> {
        if let Some(at) = self.asked_clock(request).granted(mode)? {
            request.move_clock(at);
        }
        Ok(())
    }

    /// What a credential says that is good by the time a request asks for or by the service's own:
    /// a live key's must not seem too old because somebody asks for another time.
    ///
    /// # Errors
    /// As `by`, for the time that is asked for.
    pub(super) fn by_some_clock<T, E>(
        &self,
        request: &Received,
        by: impl Fn(i64) -> Result<T, E>,
    ) -> Result<T, E> {
        let AskedClock { own_ms, asked_ms, .. } = self.asked_clock(request);
        match asked_ms {
            Some(asked_ms) => by(asked_ms).or_else(|refusal| by(own_ms).map_err(|_| refusal)),
            None => by(own_ms),
        }
    }

    /// The time by which a request is handled from now on, as [`Context::grant_clock`]. Its
    /// credential must be good by that time too.
    ///
    /// # Errors
    /// As [`Context::grant_clock`]; as `by`.
    pub(super) fn settle_clock<T>(
        &self,
        request: &Received,
        key: Option<&Key>,
        by: impl Fn(i64) -> Result<T>,
    ) -> Result<i64> {
        self.grant_clock(request, key.map(|key| key.mode))?;
        let now = self.clock.now_ms();
        if self.asked_clock(request).asked_ms.is_some() {
            by(now)?;
        }
        Ok(now)
    }
}

/// What a header says that is as the document has it; any other is left to validation, which comes
/// before any handler.
fn instant(text: &str) -> Option<i64> {
    let schema = vestibule_api::schemas::embed::test_instant();
    schema.check(Part::Header, &text.into()).is_empty().then(|| text.parse().ok()).flatten()
}
