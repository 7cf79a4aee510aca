//! Who asks about sessions of all surfaces, reduced to what decides: which sessions they may see,
//! and whether they may change them.
//!
//! How they proved it stays with the doors.

use super::key::{Mode, Scope};
use crate::error::{Error, Result};

/// A backend of a tenant, or the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The only tenant whose sessions they may see; `None` for the operator, who may see all.
    pub tenant: Option<String>,
    /// Whether they see the sessions that test keys opened and no others: theirs is a test key.
    pub sees_tests_alone: bool,
    /// Whether they may end and renew what they see.
    pub may_change: bool,
    /// What the audit calls them.
    pub actor: String,
}

impl Caller {
    /// Whether what belongs to `tenant` is theirs to see.
    pub fn sees(&self, tenant: &str) -> bool {
        self.tenant.as_deref().is_none_or(|own| own == tenant)
    }

    /// Whether they see what a key of this mode opened; `None` when that key is gone.
    pub fn sees_mode(&self, mode: Option<Mode>) -> bool {
        !self.sees_tests_alone || mode == Some(Mode::Test)
    }

    /// # Errors
    /// `InsufficientScope` unless they may end and renew sessions.
    pub fn require_change(&self) -> Result<()> {
        if self.may_change {
            return Ok(());
        }
        let scope = Scope::Read.name().to_owned();
        Err(Error::InsufficientScope { scope, missing: vec![Scope::ReadWrite.name().to_owned()] })
    }

    /// The tenant that they mean when they name `named`; `None` when they may not see that one,
    /// and `Some(None)` when they must name one and do not.
    pub fn meant<'a>(&'a self, named: Option<&'a str>) -> Option<Option<&'a str>> {
        match (self.tenant.as_deref(), named) {
            (Some(own), Some(named)) => (own == named).then_some(Some(own)),
            (own, named) => Some(own.or(named)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Caller;

    #[test]
    fn a_tenant_sees_its_own_and_the_operator_sees_all() {
        let of = |tenant: Option<&str>| Caller {
            tenant: tenant.map(str::to_owned),
            sees_tests_alone: false,
            may_change: true,
            actor: "a".to_owned(),
        };
        assert!(of(Some("ten_a")).sees("ten_a") && !of(Some("ten_a")).sees("ten_b"));
        assert!(of(None).sees("ten_a") && of(None).sees("ten_b"));
        assert_eq!(of(Some("ten_a")).meant(Some("ten_b")), None);
        for named in [None, Some("ten_a")] {
            assert_eq!(of(Some("ten_a")).meant(named), Some(Some("ten_a")));
            assert_eq!(of(None).meant(named), Some(named));
        }
    }

    #[test]
    fn who_may_only_look_changes_nothing() {
        let of = |may_change| Caller {
            tenant: None,
            sees_tests_alone: false,
            may_change,
            actor: "a".to_owned(),
        };
        assert!(of(true).require_change().is_ok() && of(false).require_change().is_err());
    }
}
