//! What a fault may know: the documents, the demo credentials, and how to sign with them.
//!
//! A faulty server knows its own secrets, so the proxy must, to let through what it should not.

use std::net::SocketAddr;

use serde_json::{Value, json};
use vestibule_conformance::{sign, unique_ms};

use crate::documents::Documents;
use crate::exchange::Request;
use crate::server::Server;

/// The running server and what is known of it.
pub struct World {
    /// The documents.
    pub documents: Documents,
    server: Server,
}

impl World {
    /// What is known of a server.
    pub fn new(documents: Documents, server: Server) -> Self {
        Self { documents, server }
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The server itself.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// A credential of the demo, e.g. `/embed/secret`.
    ///
    /// # Panics
    /// When the demo has no such credential.
    pub fn credential(&self, pointer: &str) -> &str {
        let found = self.server.credentials.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("the demo has no credential {pointer}"))
    }

    /// Whether this is the id of a theme of the demo's second tenant.
    pub fn is_foreign_theme(&self, id: &Value) -> bool {
        let themes = self.server.credentials["other"]["iframe"]["theme_ids"].as_array();
        themes.is_some_and(|themes| themes.contains(id))
    }

    /// A body that the server takes for sure.
    ///
    /// # Panics
    /// When the operation takes no body.
    pub fn fine_body(&self, operation: &str) -> Value {
        let all = &self.server.credentials;
        match operation {
            "embedSessionCreate" => json!({
                "employeeId": all["embed"]["employee_id"],
                "capabilities": ["showChatsList"],
            }),
            "chatSessionCreate" => json!({ "publicKey": all["chat"]["public_key"] }),
            "iframeSessionCreate" => json!({
                "uid": "somebody",
                "srcs": [all["iframe"]["source_ids"][0]],
            }),
            "tenantCreate" => json!({ "name": "A tenant" }),
            other => panic!("{other} has no body that is always fine"),
        }
    }

    /// The key and the timestamp of a signed request.
    pub fn claimed(&self, request: &Request) -> Option<(String, i64)> {
        let key = request.once(&self.documents.header("embedKey"))?.to_owned();
        let timestamp = request.once(&self.documents.header("embedTimestamp"))?;
        let is_plain = timestamp.len() == 13 && timestamp.bytes().all(|b| b.is_ascii_digit());
        Some((key, timestamp.parse().ok().filter(|_| is_plain)?))
    }

    /// How far a timestamp may be from the server's clock, milliseconds.
    ///
    /// # Panics
    /// When no document says so.
    pub fn window_ms(&self) -> i64 {
        let said = self.documents.scheme("embedTimestamp")["x-window-ms"].as_i64();
        said.expect("the document of signed requests has a window")
    }

    /// Whether a request is signed as it should be, whenever that was.
    pub fn is_genuine(&self, request: &Request) -> bool {
        let Some((key, timestamp)) = self.claimed(request) else { return false };
        let (Some(secret), Some(sent)) =
            (self.secret_of(&key), request.once(&self.documents.header("embedSignature")))
        else {
            return false;
        };
        sent.eq_ignore_ascii_case(&sign(secret, &timestamp.to_string(), &request.body))
    }

    /// Signs a request with the key it names, else with the demo's read-write key, at a moment at
    /// which nothing was signed before.
    pub fn sign_again(&self, request: &mut Request) {
        let claimed = request.once(&self.documents.header("embedKey")).map(ToOwned::to_owned);
        let known = claimed.filter(|key| self.secret_of(key).is_some());
        let key = known.unwrap_or_else(|| self.credential("/embed/key").to_owned());
        let secret = self.secret_of(&key).expect("one of the demo's keys");
        let now = unique_ms().to_string();
        let signature = sign(secret, &now, &request.body);
        request.set(self.documents.header("embedKey"), &key);
        request.set(self.documents.header("embedTimestamp"), &now);
        request.set(self.documents.header("embedSignature"), &signature);
    }

    fn secret_of(&self, key: &str) -> Option<&str> {
        let tenants = ["", "/other"];
        let pairs = [("key", "secret"), ("read_key", "read_secret")];
        let all = tenants.iter().flat_map(|at| pairs.map(|(key, secret)| (*at, key, secret)));
        let mut all = all.map(|(at, key, secret)| {
            let of = |name| self.credential(&format!("{at}/embed/{name}"));
            (of(key), of(secret))
        });
        all.find(|(known, _)| *known == key).map(|(_, secret)| secret)
    }
}
