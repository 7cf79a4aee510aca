//! The chat surface's door: sessions of the website widget.

use std::sync::Arc;

use serde_json::Value;
use vestibule_api::chat_sessions::{
    ChatSessionCreateRequest, ChatSessionCreateResponse, ChatSessionEndRequest,
    ChatSessionEndResponse, ChatSessionRefreshRequest, ChatSessionRefreshResponse, ChatSessions,
};
use vestibule_api::models;
use vestibule_runtime::{Keyed, Part, Recalled, Refusal, Scope, Scoped, Timestamp, Violation};

use super::auth::{SessionCaller, note_key};
use super::refusal::documented;
use crate::context::Context;
use crate::domain::catalogue::{Intent, OfferedQuestion, offered_intents, offered_questions};
use crate::domain::chat_session::{self, Admitted, Customer, Opening};
use crate::domain::chat_token;
use crate::domain::key::Mode;
use crate::domain::sealing::MasterKeys;
use crate::domain::session::{Conversation, Session};
use crate::error::{Error, Result, Thing};
use crate::provision::open_identity_secret;
use crate::store::{Catalogue, OpenedChat, Receipt};

impl ChatSessions for Context {
    async fn chat_session_create(
        &self,
        request: ChatSessionCreateRequest,
        keyed: Option<Keyed>,
    ) -> Result<ChatSessionCreateResponse, Refusal> {
        let body = request.body;
        let public_key = body.public_key.as_str();
        let key = self.store.key_by_lookup(public_key).await?;
        let by = |now| {
            let live = key.as_ref().and_then(|key| key.generation_of(public_key, now));
            live.ok_or(Error::WidgetDisabled)
        };
        let generation = self.by_some_clock(&request.received, by).ok();
        note_key(&request.received, key.as_deref(), generation);
        // One that a rotation has ended is as good as unknown.
        let live = key.as_deref().filter(|_| generation.is_some());
        let origin = request.received.origin();
        let admitted = chat_session::admit(live, origin)?;
        self.settle_clock(&request.received, Some(admitted.key), by)?;
        self.key_uses.note(admitted.key, self.clock.own_now_ms(), origin);
        self.count_key(admitted.key)?;
        let customer = self.customer(
            &admitted,
            body.customer_id.as_ref().map(|id| id.as_str()),
            body.customer_token.as_ref().map(|token| token.as_str()),
        );
        let opening = Opening {
            locale: body.locale.map(|locale| locale.to_string()),
            variables: body.variables.map(|all| all.0.into_iter().collect()).unwrap_or_default(),
        };
        let customer = customer.await?;
        let once = match vestibule_runtime::recall(self, &admitted, keyed).await? {
            Recalled::Fresh(once) => once,
            Recalled::Before(kept) => return Ok(ChatSessionCreateResponse::Kept(kept)),
        };
        let welcome = self.welcome(&admitted).await?;
        let intents = welcome.intent_names();
        let respond = move |opened: &OpenedChat| {
            let body = welcome.answer(&opened.session, &opened.conversation.id)?;
            Ok(ChatSessionCreateResponse::Ok { body })
        };
        let reply = self.reply(once, respond);
        let (receipt, generation) = (reply.receipt(), generation.unwrap_or_default());
        let opened =
            self.open_chat(&admitted, generation, &customer, opening, intents, receipt).await;
        reply.answer(opened)
    }

    async fn chat_session_refresh(
        &self,
        caller: SessionCaller,
        request: ChatSessionRefreshRequest,
    ) -> Result<ChatSessionRefreshResponse, Refusal> {
        let SessionCaller { session, .. } = caller;
        let renewed = self.renew(&session, &session.id).await.map_err(as_of_a_page)?;
        let key = self.store.key(&session.tenant, &session.key_id).await?;
        let admitted = chat_session::admit(key.as_deref(), self.page_origin(&request.received))?;
        let conversation = renewed.grant.chat().unwrap_or_default();
        let body = self.welcome(&admitted).await?.answer(&renewed, conversation)?;
        Ok(ChatSessionRefreshResponse::Ok { body })
    }

    async fn chat_session_end(
        &self,
        caller: SessionCaller,
        _: ChatSessionEndRequest,
    ) -> Result<ChatSessionEndResponse, Refusal> {
        let SessionCaller { session, .. } = caller;
        self.end(&session, &session.id).await?;
        Ok(ChatSessionEndResponse::NoContent {})
    }
}

/// A page shows a token, so what ended its session is told as of a token.
fn as_of_a_page(error: Error) -> Error {
    match error {
        Error::SessionEnded(_) | Error::NotFound(Thing::Session) => Error::TokenRevoked,
        Error::KeyDisabled => Error::WidgetDisabled,
        other => other,
    }
}

impl Context {
    pub(super) async fn customer(
        &self,
        admitted: &Admitted<'_>,
        id: Option<&str>,
        token: Option<&str>,
    ) -> Result<Customer> {
        let tenant = &admitted.key.tenant;
        let tenant = self.store.tenant(tenant).await?.ok_or(Error::NotFound(Thing::Tenant))?;
        let identity_secret = || open_identity_secret(&self.master_keys, &tenant);
        chat_session::identify(admitted.identity, id, token, identity_secret, self.clock.now_ms())
    }

    /// Opens a session for an admitted page, which is offered `intents`.
    pub(super) async fn open_chat(
        &self,
        admitted: &Admitted<'_>,
        generation: i64,
        customer: &Customer,
        opening: Opening,
        intents: Vec<String>,
        receipt: Option<Receipt<OpenedChat>>,
    ) -> Result<OpenedChat> {
        let now = self.clock.now_ms();
        let fresh = self.ids.uuid_at(now).to_string();
        let tenant = &admitted.key.tenant;
        // The request's own variables were checked with the request; the store checks what
        // merging makes of them.
        let conversation =
            chat_session::converse(tenant, customer, None, fresh, opening, now, |_| vec![])?;
        // What test keys do is in nobody's conversation, and nobody goes on in theirs.
        let verified = conversation.verified && admitted.key.mode == Mode::Live;
        let conversation = Conversation { verified, ..conversation };
        let ids = self.fresh_ids(now);
        let session = chat_session::open(*admitted, generation, &conversation, intents, now, ids);
        let audit = self
            .audit(tenant, &admitted.key.id, "session.open", &session.id)
            .about(conversation.subject())
            .with("generation", generation);
        let act = self.opening(admitted.key, audit);
        self.store.open_chat_session(session, conversation, check_variables, act, receipt).await
    }

    /// What a page that may open a session is offered in it.
    async fn welcome(&self, admitted: &Admitted<'_>) -> Result<Welcome, Refusal> {
        let catalogue = self.store.catalogue(&admitted.key.tenant).await?;
        let (allowed, flows) = (admitted.allowed_intents, &catalogue.flows);
        let intents = offered_intents(allowed, flows).into_iter().map(intent);
        let questions = offered_questions(allowed, flows, &catalogue.questions);
        Ok(Welcome {
            keys: Arc::clone(&self.master_keys),
            widget: models::Widget { label: admitted.key.label.clone() },
            intents: intents.collect::<Result<_, _>>()?,
            quick_questions: questions.iter().map(question).collect::<Result<_, _>>()?,
        })
    }
}

/// The names of the intents that a key offers.
pub(super) fn offered_names(allowed: Option<&[String]>, catalogue: &Catalogue) -> Vec<String> {
    let offered = offered_intents(allowed, &catalogue.flows).into_iter();
    offered.map(|intent| intent.name.clone()).collect()
}

/// Everything of the answer that is known before the session is open.
#[derive(Clone)]
struct Welcome {
    keys: Arc<MasterKeys>,
    widget: models::Widget,
    intents: Vec<models::Intent>,
    quick_questions: Vec<models::QuickQuestion>,
}

impl Welcome {
    fn intent_names(&self) -> Vec<String> {
        self.intents.iter().map(|intent| intent.name.to_string()).collect()
    }

    /// The answer, its token minted.
    fn answer(self, session: &Session, conversation: &str) -> Result<models::ChatSession, Refusal> {
        let claims = chat_session::claims(session)
            .ok_or_else(|| Error::Internal("a chat session of another surface".into()))?;
        Ok(models::ChatSession {
            session_token: chat_token::mint(&self.keys, &claims),
            conversation_id: documented(conversation)?,
            expires_at: Timestamp(session.expires_at),
            expires_in: session.remaining_s(session.token_issued_at()),
            widget: self.widget,
            intents: self.intents,
            quick_questions: self.quick_questions,
        })
    }
}

/// Whoever shows a publishable key is told from others by nothing but the idempotency key.
impl Scoped for Admitted<'_> {
    fn scope(&self) -> Scope<'_> {
        Scope { tenant: &self.key.tenant, credential: &self.key.id, proof: None }
    }
}

/// The document's own limits, on the variables of a conversation as a whole.
fn check_variables(merged: &Value) -> Vec<Violation> {
    vestibule_api::schemas::chat::variables().check(Part::Body, merged)
}

fn intent(it: &Intent) -> Result<models::Intent, Refusal> {
    let icon = it.icon.as_ref().map(|icon| {
        let (kind, value) = (documented(&icon.kind)?, icon.value.clone());
        Ok::<_, Refusal>(models::IntentIcon { kind, value })
    });
    Ok(models::Intent {
        name: documented(&it.name)?,
        display_label: it.display_label.clone(),
        subtitle: it.subtitle.clone(),
        description: it.description.clone(),
        examples: it.examples.clone(),
        required_entities: it.required_entities.clone(),
        icon: icon.transpose()?,
        accent_color: it.accent_color.clone(),
        style_variant: it
            .style_variant
            .as_deref()
            .map_or(Ok(models::StyleVariant::Solid), documented)?,
        is_pinned: it.is_pinned,
        priority: it.priority,
    })
}

fn question(offered: &OfferedQuestion<'_>) -> Result<models::QuickQuestion, Refusal> {
    Ok(models::QuickQuestion {
        question: offered.question.question.clone(),
        page_type: documented(&offered.question.page_type)?,
        flow_id: offered.question.flow_id.clone(),
        intent_name: offered.intent_name.map(str::to_owned),
    })
}
