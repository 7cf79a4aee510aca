//! What generated code says about one operation: its place, limits, credentials and answers.

use dropshot::ExtractorMetadata;
use http::{Method, StatusCode};

use crate::{Code, IdempotencyInfo, TestClockInfo};

/// One operation of a document, as data.
#[derive(Debug)]
pub struct OperationInfo {
    /// The document it stands in, e.g. `embed`.
    pub document: &'static str,
    /// Its `operationId`.
    pub id: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path template.
    pub path: &'static str,
    /// The body it takes; `None` when it takes none.
    pub body: Option<BodyInfo>,
    /// What a path, query or header parameter that breaks a constraint is answered with.
    pub parameters_refused: Code,
    /// The credentials that open it, any one of them, in the document's order; none when it is open
    /// or looks into its body itself.
    pub credentials: &'static [CredentialInfo],
    /// The challenge of its 401 answers (RFC 9110, `WWW-Authenticate`).
    pub challenge: &'static str,
    /// Whether pages of other origins may call it.
    pub cors: bool,
    /// The headers of its answers that those pages may read, separated by commas; empty without
    /// `cors`.
    pub exposed: &'static str,
    /// What it takes of idempotency keys; `None` when it takes none.
    pub idempotency: Option<IdempotencyInfo>,
    /// What it takes of test clocks; `None` when it has the service's time alone.
    pub test_clock: Option<TestClockInfo>,
    /// Every documented status and the stable codes it may carry (none for success).
    pub answers: &'static [(u16, &'static [Code])],
}

/// The JSON body an operation takes.
#[derive(Debug)]
pub struct BodyInfo {
    /// The name of its schema.
    pub schema: &'static str,
    /// The most bytes, `x-max-bytes`.
    pub max_bytes: usize,
    /// What a body that breaks a constraint is answered with.
    pub refused: Code,
}

/// A credential that opens an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialInfo {
    /// `x-caller` of its security schemes.
    pub caller: &'static str,
    /// The headers of its own that carry it, in lower case; none for a bearer token.
    pub headers: &'static [&'static str],
    /// Whether a request with an `Origin` is refused: the secret does not belong in a page.
    pub browser_refused: bool,
}

impl OperationInfo {
    /// The documented status of a code; `None` when this operation never answers it.
    pub fn status_of(&self, code: Code) -> Option<StatusCode> {
        let (status, _) = self.answers.iter().find(|(_, codes)| codes.contains(&code))?;
        StatusCode::from_u16(*status).ok()
    }
}

/// Ties an operation's facts to its types; implemented by generated code alone.
pub trait Operation: Send + Sync + 'static {
    /// Its facts.
    const INFO: &'static OperationInfo;
    /// What dropshot documents of its parameters and body.
    fn metadata() -> ExtractorMetadata;
}
