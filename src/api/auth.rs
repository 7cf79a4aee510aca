//! What proves a caller, by kind of credential; generated glue calls these before any handler.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use vestibule_api::authenticate::{Authenticate, headers, nonces, windows};
use vestibule_runtime::{KnownCaller, Limited, Part, Received, Refusal, TokenPrefix};

use crate::context::Context;
use crate::domain::api_key::KeyHash;
use crate::domain::key::{Ceilings, Key, KeyKind, KeyState, Terms};
use crate::domain::origin::Origin;
use crate::domain::session::Session;
use crate::domain::signature::{
    Bounds, Header, RequestLine, SignedHeaders, SignedHeadersV2, SignedRequest, Verified,
};
use crate::domain::{chat_session, chat_token, embed_session};
use crate::error::{Error, Result};
use crate::provision::open_key_secret;

/// The holder of an embed key that signed this very request.
pub struct SignedCaller {
    /// The key.
    pub key: Arc<Key>,
    /// Which of its secrets signed.
    pub generation: i64,
    /// The signature, to be accepted once.
    pub verified: Verified,
}

/// The holder of an embed key that signed this very request, method and path included.
pub struct SignedV2Caller {
    /// The key.
    pub key: Arc<Key>,
    /// The signature, to be accepted once.
    pub verified: Verified,
}

/// The holder of a live session's token.
pub struct SessionCaller {
    /// The session.
    pub session: Arc<Session>,
    /// What the key that opened it may cost.
    pub ceilings: Ceilings,
}

/// The holder of an iframe API key.
pub struct ApiKeyCaller {
    /// The key.
    pub key: Arc<Key>,
    /// Which of its API keys was shown.
    pub generation: i64,
}

/// The operator.
pub struct AdminCaller;

impl Authenticate for Context {
    type AdminKey = AdminCaller;
    type ApiKey = ApiKeyCaller;
    type ChatToken = SessionCaller;
    type EmbedToken = SessionCaller;
    type SignedKey = SignedCaller;
    type SignedV2 = SignedV2Caller;

    async fn admin_key(&self, request: &Received) -> Result<AdminCaller, Refusal> {
        let (_, hash) = bearer(request, Error::InvalidApiKey)?;
        if !self.admin_token.matches(&hash) {
            return Err(Error::InvalidApiKey.into());
        }
        request.notes.caller(KnownCaller::default());
        self.grant_clock(request, None)?;
        Ok(AdminCaller)
    }

    async fn api_key(&self, request: &Received) -> Result<ApiKeyCaller, Refusal> {
        let (_, hash) = bearer(request, Error::InvalidApiKey)?;
        let lookup = hash.lookup();
        let key = self.store.key_by_lookup(&lookup).await?;
        let by = |now| {
            let live = key.as_ref().and_then(|key| key.generation_of(&lookup, now));
            live.ok_or(Error::InvalidApiKey)
        };
        let generation = self.by_some_clock(request, by).ok();
        note_key(request, key.as_deref(), generation);
        let found = key.as_ref().filter(|key| works_as(key, KeyKind::Iframe));
        let (key, generation) = found.cloned().zip(generation).ok_or(Error::InvalidApiKey)?;
        self.settle_clock(request, Some(&key), by)?;
        self.key_uses.note(&key, self.clock.own_now_ms(), None);
        Ok(ApiKeyCaller { key, generation })
    }

    async fn chat_token(&self, request: &Received) -> Result<SessionCaller, Refusal> {
        let (token, _) = bearer(request, Error::InvalidToken)?;
        let by = |now| chat_token::verify(&self.master_keys, token, now);
        let claims = self.by_some_clock(request, by)?;
        let (session, key) = self.session_and_key(&claims.tid, &claims.sid).await?;
        note_session(request, &session);
        let now = self.settle_clock(request, key.as_deref(), by)?;
        chat_session::require_live(&session, key.as_deref(), now)?;
        if !chat_session::speaks(&session, &claims, now) {
            return Err(Error::InvalidToken.into());
        }
        let origin = self.page_origin(request);
        match chat_session::admit(key.as_deref(), origin) {
            Ok(admitted) => {
                self.key_uses.note(admitted.key, self.clock.own_now_ms(), origin);
            }
            Err(refusal) if origin.is_none_or(is_documented) => return Err(refusal.into()),
            // Validation refuses it, which comes next.
            Err(_) => {}
        }
        self.note_use(&session, key.as_deref().map(Key::terms), now);
        let ceilings = key.map(|key| key.ceilings).unwrap_or_default();
        Ok(SessionCaller { session, ceilings })
    }

    async fn embed_token(&self, request: &Received) -> Result<SessionCaller, Refusal> {
        let (token, hash) = bearer(request, Error::InvalidToken)?;
        let by = |now| self.verified_tokens.claims(&self.tokens, token, &hash, now);
        let claims = self.by_some_clock(request, by)?;
        let (session, key) = self.session_and_key(&claims.tid, &claims.sid).await?;
        note_session(request, &session);
        let now = self.settle_clock(request, key.as_deref(), by)?;
        session.require_live(key.as_deref().map(Key::terms), now)?;
        if !embed_session::speaks(&session, &claims, now) {
            return Err(Error::InvalidToken.into());
        }
        if let Some(key) = &key {
            self.key_uses.note(key, self.clock.own_now_ms(), None);
        }
        self.note_use(&session, key.as_deref().map(Key::terms), now);
        let ceilings = key.map(|key| key.ceilings).unwrap_or_default();
        Ok(SessionCaller { session, ceilings })
    }

    async fn signed_key(&self, request: &Received) -> Result<SignedCaller, Refusal> {
        let sent = signed_headers(&request.headers);
        let by = |now| sent.check(now, windows::EMBED_TIMESTAMP_MS);
        let caller = self.signer(&self.by_some_clock(request, by)?, request).await?;
        self.settle_clock(request, Some(&caller.key), by)?;
        self.key_uses.note(&caller.key, self.clock.own_now_ms(), None);
        Ok(caller)
    }

    async fn signed_v2(&self, request: &Received) -> Result<SignedV2Caller, Refusal> {
        let target = request.uri.path_and_query().map_or("/", |it| it.as_str());
        let line = RequestLine { method: request.operation.method.as_str(), target };
        let bounds = Bounds {
            window_ms: windows::EMBED_TIMESTAMP_V2_MS,
            nonce_length: nonces::EMBED_NONCE_LENGTH,
        };
        let sent = signed_headers_v2(&request.headers);
        let by = |now| sent.check(line, now, bounds);
        let signed = self.by_some_clock(request, by)?;
        let SignedCaller { key, verified, .. } = self.signer(&signed, request).await?;
        self.settle_clock(request, Some(&key), by)?;
        self.key_uses.note(&key, self.clock.own_now_ms(), None);
        Ok(SignedV2Caller { key, verified })
    }
}

impl Limited<Context> for SignedCaller {
    fn count(&self, service: &Context) -> Result<(), Refusal> {
        Ok(service.count_key(&self.key)?)
    }
}

impl Limited<Context> for SignedV2Caller {
    fn count(&self, service: &Context) -> Result<(), Refusal> {
        Ok(service.count_key(&self.key)?)
    }
}

impl Limited<Context> for ApiKeyCaller {
    fn count(&self, service: &Context) -> Result<(), Refusal> {
        Ok(service.count_key(&self.key)?)
    }
}

/// A key's own rate is for the tokens of its sessions too.
impl Limited<Context> for SessionCaller {
    fn count(&self, service: &Context) -> Result<(), Refusal> {
        let (Session { id, key_id, .. }, now) = (&*self.session, service.clock.own_now_ms());
        service.edge.session(id, now)?;
        let own = self.ceilings.requests_per_minute;
        Ok(own.map_or(Ok(()), |_| service.edge.key(key_id, own, now))?)
    }
}

/// The admin key is one key.
impl Limited<Context> for AdminCaller {
    fn count(&self, service: &Context) -> Result<(), Refusal> {
        Ok(service.edge.key("admin", None, service.clock.own_now_ms())?)
    }
}

impl Context {
    /// Whoever made the signature of a body.
    async fn signer(&self, signed: &SignedRequest<'_>, request: &Received) -> Result<SignedCaller> {
        let found = self.store.key_by_lookup(signed.key).await?;
        let key = found.as_ref().filter(|key| works_as(key, KeyKind::Embed));
        // An unknown key is verified against nothing, so that it takes as long as a wrong one.
        let clock = self.asked_clock(request);
        let live = key.map(|key| self.live_secrets(key, clock.claimed_ms(key.mode)));
        let live = live.transpose()?.unwrap_or_default();
        let secrets: Vec<_> = live.iter().map(|(_, secret)| secret.clone()).collect();
        let verified = signed.verify(&request.body, &secrets);
        let signer = verified.as_ref().ok().and_then(|verified| live.get(verified.secret));
        let generation = signer.map(|(generation, _)| *generation);
        note_key(request, found.as_deref(), generation);
        let verified = verified?;
        signed.pass(self.store.fenced_at(), self.clock.own_now_ms())?;
        let (key, generation) = key.cloned().zip(generation).ok_or(Error::InvalidSignature)?;
        Ok(SignedCaller { key, generation, verified })
    }

    /// Counts a request with a key that exists and works: nobody can use up another's limit.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn count_key(&self, key: &Key) -> Result<()> {
        self.edge.key(&key.id, key.ceilings.requests_per_minute, self.clock.own_now_ms())
    }

    /// A session that a genuine token names, and the key that opened it.
    pub(super) async fn session_and_key(
        &self,
        tenant: &str,
        id: &str,
    ) -> Result<(Arc<Session>, Option<Arc<Key>>)> {
        let session = self.store.session(tenant, id).await?.ok_or(Error::TokenRevoked)?;
        let key = self.store.key(tenant, &session.key_id).await?;
        Ok((session, key))
    }

    /// Remembers that a session is in use, where its key asks for that. Writes nothing yet.
    pub(super) fn note_use(&self, session: &Session, terms: Option<Terms>, now_ms: i64) {
        if session.times().use_is_due(terms, now_ms) {
            self.store.note_use(session, now_ms);
        }
    }

    /// Generation and text of each secret that still signs at `now_ms`.
    pub(super) fn live_secrets(&self, key: &Key, now_ms: i64) -> Result<Vec<(i64, SecretString)>> {
        let live = key.secrets.iter().filter(|secret| secret.is_live(now_ms));
        let open = live.map(|secret| {
            Ok((secret.generation, open_key_secret(&self.master_keys, key, secret)?))
        });
        open.collect()
    }

    /// The origin of the page that asks. Browsers send no `Origin` with a same-origin `GET`, but
    /// say so in a header that no script can set (Fetch Metadata).
    pub(super) fn page_origin<'a>(&'a self, request: &'a Received) -> Option<&'a str> {
        let same = request.headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
        request.origin().or_else(|| same.then_some(self.public_url.as_str()))
    }

    /// Whether an exchange that a browser makes comes from a page of this service.
    ///
    /// # Errors
    /// `OriginNotAllowed` when there is another origin.
    pub fn require_same_origin(&self, origin: Option<&str>) -> Result<()> {
        let Some(text) = origin else { return Ok(()) };
        let own = Origin::parse(&self.public_url);
        match Origin::parse(text) {
            Some(origin) if Some(&origin) == own.as_ref() => Ok(()),
            Some(_) | None => Err(Error::OriginNotAllowed { origin: Some(text.to_owned()) }),
        }
    }
}

/// Whether the document allows such an origin at all. One that it does not allow is left to
/// validation, which comes before any handler.
fn is_documented(origin: &str) -> bool {
    let schema = vestibule_api::schemas::chat::page_origin();
    schema.check(Part::Header, &origin.into()).is_empty()
}

fn works_as(key: &Key, kind: KeyKind) -> bool {
    key.kind() == kind && key.state == KeyState::Active
}

/// Notes whose key was presented, let in or not. A secret that nobody matched has no generation.
pub(super) fn note_key(request: &Received, key: Option<&Key>, generation: Option<i64>) {
    let Some(key) = key else { return };
    request.notes.caller(KnownCaller {
        tenant: Some(key.tenant.clone()),
        key: Some(key.id.clone()),
        generation,
        session: None,
    });
}

/// Notes whose genuine token was presented, let in or not.
pub(super) fn note_session(request: &Received, session: &Session) {
    request.notes.caller(KnownCaller {
        tenant: Some(session.tenant.clone()),
        key: Some(session.key_id.clone()),
        generation: (session.key_generation > 0).then_some(session.key_generation),
        session: Some(session.id.clone()),
    });
}

/// The one bearer token of a request and its hash; `malformed` is what a header of another form is.
fn bearer(request: &Received, malformed: Error) -> Result<(&str, KeyHash)> {
    let mut all = request.headers.get_all(AUTHORIZATION).iter();
    let (one, other) = (all.next(), all.next());
    let Some(value) = one else { return Err(Error::MissingCredentials) };
    let token = value.to_str().ok().filter(|_| other.is_none()).and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
    });
    let token = token.filter(|token| !token.is_empty()).ok_or(malformed)?;
    let hash = KeyHash::of(token);
    request.notes.token(TokenPrefix(hash.prefix()));
    Ok((token, hash))
}

fn signed_headers(sent: &HeaderMap) -> SignedHeaders<'_> {
    SignedHeaders {
        key: header(sent, headers::EMBED_KEY),
        timestamp: header(sent, headers::EMBED_TIMESTAMP),
        signature: header(sent, headers::EMBED_SIGNATURE),
    }
}

fn signed_headers_v2(sent: &HeaderMap) -> SignedHeadersV2<'_> {
    SignedHeadersV2 {
        key: header(sent, headers::EMBED_KEY_V2),
        timestamp: header(sent, headers::EMBED_TIMESTAMP_V2),
        nonce: header(sent, headers::EMBED_NONCE),
        signature: header(sent, headers::EMBED_SIGNATURE_V2),
    }
}

fn header<'a>(sent: &'a HeaderMap, name: &str) -> Header<'a> {
    sent.get_all(name).iter().map(|value| value.as_bytes()).collect()
}
