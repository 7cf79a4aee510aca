//! The clock that one request moved: asked for in a header, granted by the service once it knows
//! the caller, and read by whoever asks for the time while that request is handled.
//!
//! Who may move it, and how far, is for the service to say, see [`Received::move_clock`].

use crate::{Code, Notes, Received};

/// What an operation's document says of test clocks.
#[derive(Debug)]
pub struct TestClockInfo {
    /// The request header, in lower case.
    pub header: &'static str,
    /// How far ahead of the service's time a clock may be, milliseconds.
    pub ahead_ms: i64,
    /// What a caller is told who may not move it, or not there.
    pub refused: Code,
}

tokio::task_local! {
    /// What is known of the request that this task handles.
    static HANDLED: Notes;
}

/// The time that the request being handled was granted, milliseconds since 1970; `None` while it
/// goes by the service's own, and outside of any request.
pub fn moved_clock() -> Option<i64> {
    HANDLED.try_with(Notes::moved_clock).ok().flatten()
}

/// Handles a request whose notes say by which clock.
pub(crate) async fn by_its_clock<T>(notes: Notes, handling: impl Future<Output = T>) -> T {
    HANDLED.scope(notes, handling).await
}

impl Received {
    /// The clock that the request asks for, as it was sent. `None` when it asks for none, or
    /// twice: then validation refuses it, which comes before any handler.
    pub fn asked_clock(&self) -> Option<&str> {
        let info = self.operation.test_clock.as_ref()?;
        let mut all = self.headers.get_all(info.header).iter();
        let (one, other) = (all.next()?, all.next());
        one.to_str().ok().filter(|_| other.is_none())
    }

    /// From now on the request is handled as if it were `at_ms`, milliseconds since 1970.
    pub fn move_clock(&self, at_ms: i64) {
        self.notes.move_clock(at_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_is_moved_for_the_request_that_moved_it_alone() {
        let notes = Notes::default();
        let handled = by_its_clock(notes.clone(), async {
            assert_eq!(moved_clock(), None);
            notes.move_clock(5);
            let inner = by_its_clock(Notes::default(), async { moved_clock() }).await;
            let spawned = tokio::spawn(async { moved_clock() }).await.expect("it ends");
            (moved_clock(), inner, spawned)
        });
        assert_eq!(handled.await, (Some(5), None, None));
        assert_eq!(moved_clock(), None);
    }
}
