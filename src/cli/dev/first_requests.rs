//! Bodies that open each of the three doors with the demo tenant's credentials, as the banner and
//! the reference show them.

use serde_json::{Map, Value, json};
use vestibule_api::chat_sessions::ChatSessionCreate;
use vestibule_api::embed_sessions::EmbedSessionCreate;
use vestibule_api::iframe_sessions::IframeSessionCreate;
use vestibule_runtime::Operation;

use super::TenantCredentials;

impl TenantCredentials {
    /// Each body under the id of its operation.
    pub fn first_requests(&self) -> Map<String, Value> {
        let all = [
            (EmbedSessionCreate::INFO.id, self.first_embed()),
            (ChatSessionCreate::INFO.id, self.first_chat()),
            (IframeSessionCreate::INFO.id, self.first_iframe()),
        ];
        all.into_iter().map(|(id, body)| (id.to_owned(), body)).collect()
    }

    /// A session that shows one chat.
    pub(in crate::cli) fn first_embed(&self) -> Value {
        json!({
            "employeeId": self.embed.employee_id,
            "chatId": self.embed.chat_id,
            "capabilities": ["showChatPage", "showSendInput", "showStatusButton"],
        })
    }

    /// A visitor's session.
    pub(in crate::cli) fn first_chat(&self) -> Value {
        json!({ "publicKey": self.chat.public_key, "locale": "en-GB" })
    }

    /// A link over all sources.
    pub(in crate::cli) fn first_iframe(&self) -> Value {
        json!({ "uid": "demo-user", "srcs": self.iframe.source_ids })
    }
}
