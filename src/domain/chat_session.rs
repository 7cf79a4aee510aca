//! Opening a session of the website widget: key, origin, customer, conversation.
//!
//! Variables and an unproved `customerId` are untrusted text here: kept, never acted upon. What
//! the widget offers is [`super::catalogue`]'s to say.

use secrecy::SecretString;
use serde_json::{Map, Value};
use vestibule_runtime::Violation;

use super::chat_token::{ChatClaims, TTL_S};
use super::key::{Identity, Key, KeySettings, KeyState, Terms};
use super::origin::Origin;
use super::session::{Conversation, FreshIds, Grant, Session, seconds};
use super::token;
use crate::error::{Error, Result};

/// A request that its key and origin let in.
#[derive(Clone, Copy, Debug)]
pub struct Admitted<'a> {
    /// The publishable key.
    pub key: &'a Key,
    /// The intents it may trigger; `None` is all.
    pub allowed_intents: Option<&'a [String]>,
    /// Whether customers must prove who they are.
    pub identity: Identity,
    /// Where the request came from, as it was sent.
    pub origin: Option<&'a str>,
}

/// Who speaks, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// As claimed or proved.
    pub id: Option<String>,
    /// Whether a token of the tenant's backend proved it.
    pub verified: bool,
}

/// What a page tells about the conversation it opens.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// BCP-47; keeps what was known when it is not given.
    pub locale: Option<String>,
    /// Merged into those of the conversation.
    pub variables: Map<String, Value>,
}

/// Lets a request in by its publishable key (`None` when unknown) and its `Origin` header.
///
/// # Errors
/// `WidgetDisabled` when the key is unknown, paused, revoked or of another kind;
/// `OriginNotAllowed` when the key does not list the origin, or needs one and there is none.
pub fn admit<'a>(key: Option<&'a Key>, origin: Option<&'a str>) -> Result<Admitted<'a>> {
    let key = key.filter(|key| key.state == KeyState::Active).ok_or(Error::WidgetDisabled)?;
    let KeySettings::Chat { allowed_intents, allow_no_origin, identity } = &key.settings else {
        return Err(Error::WidgetDisabled);
    };
    let allowed = match origin {
        Some(text) => Origin::parse(text).is_some_and(|it| it.is_allowed_by(&key.allowed_origins)),
        None => *allow_no_origin,
    };
    if !allowed {
        return Err(Error::OriginNotAllowed { origin: origin.map(str::to_owned) });
    }
    Ok(Admitted { key, allowed_intents: allowed_intents.as_deref(), identity: *identity, origin })
}

/// Whether a session may be used now, as far as its key's origins are not concerned.
///
/// # Errors
/// `WidgetDisabled` while the key is paused, as at the opening: another session would not help.
/// Otherwise as [`Session::require_live`].
pub fn require_live(session: &Session, key: Option<&Key>, now_ms: i64) -> Result<()> {
    let terms = key.map(Key::terms);
    if let Some(paused @ Terms { state: KeyState::Paused, .. }) = terms {
        session.require_live(Some(Terms { state: KeyState::Active, ..paused }), now_ms)?;
        return Err(Error::WidgetDisabled);
    }
    session.require_live(terms, now_ms)
}

/// Finds out who speaks. `identity_secret` opens the tenant's secret and is called only for a
/// token that must be checked.
///
/// # Errors
/// `InvalidCustomerToken`; `Rules` for a token without the `customerId` it should prove.
pub fn identify(
    identity: Identity,
    customer_id: Option<&str>,
    customer_token: Option<&str>,
    identity_secret: impl FnOnce() -> Result<SecretString>,
    now_ms: i64,
) -> Result<Customer> {
    let customer = |verified| Customer { id: customer_id.map(str::to_owned), verified };
    let checked = match identity {
        Identity::Off => None,
        Identity::Optional | Identity::Required => customer_token,
    };
    match (customer_id, checked) {
        (Some(id), Some(token)) => {
            token::verify_customer(token, id, &identity_secret()?, now_ms)?;
            Ok(customer(true))
        }
        (None, Some(_)) => Err(Error::Rules(vec![Violation::body("/customerId", "required")])),
        (Some(_), None) if identity == Identity::Required => {
            Err(Error::InvalidCustomerToken("this key takes no customerId without one"))
        }
        (_, None) => Ok(customer(false)),
    }
}

impl Customer {
    /// Whose latest conversation this session continues: that of a proved customer alone.
    pub fn continues(&self) -> Option<&str> {
        self.id.as_deref().filter(|_| self.verified)
    }
}

/// The conversation a session speaks in: `latest` when this customer may continue it, else a new
/// one of the id `fresh`. `check` gives the violations of merged variables, their pointers below
/// the variables themselves.
///
/// # Errors
/// `Rules` when the merged variables break the limits that each request's variables must keep.
pub fn converse(
    tenant: &str,
    customer: &Customer,
    latest: Option<Conversation>,
    fresh: String,
    opening: Opening,
    now_ms: i64,
    check: impl Fn(&Value) -> Vec<Violation>,
) -> Result<Conversation> {
    // An unproved conversation may have been opened by somebody else, who still holds its token.
    let may_continue = |it: &Conversation| {
        let same = customer.continues().is_some_and(|id| it.customer_id.as_deref() == Some(id));
        same && it.verified && it.tenant == tenant
    };
    let known = latest.filter(may_continue).unwrap_or_else(|| Conversation {
        tenant: tenant.to_owned(),
        id: fresh,
        customer_id: customer.id.clone(),
        verified: customer.verified,
        locale: None,
        variables: Map::new(),
        opened_at: now_ms,
    });
    let variables = merge(&known.variables, opening.variables, check)?;
    Ok(Conversation { locale: opening.locale.or(known.locale), variables, ..known })
}

/// Merges variables key by key: an incoming value replaces, a `null` is kept as a value.
///
/// # Errors
/// `Rules` with what `check` finds in the result, below `/variables`.
pub fn merge(
    existing: &Map<String, Value>,
    incoming: Map<String, Value>,
    check: impl Fn(&Value) -> Vec<Violation>,
) -> Result<Map<String, Value>> {
    let mut merged = existing.clone();
    merged.extend(incoming);
    let mut violations = check(&Value::Object(merged.clone()));
    if violations.is_empty() {
        return Ok(merged);
    }
    for violation in &mut violations {
        violation.pointer.insert_str(0, "/variables");
    }
    Err(Error::Rules(violations))
}

/// Opens a session in a conversation. `generation` is that of the publishable key that was shown,
/// `intents` are the names of those it is offered.
pub fn open(
    admitted: Admitted<'_>,
    generation: i64,
    conversation: &Conversation,
    intents: Vec<String>,
    now_ms: i64,
    ids: FreshIds,
) -> Session {
    let grant = Grant::Chat {
        conversation: conversation.id.clone(),
        origin: admitted.origin.map(str::to_owned),
        customer: conversation.customer_id.clone(),
        intents,
    };
    Session::open(admitted.key, generation, (now_ms, TTL_S), ids, grant)
}

/// Whether a key would still let a session of it in from where it was opened, and offer it what it
/// was offered. `offered` are the names of the intents that it offers now.
///
/// # Errors
/// `KeyDisabled`, `OriginNotAllowed` and `IntentNotAllowed`, in this order.
pub fn reconsider(
    key: &Key,
    origin: Option<&str>,
    intents: &[String],
    offered: &[String],
) -> Result<()> {
    admit(Some(key), origin).map_err(|error| match error {
        Error::WidgetDisabled => Error::KeyDisabled,
        other => other,
    })?;
    let is_gone = |name: &&String| !offered.contains(name);
    let missing: Vec<String> = intents.iter().filter(is_gone).cloned().collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::IntentNotAllowed { missing }) }
}

/// What a session's token says. A token speaks for a session only while they are equal. `None`
/// for a session of another surface.
pub fn claims(session: &Session) -> Option<ChatClaims> {
    let Grant::Chat { conversation, .. } = &session.grant else { return None };
    Some(ChatClaims {
        tid: session.tenant.clone(),
        sid: session.id.clone(),
        cid: conversation.clone(),
        jti: session.token_id.clone(),
        iat: seconds(session.token_issued_at()),
        exp: seconds(session.expires_at),
    })
}

/// Whether a genuine token speaks for a session: its present token, or one that it superseded a
/// moment ago.
pub fn speaks(session: &Session, token: &ChatClaims, now_ms: i64) -> bool {
    claims(session).as_ref() == Some(token) || session.overlap_of(&token.jti, now_ms).is_some()
}

#[cfg(test)]
mod tests;
