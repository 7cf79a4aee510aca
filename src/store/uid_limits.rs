//! The limits of the iframe surface's users, by tenant and uid.

use std::collections::HashMap;

use super::engine::{Connection, Failure, Rows, Value, to_json};
use crate::domain::limits::{Limits, LimitsChange};

static LIMITS: Rows = Rows {
    head: "INSERT INTO uid_limits (tenant_id, uid, limits) VALUES",
    columns: 3,
    tail: "ON CONFLICT (tenant_id, uid) DO UPDATE SET limits = excluded.limits",
};

/// Applies at most one change for each (tenant, uid).
pub(super) async fn change(
    conn: &mut Connection,
    changes: HashMap<(&str, &str), LimitsChange>,
) -> Result<(), Failure> {
    let mut set: Vec<Value> = Vec::new();
    for ((tenant, uid), change) in changes {
        match change {
            LimitsChange::Keep => {}
            LimitsChange::Clear => {
                let sql = "DELETE FROM uid_limits WHERE tenant_id = $1 AND uid = $2";
                conn.execute(sql, vec![tenant.into(), uid.into()]).await?;
            }
            LimitsChange::Set(limits) => {
                let limits = to_json(&limits)?;
                set.extend([tenant.into(), uid.into(), limits.into()]);
            }
        }
    }
    conn.insert(&LIMITS, set).await.map(drop)
}

/// The limits of one user.
pub(super) async fn of(
    conn: &mut Connection,
    tenant: &str,
    uid: &str,
) -> Result<Option<Limits>, Failure> {
    let sql = "SELECT limits FROM uid_limits WHERE tenant_id = $1 AND uid = $2";
    let row = conn.fetch(sql, vec![tenant.into(), uid.into()]).await?.pop();
    row.map(|mut row| row.json(0)).transpose()
}
