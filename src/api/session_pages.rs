//! One page of a list of sessions: reads the store in bites, judges each session with its key, and
//! stops after a bounded number, so that no filter makes a page expensive.

use crate::context::Context;
use crate::domain::key::Key;
use crate::domain::session::{Overview, State};
use crate::domain::session_filter::Filter;
use crate::domain::sortable_id;
use crate::error::Result;
use crate::store::SessionRange;

/// Sessions with what became of them, the latest first.
pub(super) struct SessionPage {
    pub(super) items: Vec<(Overview, State)>,
    /// Where the next page begins; `None` when there is none.
    pub(super) next: Option<String>,
}

/// How many sessions one page looks at, at most.
const LOOKED_AT: usize = 4096;
/// How many are read at a time.
const BITE: usize = 256;

impl Context {
    /// At most `limit` sessions that pass, behind the session `after`.
    pub(super) async fn session_page(
        &self,
        filter: &Filter,
        after: Option<String>,
        limit: usize,
        now_ms: i64,
    ) -> Result<SessionPage> {
        let mut page = SessionPage { items: Vec::new(), next: None };
        let mut range = range(filter, after);
        let mut looked_at = 0;
        while !filter.is_void() && looked_at < LOOKED_AT {
            // One more than a page, so that the last page is known to be the last.
            let bite = if looked_at == 0 { BITE.min(limit + 1) } else { BITE };
            let found = self.store.list_sessions(&range, bite as u32).await?;
            let is_last = found.len() < bite;
            for session in found {
                if page.items.len() == limit {
                    page.next = range.before;
                    return Ok(page);
                }
                let key = self.store.key(&session.tenant, &session.key_id).await?;
                let state = session.times.state(key.as_deref().map(Key::terms), now_ms);
                range.before = Some(session.id.clone());
                looked_at += 1;
                if filter.admits(&session, state) {
                    page.items.push((session, state));
                }
            }
            if is_last {
                return Ok(page);
            }
        }
        page.next = range.before.filter(|_| looked_at > 0);
        Ok(page)
    }
}

/// The part of the store's sessions that the filter's sessions are in.
fn range(filter: &Filter, after: Option<String>) -> SessionRange {
    let place = |at_ms| sortable_id::floor("ses_", at_ms);
    let issued_before = filter.issued_before.map(place);
    SessionRange {
        tenant: filter.tenants.first().cloned(),
        target: filter.targets.first().cloned(),
        from: filter.issued_after.map(place),
        before: [after, issued_before].into_iter().flatten().min(),
    }
}
