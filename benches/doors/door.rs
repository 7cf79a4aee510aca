//! The four measured requests, each unique, as bytes for the wire.

use secrecy::SecretString;
use serde_json::{Value, json};
use vestibule::cli::dev::{DevCredentials, TenantCredentials};
use vestibule::context::Clock;
use vestibule::domain::signature;

use crate::load::Connection;
use crate::server::Server;

/// What is measured.
#[derive(Clone, Copy)]
pub enum Door {
    /// Signed creation of an embed session.
    Embed,
    /// Creation of a chat session with a publishable key.
    Chat,
    /// Creation of an iframe session with an API key.
    Iframe,
    /// The token-checked read of an embed session.
    Read,
}

/// Who sends the requests.
pub struct Holder {
    /// One answer of the service for each door, by its name in the bare server.
    pub answers: Value,
    /// What the requests are made with.
    pub demo: DevCredentials,
    clock: Clock,
    /// Embed tokens, one for each connection.
    tokens: Vec<String>,
}

impl Holder {
    /// Opens the sessions that are read later, and keeps an answer of each door.
    pub async fn open(service: &Server, sessions: usize) -> Self {
        let demo = service.demo.clone().expect("the server has credentials");
        let mut holder =
            Self { answers: json!({}), demo, clock: Clock::default(), tokens: Vec::new() };
        let mut connection = Connection::open(service.address).await;
        for at in 0..sessions {
            let answer = exchange(&mut connection, Door::Embed, &holder, at).await;
            holder.tokens.push(answer["data"]["embedToken"].as_str().expect("a token").to_owned());
        }
        for door in Door::ALL {
            let answer = exchange(&mut connection, door, &holder, sessions).await;
            holder.answers[door.key()] = answer;
        }
        holder
    }

    fn demo(&self) -> &TenantCredentials {
        &self.demo.demo
    }
}

async fn exchange(connection: &mut Connection, door: Door, holder: &Holder, at: usize) -> Value {
    let answer = connection.exchange(&door.request(holder, at)).await;
    assert_eq!(answer.status, door.status(), "{}", String::from_utf8_lossy(answer.body));
    serde_json::from_slice(answer.body).expect("JSON")
}

impl Door {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Embed, Self::Chat, Self::Iframe, Self::Read];
    /// Those that open a session.
    pub const CREATES: [Self; 3] = [Self::Embed, Self::Chat, Self::Iframe];

    /// The status of its answers.
    pub fn status(self) -> u16 {
        match self {
            Self::Embed => 201,
            Self::Chat | Self::Iframe | Self::Read => 200,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed session, create",
            Self::Chat => "chat session, create",
            Self::Iframe => "iframe session, create",
            Self::Read => "embed session, read",
        }
    }

    /// The least ratio to the bare server that is aimed at.
    pub fn aim(self) -> f64 {
        match self {
            Self::Embed => 0.5,
            Self::Chat => 0.55,
            Self::Iframe => 0.47,
            Self::Read => 0.67,
        }
    }

    /// Its member in [`Holder::answers`].
    fn key(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::Chat => "chat",
            Self::Iframe => "iframe",
            Self::Read => "read",
        }
    }

    /// The whole request. `at` makes it another one than its neighbours.
    pub fn request(self, holder: &Holder, at: usize) -> Vec<u8> {
        let demo = holder.demo();
        match self {
            Self::Embed => embed(holder, at),
            Self::Chat => {
                let headers = format!("origin: {}\r\n", demo.chat.origin);
                post("/api/public/v1/chat/sessions", &headers, &chat_body(demo, at))
            }
            Self::Iframe => {
                let headers = format!("authorization: Bearer {}\r\n", demo.iframe.api_key);
                post("/api/v1/iframe/create", &headers, &iframe_body(demo, at))
            }
            Self::Read => {
                let token = &holder.tokens[at % holder.tokens.len()];
                let head = format!(
                    "GET /v1/embed/session HTTP/1.1\r\nhost: v\r\nauthorization: Bearer {token}\r\n\r\n"
                );
                head.into_bytes()
            }
        }
    }

    /// The request with other credentials than the holder's.
    pub fn forged(self, holder: &Holder, at: usize) -> Vec<u8> {
        let mut request = self.request(holder, at);
        let header: &[u8] = match self {
            Self::Embed => b"x-yolead-signature: ",
            Self::Chat => b"origin: ",
            Self::Iframe | Self::Read => b"authorization: ",
        };
        let start = request.windows(header.len()).position(|it| it == header).expect("it is sent");
        let length = request[start..].iter().position(|it| *it == b'\r').expect("it ends");
        // Not the last one, whose bits may not all count.
        let changed = &mut request[start + length - 6];
        *changed = if *changed == b'a' { b'b' } else { b'a' };
        request
    }
}

fn embed(holder: &Holder, at: usize) -> Vec<u8> {
    let embed = &holder.demo().embed;
    // The chat's id makes the body, and so the signature, a new one.
    let body = json!({
        "employeeId": embed.employee_id,
        "chatId": format!("{at:024x}"),
        "capabilities": ["showChatPage", "showSendInput", "showStatusButton"],
    });
    // Signed long before it is sent, but dated as it would be: ten in a millisecond, not hundreds.
    let now = holder.clock.now_ms() + at as i64 / 10;
    let secret = SecretString::from(embed.secret.as_str());
    let signature = signature::sign(&secret, now, body.to_string().as_bytes());
    let headers = format!(
        "x-yolead-key: {}\r\nx-yolead-timestamp: {now}\r\nx-yolead-signature: {signature}\r\n",
        embed.key
    );
    post("/v1/embed/sessions", &headers, &body)
}

fn chat_body(demo: &TenantCredentials, at: usize) -> Value {
    json!({
        "publicKey": demo.chat.public_key,
        "customerId": format!("customer-{at}"),
        "locale": "en-GB",
        "variables": { "cart_total": 129, "page_path": "/pricing", "tags": ["returning", "vip"] },
    })
}

fn iframe_body(demo: &TenantCredentials, at: usize) -> Value {
    json!({
        "uid": format!("user-{at}"),
        "srcs": demo.iframe.source_ids,
        "ttl": 900,
        "knowledge_base_entries": ["The fiscal year begins in April."],
        "reference_queries": [{
            "title": "Revenue by month",
            "query": "SELECT month, SUM(amount) FROM revenue GROUP BY month",
        }],
        "model": "gpt-5",
        "theme": { "theme_mode": "dark", "start_message": "What would you like to know?" },
        "limits": { "hourly": 20, "daily": 100 },
    })
}

fn post(path: &str, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: v\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}
