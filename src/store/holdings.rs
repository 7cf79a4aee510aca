//! All tables that hold something of a tenant: what of it is shown in an export, by what a person's
//! rows are known, and in which order they are removed.
//!
//! The one list of them. A table with a tenant that is missing here fails a test, and so does a
//! column that is neither shown nor withheld.

use std::sync::LazyLock;

use super::engine::{Cell, Row, Value};
use crate::domain::audit::Subject;

/// One table.
pub(super) struct Holding {
    pub(super) table: &'static str,
    /// The primary key behind the tenant.
    pub(super) key: &'static [&'static str],
    /// Columns that an export shows as they are.
    pub(super) shown: &'static [&'static str],
    /// Columns of JSON that an export shows.
    pub(super) json: &'static [&'static str],
    /// Secrets, hashes and what only the service needs.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test asks that no column is forgotten"))]
    pub(super) withheld: &'static [&'static str],
    /// Which rows are a person's, `$2` being the person's id or, in the audit, the pseudonym.
    pub(super) of: Of,
    /// The audit is shown and never removed.
    pub(super) is_kept: bool,
}

/// The condition for each kind of person; `None` where a table holds nothing of such.
#[derive(Clone, Copy, Default)]
pub(super) struct Of {
    pub(super) uid: Option<&'static str>,
    pub(super) customer: Option<&'static str>,
    pub(super) employee: Option<&'static str>,
}

impl Of {
    const NOBODY: Self = Self { uid: None, customer: None, employee: None };

    const fn uid(condition: &'static str) -> Self {
        Self { uid: Some(condition), ..Self::NOBODY }
    }
}

const PLAIN: Holding = Holding {
    table: "",
    key: &[],
    shown: &[],
    json: &[],
    withheld: &[],
    of: Of::NOBODY,
    is_kept: false,
};

const ENTRIES_OF: &str = "subject = $2 OR (target LIKE 'ses\\_%' ESCAPE '\\' AND target IN \
     (SELECT target FROM audit WHERE tenant_id = $1 AND subject = $2))";

/// In the order in which they are removed: what refers to others first, sessions before all.
pub(super) static HOLDINGS: &[Holding] = &[
    Holding {
        table: "session_uses",
        key: &["session_id"],
        shown: &["session_id", "last_used_at"],
        of: Of {
            uid: Some(
                "session_id IN (SELECT session_id FROM sessions \
                 WHERE tenant_id = $1 AND subject = 'uid:' || $2)",
            ),
            customer: Some(
                "session_id IN (SELECT session_id FROM sessions WHERE tenant_id = $1 \
                 AND (subject = 'customer:' || $2 OR chat IN (SELECT conversation_id \
                 FROM conversations WHERE tenant_id = $1 AND customer_id = $2)))",
            ),
            employee: Some(
                "session_id IN (SELECT session_id FROM sessions \
                 WHERE tenant_id = $1 AND subject = 'employee:' || $2)",
            ),
        },
        ..PLAIN
    },
    Holding {
        table: "sessions",
        key: &["session_id"],
        shown: &[
            "session_id",
            "key_id",
            "key_generation",
            "token_id",
            "surface",
            "subject",
            "chat",
            "issued_at",
            "ttl_s",
            "renewed_at",
            "expires_at",
            "revoked_at",
            "redemptions",
            "max_redemptions",
            "capped",
        ],
        json: &["granted"],
        withheld: &["cache_key_hash", "earlier"],
        of: Of {
            uid: Some("subject = 'uid:' || $2"),
            customer: Some(
                "subject = 'customer:' || $2 OR chat IN (SELECT conversation_id \
                 FROM conversations WHERE tenant_id = $1 AND customer_id = $2)",
            ),
            employee: Some("subject = 'employee:' || $2"),
        },
        ..PLAIN
    },
    Holding {
        table: "conversations",
        key: &["conversation_id"],
        shown: &["conversation_id", "customer_id", "verified", "locale", "opened_at", "closed_at"],
        json: &["variables"],
        of: Of { customer: Some("customer_id = $2"), ..Of::NOBODY },
        ..PLAIN
    },
    Holding {
        table: "uid_usage",
        key: &["mode", "uid"],
        shown: &[
            "mode",
            "uid",
            "limited",
            "hourly_limit",
            "hourly_from",
            "hourly_used",
            "hourly_told",
            "daily_limit",
            "daily_from",
            "daily_used",
            "daily_told",
            "weekly_limit",
            "weekly_from",
            "weekly_used",
            "weekly_told",
            "monthly_limit",
            "monthly_from",
            "monthly_used",
            "monthly_told",
            "last_message_at",
        ],
        of: Of::uid("uid = $2"),
        ..PLAIN
    },
    Holding {
        table: "uid_messages",
        key: &["message_id"],
        shown: &["message_id", "mode", "uid", "accepted_at", "refunded_at"],
        of: Of::uid("uid = $2"),
        ..PLAIN
    },
    Holding {
        table: "key_usage",
        key: &["key_id"],
        shown: &["key_id", "daily_from", "daily_used", "daily_told", "live_told", "live_known"],
        of: Of::NOBODY,
        ..PLAIN
    },
    Holding {
        table: "directory",
        key: &["kind", "id"],
        shown: &["kind", "id"],
        of: Of { employee: Some("kind = 'employee' AND id = $2"), ..Of::NOBODY },
        ..PLAIN
    },
    Holding {
        table: "webhook_attempts",
        key: &["delivery_id", "number"],
        shown: &[
            "delivery_id",
            "number",
            "started_at",
            "duration_ms",
            "status_code",
            "error",
            "answer",
        ],
        of: Of::uid(
            "delivery_id IN (SELECT delivery_id FROM webhook_deliveries \
             WHERE tenant_id = $1 AND json_extract(body, '$.data.subject') = 'uid:' || $2)",
        ),
        ..PLAIN
    },
    // Of people, bodies name at most the user whose limit was exceeded.
    Holding {
        table: "webhook_deliveries",
        key: &["delivery_id"],
        shown: &[
            "delivery_id",
            "webhook_id",
            "event",
            "status",
            "note",
            "tries",
            "attempts",
            "next_at",
            "created_at",
            "finished_at",
        ],
        json: &["body"],
        withheld: &["lease"],
        of: Of::uid("json_extract(body, '$.data.subject') = 'uid:' || $2"),
        ..PLAIN
    },
    Holding {
        table: "webhook_secrets",
        key: &["webhook_id", "generation"],
        shown: &["webhook_id", "generation", "not_after"],
        withheld: &["sealed"],
        ..PLAIN
    },
    Holding {
        table: "webhooks",
        key: &["webhook_id"],
        shown: &["webhook_id", "url", "description", "state", "disabled_reason", "created_at"],
        json: &["events"],
        withheld: &["settling"],
        ..PLAIN
    },
    // They name nobody, and must outlive a person's erasure: they refuse a second use.
    Holding {
        table: "idempotency",
        key: &["claim"],
        shown: &["claimed_at", "expires_at"],
        withheld: &["claim", "answer"],
        ..PLAIN
    },
    Holding {
        table: "replays",
        key: &["key_id", "expires_at", "mac"],
        shown: &["key_id", "session_id", "expires_at"],
        withheld: &["mac"],
        ..PLAIN
    },
    Holding {
        table: "key_secrets",
        key: &["key_id", "generation"],
        shown: &["key_id", "generation", "created_at", "not_after"],
        withheld: &["sealed", "lookup"],
        ..PLAIN
    },
    Holding { table: "key_uses", key: &["key_id"], shown: &["key_id", "last_used_at"], ..PLAIN },
    Holding {
        table: "key_origins",
        key: &["key_id", "origin"],
        shown: &["key_id", "origin", "first_seen_at"],
        ..PLAIN
    },
    Holding {
        table: "signing_keys",
        key: &["generation"],
        shown: &["generation", "algorithm", "active_from", "signs_until", "accepted_until"],
        ..PLAIN
    },
    Holding {
        table: "keys",
        key: &["key_id"],
        shown: &[
            "key_id",
            "kind",
            "label",
            "state",
            "created_at",
            "mode",
            "idle_timeout_s",
            "max_lifetime_s",
        ],
        json: &["settings", "allowed_origins", "ceilings"],
        withheld: &["lookup"],
        ..PLAIN
    },
    Holding {
        table: "intents",
        key: &["name"],
        shown: &["name", "flow_id"],
        json: &["document"],
        ..PLAIN
    },
    Holding {
        table: "flows",
        key: &["flow_id"],
        shown: &["flow_id", "name", "published"],
        ..PLAIN
    },
    Holding {
        table: "quick_questions",
        key: &["question_id"],
        shown: &["question_id", "rank"],
        json: &["document"],
        ..PLAIN
    },
    Holding { table: "sources", key: &["source_id"], shown: &["source_id"], ..PLAIN },
    Holding {
        table: "themes",
        key: &["theme_id"],
        shown: &["theme_id", "is_default"],
        json: &["document"],
        ..PLAIN
    },
    Holding {
        table: "audit",
        key: &["sequence"],
        shown: &["sequence", "audit_id", "happened_at", "actor", "action", "target", "subject"],
        json: &["detail"],
        withheld: &["position", "previous", "hash"],
        of: Of { uid: Some(ENTRIES_OF), customer: Some(ENTRIES_OF), employee: Some(ENTRIES_OF) },
        is_kept: true,
    },
];

/// Tables with a tenant that no row of is exported or removed, and why.
#[cfg(test)]
pub(super) static KEPT: &[(&str, &str)] = &[
    ("tenants", "the record stays without its name and secret, so that its id is not used again"),
    ("audit_chains", "the end of a chain stays; the key of its pseudonyms is destroyed"),
    ("audit_unchained", "it is emptied into the chains before the store opens"),
];

/// The statements of one holding, made once.
pub(super) struct Statements {
    /// Every row of a tenant or a person, by the person's kind.
    pages: [Option<Page>; 4],
    /// One row by its key.
    pub(super) remove: &'static str,
}

#[derive(Clone, Copy)]
struct Page {
    first: &'static str,
    next: &'static str,
}

/// In the order of [`HOLDINGS`].
pub(super) static STATEMENTS: LazyLock<Vec<Statements>> =
    LazyLock::new(|| HOLDINGS.iter().map(Statements::of).collect());

/// The rows that one statement reads.
pub(super) const SLICE: usize = 200;

impl Statements {
    fn of(holding: &Holding) -> Self {
        let Of { uid, customer, employee } = holding.of;
        let everything = Some("CAST($2 AS TEXT) IS NOT NULL");
        let pages = [everything, uid, customer, employee];
        let names = holding.key.iter().enumerate();
        let wanted: Vec<_> = names.map(|(at, name)| format!("{name} = ${}", at + 2)).collect();
        let remove = format!(
            "DELETE FROM {} WHERE tenant_id = $1 AND {}",
            holding.table,
            wanted.join(" AND ")
        );
        Self { pages: pages.map(|condition| Some(holding.page(condition?))), remove: remove.leak() }
    }

    /// The statement for a page, from the beginning or behind a key; `None` where the table holds
    /// nothing of such a person.
    pub(super) fn page(&self, subject: Option<&Subject>, is_first: bool) -> Option<&'static str> {
        let kind = match subject {
            None => 0,
            Some(Subject::Uid(_)) => 1,
            Some(Subject::Customer(_)) => 2,
            Some(Subject::Employee(_)) => 3,
        };
        let page = self.pages[kind]?;
        Some(if is_first { page.first } else { page.next })
    }
}

impl Holding {
    fn page(&self, condition: &str) -> Page {
        let key = self.key.join(", ");
        let columns: Vec<_> = self.key.iter().chain(self.shown).chain(self.json).copied().collect();
        let (table, columns) = (self.table, columns.join(", "));
        let text = |behind: &str| -> &'static str {
            let text = format!(
                "SELECT {columns} FROM {table} WHERE tenant_id = $1 AND ({condition}){behind} \
                 ORDER BY {key} LIMIT {SLICE}"
            );
            text.leak()
        };
        let places: Vec<_> = (0..self.key.len()).map(|at| format!("${}", at + 3)).collect();
        let behind = format!(" AND ({key}) > ({})", places.join(", "));
        Page { first: text(""), next: text(&behind) }
    }

    /// A row's key and what an export shows of it.
    pub(super) fn read(&self, row: Row) -> (Vec<Cell>, serde_json::Map<String, serde_json::Value>) {
        let mut cells = row.0.into_iter();
        let key = cells.by_ref().take(self.key.len()).collect();
        let names = self.shown.iter().map(|name| (name, false));
        let names = names.chain(self.json.iter().map(|name| (name, true)));
        let members = names.zip(cells).filter_map(|((name, is_json), cell)| {
            let value = match cell {
                Cell::Null => return None,
                Cell::Int(value) => value.into(),
                Cell::Text(text) if is_json => serde_json::from_str(&text).unwrap_or(text.into()),
                Cell::Text(text) => text.into(),
                Cell::Bytes(bytes) => format!("{} bytes", bytes.len()).into(),
            };
            Some(((*name).to_owned(), value))
        });
        (key, members.collect())
    }
}

impl Cell {
    /// The cell as a value of the next statement.
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Text(None),
            Self::Int(value) => (*value).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => bytes.as_slice().into(),
        }
    }
}
