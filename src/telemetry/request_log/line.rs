//! One line of the request log: what the record of a request says, by these names.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use vestibule_runtime::RequestRecord;

/// One answered request. Members that are not known are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line<'a> {
    /// When it was answered, milliseconds since 1970, by the system's clock.
    pub at_ms: i64,
    /// As its answer named it.
    pub request_id: Cow<'a, str>,
    /// GET, POST, … or `_OTHER`.
    pub method: Cow<'a, str>,
    /// The template of its path; nothing when there is no such path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Cow<'a, str>>,
    /// Its operationId; nothing when no document has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Cow<'a, str>>,
    /// The document of its operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<Cow<'a, str>>,
    /// The answer's; 499 when the client left before it.
    pub status: u16,
    /// The stable code of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'a, str>>,
    /// `ten_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Cow<'a, str>>,
    /// `key_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Cow<'a, str>>,
    /// Which of the key's secrets was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// `ses_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Cow<'a, str>>,
    /// The first 8 hex digits of the SHA-256 of the token that was presented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Cow<'a, str>>,
    /// The time that it was handled by, where a test key moved it, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_clock_ms: Option<i64>,
    /// The caller's trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Cow<'a, str>>,
    /// From the first look at the request to its answer, microseconds.
    pub took_us: u64,
    /// Bytes of the body that was read.
    pub received_bytes: u64,
    /// Bytes of the answer's body; nothing for a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_bytes: Option<u64>,
}

impl<'a> Line<'a> {
    /// What a record says.
    pub(super) fn of(record: &'a RequestRecord<'a>, at_ms: i64) -> Self {
        let RequestRecord { asked, .. } = record;
        let caller = record.caller;
        Self {
            at_ms,
            request_id: asked.request_id.into(),
            method: asked.method.into(),
            route: asked.route.map(Cow::Borrowed),
            operation: asked.operation.map(|it| it.id.into()),
            surface: asked.surface().map(Cow::Borrowed),
            status: record.status.as_u16(),
            code: record.code.map(Cow::Borrowed),
            tenant: caller.and_then(|it| it.tenant.as_deref()).map(Cow::Borrowed),
            key: caller.and_then(|it| it.key.as_deref()).map(Cow::Borrowed),
            generation: caller.and_then(|it| it.generation),
            session: caller.and_then(|it| it.session.as_deref()).map(Cow::Borrowed),
            token: record.token.map(|prefix| prefix.to_string().into()),
            test_clock_ms: record.test_clock,
            trace_id: asked.trace.map(|trace| trace.to_string().into()),
            took_us: u64::try_from(record.took.as_micros()).unwrap_or(u64::MAX),
            received_bytes: record.received_bytes,
            sent_bytes: record.sent_bytes,
        }
    }

    /// The line with its end.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(512);
        serde_json::to_writer(&mut text, self).expect("a line is made of texts and numbers");
        text.push(b'\n');
        text
    }
}
