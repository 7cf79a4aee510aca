//! The matrix of operations and credentials, generated from the table of operations: whoever is
//! not the documented caller gets the documented refusal, and never what the operation does.
//!
//! A new operation is in the matrix at once; a new kind of credential fails it until
//! [`Proof::of`] and [`refusal`] know it.

use reqwest::{Client, Method};
use serde_json::json;
use vestibule::cli::dev::TenantCredentials;
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::OperationInfo;

use crate::callers::{Proof, Sent, Target, Wallet, admin, bearer, send_owned, signed_v2, text};
use crate::constraints::none;
use crate::documented_answers::conforms;
use crate::keyring::{
    demo_tenant, make_key, make_tenant, revoke_key, revoke_tenant, set_key, with_claims,
};
use crate::requests::{Answer, fresh_timestamp, open_chat, post, send, signed};
use crate::service::Service;

type Headers = Vec<(&'static str, String)>;

/// What a request shows of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// No credential, or some of three headers.
    Nothing,
    /// An `Authorization` header that is not this operation's.
    WrongBearer,
    /// Three signature headers that do not fit this body.
    WrongSignature,
    /// A signature made too early or too late.
    OldSignature,
    /// What was right until its key was paused.
    Paused,
    /// What was right until its key was revoked.
    Revoked,
    /// What was right until its key got another credential, without an overlap.
    Rotated,
    /// What was right until its session was ended.
    Ended,
    /// What was right until its tenant was revoked.
    Bereft,
    /// What was right until its time came.
    Expired,
}

/// Which of the credentials that open an operation has the say over what is shown: signature
/// headers are a signature's as soon as one can open it, and every other header is a token's.
fn deciding(operation: &OperationInfo, proof: Proof, shown: Shown) -> Proof {
    let all = Proof::any_of(operation);
    let is_signed = |it: &Proof| matches!(it, Proof::SignedKey | Proof::SignedV2);
    let decides = match shown {
        Shown::WrongSignature | Shown::OldSignature => all.into_iter().find(is_signed),
        Shown::WrongBearer => all.into_iter().find(|it| !is_signed(it)),
        Shown::Nothing
        | Shown::Paused
        | Shown::Revoked
        | Shown::Rotated
        | Shown::Ended
        | Shown::Bereft
        | Shown::Expired => None,
    };
    decides.unwrap_or(proof)
}

/// The documented refusal; `None` when a caller of this kind cannot be in this state.
fn refusal(proof: Proof, shown: Shown) -> Option<(u16, &'static str)> {
    use Shown::{
        Bereft, Ended, Expired, Nothing, OldSignature, Paused, Revoked, Rotated, WrongBearer,
        WrongSignature,
    };
    Some(match (proof, shown) {
        // Signature headers are nothing to these.
        (
            Proof::AdminKey | Proof::ApiKey | Proof::EmbedToken | Proof::ChatToken,
            Nothing | WrongSignature | OldSignature,
        ) => (401, "missing_credentials"),
        (Proof::AdminKey, WrongBearer) => (401, "invalid_api_key"),
        (Proof::ApiKey, WrongBearer | Paused | Revoked | Rotated | Bereft) => {
            (401, "invalid_api_key")
        }
        (Proof::EmbedToken | Proof::ChatToken, WrongBearer) => (401, "invalid_session_token"),
        (Proof::EmbedToken | Proof::ChatToken, Expired) => (401, "token_expired"),
        (Proof::EmbedToken, Paused)
        | (Proof::EmbedToken | Proof::ChatToken, Revoked | Ended | Bereft) => {
            (401, "token_revoked")
        }
        (Proof::ChatToken, Paused) => (403, "widget_disabled"),
        (Proof::SignedKey | Proof::SignedV2, Nothing | WrongBearer) => (401, "missing_credentials"),
        (
            Proof::SignedKey | Proof::SignedV2,
            WrongSignature | Paused | Revoked | Rotated | Bereft,
        ) => (401, "invalid_signature"),
        (Proof::SignedKey | Proof::SignedV2, OldSignature | Expired) => {
            (401, "timestamp_out_of_window")
        }
        // These two are in the body: headers of others add nothing to one that is unknown.
        (Proof::PublishableKey, Expired | Ended) => return None,
        (Proof::PublishableKey, _) => (403, "widget_disabled"),
        (Proof::CacheKey, Paused | Revoked | Ended | Bereft | Expired) => {
            (410, "cache_key_expired")
        }
        // What a credential opened outlives it.
        (Proof::CacheKey | Proof::EmbedToken | Proof::ChatToken, Rotated) => return None,
        (Proof::CacheKey, _) => (404, "cache_key_not_found"),
        (Proof::AdminKey, Paused | Revoked | Rotated | Ended | Bereft | Expired)
        | (Proof::ApiKey, Ended | Expired)
        | (Proof::SignedKey | Proof::SignedV2, Ended)
        | (Proof::Nobody, _) => return None,
    })
}

/// A service of its own, and who calls it.
struct Matrix {
    service: Service,
    client: Client,
    right: Wallet,
    other: Wallet,
    /// What was right until something happened to it.
    past: Vec<(Shown, Wallet)>,
    /// Holds nothing that works.
    stranger: Wallet,
    iframe_token: String,
}

impl Matrix {
    async fn new() -> Self {
        let service = Service::start(|config| config.limits.redeem_per_minute = 1 << 20);
        let right = Wallet::open(&service, &service.demo.demo).await;
        let other = Wallet::open(&service, &service.demo.other).await;
        let past = past(&service).await;
        let body = json!({ "cache_key": right.cache_key });
        let redeemed = post(&service.url("/api/v1/iframe/token"), &[], &body).await;
        let iframe_token = text(&redeemed, "/access_token");
        let stranger = stranger(&right);
        let client = Client::new();
        Self { service, client, right, other, past, stranger, iframe_token }
    }

    /// Sends what an operation accepts, with these headers made for its body; what the body
    /// itself shows is out of `wallet`.
    async fn send(
        &self,
        target: &Target,
        operation: &OperationInfo,
        wallet: &Wallet,
        headers: impl FnOnce(&Sent<'_>) -> Headers,
    ) -> Answer {
        let body = wallet.body(operation, &target.tenant_id).map(|it| it.to_string().into_bytes());
        let (method, path) = (operation.method.as_str(), target.path(operation));
        let covered = body.as_deref().unwrap_or_default();
        let mut headers = headers(&Sent { method, target: &path, body: covered });
        let has_origin = headers.iter().any(|(name, _)| *name == "origin");
        if operation.cors && !has_origin {
            headers.push(("origin", self.right.tenant.chat.origin.clone()));
        }
        let url = self.service.url(&path);
        send_owned(&self.client, operation.method.clone(), &url, &headers, body).await
    }

    /// The `Authorization` headers that are some other operation's, or nobody's.
    fn bearers(&self, operation: &OperationInfo) -> Vec<(&'static str, Headers)> {
        let proofs = Proof::any_of(operation);
        let right = &self.right;
        let embed = &right.tenant.embed;
        let held = [
            ("admin token", Some(Proof::AdminKey), right.admin.as_str()),
            ("API key", Some(Proof::ApiKey), &right.tenant.iframe.api_key),
            ("embed token", Some(Proof::EmbedToken), &right.embed_token),
            ("chat token", Some(Proof::ChatToken), &right.chat_token),
            ("iframe token", None, &self.iframe_token),
            ("cache key", None, &right.cache_key),
            ("publishable key", None, &right.tenant.chat.public_key),
            ("embed key", None, &embed.key),
            ("embed secret", None, &embed.secret),
            ("identity secret", None, &right.tenant.chat.identity_secret),
            ("nonsense", None, "nonsense-nonsense-nonsense"),
        ];
        let is_own = |own: &Option<Proof>| own.is_some_and(|own| proofs.contains(&own));
        let others = held.into_iter().filter(|(_, own, _)| !is_own(own));
        let mut all: Vec<_> = others.map(|(name, _, token)| (name, vec![bearer(token)])).collect();
        for (name, token) in [("embed", &right.embed_token), ("chat", &right.chat_token)] {
            let forged = with_claims(token, |claims| claims["tid"] = "ten_other".into());
            all.push((name, vec![bearer(&forged)]));
            all.push((name, vec![bearer(&token[..token.len() - 2])]));
        }
        let own =
            right.headers(operation, b"").into_iter().find(|(name, _)| *name == "authorization");
        let own = own.unwrap_or_else(|| bearer(&right.admin));
        let token = own.1.trim_start_matches("Bearer ").to_owned();
        all.push(("right one twice", vec![own.clone(), own]));
        all.push(("another scheme", vec![("authorization", format!("Basic {token}"))]));
        all.push(("no scheme", vec![("authorization", token.clone())]));
        all.push(("two words", vec![("authorization", format!("Bearer {token} {token}"))]));
        all.push(("empty", vec![("authorization", "Bearer ".to_owned())]));
        all
    }

    /// Signature headers that do not prove anything, and what they show instead.
    fn signatures(&self, version: Proof, sent: &Sent<'_>) -> Vec<(&'static str, Shown, Headers)> {
        use Shown::{Nothing, OldSignature, WrongSignature};
        let (embed, other) = (&self.right.tenant.embed, &self.other.tenant.embed);
        let sign = |key: &str, secret: &str, ahead: i64, sent: &Sent<'_>| {
            let at = fresh_timestamp() + ahead;
            match version {
                Proof::SignedV2 => signed_v2(key, secret, at, sent).to_vec(),
                _ => signed(key, secret, at, sent.body).to_vec(),
            }
        };
        let changed = |change: &dyn Fn(&mut Headers)| {
            let mut headers = sign(&embed.key, &embed.secret, 0, sent);
            change(&mut headers);
            headers
        };
        let with = |at: usize, value: &str| changed(&|all| all[at].1 = value.to_owned());
        let without = |at: usize| changed(&|all| drop(all.remove(at)));
        let twice = |at: usize| changed(&|all| all.push(all[at].clone()));
        let stranger = &self.stranger.tenant.embed;
        let elsewhere = |other: &Sent<'_>| sign(&embed.key, &embed.secret, 0, other);
        let of_1 = || signed(&embed.key, &embed.secret, fresh_timestamp(), sent.body).to_vec();
        let of_2 = signed_v2(&embed.key, &embed.secret, fresh_timestamp(), sent).to_vec();
        let more = match version {
            Proof::SignedV2 => vec![
                ("no nonce", Nothing, without(3)),
                ("two nonces", WrongSignature, twice(3)),
                ("another nonce", WrongSignature, with(3, "another")),
                ("an empty nonce", WrongSignature, with(3, "")),
                ("another method", WrongSignature, elsewhere(&Sent { method: "PUT", ..*sent })),
                ("another path", WrongSignature, elsewhere(&Sent { target: "/v1", ..*sent })),
                ("version 1", Nothing, of_1()),
                (
                    "version 1 with a nonce",
                    WrongSignature,
                    changed(&|all| all[2] = of_1().remove(2)),
                ),
            ],
            _ => vec![("version 2", WrongSignature, of_2)],
        };
        let mut all = vec![
            ("no key", Nothing, without(0)),
            ("no timestamp", Nothing, without(1)),
            ("no signature", Nothing, without(2)),
            ("two keys", WrongSignature, twice(0)),
            ("two timestamps", WrongSignature, twice(1)),
            ("two signatures", WrongSignature, twice(2)),
            ("another signature", WrongSignature, with(2, &"0".repeat(64))),
            ("a short signature", WrongSignature, with(2, "00")),
            ("no hex", WrongSignature, with(2, &"z".repeat(64))),
            ("another body", WrongSignature, elsewhere(&Sent { body: b"{}", ..*sent })),
            ("another secret", WrongSignature, sign(&embed.key, &embed.read_secret, 0, sent)),
            ("another tenant's secret", WrongSignature, sign(&embed.key, &other.secret, 0, sent)),
            ("another tenant's key", WrongSignature, sign(&other.key, &embed.secret, 0, sent)),
            ("an unknown key", WrongSignature, sign(&stranger.key, &embed.secret, 0, sent)),
            ("too early", OldSignature, sign(&embed.key, &embed.secret, -400_000, sent)),
            ("too late", OldSignature, sign(&embed.key, &embed.secret, 400_000, sent)),
            ("in seconds", OldSignature, with(1, "1700000000")),
            ("no number", OldSignature, with(1, "now")),
        ];
        all.extend(more);
        all
    }

    /// Everything that is tried on one operation, but what only time makes wrong.
    async fn cells(
        &self,
        operation: &OperationInfo,
        target: &Target,
    ) -> Vec<(String, Shown, Answer)> {
        let mut cells = Vec::new();
        let nothing = self.send(target, operation, &self.stranger, |_| vec![]).await;
        cells.push(("nothing".to_owned(), Shown::Nothing, nothing));
        for (name, headers) in self.bearers(operation) {
            let answer = self.send(target, operation, &self.stranger, |_| headers).await;
            cells.push((format!("bearer: {name}"), Shown::WrongBearer, answer));
        }
        let version = deciding(operation, Proof::SignedKey, Shown::WrongSignature);
        let nothing = Sent { method: "GET", target: "/", body: b"" };
        for case in 0..self.signatures(version, &nothing).len() {
            let (name, shown, _) = self.signatures(version, &nothing).swap_remove(case);
            let made = |sent: &Sent<'_>| self.signatures(version, sent).swap_remove(case).2;
            let answer = self.send(target, operation, &self.stranger, made).await;
            cells.push((format!("signature: {name}"), shown, answer));
        }
        cells
    }

    /// What was right until its key, session or tenant came to an end.
    async fn ended(
        &self,
        operation: &OperationInfo,
        proof: Proof,
        target: &Target,
    ) -> Vec<(String, Shown, Answer)> {
        let mut cells = Vec::new();
        for (shown, wallet) in &self.past {
            if refusal(proof, *shown).is_some() {
                let answer =
                    self.send(target, operation, wallet, |sent| wallet.headers_of(proof, sent));
                cells.push((format!("{shown:?} {proof:?}"), *shown, answer.await));
            }
        }
        cells
    }

    async fn right(&self, operation: &OperationInfo, proof: Proof, target: &Target) -> Answer {
        self.send(target, operation, &self.right, |sent| self.right.headers_of(proof, sent)).await
    }
}

#[tokio::test]
async fn only_the_documented_caller_gets_through() {
    let matrix = Matrix::new().await;
    let (mut faults, mut cases) = (Vec::new(), 0);
    for operation in OPERATIONS {
        let target = Target::create(&matrix.service).await;
        let proofs = Proof::any_of(operation);
        let mut cells = matrix.cells(operation, &target).await;
        let mut each = vec![proofs[0]; cells.len()];
        for proof in &proofs {
            cells.extend(matrix.ended(operation, *proof, &target).await);
            each.resize(cells.len(), *proof);
        }
        for ((name, shown, answer), proof) in cells.into_iter().zip(each) {
            cases += 1;
            let fault = cell_fault(operation, proof, shown, &answer);
            faults.extend(fault.map(|fault| format!("{} with {name}: {fault}", operation.id)));
        }
        for proof in proofs {
            let target = Target::create(&matrix.service).await;
            // A request may end what it proves itself with.
            let fresh = Wallet::open(&matrix.service, &matrix.service.demo.demo).await;
            let headers = |sent: &Sent<'_>| fresh.headers_of(proof, sent);
            let answer = matrix.send(&target, operation, &fresh, headers).await;
            let fault = conforms(operation, &answer);
            if !answer.status.is_success() || fault.is_some() {
                faults.push(format!("{} by {proof:?}: {} {fault:?}", operation.id, answer.text));
            }
        }
    }
    none(faults);
    println!("credentials: {} operations, {cases} wrong callers", OPERATIONS.len());
}

#[tokio::test]
async fn what_was_right_expires() {
    let matrix = Matrix::new().await;
    matrix.service.context.clock.set_offset_ms(2 * 60 * 60 * 1000);
    let mut faults = Vec::new();
    let proofs = |it: &'static OperationInfo| Proof::any_of(it).into_iter().map(move |p| (it, p));
    for (operation, proof) in OPERATIONS.iter().copied().flat_map(proofs) {
        let expired = refusal(proof, Shown::Expired).is_some();
        let target = Target::create(&matrix.service).await;
        let answer = matrix.right(operation, proof, &target).await;
        if expired {
            let fault = cell_fault(operation, proof, Shown::Expired, &answer);
            faults.extend(fault.map(|fault| format!("{}: {fault}", operation.id)));
        } else if !answer.status.is_success() {
            faults.push(format!("{}: {}", operation.id, answer.text));
        }
    }
    none(faults);
}

#[tokio::test]
async fn signature_is_accepted_once() {
    let matrix = Matrix::new().await;
    let is_signed = |it: &Proof| matches!(it, Proof::SignedKey | Proof::SignedV2);
    let mut tried = Vec::new();
    for operation in OPERATIONS {
        let Some(proof) = Proof::any_of(operation).into_iter().find(is_signed) else { continue };
        tried.push(proof);
        let target = Target::create(&matrix.service).await;
        let mut headers = Vec::new();
        let made = |sent: &Sent<'_>| {
            headers = matrix.right.headers_of(proof, sent);
            headers.clone()
        };
        let first = matrix.send(&target, operation, &matrix.right, made).await;
        assert!(first.status.is_success(), "{}", first.text);
        let second = matrix.send(&target, operation, &matrix.right, |_| headers).await;
        assert_eq!((second.status.as_u16(), second.code()), (401, "signature_replayed"));
        assert_eq!(challenge_fault(operation, &second), None);
    }
    assert!(tried.contains(&Proof::SignedKey) && tried.contains(&Proof::SignedV2), "{tried:?}");
}

/// Secrets do not belong in pages, whether they are right or not; other credentials may. Where any
/// one of several opens an operation, which one it is must be known first.
#[tokio::test]
async fn secret_keys_are_refused_from_browsers() {
    let matrix = Matrix::new().await;
    let own = matrix.service.base_url.clone();
    let from_a_page = |wallet: &Wallet, proof: Proof, sent: &Sent<'_>| {
        let mut headers = wallet.headers_of(proof, sent);
        headers.retain(|(name, _)| *name != "origin");
        headers.push(("origin", own.clone()));
        headers
    };
    for operation in OPERATIONS {
        let target = Target::create(&matrix.service).await;
        for (at, proof) in Proof::any_of(operation).into_iter().enumerate() {
            let is_secret = operation.credentials.get(at).is_some_and(|it| it.browser_refused);
            let secrets = [Proof::ApiKey, Proof::SignedKey, Proof::SignedV2];
            assert_eq!(is_secret, secrets.contains(&proof));
            let is_alone = operation.credentials.len() < 2;
            for (wallet, is_refused) in
                [(&matrix.right, is_secret), (&matrix.stranger, is_secret && is_alone)]
            {
                let made = |sent: &Sent<'_>| from_a_page(wallet, proof, sent);
                let answer = matrix.send(&target, operation, wallet, made).await;
                let told = answer.code() == "secret_key_in_browser";
                assert_eq!(told, is_refused, "{} {proof:?}: {}", operation.id, answer.text);
                assert!(!told || answer.status == 403, "{}", answer.status);
                assert_eq!(conforms(operation, &answer), None, "{}", operation.id);
            }
        }
    }
}

/// What one tenant holds works, and reaches nothing of another tenant.
#[tokio::test]
async fn tenants_are_apart() {
    let matrix = Matrix::new().await;
    let (service, right, other) = (&matrix.service, &matrix.right, &matrix.other);
    let api_key = bearer(&other.tenant.iframe.api_key);
    let api_key = [("authorization", api_key.1.as_str())];
    let url = service.url("/api/v1/iframe/create");
    let body = json!({ "uid": "u1", "srcs": [right.tenant.iframe.source_ids[0]] });
    expect(&post(&url, &api_key, &body).await, 400, "unknown_source");
    let (source, theme) = (&other.tenant.iframe.source_ids[0], right.tenant.iframe.theme_ids[0]);
    let body = json!({ "uid": "u1", "srcs": [source], "theme_id": theme });
    expect(&post(&url, &api_key, &body).await, 404, "theme_not_found");

    let mut tenant = other.tenant.clone();
    tenant.chat.origin.clone_from(&right.tenant.chat.origin);
    let body = json!({ "publicKey": tenant.chat.public_key });
    expect(&open_chat(&service.base_url, &tenant, &body).await, 403, "origin_not_allowed");
    let (name, token) = bearer(&other.chat_token);
    let headers = [(name, token.as_str()), ("origin", &right.tenant.chat.origin)];
    let url = service.url("/api/public/v1/chat/conversation");
    expect(&send(Method::GET, &url, &headers, None).await, 403, "origin_not_allowed");
}

/// What is another tenant's is not there, whoever asks for it.
#[tokio::test]
async fn sessions_of_others_are_not_found() {
    let matrix = Matrix::new().await;
    let mut tried = 0;
    for operation in OPERATIONS.iter().filter(|it| it.path.contains("{sid}")) {
        for proof in Proof::any_of(operation) {
            let target = Target::create(&matrix.service).await;
            let theirs = |sent: &Sent<'_>| matrix.other.headers_of(proof, sent);
            let answer = matrix.send(&target, operation, &matrix.other, theirs).await;
            match proof {
                Proof::AdminKey => assert!(answer.status.is_success(), "the operator sees all"),
                _ => expect(&answer, 404, "session_not_found"),
            }
            let target = Target::create(&matrix.service).await;
            let answer = matrix.right(operation, proof, &target).await;
            assert!(answer.status.is_success(), "{}: {}", operation.id, answer.text);
            tried += 1;
        }
    }
    assert!(tried >= 3, "{tried}");
}

fn expect(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{}", answer.text);
}

fn cell_fault(
    operation: &OperationInfo,
    proof: Proof,
    shown: Shown,
    answer: &Answer,
) -> Option<String> {
    if proof == Proof::Nobody {
        let refused = (!answer.status.is_success()).then(|| format!("refused: {}", answer.text));
        return refused.or_else(|| conforms(operation, answer));
    }
    let Some((status, code)) = refusal(deciding(operation, proof, shown), shown) else {
        return Some(format!("nobody decided what {shown:?} gets: {}", answer.text));
    };
    if (answer.status.as_u16(), answer.code()) != (status, code) {
        return Some(format!("not {status} {code} but {} {}", answer.status, answer.text));
    }
    challenge_fault(operation, answer).or_else(|| conforms(operation, answer))
}

/// Every 401 says how to authenticate, and nothing else does.
fn challenge_fault(operation: &OperationInfo, answer: &Answer) -> Option<String> {
    let expected = if answer.status == 401 { operation.challenge } else { "" };
    let told = answer.header("www-authenticate");
    (told != expected || answer.status == 401 && told.is_empty())
        .then(|| format!("WWW-Authenticate is {told:?}"))
}

/// Everything that can come to an end, ended in each way that there is.
async fn past(service: &Service) -> Vec<(Shown, Wallet)> {
    let demo = demo_tenant(service).await;
    let mut past = Vec::new();
    for shown in [Shown::Paused, Shown::Revoked, Shown::Rotated, Shown::Ended] {
        let (wallet, ids) = fresh_keys(service, &demo).await;
        for id in &ids {
            let done = match shown {
                Shown::Paused => set_key(service, id, "pause").await,
                Shown::Revoked => revoke_key(service, id).await,
                Shown::Rotated => {
                    let path = format!("/keys/{id}/rotate");
                    admin(service, Method::POST, &path, Some(json!({ "overlapSeconds": 0 }))).await
                }
                _ => end_sessions(service, &demo, id).await,
            };
            assert!(done.status.is_success(), "{shown:?}: {}", done.text);
        }
        past.push((shown, wallet));
    }
    let (tenant, _) = make_tenant(service, json!({ "name": "Closed down" })).await;
    for id in &service.demo.demo.iframe.source_ids {
        let source = json!(id).to_string();
        let audit = service.context.audit(&tenant, "test", "source.put", &source);
        service.context.store.put_source(&tenant, &source, audit).await.expect("stored");
    }
    let (wallet, _) = fresh_keys(service, &tenant).await;
    assert_eq!(revoke_tenant(service, &tenant).await.status, 204);
    past.push((Shown::Bereft, wallet));
    past
}

/// Ends every session that a key opened.
async fn end_sessions(service: &Service, tenant: &str, key: &str) -> Answer {
    let token = format!("Bearer {}", service.demo.admin.token);
    let body = json!({ "tenant_id": tenant, "targets": [format!("key:{key}")] });
    let done = post(&service.url("/v1/sessions:revoke"), &[("authorization", &token)], &body).await;
    assert_eq!(done.body["revoked"], 1, "{}", done.text);
    done
}

/// Keys of each kind that nothing else uses, sessions opened with them, and the keys' ids.
async fn fresh_keys(service: &Service, id: &str) -> (Wallet, [String; 3]) {
    let mut tenant = service.demo.demo.clone();
    let embed = make_key(service, id, "embed", json!({ "scope": "read-write" })).await;
    let origins = [&tenant.chat.origin];
    let members = json!({ "allowsAllIntents": true, "allowedOrigins": origins });
    let chat = make_key(service, id, "chat", members).await;
    let iframe = make_key(service, id, "iframe", json!({})).await;
    (tenant.embed.key, tenant.embed.secret) = (embed.public, embed.secret);
    (tenant.chat.public_key, tenant.iframe.api_key) = (chat.public, iframe.secret);
    (Wallet::open(service, &tenant).await, [embed.id, chat.id, iframe.id])
}

/// Somebody whose credentials look right and are nobody's.
fn stranger(like: &Wallet) -> Wallet {
    let TenantCredentials { mut embed, mut chat, mut iframe } = like.tenant.clone();
    embed.key = format!("yk_{}", "0".repeat(32));
    embed.secret = format!("ysk_{}", "0".repeat(64));
    chat.public_key = format!("pk_live_{}", "0".repeat(32));
    iframe.api_key = format!("iak_{}", "0".repeat(64));
    Wallet {
        admin: format!("adm_{}", "0".repeat(64)),
        tenant: TenantCredentials { embed, chat, iframe },
        embed_token: "e30.e30.AAAA".to_owned(),
        chat_token: "e30.AAAA".to_owned(),
        cache_key: format!("ck_{}", "0".repeat(43)),
    }
}
