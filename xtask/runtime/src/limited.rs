//! What limits the number of requests: the address a request comes from, and its proved caller.
//!
//! Knows no limit; the service counts.

use crate::Refusal;

/// A caller that a credential proved, as the limits of the service `S` see it. Generated code
/// counts every caller before its request is looked at any further.
pub trait Limited<S: ?Sized>: Send {
    /// Counts a request of this caller.
    ///
    /// # Errors
    /// When it is one too many.
    fn count(&self, service: &S) -> Result<(), Refusal>;
}
