//! Every fault, by the part of a server that gets it wrong.

mod answers;
mod bodies;
mod credentials;
mod headers;
mod loosened;
mod narrowed;
mod parameters;
mod refusals;
mod repetitions;

use crate::fault::Fault;

/// All faults, in the order in which they are planted.
pub fn all() -> Vec<Fault> {
    [
        loosened::faults(),
        narrowed::faults(),
        parameters::faults(),
        bodies::faults(),
        credentials::faults(),
        answers::faults(),
        refusals::faults(),
        headers::faults(),
        repetitions::faults(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::documents::Documents;

    fn documents() -> Documents {
        Documents::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
    }

    #[test]
    fn every_fault_has_a_name_of_its_own_and_an_operation() {
        let (documents, all) = (documents(), all());
        let names: BTreeSet<_> = all.iter().map(|fault| fault.name).collect();
        assert_eq!(names.len(), all.len());
        for fault in &all {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(fault.name.chars().all(is_plain), "{}", fault.name);
            assert_eq!(documents.operation(fault.operation).id, fault.operation);
        }
    }

    /// A fault about a constraint that is gone would be one that nothing can find.
    #[test]
    fn every_loosened_or_narrowed_constraint_stands_in_its_document() {
        let documents = documents();
        for (name, operation, pointer, keyword) in loosened::places().chain(narrowed::places()) {
            let operation = documents.operation(operation);
            let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
            let (place, keyword) = match keyword {
                "propertyNames" => (parent, "x-property-names"),
                "required" | "additionalProperties" | "x-max-depth" => (parent, keyword),
                _ => (pointer, keyword),
            };
            let schema = documents.schema_at(operation, place);
            assert!(
                schema.is_some_and(|it| !it[keyword].is_null()),
                "{name}: {keyword} at {place}"
            );
        }
    }
}
