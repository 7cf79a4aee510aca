//! What a chat session's token opens: its conversation.

use vestibule_api::chat_conversations::{
    ChatConversationReadRequest, ChatConversationReadResponse, ChatConversations,
};
use vestibule_api::models;
use vestibule_runtime::{Refusal, Timestamp};

use super::auth::SessionCaller;
use super::refusal::documented;
use crate::context::Context;
use crate::domain::session::Grant;
use crate::error::Error;

impl ChatConversations for Context {
    async fn chat_conversation_read(
        &self,
        caller: SessionCaller,
        _: ChatConversationReadRequest,
    ) -> Result<ChatConversationReadResponse, Refusal> {
        let session = &caller.session;
        let Grant::Chat { conversation, .. } = &session.grant else {
            return Err(Error::InvalidToken.into());
        };
        let found = self.store.conversation(&session.tenant, conversation).await?;
        let conversation = found.ok_or(Error::TokenRevoked)?;
        let body = models::ChatConversation {
            conversation_id: documented(&conversation.id)?,
            customer_id: conversation.customer_id,
            locale: conversation.locale,
            variables: models::Variables(conversation.variables.into_iter().collect()),
            expires_at: Timestamp(session.expires_at),
            expires_in: session.remaining_s(self.clock.now_ms()),
        };
        Ok(ChatConversationReadResponse::Ok { body })
    }
}
