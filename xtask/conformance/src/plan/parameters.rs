//! Cases of path, query and header parameters: bounds, broken constraints, unknown and doubled
//! ones, missing ones.

use vestibule_schema::Part;

use super::Cases;
use crate::credentials::text;
use crate::document::Parameter;
use crate::judge::{Ending, Expect, Refusal, Wanted};
use crate::outcome::Check;
use crate::recipe::Given;
use crate::subject::can_travel;

/// A query parameter that no document has.
pub const UNKNOWN: &str = "conformanceUnknown";

/// Characters of an idempotency key in which every request can have its own.
const SHORTEST_KEY: usize = 11;

impl Cases<'_> {
    /// Everything that can be done to parameters.
    pub fn parameters(&mut self) {
        let operation = self.subject.operation.clone();
        for parameter in &operation.parameters {
            self.bounds(parameter);
            self.broken_texts(parameter);
            match parameter.part {
                Part::Query => self.doubled(parameter),
                Part::Header => self.header(parameter),
                Part::Path | Part::Body => {}
            }
            if parameter.required && parameter.part != Part::Path {
                let recipe = self.subject.plain().given(&parameter.name, Given::Omitted);
                let expect = self.refusal(parameter, Some("required".to_owned()));
                self.once(Check::Parameter, &format!("{} missing", parameter.name), recipe, expect);
            }
        }
        self.unknown();
    }

    fn bounds(&mut self, parameter: &Parameter) {
        let (boundaries, _) = self.subject.parameter(parameter);
        for it in boundaries {
            let sent = text(&it.value);
            if !can_travel(parameter.part, &sent) {
                continue;
            }
            let label = format!("{} {}", parameter.name, it.label);
            let given = match &parameter.idempotency {
                // Too short to be another one in the next run, which may send another body.
                Some(_) if sent.len() < SHORTEST_KEY => continue,
                Some(_) => Given::Unique(sent),
                None => Given::Text(sent),
            };
            let recipe = self.subject.plain().given(&parameter.name, given).fresh();
            let expect = match &parameter.test_clock {
                Some(refused) => refused_with(refused),
                None => Expect::accepted(),
            };
            self.once(Check::Parameter, &label, recipe, expect);
        }
    }

    fn broken_texts(&mut self, parameter: &Parameter) {
        let (_, broken) = self.subject.parameter(parameter);
        let kind = parameter.schema["type"].as_str().unwrap_or("string");
        for it in broken {
            let sent = text(&it.value);
            // Outside JSON everything is text, so a text is of the wrong type only where it
            // cannot be read as the right one.
            let is_right_type = match kind {
                "integer" => sent.parse::<i64>().is_ok(),
                "number" => sent.parse::<f64>().is_ok(),
                "boolean" => sent.parse::<bool>().is_ok(),
                _ => true,
            };
            let hides = it.keyword == "type" && is_right_type || it.keyword == "nullable";
            if hides || !can_travel(parameter.part, &sent) {
                continue;
            }
            let label = format!("{} {} ({})", parameter.name, it.keyword, it.label);
            let recipe = self.subject.plain().given(&parameter.name, Given::Text(sent));
            let expect = self.refusal(parameter, Some(it.keyword));
            self.once(Check::Parameter, &label, recipe, expect);
        }
    }

    fn doubled(&mut self, parameter: &Parameter) {
        let recipe = match parameter.source {
            Some(_) => self.subject.plain().given(&parameter.name, Given::Twice),
            None => {
                let full = self.subject.full();
                let Some(Given::Text(value)) = full.given.get(&parameter.name) else { return };
                let mut recipe = self.subject.plain();
                recipe.given.remove(&parameter.name);
                recipe.more_query = vec![(parameter.name.clone(), value.clone()); 2];
                recipe
            }
        };
        let expect = self.refusal(parameter, None);
        self.once(Check::Parameter, &format!("{} twice", parameter.name), recipe, expect);
    }

    /// What strategies draw seldom travels in a header, so lengths are tried with plain letters.
    fn header(&mut self, parameter: &Parameter) {
        let name = &parameter.name;
        let most = parameter.schema["maxLength"].as_u64().and_then(|n| usize::try_from(n).ok());
        if let Some(most) = most.filter(|_| parameter.schema.get("pattern").is_none()) {
            let long = Given::Text("x".repeat(most + 1));
            let recipe = self.subject.plain().given(name, long);
            let expect = self.refusal(parameter, Some("maxLength".to_owned()));
            self.once(Check::Parameter, &format!("{name} longer than maxLength"), recipe, expect);
        }
        if parameter.source.is_some() {
            let recipe = self.subject.plain().given(name, Given::Twice);
            self.once(Check::Parameter, &format!("{name} twice"), recipe, Expect::refused(&[]));
        }
    }

    fn unknown(&mut self) {
        let mut recipe = self.subject.plain();
        recipe.more_query.push((UNKNOWN.to_owned(), "1".to_owned()));
        let expect = match &self.subject.operation.parameters_refused {
            Some(_) => self.refused_at(Part::Query, UNKNOWN, Some("additionalProperties".into())),
            // Somebody else's document does not say that unknown ones are refused.
            None => Expect::new(Ending::Documented),
        };
        self.once(Check::Parameter, "an unknown query parameter", recipe, expect);
    }

    fn refusal(&self, parameter: &Parameter, keyword: Option<String>) -> Expect {
        // A header that proves the caller, such as an origin, is looked at before its constraints.
        if parameter.part == Part::Header && parameter.source.is_some() {
            return Expect::refused(&[]);
        }
        self.refused_at(parameter.part, &parameter.name, keyword)
    }

    pub fn refused_at(&self, part: Part, name: &str, keyword: Option<String>) -> Expect {
        let Some(refused) = &self.subject.operation.parameters_refused else {
            return Expect::refused(&[]);
        };
        let mut pointer = String::new();
        vestibule_schema::pointer_push(&mut pointer, name);
        Expect::new(Ending::Refused(Refusal {
            statuses: vec![refused.status],
            code: Some(refused.code.clone()),
            not_code: None,
            violation: Some(Wanted { part, pointer, keyword, limit: None, exact: false }),
        }))
    }
}

/// The credentials of a run are no test keys, so nobody moves a clock with them.
fn refused_with(code: &str) -> Expect {
    let code = Some(code.to_owned());
    Expect::new(Ending::Refused(Refusal { code, ..Refusal::default() }))
}
