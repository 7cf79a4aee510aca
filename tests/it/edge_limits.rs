//! How often one address, one key and one session may ask, and what they are told.

use reqwest::Method;
use serde_json::json;
use vestibule::config::Config;
use vestibule::limiter::{Counts, Mode, Rate};

use crate::callers::text;
use crate::errors::{Callers, operation};
use crate::keyring::{demo_tenant, make_key};
use crate::requests::{Answer, fresh_timestamp, get, open_embed, post, raw, send, signed};
use crate::service::Service;

const ONE: Rate = Rate { per_minute: 60, burst: 1 };
const THREE: Rate = Rate { per_minute: 60, burst: 3 };

/// A service whose clock stands still, so that nothing comes back in the middle of a test.
fn service(mode: Mode, configure: impl FnOnce(&mut Config)) -> Service {
    let service = Service::start(|config| {
        config.limits.edge_mode = mode;
        configure(config);
    });
    service.context.clock.hold_at_ms(fresh_timestamp());
    service
}

#[track_caller]
fn limited(answer: &Answer, policy: &str, rate: Rate) {
    answer.refused(429, "rate_limited");
    let Rate { per_minute, burst } = rate;
    let window = (60 * burst).div_ceil(per_minute);
    let fields = (answer.header("ratelimit-policy"), answer.header("ratelimit"));
    let policies = format!("\"{policy}\";q={burst};w={window}");
    assert_eq!(fields, (policies.as_str(), format!("\"{policy}\";r=0;t={window}").as_str()));
    assert_eq!(answer.header("retry-after"), "1");
    let told = json!({ "limit": burst, "window_s": window, "retry_after_s": 1 });
    assert_eq!(answer.body["details"], told);
}

#[tokio::test]
async fn an_address_is_refused_before_its_body_is_read() {
    let service = service(Mode::Enforce, |config| config.limits.address = ONE);
    let head = "POST /api/v1/iframe/create HTTP/1.1\r\nhost: v\r\ncontent-length: 9\r\n\r\n";
    assert_eq!(raw(&service.base_url, head).code(), "unsupported_media_type");
    let refused = raw(&service.base_url, head);
    limited(&refused, "address", ONE);
    assert_eq!(refused.header("connection"), "close");
    let counts = service.context.edge.counts();
    assert_eq!(counts.address, Counts { passed: 1, refused: 1, shadowed: 0 });
    assert_eq!(counts.key, Counts::default(), "nothing else was asked");
}

#[tokio::test]
async fn a_key_is_limited_by_whoever_holds_it_and_by_nobody_else() {
    let service = service(Mode::Enforce, |config| config.limits.key = THREE);
    let (embed, other) = (&service.demo.demo.embed, &service.demo.other.embed);
    let url = service.url("/v1/embed/sessions");
    let body = json!({ "employeeId": embed.employee_id, "capabilities": ["showChatsList"] });
    let open = async |key: &str, secret: &str, n: i64| {
        let at = fresh_timestamp() + n;
        let headers = signed(key, secret, at, body.to_string().as_bytes());
        let headers: Vec<_> = headers.iter().map(|(name, it)| (*name, it.as_str())).collect();
        post(&url, &headers, &body).await
    };
    for n in 0..5 {
        open(&embed.key, "a wrong secret", n).await.refused(401, "invalid_signature");
    }
    for n in 0..3 {
        let opened = open(&embed.key, &embed.secret, n).await;
        assert_eq!(opened.status, 201, "{}", opened.text);
    }
    limited(&open(&embed.key, &embed.secret, 3).await, "key", THREE);
    assert_eq!(open(&other.key, &other.secret, 0).await.status, 201);
    let now = service.context.clock.now_ms();
    service.context.clock.hold_at_ms(now + 1000);
    assert_eq!(open(&embed.key, &embed.secret, 4).await.status, 201, "one came back");
}

#[tokio::test]
async fn a_publishable_key_is_limited_too() {
    let service = service(Mode::Enforce, |config| config.limits.key = ONE);
    let chat = &service.demo.demo.chat;
    let (url, headers) = (service.url("/api/public/v1/chat/sessions"), [("origin", &*chat.origin)]);
    let unknown = json!({ "publicKey": "pk_live_00000000000000000000000000000000" });
    for _ in 0..3 {
        post(&url, &headers, &unknown).await.refused(403, "widget_disabled");
    }
    let known = json!({ "publicKey": chat.public_key });
    assert_eq!(post(&url, &headers, &known).await.status, 200);
    let refused = post(&url, &headers, &known).await;
    limited(&refused, "key", ONE);
    assert_eq!(refused.header("access-control-allow-origin"), chat.origin, "a page can read it");
    let readable = refused.header("access-control-expose-headers").to_lowercase();
    for name in ["retry-after", "ratelimit", "ratelimit-policy"] {
        assert!(readable.split(", ").any(|it| it == name), "{readable}");
    }
}

#[tokio::test]
async fn a_session_is_limited_apart_from_others() {
    let service = service(Mode::Enforce, |config| config.limits.session = THREE);
    let (callers, others) = (Callers::new(&service).await, Callers::new(&service).await);
    for id in ["embedSessionRead", "chatConversationRead"] {
        let read = operation(id);
        for _ in 0..3 {
            assert_eq!(callers.send(read, None).await.status, 200);
        }
        limited(&callers.send(read, None).await, "session", THREE);
        assert_eq!(others.send(read, None).await.status, 200);
    }
}

#[tokio::test]
async fn the_admin_key_is_one_key() {
    let service = service(Mode::Enforce, |config| config.limits.key = ONE);
    let url = service.url("/api/admin/v1/tenants");
    let token = format!("Bearer {}", service.demo.admin.token);
    let list = async |token: &str| send(Method::GET, &url, &[("authorization", token)], None).await;
    list("Bearer nonsense").await.refused(401, "invalid_api_key");
    assert_eq!(list(&token).await.status, 200);
    limited(&list(&token).await, "key", ONE);
}

#[tokio::test]
async fn shadow_refuses_nothing_and_counts_what_it_would_have() {
    let service = service(Mode::Shadow, |config| {
        let limits = &mut config.limits;
        (limits.address, limits.key, limits.session) = (ONE, ONE, ONE);
    });
    let callers = Callers::new(&service).await;
    let before = service.context.edge.counts();
    for id in ["embedSessionRead", "iframeSessionCreate", "tenantList"] {
        for _ in 0..3 {
            let answer = callers.send(operation(id), callers.body(operation(id))).await;
            assert!(answer.status.is_success(), "{}", answer.text);
            assert_eq!(answer.header("ratelimit"), "", "a limit that refuses nothing is not told");
        }
    }
    let after = service.context.edge.counts();
    assert_eq!(after.address.shadowed - before.address.shadowed, 9);
    // The wallet was opened with this key; the admin key made the target.
    assert_eq!(after.key.shadowed - before.key.shadowed, 6);
    assert_eq!(after.session.shadowed - before.session.shadowed, 2);
    for counts in [after.address, after.key, after.session] {
        assert_eq!(counts.refused, 0);
    }
}

/// The rate is the key's, whoever uses it: its holder or the tokens of its sessions.
#[tokio::test]
async fn a_key_with_a_rate_of_its_own_is_held_to_it_in_both_modes() {
    for mode in [Mode::Shadow, Mode::Enforce] {
        let service = service(mode, |_| {});
        let tenant = demo_tenant(&service).await;
        let ceilings = json!({ "requestsPerMinute": 3 });
        let key = make_key(&service, &tenant, "embed", json!({ "ceilings": ceilings })).await;
        let mut demo = service.demo.demo.clone();
        (demo.embed.key, demo.embed.secret) = (key.public, key.secret);
        let body = json!({
            "employeeId": demo.embed.employee_id, "capabilities": ["showChatsList"],
        });
        let opened = open_embed(&service.base_url, &demo, &body).await;
        let token = text(&opened, "/data/embedToken");
        let url = service.url("/v1/embed/session");
        for _ in 0..2 {
            assert_eq!(get(&url, &token).await.status, 200);
        }
        let refused = get(&url, &token).await;
        refused.refused(429, "rate_limited");
        assert_eq!(refused.header("ratelimit-policy"), "\"key\";q=3;w=60");
        assert_eq!(refused.header("retry-after"), "20");
    }
}

#[tokio::test]
async fn pages_are_limited_by_address_like_the_operations_and_who_watches_is_not() {
    let service = service(Mode::Enforce, |config| config.limits.address = THREE);
    let ask = async |path: &str| send(Method::GET, &service.url(path), &[], None).await;
    for path in ["/widget/frame", "/iframe/ses_x", "/embed/chats"] {
        assert_ne!(ask(path).await.status, 429, "{path}");
    }
    for path in ["/widget/frame", "/docs/api", "/openapi/admin.json"] {
        limited(&ask(path).await, "address", THREE);
    }
    for _ in 0..5 {
        for path in ["/healthz", "/readyz", "/version"] {
            assert_eq!(ask(path).await.status, 200, "{path}");
        }
    }
    let refused = ask("/v1/embed/session").await;
    limited(&refused, "address", THREE);
    assert_eq!(service.context.edge.counts().address.passed, 3, "one count for both");
}
