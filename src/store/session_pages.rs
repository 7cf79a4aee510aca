//! One page of a list of sessions: reads the store in bites, judges each session with its key, and
//! stops after a bounded number, so that no filter makes a page expensive.

use super::Store;
use super::session_lists::SessionRange;
use crate::domain::key::{Key, Mode};
use crate::domain::session::{Overview, State};
use crate::domain::session_filter::Filter;
use crate::domain::sortable_id;
use crate::error::Result;

/// What became of a session, as its key decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What became of it.
    pub state: State,
    /// The mode of the key that opened it; `None` when that key is gone.
    pub mode: Option<Mode>,
}

/// Sessions with what became of them, the latest first.
#[derive(Clone, Debug, Default)]
pub struct SessionPage {
    /// The sessions of this page.
    pub items: Vec<(Overview, Judged)>,
    /// Where the next page begins; `None` when there is none.
    pub next: Option<String>,
}

/// How many sessions one page looks at, at most.
const LOOKED_AT: usize = 4096;
/// How many are read at a time.
const BITE: usize = 256;

impl Store {
    /// At most `limit` sessions that pass at `now_ms`, behind the session `after`. There may be
    /// fewer, even none, while there is a next page.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn session_page(
        &self,
        filter: &Filter,
        after: Option<String>,
        limit: usize,
        now_ms: i64,
    ) -> Result<SessionPage> {
        let mut page = SessionPage::default();
        let mut range = range(filter, after);
        let mut looked_at = 0;
        while looked_at < LOOKED_AT {
            // One more than a page, so that the last page is known to be the last.
            let bite = if looked_at == 0 { BITE.min(limit + 1) } else { BITE };
            let found = self.list_sessions(&range, bite as u32).await?;
            let is_last = found.len() < bite;
            for session in found {
                if page.items.len() == limit {
                    page.next = range.before;
                    return Ok(page);
                }
                let judged = self.judged(&session, now_ms).await?;
                range.before = Some(session.id.clone());
                looked_at += 1;
                if filter.admits(&session, judged.state, judged.mode) {
                    page.items.push((session, judged));
                }
            }
            if is_last {
                return Ok(page);
            }
        }
        page.next = range.before;
        Ok(page)
    }

    /// What became of a session by `now_ms`, as its key decides.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn judged(&self, session: &Overview, now_ms: i64) -> Result<Judged> {
        let key = self.key(&session.tenant, &session.key_id).await?;
        let state = session.times.state(key.as_deref().map(Key::terms), now_ms);
        Ok(Judged { state, mode: key.map(|key| key.mode) })
    }
}

/// The part of the store's sessions that the filter's sessions are in.
fn range(filter: &Filter, after: Option<String>) -> SessionRange {
    let place = |at_ms| sortable_id::floor("ses_", at_ms);
    let issued_before = filter.issued_before.map(place);
    SessionRange {
        tenant: filter.tenant.clone(),
        target: filter.targets.first().cloned(),
        from: filter.issued_after.map(place),
        before: [after, issued_before].into_iter().flatten().min(),
    }
}
