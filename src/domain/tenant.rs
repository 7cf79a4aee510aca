//! A tenant: whose keys, sessions and conversations these are.

use super::sealing::Sealed;
use super::signing_key::SigningAlgorithm;

/// Whether employee and chat ids are checked when a session is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directory {
    /// Ids are the tenant's own and are looked up on use.
    Open,
    /// Unknown ids are refused when a session is opened.
    Strict,
}

/// One tenant as the store remembers it.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// `ten_…`.
    pub id: String,
    /// For people, 1–100 characters.
    pub name: String,
    /// See [`Directory`].
    pub directory: Directory,
    /// How the newest generation of its signing key signs; it may be pending still.
    pub signing: SigningAlgorithm,
    /// The secret that signs `customerToken`s.
    pub identity_secret: Sealed,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When it was revoked; from then on all its keys and sessions are dead.
    pub revoked_at: Option<i64>,
    /// When everything of it was erased; its name and secret are gone since.
    pub erased_at: Option<i64>,
}
