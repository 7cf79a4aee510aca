//! What the demo tenants have besides credentials: flows, questions, sources, themes.
//!
//! A description only, read from `demo.json`; `seed` writes it into the store.

use serde::Deserialize;

use super::TenantCredentials;
use crate::domain::catalogue::{Flow, QuickQuestion};
use crate::domain::theme::ThemeSettings;

/// Everything one demo tenant has.
#[derive(Clone, Debug)]
pub struct DemoData {
    /// Five published flows with an intent each, and one that is not published.
    pub flows: Vec<Flow>,
    /// Three quick questions; the last one is assigned to the unpublished flow.
    pub quick_questions: Vec<QuickQuestion>,
    /// The two intents that the restricted publishable key may trigger.
    pub restricted_to: Vec<String>,
    /// Source ids in textual form.
    pub sources: Vec<String>,
    /// Theme ids and settings; the first is the default.
    pub themes: Vec<(i64, ThemeSettings)>,
}

/// What the demo tenant with these credentials has.
pub fn demo_data(credentials: &TenantCredentials) -> DemoData {
    let Written { flows, quick_questions, restricted_to, theme } =
        serde_json::from_str(include_str!("demo.json")).expect("a test reads this file");
    let iframe = &credentials.iframe;
    DemoData {
        flows,
        quick_questions,
        restricted_to,
        sources: iframe.source_ids.iter().map(ToString::to_string).collect(),
        themes: iframe.theme_ids.iter().map(|id| (*id, theme.clone())).collect(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    flows: Vec<Flow>,
    quick_questions: Vec<QuickQuestion>,
    restricted_to: Vec<String>,
    theme: ThemeSettings,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dev::DevCredentials;
    use crate::context::Ids;
    use crate::domain::catalogue::{offered_intents, offered_questions};

    fn data() -> DemoData {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let credentials = DevCredentials::load(dir.path(), None, &Ids::default());
        demo_data(&credentials.expect("random ones").demo)
    }

    #[test]
    fn five_intents_are_offered_and_two_of_them_to_the_restricted_key() {
        let data = data();
        assert_eq!(offered_intents(None, &data.flows).len(), 5);
        let restricted = offered_intents(Some(&data.restricted_to), &data.flows);
        let names: Vec<_> = restricted.iter().map(|intent| intent.name.as_str()).collect();
        assert_eq!(names, ["track_order", "opening_hours"]);
    }

    #[test]
    fn one_of_three_questions_has_no_intent() {
        let data = data();
        let offered = offered_questions(None, &data.flows, &data.quick_questions);
        let intents: Vec<_> = offered.iter().map(|question| question.intent_name).collect();
        assert_eq!(intents, [Some("track_order"), Some("product_advice"), None]);
    }

    #[test]
    fn there_are_two_sources_and_one_theme() {
        let data = data();
        assert_eq!((data.sources.len(), data.themes.len()), (2, 1));
    }
}
