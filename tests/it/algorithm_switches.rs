//! What signs a tenant's tokens changes while everybody opens and reads: from HS256 to EdDSA, from
//! one EdDSA key to the next, and back, on two instances, without a spurious 401.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use vestibule::domain::signing_key::{Rotation, SigningAlgorithm};

use crate::callers::text;
use crate::keyring::{demo_tenant, open_demo, read_jwt};
use crate::lifecycle::Backend;
use crate::requests::{get, open_iframe, post, send};
use crate::service::Service;
use crate::webhook_receiver::until;

/// A tenant whose tokens may be verified without asking for as long as older ones live.
const OVERLAP_S: u32 = 3600;

/// Begins a new generation, through the store: without the minute for which the admin surface shows
/// a public key before it signs.
async fn switch(service: &Service, tenant: &str, algorithm: Option<SigningAlgorithm>) {
    let context = &service.context;
    let rotation = Rotation { overlap_s: OVERLAP_S, algorithm, cached_s: 0 };
    let audit = context.audit(tenant, "test", "signing_key.rotate", tenant);
    let now = context.clock.now_ms();
    let rotated = context.store.rotate_signing_key(tenant, rotation, now, audit, None).await;
    rotated.expect("it is rotated");
}

async fn keys(service: &Service) -> Vec<Value> {
    let url = service.url("/.well-known/jwks.json");
    let answer = send(Method::GET, &url, &[], None).await;
    answer.body["keys"].as_array().expect("a list").clone()
}

/// Whether one of these keys signed the token, as somebody sees it who has nothing else.
fn is_genuine(token: &str, keys: &[Value]) -> bool {
    let (header, _) = read_jwt(token);
    let key = keys.iter().find(|key| key["kid"] == header["kid"]);
    let x = key.and_then(|key| key["x"].as_str()).map(|x| URL_SAFE_NO_PAD.decode(x));
    let Some(Ok(x)) = x else { return false };
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    UnparsedPublicKey::new(&ED25519, x).verify(message.as_bytes(), &signature).is_ok()
}

/// Opens an inbox session of an employee of its own: equal bodies in one millisecond would be one
/// signature.
async fn open_embed(service: &Service) -> String {
    static EMPLOYEES: AtomicU64 = AtomicU64::new(0);
    let employee = format!("{:024x}", EMPLOYEES.fetch_add(1, Ordering::Relaxed));
    let body = json!({ "employeeId": employee, "capabilities": ["showChatsList"] });
    text(&open_demo(service, &body).await, "/data/embedToken")
}

/// An iframe link's cache key and the token behind it.
async fn open_link(service: &Service) -> (String, String) {
    let demo = &service.demo.demo;
    let body = json!({ "uid": "u", "srcs": demo.iframe.source_ids });
    let cache_key = text(&open_iframe(&service.base_url, demo, &body).await, "/cache_key");
    let token = redeem(service, &cache_key).await;
    (cache_key, token)
}

async fn redeem(service: &Service, cache_key: &str) -> String {
    let url = service.url("/api/v1/iframe/token");
    text(&post(&url, &[], &json!({ "cache_key": cache_key })).await, "/access_token")
}

/// What one client was given.
#[derive(Default)]
struct Held {
    embed: Vec<String>,
    /// Cache keys and the tokens behind them.
    iframe: Vec<(String, String)>,
}

impl Held {
    /// Asks an instance for everything at a place of what is held; how many answers that took.
    async fn check(&self, there: &Service, at: usize) -> usize {
        let read = get(&there.url("/v1/embed/session"), &self.embed[at]).await;
        assert_eq!(read.status, 200, "a spurious refusal: {}", read.text);
        let (_, token) = &self.iframe[at];
        let asked = Backend::demo(there).introspect(token).await;
        assert_eq!(asked.body["active"], true, "a spurious refusal: {}", asked.text);
        2
    }

    /// Whether both tokens at a place are signed by another key than those at an earlier one.
    fn is_of_another_key(&self, earlier: usize, at: usize) -> bool {
        let embed = read_jwt(&self.embed[earlier]).0 != read_jwt(&self.embed[at]).0;
        let iframe = read_jwt(&self.iframe[earlier].1).0 != read_jwt(&self.iframe[at].1).0;
        embed && iframe
    }

    /// Exchanges a cache key once more.
    async fn redeem(&self, there: &Service, at: usize) -> usize {
        let (cache_key, token) = &self.iframe[at];
        assert_eq!(&redeem(there, cache_key).await, token, "the identical token");
        1
    }
}

/// What a served instance does in the background.
async fn hear(service: &Service, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        service.context.hear_of_signing_keys().await.expect("the store answers");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn two_instances() -> (Service, Service, String) {
    let here = Service::start(|config| config.limits.redeem_per_minute = 1 << 20);
    let there = Service::beside(&here);
    let tenant = demo_tenant(&here).await;
    (here, there, tenant)
}

/// Four clients open on one instance and ask the other, while the tenant's algorithm changes.
async fn changes_under_load(
    here: &Service,
    there: &Service,
    tenant: &str,
    to: Option<SigningAlgorithm>,
) -> Vec<Held> {
    let (over, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    // Rounds with tokens of the key before, and rounds with tokens of the new one alone.
    let (before, after) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let client = async |n: usize| {
        let (one, other) = if n.is_multiple_of(2) { (here, there) } else { (there, here) };
        let mut held = Held::default();
        while !over.load(Ordering::Relaxed) {
            held.embed.push(open_embed(one).await);
            held.iframe.push(open_link(one).await);
            let last = held.embed.len() - 1;
            let is_new = held.is_of_another_key(0, last);
            if is_new { &after } else { &before }.fetch_add(1, Ordering::Relaxed);
            for at in [0, last] {
                answers.fetch_add(held.check(other, at).await, Ordering::Relaxed);
            }
        }
        held
    };
    let change = async {
        let enough = |rounds: &AtomicUsize| rounds.load(Ordering::Relaxed) >= 12;
        until(async || enough(&before), || "nobody opens anything".to_owned()).await;
        switch(here, tenant, to).await;
        // Pending for two to three seconds.
        until(async || enough(&after), || "nobody signs with the new key".to_owned()).await;
        over.store(true, Ordering::Relaxed);
    };
    let clients = futures::future::join_all((0..4).map(client));
    let (all, (), (), ()) = tokio::join!(clients, change, hear(here, &over), hear(there, &over));
    for held in &all {
        for at in 0..held.embed.len() {
            let answered = held.check(here, at).await + held.redeem(there, at).await;
            answers.fetch_add(answered, Ordering::Relaxed);
        }
    }
    println!("to {to:?} under load: {} answers, 0 refusals", answers.into_inner());
    all
}

fn algorithms(all: &[Held]) -> [usize; 2] {
    let tokens = all.iter().flat_map(|it| it.embed.iter().chain(it.iframe.iter().map(|it| &it.1)));
    let mut counts = [0, 0];
    for token in tokens {
        counts[usize::from(read_jwt(token).0["alg"] == "EdDSA")] += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_to_eddsa_under_load_refuses_nobody_and_back_neither() {
    let (here, there, tenant) = two_instances().await;
    let all = changes_under_load(&here, &there, &tenant, Some(SigningAlgorithm::Eddsa)).await;
    let [hs256, eddsa] = algorithms(&all);
    println!("{hs256} HS256 tokens, {eddsa} EdDSA tokens");
    assert!(hs256 > 8 && eddsa > 8, "{hs256} and {eddsa}");
    let keys = keys(&there).await;
    for token in all.iter().flat_map(|held| &held.embed) {
        let is_signed_so = read_jwt(token).0["alg"] == "EdDSA";
        assert_eq!(is_genuine(token, &keys), is_signed_so, "{token}");
    }
    // When what HS256 signed is over, the tenant may be switched again.
    for service in [&here, &there] {
        service.context.clock.set_offset_ms(2 * 60 * 60 * 1000);
    }
    let all = changes_under_load(&here, &there, &tenant, Some(SigningAlgorithm::Hs256)).await;
    let [hs256, eddsa] = algorithms(&all);
    assert!(hs256 > 8 && eddsa > 8, "{hs256} and {eddsa}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_an_eddsa_key_under_load_refuses_nobody_here_and_nobody_who_verifies_offline()
{
    let (here, there, tenant) = two_instances().await;
    switch(&here, &tenant, Some(SigningAlgorithm::Eddsa)).await;
    for service in [&here, &there] {
        service.context.clock.set_offset_ms(2 * 60 * 60 * 1000);
        service.context.hear_of_signing_keys().await.expect("the store answers");
    }
    let all = changes_under_load(&here, &there, &tenant, None).await;
    let keys = keys(&there).await;
    let mut generations = std::collections::BTreeMap::<String, usize>::new();
    for token in all.iter().flat_map(|it| it.embed.iter().chain(it.iframe.iter().map(|it| &it.1))) {
        assert!(is_genuine(token, &keys), "{:?} of {keys:?}", read_jwt(token));
        let kid = read_jwt(token).0["kid"].as_str().expect("a name").to_owned();
        *generations.entry(kid).or_default() += 1;
    }
    println!("tokens by key: {generations:?}");
    assert_eq!(generations.len(), 4, "two generations of two surfaces");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_instance_publishes_a_new_key_within_a_second() {
    let (here, there, tenant) = two_instances().await;
    for service in [&here, &there] {
        assert_eq!(keys(service).await, [Value::Null; 0]);
    }
    switch(&here, &tenant, Some(SigningAlgorithm::Eddsa)).await;
    let start = Instant::now();
    let of_here = keys(&here).await;
    assert_eq!(of_here.len(), 2, "at once where it was switched");
    loop {
        let of_there = keys(&there).await;
        if of_there == of_here {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{of_there:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("published there after {:?}", start.elapsed());
}
