//! What a list of sessions is narrowed to: every condition must hold.
//!
//! Which conditions the store can look up is the store's to say; all of them are judged here.

use super::key::Mode;
use super::session::{Overview, State, Surface};
use super::target::Target;

/// Conditions on sessions; an empty one lets every session through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The owner; `None` is any.
    pub tenant: Option<String>,
    /// Where it was opened.
    pub surface: Option<Surface>,
    /// The mode of the key that opened it.
    pub mode: Option<Mode>,
    /// What became of it.
    pub state: Option<State>,
    /// The targets that all must name it.
    pub targets: Vec<Target>,
    /// Opened at this time or later, milliseconds since 1970.
    pub issued_after: Option<i64>,
    /// Opened before this time, milliseconds since 1970.
    pub issued_before: Option<i64>,
}

impl Filter {
    /// Whether a session passes that is in `state` now, and that a key of `mode` opened; `None`
    /// when that key is gone.
    pub fn admits(&self, session: &Overview, state: State, mode: Option<Mode>) -> bool {
        let opened_at = session.times.issued_at;
        self.tenant.as_ref().is_none_or(|tenant| *tenant == session.tenant)
            && self.surface.is_none_or(|surface| surface == session.surface)
            && (self.mode.is_none() || self.mode == mode)
            && self.state.is_none_or(|wanted| wanted == state)
            && self.targets.iter().all(|target| target.names(session))
            && self.issued_after.is_none_or(|at| opened_at >= at)
            && self.issued_before.is_none_or(|at| opened_at < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::Subject;
    use crate::domain::session::Times;

    fn session() -> Overview {
        Overview {
            tenant: "ten_a".into(),
            id: "ses_a".into(),
            key_id: "key_a".into(),
            surface: Surface::Iframe,
            subject: Some(Subject::Uid("u".into())),
            chat: None,
            times: Times {
                issued_at: 1_000,
                renewed_at: None,
                expires_at: 2_000,
                revoked_at: None,
                last_used_at: None,
            },
        }
    }

    #[test]
    fn every_condition_must_hold() {
        let admits = |filter: Filter| filter.admits(&session(), State::Live, Some(Mode::Live));
        let none = Filter::default;
        assert!(admits(none()));
        let uid = |id: &str| Target::Subject(Subject::Uid(id.into()));
        let holds = Filter {
            tenant: Some("ten_a".into()),
            surface: Some(Surface::Iframe),
            mode: Some(Mode::Live),
            state: Some(State::Live),
            targets: vec![uid("u"), Target::Key("key_a".into())],
            issued_after: Some(1_000),
            issued_before: Some(1_001),
        };
        assert!(admits(holds.clone()));
        for broken in [
            Filter { tenant: Some("ten_b".into()), ..holds.clone() },
            Filter { surface: Some(Surface::Chat), ..holds.clone() },
            Filter { mode: Some(Mode::Test), ..holds.clone() },
            Filter { state: Some(State::Revoked), ..holds.clone() },
            Filter { targets: vec![uid("u"), uid("v")], ..holds.clone() },
            Filter { issued_after: Some(1_001), ..holds.clone() },
            Filter { issued_before: Some(1_000), ..holds.clone() },
        ] {
            assert!(!admits(broken.clone()), "{broken:?}");
        }
    }
}
