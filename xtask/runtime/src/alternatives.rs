//! Which of several credentials a request shows, where an operation is opened by any one of them.
//!
//! Credentials in headers of their own are known by those headers, and decide alone when one is
//! there. Bearer tokens all look alike, so generated code tries them in the document's order.

use http::StatusCode;

use crate::{CredentialInfo, Received, Refusal, StandardCodes, refuse_browser};

impl Received {
    /// Whether any header is there that carries this kind of caller's credential and no other's.
    pub fn presents(&self, caller: &str) -> bool {
        let headers = self.credential(caller).map_or(&[][..], |it| it.headers);
        headers.iter().any(|name| self.headers.contains_key(*name))
    }

    /// Lets the proved caller in unless a page of a browser sent a secret that does not belong there.
    ///
    /// # Errors
    /// When the request has an `Origin` and the operation refuses it from this kind of caller.
    pub fn admit<C>(&self, caller: &str, proved: C, codes: &StandardCodes) -> Result<C, Refusal> {
        if self.credential(caller).is_some_and(|it| it.browser_refused) {
            refuse_browser(self, codes)?;
        }
        Ok(proved)
    }

    /// Whether a refusal says that the credential is not one of the tried kind, so that the next
    /// kind may be tried: the operation documents it as 401. A failure of ours is none of these.
    pub fn is_unproved(&self, refusal: &Refusal) -> bool {
        let status = refusal.code().and_then(|code| self.operation.status_of(code));
        status == Some(StatusCode::UNAUTHORIZED)
    }

    fn credential(&self, caller: &str) -> Option<&'static CredentialInfo> {
        self.operation.credentials.iter().find(|it| it.caller == caller)
    }
}
