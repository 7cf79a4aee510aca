//! What dropshot costs by itself: the same paths, bodies read by serde through `TypedBody`, and
//! the service's own answers given back as constants. Nothing is checked, nothing is stored.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use dropshot::{
    ApiDescription, ApiEndpoint, ApiEndpointVersions, ConfigDropshot, HandlerTaskMode, HttpError,
    HttpResponseCreated, HttpResponseHeaders, HttpResponseOk, RequestContext, ServerBuilder,
    TypedBody,
};
use http::Method;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vestibule_api::models;

/// Names the file of answers; this program is the bare server when it is set.
pub const ANSWERS: &str = "DOORS_BARE";

/// What every request is answered with; leaked, so that no answer has to be copied.
struct Answers {
    embed: &'static models::EmbedSessionEnvelope,
    chat: &'static models::ChatSession,
    iframe: &'static models::IframeSession,
    read: &'static models::EmbedGrantEnvelope,
}

type Request = RequestContext<Arc<Answers>>;

/// Serves until it is killed; its address is the one line on standard output.
pub fn main(answers: &Path) -> ExitCode {
    let text = std::fs::read_to_string(answers).expect("the file of answers");
    let mut all: Value = serde_json::from_str(&text).expect("JSON");
    let answers = Arc::new(Answers {
        embed: constant(all["embed"].take()),
        chat: constant(all["chat"].take()),
        iframe: constant(all["iframe"].take()),
        read: constant(all["read"].take()),
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let settings = ConfigDropshot {
            bind_address: "127.0.0.1:0".parse().expect("an address"),
            default_request_body_max_bytes: 256 * 1024,
            default_handler_task_mode: HandlerTaskMode::CancelOnDisconnect,
            ..ConfigDropshot::default()
        };
        let silent = slog::Logger::root(slog::Discard, slog::o!());
        let server = ServerBuilder::new(api(), answers, silent).config(settings).start();
        let server = server.expect("the bare server starts");
        println!("{}", server.local_addr());
        server.await.expect("it runs until it is killed");
    });
    ExitCode::SUCCESS
}

fn constant<T: DeserializeOwned>(answer: Value) -> &'static T {
    Box::leak(Box::new(serde_json::from_value(answer).expect("an answer of the service")))
}

/// Registers one endpoint. A macro, because dropshot does not export the trait that a function
/// would have to name.
macro_rules! endpoint {
    ($api:expr, $method:ident $path:expr, $handler:expr) => {
        $api.register(ApiEndpoint::new(
            stringify!($handler).to_owned(),
            $handler,
            Method::$method,
            "application/json",
            $path,
            ApiEndpointVersions::All,
        ))
        .expect("the paths are apart")
    };
}

fn api() -> ApiDescription<Arc<Answers>> {
    let mut api = ApiDescription::new();
    endpoint!(api, POST "/v1/embed/sessions", embed);
    endpoint!(api, POST "/api/public/v1/chat/sessions", chat);
    endpoint!(api, POST "/api/v1/iframe/create", iframe);
    endpoint!(api, GET "/v1/embed/session", read);
    api
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Embed {
    employee_id: String,
    capabilities: Vec<String>,
    chat_id: Option<String>,
}

async fn embed(
    context: Request,
    body: TypedBody<Embed>,
) -> Result<HttpResponseCreated<&'static models::EmbedSessionEnvelope>, HttpError> {
    let Embed { employee_id, capabilities, chat_id } = body.into_inner();
    std::hint::black_box((employee_id, capabilities, chat_id));
    Ok(HttpResponseCreated(context.context().embed))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Chat {
    public_key: String,
    customer_id: Option<String>,
    locale: Option<String>,
    variables: Option<BTreeMap<String, Value>>,
}

async fn chat(
    context: Request,
    body: TypedBody<Chat>,
) -> Result<HttpResponseOk<&'static models::ChatSession>, HttpError> {
    let Chat { public_key, customer_id, locale, variables } = body.into_inner();
    std::hint::black_box((public_key, customer_id, locale, variables));
    Ok(HttpResponseOk(context.context().chat))
}

#[derive(Deserialize, JsonSchema)]
struct Iframe {
    uid: String,
    srcs: Vec<Value>,
    ttl: Option<i64>,
    knowledge_base_entries: Option<Vec<String>>,
    reference_queries: Option<Vec<Query>>,
    model: Option<String>,
    theme: Option<BTreeMap<String, Value>>,
    limits: Option<BTreeMap<String, i64>>,
}

#[derive(Deserialize, JsonSchema)]
struct Query {
    title: String,
    query: String,
}

async fn iframe(
    context: Request,
    body: TypedBody<Iframe>,
) -> Result<HttpResponseOk<&'static models::IframeSession>, HttpError> {
    let Iframe { uid, srcs, ttl, knowledge_base_entries, reference_queries, model, theme, limits } =
        body.into_inner();
    std::hint::black_box((uid, srcs, ttl, knowledge_base_entries, model, theme, limits));
    for Query { title, query } in reference_queries.into_iter().flatten() {
        std::hint::black_box((title, query));
    }
    Ok(HttpResponseOk(context.context().iframe))
}

#[derive(Serialize, JsonSchema)]
struct Echo {
    #[serde(rename = "x-echo")]
    echo: String,
}

async fn read(
    context: Request,
) -> Result<HttpResponseHeaders<HttpResponseOk<&'static models::EmbedGrantEnvelope>, Echo>, HttpError>
{
    let sent = context.request.headers().get("authorization");
    let echo = sent.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Ok(HttpResponseHeaders::new(HttpResponseOk(context.context().read), Echo { echo }))
}
