//! Which indexes SQLite's planner takes.

use super::super::engine::Rows;
use super::super::{ceilings, deliveries, session_ends, session_lists, subscribers};
use super::tests::{LOOKUPS, furnished};
use super::*;
use crate::domain::target::Target;

/// The steps that a statement takes.
async fn plan(store: &Store, statement: &str) -> Vec<String> {
    let explain: &'static str = format!("EXPLAIN QUERY PLAN {statement}").leak();
    let rows = store.readers.fetch(explain, Vec::new()).await.expect("explains");
    rows.into_iter().map(|mut row| row.text(3).expect("a step")).collect()
}

#[tokio::test]
async fn no_lookup_walks_through_a_table() {
    let (_place, store) = furnished().await;
    for statement in LOOKUPS {
        for step in plan(&store, statement).await {
            // A scan along an index that stops early is a lookup; one of a subquery has few rows.
            let is_few = ["SCAN k", "SCAN page"].contains(&step.as_str());
            let walks = step.starts_with("SCAN") && !step.contains("USING") && !is_few;
            assert!(!walks, "{step}: {statement}");
        }
    }
}

/// Every list and every step of a sweep goes along an index that has its order already.
#[tokio::test]
async fn lists_and_sweeps_go_along_an_index_without_sorting() {
    let (_place, store) = furnished().await;
    let lists = [
        (session_lists::ALL, "sessions_by_id (session_id>? AND session_id<?)"),
        (session_lists::OF_TENANT, "(tenant_id=? AND session_id>? AND session_id<?)"),
        (session_lists::OF_SUBJECT, "sessions_by_subject (tenant_id=? AND subject=?"),
        (session_lists::OF_CHAT, "sessions_by_chat (tenant_id=? AND chat=?"),
        (session_lists::OF_KEY, "sessions_by_key (key_id=? AND session_id>?"),
        (session_lists::OF_ID, "session_id=?"),
    ];
    let targets =
        ["uid:u", "chat:c", "key:k", "session:s"].map(|it| Target::parse(it).expect("a target"));
    let indexes =
        ["sessions_by_subject (", "sessions_by_chat (", "sessions_by_key (", "session_id=?"];
    let steps = targets.iter().map(session_ends::statements).zip(indexes);
    let steps = steps.flat_map(|((read, end), index)| [(read, index), (end, index)]);
    for (statement, index) in lists.into_iter().chain(steps) {
        let plan = plan(&store, statement).await;
        assert!(plan[0].starts_with("SEARCH") && plan[0].contains(index), "{plan:?}: {statement}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}: {statement}");
    }
}

/// The indexes that say which rows of a queue or of all sessions are meant.
#[tokio::test]
async fn what_is_under_way_and_whom_it_is_about_is_found_by_the_whole_index() {
    let (_place, store) = furnished().await;
    let Rows { head, tail, .. } = &subscribers::SESSIONS;
    let sessions = format!("{head} ('ten_a', 'ses_1'), ('ten_a', 'ses_2') {tail}");
    let plans = [
        (
            deliveries::IN_FLIGHT,
            "webhook_deliveries_leased (tenant_id=? AND webhook_id=? AND next_at>?)",
        ),
        (&sessions, "(tenant_id=? AND session_id=?)"),
    ];
    for (statement, index) in plans {
        let plan = plan(&store, statement).await;
        assert!(plan[0].starts_with("SEARCH") && plan[0].contains(index), "{plan:?}: {statement}");
    }
}

#[tokio::test]
async fn live_sessions_are_found_along_the_index_of_their_key() {
    let (_place, store) = furnished().await;
    let live = format!("{} (?, ?, ?, ?) {}", ceilings::LIVE.head, ceilings::LIVE.tail);
    for (statement, index) in [
        (&*live, "sessions_of_capped_keys"),
        (ceilings::MARKED, "sessions_of_capped_keys"),
        (ceilings::UNMARKED, "sessions_by_key"),
        (ceilings::MARK, "sessions_by_key"),
    ] {
        let plan = plan(&store, statement).await;
        assert!(plan.iter().any(|step| step.contains(index)), "{plan:?}: {statement}");
    }
}
