//! What the parts of a request cost: signature, strict reading and validation, tokens.
//!
//! `cargo bench --bench parts`. No server and no store; `doors` measures the whole.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vestibule::domain::api_key::KeyHash;
use vestibule::domain::chat_token::{self, ChatClaims};
use vestibule::domain::key_pair::KeyPair;
use vestibule::domain::sealing::MasterKeys;
use vestibule::domain::signature::{self, Header, SignedHeaders};
use vestibule::domain::signing_key::{Rotation, SigningAlgorithm, rotated};
use vestibule::domain::token::{Audience, EmbedClaims, IframeClaims, Tokens};
use vestibule::verified_tokens::VerifiedTokens;
use vestibule_api::authenticate::windows;
use vestibule_api::{models, schemas};
use vestibule_runtime::{Part, Schema, json as strict};

const NOW: i64 = 1_700_000_000_000;
const SECRET: &str = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OLD_MASTER_KEY: &str = "c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab525f0c2b7e91d34a68b7";
const MASTER_KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";

criterion_group!(parts, signatures, bodies, tokens, eddsa_tokens);
criterion_main!(parts);

fn signatures(bench: &mut Criterion) {
    let secret = SecretString::from(SECRET);
    let body = embed_body().to_string();
    let timestamp = NOW.to_string();
    let signature = signature::sign(&secret, NOW, body.as_bytes());
    let headers = SignedHeaders {
        key: Header::Once(b"yk_00000000000000000000000000000001"),
        timestamp: Header::Once(timestamp.as_bytes()),
        signature: Header::Once(signature.as_bytes()),
    };
    let secrets = [secret];
    bench.bench_function("verify embed signature", |timer| {
        timer.iter(|| {
            let signed =
                black_box(headers).check(NOW, windows::EMBED_TIMESTAMP_MS).expect("well formed");
            signed.verify(black_box(body.as_bytes()), &secrets).expect("genuine")
        });
    });
}

fn bodies(bench: &mut Criterion) {
    let largest = "x".repeat(8_192);
    let iframe_large = json!({
        "uid": "user-1", "srcs": [101], "knowledge_base_entries": vec![largest; 28],
    });
    one::<models::CreateEmbedSession>(
        bench,
        ("embed", &embed_body()),
        schemas::embed::create_embed_session(),
    );
    one::<models::CreateChatSession>(
        bench,
        ("chat", &chat_body()),
        schemas::chat::create_chat_session(),
    );
    let iframe = schemas::iframe::create_iframe_session();
    one::<models::CreateIframeSession>(bench, ("iframe", &iframe_body()), iframe);
    one::<models::CreateIframeSession>(bench, ("iframe, 224 KiB", &iframe_large), iframe);
}

/// Reading, checking and the model, apart and together.
fn one<T: DeserializeOwned>(bench: &mut Criterion, (name, body): (&str, &Value), schema: &Schema) {
    let text = body.to_string();
    let read = || strict::read(black_box(text.as_bytes())).expect("strict JSON").value;
    let check = |value: &Value| assert!(schema.check(Part::Body, value).is_empty());
    let model = |value: Value| serde_json::from_value::<T>(value).expect("a valid body");
    let mut group = bench.benchmark_group("body");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function(BenchmarkId::new("strict read", name), |timer| timer.iter(read));
    let value = read();
    group.bench_function(BenchmarkId::new("validate", name), |timer| {
        timer.iter(|| check(black_box(&value)));
    });
    group.bench_function(BenchmarkId::new("read, validate, model", name), |timer| {
        timer.iter(|| {
            let value = read();
            check(&value);
            model(value)
        });
    });
    group.finish();
}

fn tokens(bench: &mut Criterion) {
    let keys = Arc::new(MasterKeys::parse([MASTER_KEY]).expect("a random key"));
    let tokens = Tokens::new(keys.clone(), "http://127.0.0.1:8080");
    let (embed, iframe, chat) = (embed_claims(), iframe_claims(), chat_claims());
    bench.bench_function("mint embed token", |timer| {
        timer.iter(|| tokens.mint(black_box(&embed)).expect("short"));
    });
    bench.bench_function("mint iframe token", |timer| {
        timer.iter(|| tokens.mint(black_box(&iframe)).expect("short"));
    });
    bench.bench_function("mint chat token", |timer| {
        timer.iter(|| chat_token::mint(&keys, black_box(&chat)));
    });
    let token = tokens.mint(&embed).expect("short");
    bench.bench_function("verify embed token", |timer| {
        timer.iter(|| tokens.verify::<EmbedClaims>(black_box(&token), NOW).expect("genuine"));
    });
    let token = chat_token::mint(&keys, &chat);
    bench.bench_function("verify chat token", |timer| {
        timer.iter(|| chat_token::verify(&keys, black_box(&token), NOW).expect("genuine"));
    });
}

/// What a tenant pays for tokens that others verify, with one and with two master keys.
fn eddsa_tokens(bench: &mut Criterion) {
    let keys = MasterKeys::parse([MASTER_KEY, OLD_MASTER_KEY]).expect("random keys");
    let claims = embed_claims();
    let algorithm = Some(SigningAlgorithm::Eddsa);
    let rotation = Rotation { overlap_s: 0, algorithm, cached_s: 0 };
    let all = rotated(&claims.tid, &[], rotation, 0).expect("the first rotation");
    keys.signing.replace(all);
    let tokens = Tokens::new(Arc::new(keys), "http://127.0.0.1:8080");
    bench.bench_function("mint EdDSA embed token", |timer| {
        timer.iter(|| tokens.mint(black_box(&claims)).expect("short"));
    });
    let token = tokens.mint(&claims).expect("short");
    bench.bench_function("verify EdDSA embed token", |timer| {
        timer.iter(|| tokens.verify::<EmbedClaims>(black_box(&token), NOW).expect("genuine"));
    });
    let (verified, hash) = (VerifiedTokens::default(), KeyHash::of(&token));
    bench.bench_function("verify EdDSA embed token, remembered", |timer| {
        timer.iter(|| {
            verified.claims(&tokens, black_box(&token), &hash, NOW).expect("genuine");
        });
    });
    bench.bench_function("make a key pair", |timer| {
        timer.iter(|| KeyPair::of_seed(black_box(&[7; 32]), &claims.tid, Audience::Embed, 2));
    });
}

fn embed_body() -> Value {
    json!({
        "employeeId": "64f000000000000000000001",
        "chatId": "64f000000000000000000002",
        "capabilities": ["showChatPage", "showSendInput", "showStatusButton"],
    })
}

fn chat_body() -> Value {
    json!({
        "publicKey": "pk_live_1a2b3c4d5e6f7890abcd1234ef567890",
        "customerId": "customer-1842",
        "locale": "en-GB",
        "variables": { "cart_total": 129, "page_path": "/pricing", "tags": ["returning", "vip"] },
    })
}

fn iframe_body() -> Value {
    json!({
        "uid": "user-1842",
        "srcs": ["sales-warehouse", 7],
        "ttl": 900,
        "knowledge_base_entries": ["The fiscal year begins in April."],
        "reference_queries": [{
            "title": "Revenue by month",
            "query": "SELECT month, SUM(amount) FROM revenue GROUP BY month",
        }],
        "model": "gpt-5",
        "theme": {
            "theme_mode": "dark",
            "custom_css_vars": { "--accent": "#0f62fe" },
            "start_message": "What would you like to know about your sales?",
        },
        "limits": { "hourly": 20, "daily": 100 },
    })
}

fn embed_claims() -> EmbedClaims {
    let IframeClaims { iss, sub, tid, sid, jti, iat, nbf, exp, .. } = iframe_claims();
    let aud = Audience::Embed.name().into();
    let cap = ["showChatPage", "showSendInput", "showStatusButton"].map(str::to_owned).into();
    let chat = Some("64f000000000000000000002".into());
    EmbedClaims { iss, aud, sub, tid, sid, jti, iat, nbf, exp, cap, chat, kg: 1 }
}

fn iframe_claims() -> IframeClaims {
    IframeClaims {
        iss: "http://127.0.0.1:8080".into(),
        aud: Audience::Iframe.name().into(),
        sub: "64f000000000000000000001".into(),
        tid: "ten_aaaaaaaaaaaaaaaaaaaaaaaaaa".into(),
        sid: "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa".into(),
        jti: "tok_aaaaaaaaaaaaaaaaaaaaaaaaaa".into(),
        iat: NOW / 1000,
        nbf: NOW / 1000,
        exp: NOW / 1000 + 900,
        kg: 1,
    }
}

fn chat_claims() -> ChatClaims {
    ChatClaims {
        tid: "ten_aaaaaaaaaaaaaaaaaaaaaaaaaa".into(),
        sid: "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa".into(),
        cid: "3c90c3cc-0d44-4b50-8888-8dd25736052a".into(),
        jti: "tok_k5xw2vq7m3n4p6r7sabcdefghi".into(),
        iat: NOW / 1000,
        exp: NOW / 1000 + 3600,
    }
}
