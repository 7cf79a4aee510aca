//! Tokens that others verify: the published keys of tenants that sign with EdDSA, and what a host's
//! backend makes of them without asking the service.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use vestibule::domain::token::Audience;

use crate::callers::{admin, text};
use crate::engine::{is_postgres, laid_open};
use crate::keyring::{demo_tenant, make_key, make_tenant, members, open_demo, open_with, read_jwt};
use crate::keyring::{revoke_tenant, with_claims};
use crate::requests::{Answer, get, send};
use crate::service::Service;
use crate::tools::node;

const MINUTE_MS: i64 = 60_000;

/// The published keys, all or those of one tenant.
async fn published(service: &Service, query: &str) -> Answer {
    let url = service.url(&format!("/.well-known/jwks.json{query}"));
    send(Method::GET, &url, &[], None).await
}

async fn keys(service: &Service, tenant: &str) -> Vec<Value> {
    let answer = published(service, &format!("?tenantId={tenant}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["keys"].as_array().expect("a list").clone()
}

async fn kids(service: &Service, tenant: &str) -> Vec<String> {
    let keys = keys(service, tenant).await;
    keys.iter().map(|key| key["kid"].as_str().expect("a name").to_owned()).collect()
}

async fn rotate(service: &Service, tenant: &str, body: Value) -> Answer {
    let path = format!("/tenants/{tenant}/signing-keys/rotate");
    admin(service, Method::POST, &path, Some(body)).await
}

/// Rotates a tenant's signing key to an algorithm, with an hour's overlap.
async fn switch(service: &Service, tenant: &str, algorithm: &str) -> Value {
    let body = json!({ "overlapSeconds": 3600, "algorithm": algorithm });
    let rotated = rotate(service, tenant, body).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    rotated.body["items"].clone()
}

/// Moves the clock of a service on, from where it stands.
fn pass(service: &Service, ms: i64) {
    service.context.clock.hold_at_ms(service.context.clock.now_ms() + ms);
}

fn embed_body() -> Value {
    json!({ "employeeId": "64f000000000000000000001", "capabilities": ["showChatsList"] })
}

async fn embed_token(service: &Service) -> String {
    text(&open_demo(service, &embed_body()).await, "/data/embedToken")
}

async fn reads(service: &Service, token: &str) -> u16 {
    get(&service.url("/v1/embed/session"), token).await.status.as_u16()
}

#[tokio::test]
async fn keys_are_published_before_they_sign_until_their_tokens_end_and_nothing_secret_ever_is() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let none = published(&service, "").await;
    assert_eq!((none.status.as_u16(), &none.body), (200, &json!({ "keys": [] })), "HS256 alone");
    assert_eq!(none.header("cache-control"), "public, max-age=60");

    let old = embed_token(&service).await;
    pass(&service, 0);
    let items = switch(&service, &tenant, "eddsa").await;
    assert_eq!((&items[0]["algorithm"], &items[0]["state"]), (&json!("eddsa"), &json!("pending")));
    assert_eq!((&items[1]["algorithm"], &items[1]["state"]), (&json!("hs256"), &json!("active")));
    let pending = keys(&service, &tenant).await;
    assert_eq!(pending.len(), 2, "of two surfaces, published at once: {pending:?}");
    for key in &pending {
        assert_eq!(members(key), ["alg", "crv", "kid", "kty", "use", "x"]);
        let said = ["alg", "crv", "kty", "use"].map(|name| key[name].as_str().expect("a text"));
        assert_eq!(said, ["EdDSA", "Ed25519", "OKP", "sig"]);
    }
    let meanwhile = embed_token(&service).await;
    assert_eq!(read_jwt(&meanwhile).0["alg"], "HS256");

    pass(&service, MINUTE_MS + 3_000);
    let new = embed_token(&service).await;
    let (header, claims) = read_jwt(&new);
    assert_eq!(header, json!({ "alg": "EdDSA", "typ": "JWT", "kid": pending[0]["kid"] }));
    assert!(header["kid"].as_str().expect("a name").starts_with(&format!("{tenant}.embed.2.")));
    assert_eq!((&claims["iss"], &claims["tid"]), (&json!(service.base_url), &json!(tenant)));
    for token in [&old, &meanwhile, &new] {
        assert_eq!(reads(&service, token).await, 200);
    }
}

#[tokio::test]
async fn a_rotation_publishes_both_generations_and_a_retired_one_no_more() {
    let service = Service::start(|_| {});
    let (tenant, _) = make_tenant(&service, json!({ "name": "E", "signing": "eddsa" })).await;
    let generations = async || {
        let kids = kids(&service, &tenant).await;
        let parts =
            kids.iter().map(|kid| kid.split('.').skip(1).take(2).collect::<Vec<_>>().join("."));
        parts.collect::<Vec<_>>()
    };
    pass(&service, 3_000);
    assert_eq!(generations().await, ["embed.2", "iframe.2"]);
    // That HS256 signed for the first seconds is no rotation.
    let kept = rotate(&service, &tenant, json!({ "overlapSeconds": 600 })).await;
    assert_eq!(kept.body["items"][0]["algorithm"], "eddsa", "as the one before");
    assert_eq!(generations().await, ["embed.3", "iframe.3", "embed.2", "iframe.2"]);
    rotate(&service, &tenant, json!({ "overlapSeconds": 600 }))
        .await
        .refused(409, "rotation_in_progress");
    pass(&service, 12 * MINUTE_MS);
    assert_eq!(generations().await, ["embed.3", "iframe.3"], "the old one is retired");
    let back = switch(&service, &tenant, "hs256").await;
    assert_eq!(back[0]["algorithm"], "hs256");
    pass(&service, 30 * MINUTE_MS);
    assert_eq!(generations().await, ["embed.3", "iframe.3"], "what it signed may be valid still");
    pass(&service, 60 * MINUTE_MS);
    assert_eq!(published(&service, "").await.body["keys"], json!([]));
}

#[tokio::test]
async fn tenants_say_how_they_sign_and_each_has_keys_of_its_own() {
    let service = Service::start(|_| {});
    let create = async |body: Value| {
        let made = admin(&service, Method::POST, "/tenants", Some(body)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        (text(&made, "/tenant/tenantId"), text(&made, "/tenant/signing"))
    };
    let (usual, signing) = create(json!({ "name": "A" })).await;
    assert_eq!(signing, "hs256");
    let (one, signing) = create(json!({ "name": "B", "signing": "eddsa" })).await;
    assert_eq!(signing, "eddsa");
    let (two, _) = create(json!({ "name": "C", "signing": "eddsa" })).await;
    assert_eq!(kids(&service, &usual).await, [""; 0], "a secret key is never published");
    let (of_one, of_two) = (keys(&service, &one).await, keys(&service, &two).await);
    assert_eq!((of_one.len(), of_two.len()), (2, 2));
    let all = published(&service, "").await.body["keys"].clone();
    let all = all.as_array().expect("a list");
    assert!(all.len() == 4 && of_one.iter().chain(&of_two).all(|key| all.contains(key)), "{all:?}");
    let distinct: std::collections::BTreeSet<_> =
        all.iter().map(|key| key["x"].to_string()).collect();
    assert_eq!(distinct.len(), 4);

    let signing = async |id: &str| {
        let listed = admin(&service, Method::GET, "/tenants?limit=200", None).await;
        let mut items = listed.body["items"].as_array().expect("a list").iter();
        items.find(|it| it["tenantId"] == id).expect("listed")["signing"].clone()
    };
    assert_eq!((signing(&usual).await, signing(&one).await), (json!("hs256"), json!("eddsa")));
    switch(&service, &usual, "eddsa").await;
    assert_eq!(signing(&usual).await, "eddsa");

    assert_eq!(revoke_tenant(&service, &one).await.status, 204);
    assert_eq!(kids(&service, &one).await, [""; 0], "nothing of a revoked tenant is valid");
    assert_eq!(keys(&service, &two).await, of_two);
    let unknown = format!("ten_{}", "a".repeat(26));
    assert_eq!(kids(&service, &unknown).await, [""; 0]);
    let refused = published(&service, "?tenantId=ten_A").await;
    refused.refused(400, "invalid_input");
    published(&service, "?tenant=x").await.refused(400, "invalid_input");
}

/// What is published is enough to make tokens that look right, and no more than that.
#[tokio::test]
async fn nothing_that_is_published_signs_a_token() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    switch(&service, &tenant, "eddsa").await;
    pass(&service, MINUTE_MS + 3_000);
    let token = embed_token(&service).await;
    let published = keys(&service, &tenant).await;
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(reads(&service, &token).await, 200, "the genuine one");
    pass(&service, 1_000);
    let other = embed_token(&service).await;
    let (_, other_signature) = other.rsplit_once('.').expect("a signature");
    let mut forged = vec![
        with_claims(&token, |claims| claims["sub"] = "64f000000000000000000002".into()),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{other_signature}"),
        format!("{}.{claims}.", encoded(r#"{"alg":"none"}"#)),
        format!("{}.{claims}.{signature}", encoded(r#"{"alg":"EdDSA","typ":"JWT"}"#)),
    ];
    for key in &published {
        let (kid, x) = (&key["kid"], key["x"].as_str().expect("a text"));
        let raw = URL_SAFE_NO_PAD.decode(x).expect("base64url");
        for header in [
            json!({ "alg": "HS256", "typ": "JWT" }),
            json!({ "alg": "HS256", "typ": "JWT", "kid": kid }),
            json!({ "alg": "EdDSA", "typ": "JWT", "kid": kid }),
        ] {
            for secret in [&raw[..], x.as_bytes(), key.to_string().as_bytes()] {
                let message = format!("{}.{claims}", encoded(&header.to_string()));
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
                forged.push(format!("{message}.{mac}"));
            }
        }
    }
    for token in forged {
        get(&service.url("/v1/embed/session"), &token).await.refused(401, "invalid_session_token");
    }
}

/// The secret halves stand nowhere: they are derived, and shown in no form.
#[tokio::test]
async fn no_seed_is_published_stored_or_logged() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    switch(&service, &tenant, "eddsa").await;
    pass(&service, MINUTE_MS + 3_000);
    embed_token(&service).await;
    let shown = published(&service, "").await.text;
    let keys = &service.context.master_keys;
    let generation = keys.signing.signing(&tenant, service.context.clock.now_ms());
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for audience in Audience::ALL {
        for pair in keys.key_pairs(&tenant, audience, generation) {
            let seed = pair.signing[pair.signing.len() - 32..].to_vec();
            let hex = seed.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            secrets.extend([hex.into_bytes(), URL_SAFE_NO_PAD.encode(&seed).into_bytes(), seed]);
        }
        secrets.push(keys.secret(&tenant, audience.name(), generation).to_vec());
    }
    let holds = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|it| it == part);
    let (mut searched, mut names_tenant) = (0, false);
    // Rows of PostgreSQL take less room than the pages of a file.
    let least = if is_postgres() { 10_000 } else { 100_000 };
    laid_open(service.data(), &[]);
    for file in std::fs::read_dir(service.data()).expect("it is there") {
        let bytes = std::fs::read(file.expect("an entry").path()).unwrap_or_default();
        names_tenant |= holds(&bytes, tenant.as_bytes());
        assert!(!secrets.iter().any(|secret| holds(&bytes, secret)), "a seed is stored");
        searched += bytes.len();
    }
    assert!(names_tenant && searched > least, "the search finds what is there: {searched} bytes");
    assert!(!secrets.iter().any(|secret| holds(shown.as_bytes(), secret)), "{shown}");
}

fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The README's example, which is run as it stands there.
#[tokio::test]
async fn a_backend_verifies_tokens_offline_as_the_readme_says() {
    let service = Service::start(|_| {});
    let (tenant, _) = make_tenant(&service, json!({ "name": "E", "signing": "eddsa" })).await;
    pass(&service, 4_000);
    let key = make_key(&service, &tenant, "embed", json!({ "scope": "read-write" })).await;
    let opened = open_with(&service, &key.public, &key.secret, &embed_body()).await;
    let token = text(&opened, "/data/embedToken");
    let readme = std::fs::read_to_string("README.md").expect("a text");
    let (_, example) = readme.split_once("```js\n").expect("the README has the example");
    let (example, _) = example.split_once("```").expect("it ends");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("verify.mjs");
    std::fs::write(&file, example).expect("it is ours");
    let verify = |token: &str, tenant: &str| {
        let mut node = std::process::Command::new(node());
        node.arg(&file).args([&*service.base_url, tenant, token]);
        let output = node.output().expect("node runs");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(said) } else { Err(complaint) }
    };
    assert_eq!(verify(&token, &tenant), Ok("64f000000000000000000001".to_owned()));
    let changed = with_claims(&token, |claims| claims["sub"] = "x".into());
    assert!(verify(&changed, &tenant).is_err_and(|it| it.contains("not genuine")));
    let (_, claims) = token.split_once('.').expect("three parts");
    for header in [json!({ "alg": "HS256" }), json!({ "alg": "none" })] {
        let forged = format!("{}.{claims}", encoded(&header.to_string()));
        assert!(verify(&forged, &tenant).is_err_and(|it| it.contains("no such key")));
    }
    let (other, _) = make_tenant(&service, json!({ "name": "F", "signing": "eddsa" })).await;
    assert!(verify(&token, &other).is_err_and(|it| it.contains("no such key")));
    let secret = embed_token(&service).await;
    assert!(verify(&secret, &demo_tenant(&service).await).is_err(), "HS256 is the service's own");
}
