//! Cases of two broken constraints at once: a refusal lists both, wherever its checking stops.
//!
//! Each pair is two cases, one for each of the two that must be named.

use vestibule_schema::Part;

use super::{Cases, parameters::UNKNOWN};
use crate::judge::{Ending, Expect, Refusal, Wanted};
use crate::outcome::Check;
use crate::place;
use crate::recipe::Recipe;

impl Cases<'_> {
    /// Two members of the body, and a member of the body beside a query parameter.
    pub fn pairs(&mut self) {
        self.two_members();
        self.member_and_parameter();
    }

    fn two_members(&mut self) {
        let operation = self.subject.operation.clone();
        let (Some(body), Some(refused)) = (&operation.body, &operation.body_refused) else {
            return;
        };
        // A value that the deployment knows would take the place of a broken one.
        let is_free =
            |pointer: &str| !body.known.iter().any(|known| place::overlap(&known.pointer, pointer));
        let Some((value, both)) = self.subject.pair(is_free) else { return };
        for wanted in both {
            let label = format!("two members at once, {} at {}", wanted.keyword, wanted.pointer);
            let recipe = self.subject.with_parameters(Recipe::with(value.clone()));
            let expect = Expect::new(Ending::Refused(Refusal {
                statuses: vec![refused.status],
                code: Some(refused.code.clone()),
                not_code: None,
                violation: Some(Wanted {
                    part: Part::Body,
                    pointer: wanted.pointer,
                    keyword: Some(wanted.keyword),
                    limit: None,
                    exact: false,
                }),
            }));
            self.once(Check::Broken, &label, recipe, expect);
        }
    }

    /// Where both are refused alike, they are refused together.
    fn member_and_parameter(&mut self) {
        let operation = self.subject.operation.clone();
        let (Some(body), Some(parameters)) =
            (&operation.body_refused, &operation.parameters_refused)
        else {
            return;
        };
        if (body.status, &body.code) != (parameters.status, &parameters.code) {
            return;
        }
        let Some(shot) = self.subject.any_broken() else { return };
        let mut recipe = shot.recipe;
        recipe.more_query.push((UNKNOWN.to_owned(), "1".to_owned()));
        let mut of_body = shot.expect;
        if let Ending::Refused(Refusal { violation: Some(wanted), .. }) = &mut of_body.ending {
            wanted.exact = false;
        }
        let of_query =
            self.refused_at(Part::Query, UNKNOWN, Some("additionalProperties".to_owned()));
        for (label, expect) in [("the member", of_body), ("the parameter", of_query)] {
            let label = format!("a member and a parameter at once, {label}");
            self.once(Check::Broken, &label, recipe.clone(), expect);
        }
    }
}
