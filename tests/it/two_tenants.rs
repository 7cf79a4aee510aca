//! Two tenants at random: whatever one of them asks, or the operator asks about it, no answer names
//! anything of the other.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::Method;
use serde_json::json;

use crate::callers::{admin, text};
use crate::keyring::tenant_id;
use crate::lifecycle::{Backend, Opened, SURFACES};
use crate::requests::Answer;
use crate::service::Service;

/// One request of one tenant; numbers pick among what was opened so far, by anybody.
#[derive(Clone, Debug)]
enum Step {
    Open(usize),
    Read(usize),
    Renew(usize),
    End(usize),
    Introspect(usize),
    Revoke(usize),
    List(usize, usize),
    Sweep(usize, usize),
    Explain(usize),
    Debug(usize),
    Page(usize),
    Usage(usize),
    /// What the operator asks about the tenant.
    Operate(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let any = || 0usize..64;
    prop_oneof![
        3 => (0usize..3).prop_map(Step::Open),
        2 => any().prop_map(Step::Read),
        1 => any().prop_map(Step::Renew),
        1 => any().prop_map(Step::End),
        2 => any().prop_map(Step::Introspect),
        1 => any().prop_map(Step::Revoke),
        3 => (any(), 0usize..7).prop_map(|(at, by)| Step::List(at, by)),
        1 => (any(), 0usize..5).prop_map(|(at, by)| Step::Sweep(at, by)),
        2 => any().prop_map(Step::Explain),
        1 => any().prop_map(Step::Debug),
        1 => any().prop_map(Step::Page),
        2 => (0usize..2).prop_map(Step::Usage),
        4 => (0..OPERATOR_ASKS).prop_map(Step::Operate),
    ]
}

/// A tenant, and every id and token that is its own.
struct Side<'a> {
    backend: Backend<'a>,
    tenant: String,
    /// Its endpoint, which is told of everything.
    webhook: String,
    ids: BTreeSet<String>,
}

impl<'a> Side<'a> {
    async fn new(backend: Backend<'a>, name: &str) -> Self {
        let tenant = tenant_id(backend.service, name).await;
        let body = json!({
            "url": DEAF, "events": ["session.created", "session.renewed", "session.revoked"],
        });
        let path = format!("/tenants/{tenant}/webhooks");
        let made = admin(backend.service, Method::POST, &path, Some(body)).await;
        let webhook = text(&made, "/webhook/webhookId");
        let ids = [tenant.clone(), webhook.clone()].into();
        Self { backend, tenant, webhook, ids }
    }
}

/// An address of this machine where nobody listens.
const DEAF: &str = "http://127.0.0.1:1024/";

/// In how many ways the operator asks about a tenant.
const OPERATOR_ASKS: usize = 7;

/// A session, and whose it is.
struct Known {
    opened: Opened,
    of: usize,
    key: String,
    chat: Option<String>,
    is_over: bool,
}

struct World<'a> {
    sides: [Side<'a>; 2],
    known: Vec<Known>,
    steps: usize,
}

impl World<'_> {
    async fn run(&mut self, of: usize, step: &Step) {
        self.steps += 1;
        if let Step::Open(surface) = step {
            return self.open(of, SURFACES[*surface]).await;
        }
        let told = match step {
            Step::Operate(what) => self.operate(of, *what).await,
            Step::Usage(whose) => self.count_message(of, *whose).await,
            _ => self.answer(of, step).await.text,
        };
        let foreign = &self.sides[1 - of].ids;
        let named: Vec<_> = foreign.iter().filter(|id| told.contains(id.as_str())).collect();
        assert!(named.is_empty(), "{step:?} of {of} names {named:?}: {told}");
        for it in &mut self.known {
            let read = self.sides[it.of].backend.read(&it.opened.sid).await;
            let is_over = read.body["state"] == "revoked";
            assert!(it.of == of || is_over == it.is_over, "{step:?} of {of} ended another's");
            it.is_over = is_over;
        }
    }

    async fn open(&mut self, of: usize, surface: &str) {
        let side = &mut self.sides[of];
        let opened = side.backend.open(surface).await;
        let read = side.backend.read(&opened.sid).await.body;
        let text = |name: &str| read[name].as_str().map(str::to_owned);
        let key = text("key_id").expect("a key");
        side.ids.extend([opened.sid.clone(), opened.token.clone(), key.clone()]);
        let chat = text("chat");
        side.ids.extend(chat.clone());
        self.known.push(Known { opened, of, key, chat, is_over: false });
    }

    async fn answer(&self, of: usize, step: &Step) -> Answer {
        let backend = &self.sides[of].backend;
        let picked = |at: usize| &self.known[at % self.known.len()];
        let (answer, of_picked) = match step {
            Step::Read(at) => (backend.read(&picked(*at).opened.sid).await, Some(picked(*at))),
            Step::Renew(at) => (backend.renew(&picked(*at).opened.sid).await, Some(picked(*at))),
            Step::End(at) => (backend.end(&picked(*at).opened.sid).await, Some(picked(*at))),
            Step::Introspect(at) => {
                let told = backend.introspect(&picked(*at).opened.token).await;
                let own = picked(*at).of == of;
                assert!(own || told.body == json!({ "active": false }), "{}", told.text);
                (told, None)
            }
            Step::Revoke(at) => {
                let body = json!({ "token": picked(*at).opened.token });
                (backend.call(Method::POST, "/tokens/revoke", Some(body)).await, None)
            }
            Step::List(at, by) => {
                let query = self.query(picked(*at), *by);
                let path = format!("/sessions?limit=200&{query}");
                (backend.call(Method::GET, &path, None).await, None)
            }
            Step::Sweep(at, by) => {
                let body = json!({ "targets": [self.target(picked(*at), *by)] });
                (backend.call(Method::POST, "/sessions:revoke", Some(body)).await, None)
            }
            Step::Explain(at) => {
                let body = json!({ "key_id": picked(*at).key });
                let told = backend.call(Method::POST, "/explain/session", Some(body)).await;
                let is_own = picked(*at).of == of;
                assert_eq!(told.body["decided_by"] == "key", !is_own, "{}", told.text);
                (told, None)
            }
            Step::Debug(at) => {
                let owner = picked(*at).of;
                let key = &self.sides[owner].backend.tenant.embed.test_key;
                let body = json!({ "key": key, "timestamp": "1", "signature": "0", "body": "" });
                let told = backend.call(Method::POST, "/debug/signature", Some(body)).await;
                assert_eq!(told.code() == "key_not_found", owner != of, "{}", told.text);
                (told, None)
            }
            Step::Page(at) => {
                let own: Vec<_> = self.known.iter().filter(|it| it.of == of).collect();
                (backend.use_token(&own[at % own.len()].opened.token).await, None)
            }
            Step::Open(_) | Step::Operate(_) | Step::Usage(_) => unreachable!("done elsewhere"),
        };
        if of_picked.is_some_and(|it| it.of != of) {
            answer.refused(404, "session_not_found");
        }
        answer
    }

    /// Counts a message of a user that both tenants have, or of one that this one has alone: it
    /// counts here and not there, and there it cannot be taken back. What the usage list tells then.
    async fn count_message(&self, of: usize, whose: usize) -> String {
        let uid = ["user-1".to_owned(), format!("only-of-{}", self.sides[of].tenant)];
        let uid = &uid[whose];
        let used = async |by| {
            let told = self.usage(by, Method::GET, &format!("/{uid}")).await;
            told.body["monthly"]["used"].as_i64().unwrap_or_else(|| panic!("{}", told.text))
        };
        let (before, foreign) = (used(of).await, used(1 - of).await);
        let counted = self.usage(of, Method::POST, &format!("/{uid}/messages")).await;
        let message = format!("/{uid}/messages/{}", text(&counted, "/message_id"));
        let taken = self.usage(1 - of, Method::DELETE, &message).await;
        taken.refused(404, "message_not_found");
        assert_eq!((used(of).await, used(1 - of).await), (before + 1, foreign), "{uid} of {of}");
        let listed = self.usage(of, Method::GET, "?limit=200").await;
        assert!(listed.text.contains(uid.as_str()), "{}", listed.text);
        listed.text
    }

    async fn usage(&self, by: usize, method: Method, path: &str) -> Answer {
        let backend = &self.sides[by].backend;
        crate::usage::usage(backend.service, &backend.tenant, method, path).await
    }

    /// What the operator is told about a tenant.
    async fn operate(&self, of: usize, what: usize) -> String {
        let Side { backend, tenant, webhook, .. } = &self.sides[of];
        let read = async |path: String| admin(backend.service, Method::GET, &path, None).await;
        let told = match what {
            0 => read(format!("/audit?limit=200&tenantId={tenant}")).await,
            1 => read(format!("/keys?limit=200&tenantId={tenant}")).await,
            2 => read(format!("/tenants/{tenant}/webhooks")).await,
            3 => read(format!("/tenants/{tenant}/webhooks/{webhook}/deliveries?limit=200")).await,
            4 => read(format!("/tenants/{tenant}/signing-keys")).await,
            5 => return self.export(of).await,
            _ => {
                let theirs = &self.sides[1 - of].webhook;
                let told = read(format!("/tenants/{tenant}/webhooks/{theirs}")).await;
                told.refused(404, "webhook_not_found");
                return told.text;
            }
        };
        assert_eq!(told.status, 200, "{}", told.text);
        told.text
    }

    /// Everything that is held of a tenant, over all pages.
    async fn export(&self, of: usize) -> String {
        let Side { backend, tenant, .. } = &self.sides[of];
        let (path, mut told) = (format!("/tenants/{tenant}/export"), String::new());
        let mut body = json!({ "everything": true, "limit": 200 });
        loop {
            let page = admin(backend.service, Method::POST, &path, Some(body.clone())).await;
            assert_eq!(page.status, 200, "{}", page.text);
            told.push_str(&page.text);
            if page.body["next"].is_null() {
                return told;
            }
            body["after"] = page.body["next"].clone();
        }
    }

    fn query(&self, of: &Known, by: usize) -> String {
        match by {
            0 => String::new(),
            1 => format!("key={}", of.key),
            2 => format!("chat={}", of.chat.as_deref().unwrap_or("none")),
            3 => "uid=user-1".to_owned(),
            4 => "state=live".to_owned(),
            5 => format!("after={}", of.opened.sid),
            _ => format!("tenant_id={}", self.sides[of.of].tenant),
        }
    }

    fn target(&self, of: &Known, by: usize) -> String {
        match by {
            0 => format!("session:{}", of.opened.sid),
            1 => format!("key:{}", of.key),
            2 => format!("chat:{}", of.chat.as_deref().unwrap_or("none")),
            3 => "uid:user-1".to_owned(),
            _ => "customer:customer-1".to_owned(),
        }
    }
}

/// No request of one tenant is answered with an id of the other, nor changes what is the other's.
#[test]
fn no_answer_names_anything_of_another_tenant() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let service = Service::start(|config| config.limits.redeem_per_minute = 1 << 20);
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(config, seed);
    let steps = std::cell::Cell::new(0);
    let all = proptest::collection::vec((0usize..2, step()), 10..30);
    let run = runner.run(&all, |script| {
        runtime.block_on(async {
            let sides = [
                Side::new(Backend::demo(&service), "Demo shop").await,
                Side::new(Backend::other(&service), "Other shop").await,
            ];
            let mut world = World { sides, known: Vec::new(), steps: 0 };
            for of in [0, 1] {
                world.open(of, "iframe").await;
            }
            for (of, step) in &script {
                world.run(*of, step).await;
            }
            steps.set(steps.get() + world.steps);
        });
        Ok(())
    });
    run.unwrap_or_else(|bad| panic!("{bad}"));
    println!("two tenants: {} random requests, 0 foreign ids", steps.get());
}
