//! Conversations of the chat surface.

use serde_json::{Map, Value as Json};

use super::Store;
use super::engine::{Connection, Failure, Row, Rows, Value, to_json};
use crate::domain::session::Conversation;
use crate::error::Result;

impl Store {
    /// A tenant's conversation, as of now.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn conversation(&self, tenant: &str, id: &str) -> Result<Option<Conversation>> {
        let row = self.readers.fetch(BY_NAME, vec![tenant.into(), id.into()]).await?.pop();
        Ok(row.map(conversation).transpose()?)
    }
}

/// The latest open conversation of a customer who proved who they are.
pub(super) async fn latest_of(
    conn: &mut Connection,
    tenant: &str,
    customer: &str,
) -> Result<Option<Conversation>, Failure> {
    let row = conn.fetch(LATEST, vec![tenant.into(), customer.into()]).await?.pop();
    row.map(conversation).transpose()
}

pub(super) async fn insert<'a>(
    conn: &mut Connection,
    conversations: impl IntoIterator<Item = &'a Conversation>,
) -> Result<(), Failure> {
    let mut rows: Vec<Value> = Vec::new();
    for conversation in conversations {
        rows.extend([
            conversation.tenant.as_str().into(),
            conversation.id.as_str().into(),
            conversation.customer_id.as_deref().into(),
            conversation.verified.into(),
            conversation.locale.as_deref().into(),
            to_json(&conversation.variables)?.into(),
            Value::from(conversation.opened_at),
        ]);
    }
    conn.insert(&CONVERSATIONS, rows).await.map(drop)
}

/// Writes the members that a continuing session may change.
pub(super) async fn update(
    conn: &mut Connection,
    conversation: &Conversation,
) -> Result<(), Failure> {
    let sql = "UPDATE conversations SET locale = $3, variables = $4 \
               WHERE tenant_id = $1 AND conversation_id = $2";
    let values = vec![
        conversation.tenant.as_str().into(),
        conversation.id.as_str().into(),
        conversation.locale.as_deref().into(),
        to_json(&conversation.variables)?.into(),
    ];
    conn.execute(sql, values).await.map(drop)
}

static CONVERSATIONS: Rows = Rows {
    head: "INSERT INTO conversations (tenant_id, conversation_id, customer_id, verified, locale, \
           variables, opened_at) VALUES",
    columns: 7,
    tail: "",
};

macro_rules! select {
    () => {
        "SELECT tenant_id, conversation_id, customer_id, verified, locale, variables, opened_at \
         FROM conversations"
    };
}

pub(super) const BY_NAME: &str =
    concat!(select!(), " WHERE tenant_id = $1 AND conversation_id = $2");
pub(super) const LATEST: &str = concat!(
    select!(),
    " WHERE tenant_id = $1 AND customer_id = $2 AND verified = 1 AND closed_at IS NULL \
     ORDER BY opened_at DESC, conversation_id DESC LIMIT 1"
);

fn conversation(mut row: Row) -> Result<Conversation, Failure> {
    Ok(Conversation {
        tenant: row.text(0)?,
        id: row.text(1)?,
        customer_id: row.opt_text(2)?,
        verified: row.flag(3)?,
        locale: row.opt_text(4)?,
        variables: row.json::<Map<String, Json>>(5)?,
        opened_at: row.int(6)?,
    })
}
