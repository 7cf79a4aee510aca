//! What a tenant offers in its widgets: flows with their intents, and quick questions.

use std::sync::Arc;

use super::Store;
use super::engine::{Failure, Row, to_json};
use super::script::Script;
use super::stale::{Stale, What};
use crate::domain::catalogue::{Flow, QuickQuestion};
use crate::domain::session::AuditEntry;
use crate::error::Result;

/// All of one tenant's offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// Published or not, by id.
    pub flows: Vec<Flow>,
    /// In the tenant's order.
    pub questions: Vec<QuickQuestion>,
}

impl Store {
    /// What the tenant offers; empty for an unknown tenant. At most a second old.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn catalogue(&self, tenant: &str) -> Result<Arc<Catalogue>> {
        let read = async {
            let flows = self.readers.fetch(SELECT_FLOWS, vec![tenant.into()]).await?;
            let flows = flows.into_iter().map(flow).collect::<Result<_, _>>()?;
            let questions = self.readers.fetch(SELECT_QUESTIONS, vec![tenant.into()]).await?;
            let questions = questions.into_iter().map(|mut row| row.json(0));
            Ok(Some(Catalogue { flows, questions: questions.collect::<Result<_, _>>()? }))
        };
        Ok(self.caches.catalogues.through(tenant, "", read).await?.unwrap_or_default())
    }

    /// Makes or replaces a flow and its intent.
    ///
    /// # Errors
    /// `Internal` when there is no such tenant, or another flow has an intent of this name.
    pub async fn put_flow(&self, tenant: &str, flow: &Flow, audit: AuditEntry) -> Result<()> {
        let (tenant, id) = (tenant.to_owned(), flow.id.clone());
        let put = vec![
            tenant.clone().into(),
            id.clone().into(),
            flow.name.clone().into(),
            flow.published.into(),
        ];
        let forget = vec![tenant.clone().into(), id.clone().into()];
        let intent = vec![
            tenant.clone().into(),
            flow.intent.name.clone().into(),
            id.into(),
            to_json(&flow.intent)?.into(),
        ];
        let statements = vec![(UPSERT_FLOW, put), (DELETE_INTENT, forget), (INSERT_INTENT, intent)];
        self.put_offer(tenant, statements, audit).await
    }

    /// Makes or replaces a quick question. Lower ranks come first.
    ///
    /// # Errors
    /// `Internal` when there is no such tenant.
    pub async fn put_quick_question(
        &self,
        tenant: &str,
        id: &str,
        rank: i64,
        question: &QuickQuestion,
        audit: AuditEntry,
    ) -> Result<()> {
        let tenant = tenant.to_owned();
        let values = vec![
            tenant.clone().into(),
            id.to_owned().into(),
            rank.into(),
            to_json(question)?.into(),
        ];
        self.put_offer(tenant, vec![(UPSERT_QUESTION, values)], audit).await
    }

    async fn put_offer(
        &self,
        tenant: String,
        statements: Vec<(&'static str, Vec<super::engine::Value<'static>>)>,
        audit: AuditEntry,
    ) -> Result<()> {
        let forget = |stale: &mut Stale, tenant| stale.add(What::Catalogue(tenant));
        self.writer.run(Script { tenant, statements, audit, forget }).await
    }
}

const SELECT_FLOWS: &str = "SELECT flows.flow_id, flows.name, flows.published, intents.document \
     FROM flows JOIN intents ON intents.tenant_id = flows.tenant_id \
     AND intents.flow_id = flows.flow_id WHERE flows.tenant_id = $1 ORDER BY flows.flow_id";

const SELECT_QUESTIONS: &str =
    "SELECT document FROM quick_questions WHERE tenant_id = $1 ORDER BY rank, question_id";

const UPSERT_FLOW: &str = "INSERT INTO flows (tenant_id, flow_id, name, published) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, flow_id) DO UPDATE SET \
     name = excluded.name, published = excluded.published";

/// A flow's intent may have had another name.
const DELETE_INTENT: &str = "DELETE FROM intents WHERE tenant_id = $1 AND flow_id = $2";

const INSERT_INTENT: &str =
    "INSERT INTO intents (tenant_id, name, flow_id, document) VALUES ($1, $2, $3, $4)";

const UPSERT_QUESTION: &str = "INSERT INTO quick_questions (tenant_id, question_id, rank, document) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, question_id) DO UPDATE SET \
     rank = excluded.rank, document = excluded.document";

fn flow(mut row: Row) -> Result<Flow, Failure> {
    Ok(Flow { id: row.text(0)?, name: row.text(1)?, published: row.flag(2)?, intent: row.json(3)? })
}
