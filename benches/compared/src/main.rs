//! The three doors and the read as an ordinary team would write them with axum and sqlx: one
//! transaction for each request, the same credentials checked, equivalent rows written.
//!
//! `compared FILE`: the credentials and the database stand in FILE, which the bench `doors` writes.
//! Its address is the one line on standard output. Left out, in its favour: rotation, quotas,
//! ceilings, idempotency, revocation on other instances, hash chains, limits, metrics.

mod credentials;
mod doors;
mod store;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use serde::Deserialize;

use credentials::{ChatKey, EmbedKey, IframeKey, Tokens};
use store::Store;

/// What every handler needs.
pub struct App {
    pub store: Store,
    pub tokens: Tokens,
    pub embed: EmbedKey,
    pub chat: ChatKey,
    pub iframe: IframeKey,
}

/// What the file says.
#[derive(Deserialize)]
struct Settings {
    /// `sqlite://…` or `postgres://…`.
    database: String,
    token_secret: String,
    embed: EmbedKey,
    chat: ChatKey,
    iframe: IframeKey,
}

#[tokio::main]
async fn main() {
    let file = PathBuf::from(std::env::args_os().nth(1).expect("usage: compared FILE"));
    let text = std::fs::read_to_string(file).expect("the file can be read");
    let settings: Settings = serde_json::from_str(&text).expect("the file has this shape");
    let app = App {
        store: Store::open(&settings.database).await.expect("the database can be opened"),
        tokens: Tokens::new(&settings.token_secret),
        embed: settings.embed,
        chat: settings.chat,
        iframe: settings.iframe,
    };
    let router = Router::new()
        .route("/v1/embed/sessions", post(doors::embed))
        .route("/v1/embed/session", get(doors::read))
        .route("/api/public/v1/chat/sessions", post(doors::chat))
        .route("/api/v1/iframe/create", post(doors::iframe))
        .layer(DefaultBodyLimit::max(256 * 1024))
        .with_state(Arc::new(app));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    println!("{}", listener.local_addr().expect("it is bound"));
    axum::serve(listener, router).await.expect("it runs until it is killed");
}
