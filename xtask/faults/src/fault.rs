//! What a planted fault is: one thing that a server gets wrong, in one operation.

use http::Method;
use vestibule_conformance::outcome::Check;

use crate::documents::Operation;
use crate::exchange::{Answer, Request};
use crate::world::World;

/// A change to a request on its way in, or an answer in the server's place.
type Before = dyn Fn(&mut Request, Place<'_>) -> Option<Answer> + Send + Sync;
/// A change to the answer to a request on its way out.
type After = dyn Fn(&Request, &mut Answer) + Send + Sync;

/// Where a request arrived.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// All that is known.
    pub world: &'a World,
    /// The operation that the fault is planted in.
    pub operation: &'a Operation,
}

/// One fault.
pub struct Fault {
    /// Its name, for `--only`.
    pub name: &'static str,
    /// What kind of mistake in a server it looks like.
    pub imitates: &'static str,
    /// The operation it is planted in.
    pub operation: &'static str,
    /// The check that must find it; what other checks say does not count.
    pub by: Check,
    plant: Plant,
}

enum Plant {
    Before(Box<Before>),
    /// The same for requests with any method that the operation's path does not document.
    BesideIt(Box<Before>),
    After(Box<After>),
}

impl Fault {
    /// A fault in how requests are understood.
    pub fn before(
        name: &'static str,
        operation: &'static str,
        imitates: &'static str,
        by: Check,
        change: impl Fn(&mut Request, Place<'_>) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self { name, imitates, operation, by, plant: Plant::Before(Box::new(change)) }
    }

    /// A fault in how the operation's path treats other methods.
    pub fn beside(
        name: &'static str,
        operation: &'static str,
        imitates: &'static str,
        by: Check,
        change: impl Fn(&mut Request, Place<'_>) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self { name, imitates, operation, by, plant: Plant::BesideIt(Box::new(change)) }
    }

    /// A fault in what is answered.
    pub fn after(
        name: &'static str,
        operation: &'static str,
        imitates: &'static str,
        by: Check,
        change: impl Fn(&Request, &mut Answer) + Send + Sync + 'static,
    ) -> Self {
        Self { name, imitates, operation, by, plant: Plant::After(Box::new(change)) }
    }

    /// Whether a request reaches the place where this fault is.
    pub fn concerns(&self, request: &Request, world: &World) -> bool {
        let operation = world.documents.operation(self.operation);
        let is_its_own = request.method == operation.method;
        operation.is_at(&request.path)
            && match self.plant {
                Plant::Before(_) | Plant::After(_) => is_its_own,
                Plant::BesideIt(_) => !is_its_own || request.method == Method::OPTIONS,
            }
    }

    /// Lets the fault at a request; an answer is given in the server's place.
    pub fn before_it(&self, request: &mut Request, world: &World) -> Option<Answer> {
        let (Plant::Before(change) | Plant::BesideIt(change)) = &self.plant else { return None };
        change(request, Place { world, operation: world.documents.operation(self.operation) })
    }

    /// Lets the fault at an answer.
    pub fn after_it(&self, request: &Request, answer: &mut Answer) {
        if let Plant::After(change) = &self.plant {
            change(request, answer);
        }
    }
}
