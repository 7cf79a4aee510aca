//! Which indexes PostgreSQL's planner can take.

use super::tests::{LOOKUPS, furnished};
use super::*;

/// The steps of a statement whose values are not known, when walking through a table is the last
/// resort.
async fn plan(conn: &mut sqlx::PgConnection, statement: &str) -> Vec<String> {
    let values = (1..=99).filter(|n| statement.contains(&format!("${n}"))).count();
    let given =
        if values == 0 { String::new() } else { format!("({})", vec!["NULL"; values].join(",")) };
    let prepare = format!(
        "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; DEALLOCATE ALL; \
         PREPARE it AS {statement}"
    );
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *conn).await.expect(statement);
    let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE it {given}"));
    let rows = sqlx::raw_sql(explain).fetch_all(conn).await.expect("explains");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn no_lookup_walks_through_a_table() {
    let (place, _store) = furnished().await;
    let mut conn = connect(&place.url()).await;
    for statement in LOOKUPS {
        let steps = plan(&mut conn, statement).await;
        assert!(!steps.iter().any(|it| it.contains("Seq Scan")), "{steps:#?}: {statement}");
    }
    // The test sees one that does.
    let steps = plan(&mut conn, "SELECT 1 FROM sessions WHERE token_id = $1").await;
    assert!(steps.iter().any(|it| it.contains("Seq Scan")), "{steps:#?}");
}
