//! Cases of idempotency keys: the same request under the same key is given the same answer, another
//! one is refused.

use super::{Act, Cases};
use crate::outcome::Check;

/// Random bodies that are looked through for one that differs.
const TRIES: u64 = 16;

impl Cases<'_> {
    /// A request, its repetition, and another body under its key.
    pub fn repetitions(&mut self) {
        let operation = self.subject.operation.clone();
        let mut keys = operation.parameters.iter();
        let Some(key) = keys.find(|parameter| parameter.idempotency.is_some()) else { return };
        let first = self.subject.plain().fresh();
        let differs = |seed| {
            let recipe = self.subject.random(seed).shot().recipe;
            let body =
                |recipe: &crate::recipe::Recipe| Some(recipe.content.as_ref()?.value.clone());
            (body(&recipe) != body(&first)).then_some(recipe)
        };
        let other = operation.body.as_ref().and_then(|_| (0..TRIES).find_map(differs));
        let (key, first, other) = (key.clone(), Box::new(first), other.map(Box::new));
        self.push(Check::Idempotency, "under one key", Act::Repeat { key, first, other });
    }
}
