//! Whose data is exported or erased: one person's or a whole tenant's.

use vestibule_runtime::Violation;

use super::audit::Subject;
use crate::error::{Error, Result};

/// Whose data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of one person.
    Person(Subject),
    /// All of a tenant's.
    Everything,
}

/// What a request named, each `None` when it was not given.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// The user of the iframe surface.
    pub uid: Option<String>,
    /// The customer of the chat surface.
    pub customer: Option<String>,
    /// The employee of the embed surface.
    pub employee: Option<String>,
    /// Whether everything was asked for.
    pub everything: bool,
}

impl Named {
    /// The one that was named.
    ///
    /// # Errors
    /// `Rules` when none was, or with every further one.
    pub fn whose(self) -> Result<Whose> {
        let Self { uid, customer, employee, everything } = self;
        let person = |subject: Subject| Whose::Person(subject);
        let mut named = [
            ("/uid", uid.map(Subject::Uid).map(person)),
            ("/customerId", customer.map(Subject::Customer).map(person)),
            ("/employeeId", employee.map(Subject::Employee).map(person)),
            ("/everything", everything.then_some(Whose::Everything)),
        ]
        .into_iter()
        .filter_map(|(pointer, whose)| Some((pointer, whose?)));
        let Some((_, whose)) = named.next() else {
            let none = Violation::body("/uid", "required");
            let none = none.actual("none of uid, customerId, employeeId and everything: true");
            return Err(Error::Rules(vec![none]));
        };
        let further: Vec<_> = named
            .map(|(pointer, _)| Violation::body(pointer, "not").actual("named beside another"))
            .collect();
        if further.is_empty() { Ok(whose) } else { Err(Error::Rules(further)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Exactly one must be named; every further one is a violation of its own.
        #[test]
        fn exactly_one_is_named(
            uid in prop::option::of("[a-z]{1,3}"),
            customer in prop::option::of("[a-z]{1,3}"),
            employee in prop::option::of("[a-z]{1,3}"),
            everything: bool,
        ) {
            let given = [uid.is_some(), customer.is_some(), employee.is_some(), everything];
            let count = given.iter().filter(|given| **given).count();
            let named = Named { uid, customer, employee, everything };
            match named.whose() {
                Ok(Whose::Everything) => prop_assert!(count == 1 && everything),
                Ok(Whose::Person(_)) => prop_assert!(count == 1 && !everything),
                Err(Error::Rules(found)) => {
                    prop_assert_eq!(found.len(), if count == 0 { 1 } else { count - 1 });
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
