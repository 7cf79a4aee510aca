//! What a write makes stale in memory: dropped here after the commit, and told to the instances that
//! share the database, which drop it too.
//!
//! A word that is lost costs time alone: whatever is kept in memory is a second old at most. Knows no
//! SQL and no driver.

use super::cache::Caches;

/// What is to be dropped once the write is committed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stale {
    here: Vec<What>,
    everywhere: Vec<What>,
}

/// Something that is kept in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Everything,
    /// Whatever depends on a key or its tenant.
    Keys,
    Origins,
    /// The keys that verify tokens, of all tenants.
    Published,
    Themes,
    Sessions,
    /// By tenant and id.
    Session(String, String),
    Tenant(String),
    /// A tenant's catalogue.
    Catalogue(String),
    /// A tenant's sources.
    Sources(String),
}

/// PostgreSQL takes texts of less than 8000 bytes.
const LONGEST: usize = 7_900;

impl Stale {
    /// Drops it on every instance.
    pub(super) fn add(&mut self, what: What) {
        if !self.everywhere.contains(&what) {
            self.everywhere.push(what);
        }
    }

    /// Drops it here alone: the others may be a second behind.
    pub(super) fn add_here(&mut self, what: What) {
        self.here.push(what);
    }

    /// What the other instances must hear; `None` when there is nothing.
    pub(super) fn told(&self) -> Option<String> {
        let text = told(&self.everywhere);
        if text.len() <= LONGEST {
            return (!text.is_empty()).then_some(text);
        }
        // One by one they are too many to tell, and so are most likely what is kept elsewhere.
        let is_one = |what: &&What| !matches!(what, What::Session(..));
        let mut shorter: Vec<_> = self.everywhere.iter().filter(is_one).cloned().collect();
        shorter.push(What::Sessions);
        let text = told(&shorter);
        Some(if text.len() <= LONGEST { text } else { told(&[What::Everything]) })
    }

    /// What another instance told. Words that this release does not know are of a newer one, which
    /// may mean anything.
    pub(super) fn heard(text: &str) -> Self {
        let everywhere = text.lines().map(|line| read(line).unwrap_or(What::Everything)).collect();
        Self { here: Vec::new(), everywhere }
    }

    /// Drops it here.
    pub(super) fn drop_from(&self, caches: &Caches) {
        for what in self.here.iter().chain(&self.everywhere) {
            what.drop_from(caches);
        }
    }
}

impl What {
    fn drop_from(&self, caches: &Caches) {
        match self {
            Self::Everything => caches.drop_everything(),
            Self::Keys => caches.drop_keys(),
            Self::Origins => caches.origins.drop_all(),
            Self::Published => caches.published.drop_all(),
            Self::Themes => caches.themes.drop_all(),
            Self::Sessions => caches.sessions.drop_all(),
            Self::Session(tenant, id) => caches.sessions.drop_one(tenant, id),
            Self::Tenant(tenant) => caches.tenants.drop_one("", tenant),
            Self::Catalogue(tenant) => caches.catalogues.drop_one(tenant, ""),
            Self::Sources(tenant) => caches.sources.drop_one(tenant, ""),
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Everything => "everything".into(),
            Self::Keys => "keys".into(),
            Self::Origins => "origins".into(),
            Self::Published => "published".into(),
            Self::Themes => "themes".into(),
            Self::Sessions => "sessions".into(),
            Self::Session(tenant, id) => format!("session {tenant} {id}"),
            Self::Tenant(tenant) => format!("tenant {tenant}"),
            Self::Catalogue(tenant) => format!("catalogue {tenant}"),
            Self::Sources(tenant) => format!("sources {tenant}"),
        }
    }
}

fn told(all: &[What]) -> String {
    all.iter().map(What::line).collect::<Vec<_>>().join("\n")
}

fn read(line: &str) -> Option<What> {
    let words: Vec<_> = line.split(' ').collect();
    Some(match words[..] {
        ["everything"] => What::Everything,
        ["keys"] => What::Keys,
        ["origins"] => What::Origins,
        ["published"] => What::Published,
        ["themes"] => What::Themes,
        ["sessions"] => What::Sessions,
        ["session", tenant, id] => What::Session(tenant.into(), id.into()),
        ["tenant", tenant] => What::Tenant(tenant.into()),
        ["catalogue", tenant] => What::Catalogue(tenant.into()),
        ["sources", tenant] => What::Sources(tenant.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: impl IntoIterator<Item = What>) -> Stale {
        let mut stale = Stale::default();
        all.into_iter().for_each(|what| stale.add(what));
        stale
    }

    fn sessions(count: usize) -> impl Iterator<Item = What> {
        (0..count).map(|at| What::Session("ten_a".into(), format!("ses_{at:026}")))
    }

    #[test]
    fn what_is_told_is_heard_as_it_was_meant() {
        let all = of([
            What::Everything,
            What::Keys,
            What::Origins,
            What::Published,
            What::Themes,
            What::Sessions,
            What::Session("ten_a".into(), "ses_b".into()),
            What::Tenant("ten_a".into()),
            What::Catalogue("ten_a".into()),
            What::Sources("ten_a".into()),
        ]);
        assert_eq!(Stale::heard(&all.told().expect("something")), all);
        assert_eq!(Stale::default().told(), None);
    }

    #[test]
    fn what_is_dropped_here_alone_is_not_told() {
        let mut stale = Stale::default();
        stale.add_here(What::Sessions);
        assert_eq!(stale.told(), None);
    }

    #[test]
    fn what_is_not_understood_may_mean_anything() {
        for word in ["", "quota ten_a", "session ten_a", "session ten_a ses_b ses_c", "KEYS"] {
            let heard = Stale::heard(&format!("keys\n{word}\nkeys"));
            assert!(heard.everywhere.contains(&What::Everything), "{word:?}");
        }
    }

    #[test]
    fn more_than_fits_is_told_in_fewer_words() {
        let few = of(sessions(100)).told().expect("something");
        assert_eq!(few.lines().count(), 100);
        let many = of(sessions(1_000).chain([What::Keys])).told().expect("something");
        assert_eq!(Stale::heard(&many), of([What::Keys, What::Sessions]));
        let sources = (0..1_000).map(|at| What::Sources(format!("ten_{at}")));
        assert_eq!(of(sources).told().as_deref(), Some("everything"));
        for count in 100..300 {
            assert!(
                of(sessions(count)).told().is_some_and(|text| text.len() <= LONGEST),
                "{count}"
            );
        }
    }
}
