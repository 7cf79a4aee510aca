//! Who asks about sessions of all surfaces, reduced to what decides: which sessions they may see,
//! and whether they may change them.
//!
//! How they proved it stays with the doors.

/// A backend of a tenant, or the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The only tenant whose sessions they may see; `None` for the operator, who may see all.
    pub tenant: Option<String>,
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
}

#[cfg(test)]
mod tests {
    use super::Caller;

    #[test]
    fn a_tenant_sees_its_own_and_the_operator_sees_all() {
        let of = |tenant: Option<&str>| Caller {
            tenant: tenant.map(str::to_owned),
            may_change: true,
            actor: "a".to_owned(),
        };
        assert!(of(Some("ten_a")).sees("ten_a") && !of(Some("ten_a")).sees("ten_b"));
        assert!(of(None).sees("ten_a") && of(None).sees("ten_b"));
    }
}
