//! The four handlers: check who asks, check what is asked, write one transaction, answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::App;
use crate::credentials::{Claims, now_ms};
use crate::store::{Conversation, Limits, Opening, Replay};

/// How long a session lives, seconds.
const TTL_S: i64 = 900;
const CHAT_TTL_S: i64 = 3_600;
/// How long a signature is remembered after its timestamp, milliseconds.
const REMEMBER_MS: i64 = 6 * 60 * 1000;

/// Why a request is refused.
pub enum Refusal {
    Unauthorized,
    Invalid(String),
    Replayed,
    Failed(sqlx::Error),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized".to_owned()),
            Self::Invalid(why) => (StatusCode::BAD_REQUEST, why),
            Self::Replayed => (StatusCode::CONFLICT, "replayed".to_owned()),
            Self::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()),
        };
        (status, Json(json!({ "error": error }))).into_response()
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(bad) if bad.is_unique_violation() => Self::Replayed,
            other => Self::Failed(other),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum Capability {
    ShowChatsList,
    ShowChatPage,
    ShowSendInput,
    ShowStatusButton,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EmbedBody {
    employee_id: String,
    capabilities: Vec<Capability>,
    chat_id: Option<String>,
}

pub async fn embed(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let signed = app.embed.verify(&headers, &body).ok_or(Refusal::Unauthorized)?;
    let EmbedBody { employee_id, capabilities, chat_id } = parse(&body)?;
    let is_id = |id: &str| id.len() == 24 && id.bytes().all(|it| it.is_ascii_hexdigit());
    if !is_id(&employee_id) || !chat_id.as_deref().is_none_or(is_id) || capabilities.is_empty() {
        return Err(Refusal::Invalid("an id or capability is missing or malformed".to_owned()));
    }
    let (now, id) = (now_ms(), new_id("ses_"));
    let granted = json!({ "capabilities": capabilities, "chat": chat_id });
    let replay = Replay { mac: signed.mac, expires_at: signed.timestamp_ms + REMEMBER_MS };
    let opening = Opening {
        surface: "embed",
        key: &app.embed.key,
        subject: Some(format!("employee:{employee_id}")),
        replay: Some(replay),
        ..Opening::of(&id, now, TTL_S, &granted)
    };
    let expires_at = opening.expires_at;
    app.store.open_session(opening).await?;
    let token = app.tokens.mint(&Claims {
        aud: "embed".to_owned(),
        sub: employee_id,
        sid: id,
        jti: new_id("tok_"),
        iat: now / 1000,
        exp: now / 1000 + TTL_S,
    });
    let data = json!({
        "iframeUrl": format!("https://inbox.example/embed#token={token}"),
        "embedToken": token,
        "expiresAt": expires_at,
        "expiresIn": TTL_S,
        "capabilities": granted["capabilities"],
        "allowedChatId": granted["chat"],
    });
    Ok((StatusCode::CREATED, Json(json!({ "data": data }))))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChatBody {
    public_key: String,
    customer_id: Option<String>,
    locale: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatAnswer {
    session_token: String,
    conversation_id: Uuid,
    expires_at: i64,
    expires_in: i64,
    intents: Box<RawValue>,
    quick_questions: Box<RawValue>,
    widget: Box<RawValue>,
}

pub async fn chat(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<ChatAnswer>, Refusal> {
    let ChatBody { public_key, customer_id, locale, variables } = parse(&body)?;
    if !app.chat.admits(&headers, &public_key) {
        return Err(Refusal::Unauthorized);
    }
    let is_short = |text: &str| !text.is_empty() && text.len() <= 256;
    if !customer_id.as_deref().is_none_or(is_short) || !locale.as_deref().is_none_or(is_short) {
        return Err(Refusal::Invalid("customerId or locale has no right length".to_owned()));
    }
    let (now, id, conversation) = (now_ms(), new_id("ses_"), Uuid::new_v4());
    let granted = json!({ "conversation": conversation });
    let opening = Opening {
        surface: "chat",
        key: &public_key,
        subject: customer_id.as_ref().map(|it| format!("customer:{it}")),
        conversation: Some(Conversation {
            id: conversation.to_string(),
            customer: customer_id,
            locale,
            variables: json!(variables).to_string(),
        }),
        ..Opening::of(&id, now, CHAT_TTL_S, &granted)
    };
    let expires_at = opening.expires_at;
    app.store.open_session(opening).await?;
    let session_token = app.tokens.mint(&Claims {
        aud: "chat".to_owned(),
        sub: conversation.to_string(),
        sid: id,
        jti: new_id("tok_"),
        iat: now / 1000,
        exp: now / 1000 + CHAT_TTL_S,
    });
    let welcome = &app.chat.welcome;
    Ok(Json(ChatAnswer {
        session_token,
        conversation_id: conversation,
        expires_at,
        expires_in: CHAT_TTL_S,
        intents: welcome.intents.clone(),
        quick_questions: welcome.quick_questions.clone(),
        widget: welcome.widget.clone(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IframeBody {
    uid: String,
    srcs: Vec<i64>,
    ttl: Option<i64>,
    #[serde(default)]
    knowledge_base_entries: Vec<String>,
    #[serde(default)]
    reference_queries: Vec<ReferenceQuery>,
    model: Option<String>,
    theme: Option<Theme>,
    limits: Option<BTreeMap<String, i64>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ReferenceQuery {
    title: String,
    query: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Theme {
    theme_mode: Option<String>,
    start_message: Option<String>,
}

pub async fn iframe(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    if !app.iframe.admits(&headers) {
        return Err(Refusal::Unauthorized);
    }
    let asked: IframeBody = parse(&body)?;
    let is_known = asked.srcs.iter().all(|source| app.iframe.sources.contains(source));
    let ttl = asked.ttl.unwrap_or(TTL_S);
    if asked.uid.is_empty() || asked.uid.len() > 256 || !is_known || !(60..=3_600).contains(&ttl) {
        return Err(Refusal::Invalid("uid, srcs or ttl is not allowed".to_owned()));
    }
    let (now, id, cache_key) = (now_ms(), new_id("ses_"), new_id("ck_"));
    let granted = json!({
        "sources": asked.srcs,
        "entries": asked.knowledge_base_entries,
        "queries": asked.reference_queries,
        "model": asked.model,
        "theme": asked.theme,
    });
    let opening = Opening {
        surface: "iframe",
        key: "iframe",
        subject: Some(format!("uid:{}", asked.uid)),
        cache_key: Some(&cache_key),
        limits: asked.limits.map(|limits| Limits { uid: asked.uid, limits: json!(limits) }),
        ..Opening::of(&id, now, ttl, &granted)
    };
    app.store.open_session(opening).await?;
    Ok(Json(json!({
        "iframe_url": format!("https://assistant.example/{id}#{cache_key}"),
        "cache_key": cache_key,
        "expires_in": ttl,
    })))
}

pub async fn read(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    let claims = app.tokens.verify(&headers).ok_or(Refusal::Unauthorized)?;
    let now = now_ms();
    let live = app.store.live(&claims.sid, now).await?.ok_or(Refusal::Unauthorized)?;
    let granted: Value = serde_json::from_str(&live.granted).expect("it was written as JSON");
    let data = json!({
        "sessionId": claims.sid,
        "employeeId": claims.sub,
        "capabilities": granted["capabilities"],
        "allowedChatId": granted["chat"],
        "expiresAt": live.expires_at,
        "expiresIn": (live.expires_at - now) / 1000,
    });
    Ok(Json(json!({ "data": data })))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|bad| Refusal::Invalid(bad.to_string()))
}

fn new_id(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::now_v7().simple())
}
