//! Which writes wait for each other where several instances write to one database.
//!
//! What a write reads decides what it writes, so nothing may come in between: the writes of one
//! tenant follow each other. SQLite has one writer at a time and needs none of this.

use std::collections::BTreeSet;

use aws_lc_rs::digest;

/// Whose rows a write reads before it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach<'a> {
    /// Those of every tenant: it waits for all writes, and all wait for it.
    Everything,
    /// Those of some tenants.
    Tenants(Vec<&'a str>),
    /// Those that writes of the same work share, of whatever tenant.
    Work(&'static str),
}

/// What the writes of one transaction reach together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Locks {
    is_everything: bool,
    /// Ascending, so that two transactions never wait for each other.
    keys: BTreeSet<i64>,
}

impl<'a> Reach<'a> {
    /// Nobody's: each of its statements decides by itself.
    pub(super) const NOBODY: Self = Self::Tenants(Vec::new());

    /// The rows of one tenant.
    pub(super) fn tenant(id: &'a str) -> Self {
        Self::Tenants(vec![id])
    }
}

impl Locks {
    /// Adds what another write reaches.
    pub(super) fn add(&mut self, reach: Reach<'_>) {
        match reach {
            Reach::Everything => self.is_everything = true,
            Reach::Tenants(ids) => self.keys.extend(ids.into_iter().map(tenant_key)),
            Reach::Work(name) => drop(self.keys.insert(work_key(name))),
        }
    }

    /// Adds a tenant; its key when it was out of reach.
    pub(super) fn widen(&mut self, tenant: &str) -> Option<i64> {
        let key = tenant_key(tenant);
        (!self.is_everything && self.keys.insert(key)).then_some(key)
    }

    /// Whether all writes wait.
    pub(super) fn is_everything(&self) -> bool {
        self.is_everything
    }

    /// The keys, ascending.
    pub(super) fn keys(&self) -> impl Iterator<Item = i64> {
        self.keys.iter().copied()
    }
}

/// The key of a piece of work.
pub(super) fn work_key(name: &str) -> i64 {
    key("work", name)
}

fn tenant_key(id: &str) -> i64 {
    key("tenant", id)
}

/// Two names with one key wait for each other needlessly, which is all the harm of it. Not from the
/// standard library's hasher: instances of two builds must agree.
fn key(kind: &str, name: &str) -> i64 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(kind.as_bytes());
    context.update(&[0]);
    context.update(name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&context.finish().as_ref()[..8]);
    // Positive ones: the others are free for what is no name.
    i64::from_be_bytes(first) & i64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_locked_once_each_and_in_one_order() {
        let locks = |ids: &[&'static str]| {
            let mut locks = Locks::default();
            ids.iter().for_each(|id| locks.add(Reach::tenant(id)));
            locks
        };
        assert_eq!(locks(&["ten_a", "ten_b", "ten_a"]), locks(&["ten_b", "ten_a"]));
        let keys: Vec<_> = locks(&["ten_a", "ten_b", "ten_c"]).keys().collect();
        assert!(keys.is_sorted() && keys.len() == 3 && keys[0] >= 0, "{keys:?}");
    }

    #[test]
    fn reach_widens_by_what_is_not_in_it() {
        let mut locks = Locks::default();
        locks.add(Reach::tenant("ten_a"));
        assert_eq!(locks.widen("ten_a"), None);
        assert_eq!(locks.widen("ten_b"), Some(tenant_key("ten_b")));
        assert_eq!(locks.widen("ten_b"), None);
        locks.add(Reach::Everything);
        assert_eq!(locks.widen("ten_c"), None);
        assert_ne!(work_key("ten_a"), tenant_key("ten_a"));
    }
}
