//! Handlers that fail in ways ours must not, behind the generated glue: a panic, an answer that
//! never comes, a refusal that its operation does not document.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dropshot::{ApiDescription, ConfigDropshot, HttpServer, ServerBuilder};
use serde_json::json;
use vestibule_api::authenticate::Authenticate;
use vestibule_api::codes;
use vestibule_api::iframe_tokens::{
    IframeTokenRedeemRequest, IframeTokenRedeemResponse, IframeTokens,
};
use vestibule_runtime::{
    BodyLimits, Host, Limited, Received, Refusal, RequestRecord, Scope, Scoped,
};

use crate::requests::{Answer, post};

#[tokio::test]
async fn panic_in_a_handler_is_a_500_with_a_request_id() {
    let server = start();
    let answer = redeem(&server, "panic").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (500, "internal"));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let request_id = answer.body["request_id"].as_str().expect("a request id");
    assert_eq!(request_id, answer.header("x-request-id"));
    assert!(!answer.text.contains("on purpose"), "{}", answer.text);
    let next = redeem(&server, "refuse").await;
    assert_eq!(next.code(), "cache_key_used", "the service goes on");
}

#[tokio::test]
async fn handler_past_its_deadline_is_a_503() {
    let answer = redeem(&start(), "never").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "unavailable"));
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn undocumented_refusal_never_leaves_the_service() {
    let answer = redeem(&start(), "undocumented").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (500, "internal"));
}

fn start() -> HttpServer<Arc<Clumsy>> {
    let mut api = ApiDescription::new();
    vestibule_api::iframe_tokens::register(&mut api).expect("one path");
    answer(api)
}

/// A server with these operations on a free port.
pub fn answer(api: ApiDescription<Arc<Clumsy>>) -> HttpServer<Arc<Clumsy>> {
    let limits = BodyLimits::new(Duration::from_secs(10), 1 << 20);
    let silent = slog::Logger::root(slog::Discard, slog::o!());
    let settings = ConfigDropshot {
        bind_address: "127.0.0.1:0".parse().expect("an address"),
        ..ConfigDropshot::default()
    };
    let server = ServerBuilder::new(api, Arc::new(Clumsy { limits }), silent).config(settings);
    server.start().expect("it starts")
}

/// What the handler does is written in place of a cache key.
async fn redeem(server: &HttpServer<Arc<Clumsy>>, what: &str) -> Answer {
    let url = format!("http://{}/api/v1/iframe/token", server.local_addr());
    post(&url, &[], &json!({ "cache_key": what })).await
}

/// A service with one operation, whose handler does as it is told.
pub struct Clumsy {
    limits: BodyLimits,
}

impl IframeTokens for Clumsy {
    async fn iframe_token_redeem(
        &self,
        request: IframeTokenRedeemRequest,
    ) -> Result<IframeTokenRedeemResponse, Refusal> {
        match request.body.cache_key.as_str() {
            "panic" => panic!("on purpose"),
            "never" => std::future::pending().await,
            "undocumented" => Err(Refusal::new(codes::TENANT_NOT_FOUND)),
            _ => Err(Refusal::new(codes::CACHE_KEY_USED)),
        }
    }
}

impl Host for Clumsy {
    fn body_limits(&self) -> &BodyLimits {
        &self.limits
    }

    fn handler_deadline(&self) -> Duration {
        Duration::from_millis(100)
    }

    async fn origin_may_read(&self, _: &str) -> bool {
        false
    }

    fn count_address(&self, _: IpAddr) -> Result<(), Refusal> {
        Ok(())
    }

    fn observe(&self, _: &RequestRecord<'_>) {}
}

/// A caller that there is not.
pub enum Nobody {}

impl Scoped for Nobody {
    fn scope(&self) -> Scope<'_> {
        match *self {}
    }
}

impl Limited<Clumsy> for Nobody {
    fn count(&self, _: &Clumsy) -> Result<(), Refusal> {
        match *self {}
    }
}

/// Nobody is ever let in; the one operation above asks nobody.
impl Authenticate for Clumsy {
    type AdminKey = Nobody;
    type ApiKey = Nobody;
    type ChatToken = Nobody;
    type EmbedToken = Nobody;
    type SignedKey = Nobody;
    type SignedV2 = Nobody;

    async fn admin_key(&self, _: &Received) -> Result<Nobody, Refusal> {
        Err(Refusal::new(codes::INVALID_API_KEY))
    }

    async fn api_key(&self, _: &Received) -> Result<Nobody, Refusal> {
        Err(Refusal::new(codes::INVALID_API_KEY))
    }

    async fn chat_token(&self, _: &Received) -> Result<Nobody, Refusal> {
        Err(Refusal::new(codes::INVALID_API_KEY))
    }

    async fn embed_token(&self, _: &Received) -> Result<Nobody, Refusal> {
        Err(Refusal::new(codes::INVALID_API_KEY))
    }

    async fn signed_key(&self, _: &Received) -> Result<Nobody, Refusal> {
        Err(Refusal::new(codes::INVALID_API_KEY))
    }

    async fn signed_v2(&self, _: &Received) -> Result<Nobody, Refusal> {
        Err(Refusal::new(codes::INVALID_API_KEY))
    }
}
