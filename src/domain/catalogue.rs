//! What a tenant offers in its widgets: flows with their intents, and quick questions.
//!
//! The names are those of the chat surface, since these are stored as the JSON they are sent as.
//! Knows no key but its list of allowed intents.

use serde::{Deserialize, Serialize};

/// What starts a flow, as the widget shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// What the widget posts; unique in its tenant.
    pub name: String,
    /// What the customer reads.
    pub display_label: String,
    /// A second line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What customers say when they mean it.
    #[serde(default)]
    pub examples: Vec<String>,
    /// What the flow needs to know; this name alone is in snake case on the wire.
    #[serde(default, rename = "required_entities")]
    pub required_entities: Vec<String>,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<Icon>,
    /// `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent_color: Option<String>,
    /// How the button looks, by its wire name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style_variant: Option<String>,
    /// Before all that are not.
    #[serde(default)]
    pub is_pinned: bool,
    /// Higher comes first.
    #[serde(default)]
    pub priority: i64,
}

/// A picture of an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Icon {
    /// How to read the value, by its wire name.
    pub kind: String,
    /// An emoji, a name or an address.
    pub value: String,
}

/// A flow as far as the widget's door needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Unique in its tenant.
    pub id: String,
    /// For people.
    pub name: String,
    /// Whether customers may start it.
    pub published: bool,
    /// What starts it.
    pub intent: Intent,
}

/// A prompt that the tenant puts on its pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuickQuestion {
    /// What the customer reads.
    pub question: String,
    /// On which pages the client shows it, by its wire name.
    pub page_type: String,
    /// The flow it starts; `None` while unset.
    #[serde(default)]
    pub flow_id: Option<String>,
}

/// A quick question as one key offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedQuestion<'a> {
    /// The prompt.
    pub question: &'a QuickQuestion,
    /// What the widget posts to start it; `None` shows it disabled.
    pub intent_name: Option<&'a str>,
}

/// At most this many quick questions are offered.
pub const MAX_QUESTIONS: usize = 6;

/// The intents that a key may trigger: allowed and published, pinned first, then by falling
/// priority, then by name. `allowed` of `None` is all, an empty list is none.
pub fn offered_intents<'a>(allowed: Option<&[String]>, flows: &'a [Flow]) -> Vec<&'a Intent> {
    let mut intents: Vec<&Intent> =
        flows.iter().filter(|flow| may_start(allowed, flow)).map(|flow| &flow.intent).collect();
    intents.sort_by(|a, b| {
        (b.is_pinned, b.priority).cmp(&(a.is_pinned, a.priority)).then_with(|| a.name.cmp(&b.name))
    });
    intents
}

/// The tenant's quick questions in their order, each with its intent when the key may trigger it.
pub fn offered_questions<'a>(
    allowed: Option<&[String]>,
    flows: &'a [Flow],
    questions: &'a [QuickQuestion],
) -> Vec<OfferedQuestion<'a>> {
    let intent_of = |question: &QuickQuestion| {
        let id = question.flow_id.as_ref()?;
        let flow = flows.iter().find(|flow| flow.id == *id && may_start(allowed, flow))?;
        Some(flow.intent.name.as_str())
    };
    let offer = |question| OfferedQuestion { question, intent_name: intent_of(question) };
    questions.iter().take(MAX_QUESTIONS).map(offer).collect()
}

fn may_start(allowed: Option<&[String]>, flow: &Flow) -> bool {
    flow.published && allowed.is_none_or(|names| names.contains(&flow.intent.name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn flow(name: &str, published: bool, is_pinned: bool, priority: i64) -> Flow {
        let intent = json!({
            "name": name, "displayLabel": name, "isPinned": is_pinned, "priority": priority
        });
        let intent = serde_json::from_value(intent).expect("an intent");
        Flow { id: format!("flow-{name}"), name: name.into(), published, intent }
    }

    fn question(flow_id: Option<&str>) -> QuickQuestion {
        let flow_id = flow_id.map(String::from);
        QuickQuestion { question: "?".into(), page_type: "general".into(), flow_id }
    }

    fn names(intents: &[&Intent]) -> Vec<String> {
        intents.iter().map(|intent| intent.name.clone()).collect()
    }

    #[test]
    fn intents_keep_the_names_of_the_reference() {
        let intent = json!({
            "name": "refund", "displayLabel": "Refund", "subtitle": "s", "description": "d",
            "examples": ["e"], "required_entities": ["order_id"],
            "icon": {"kind": "emoji", "value": "x"}, "accentColor": "#00ff00",
            "styleVariant": "solid", "isPinned": true, "priority": 3
        });
        let read: Intent = serde_json::from_value(intent.clone()).expect("an intent");
        assert_eq!(serde_json::to_value(read).expect("JSON"), intent);
    }

    #[test]
    fn intents_are_pinned_first_then_by_priority_then_by_name() {
        let flows = [
            flow("b", true, false, 5),
            flow("a", true, false, 5),
            flow("c", true, false, 9),
            flow("d", true, true, -1),
            flow("hidden", false, true, 99),
        ];
        assert_eq!(names(&offered_intents(None, &flows)), ["d", "c", "a", "b"]);
        let allowed = ["b", "hidden", "unknown"].map(String::from);
        assert_eq!(names(&offered_intents(Some(&allowed), &flows)), ["b"]);
        assert!(offered_intents(Some(&[]), &flows).is_empty());
    }

    #[test]
    fn a_question_that_cannot_start_its_flow_stays_with_a_null_intent() {
        let flows =
            [flow("a", true, false, 0), flow("b", true, false, 0), flow("c", false, false, 0)];
        let questions =
            [Some("flow-a"), Some("flow-b"), Some("flow-c"), Some("gone"), None].map(question);
        let allowed = ["a", "c"].map(String::from);
        let offered = offered_questions(Some(&allowed), &flows, &questions);
        let intents: Vec<_> = offered.iter().map(|it| it.intent_name).collect();
        assert_eq!(intents, [Some("a"), None, None, None, None]);
    }

    proptest! {
        /// At most six questions are offered, the first ones, in their order.
        #[test]
        fn at_most_six_questions_are_offered(count in 0usize..12) {
            let questions: Vec<_> = (0..count).map(|n| question(Some(&n.to_string()))).collect();
            let offered = offered_questions(None, &[], &questions);
            prop_assert_eq!(offered.len(), count.min(6));
            let first = offered.iter().map(|it| it.question);
            prop_assert!(first.eq(questions.iter().take(6)));
        }

        /// What is offered is exactly what is published and allowed, whatever the order.
        #[test]
        fn offered_is_allowed_and_published(
            flags in proptest::collection::vec(any::<(bool, bool, bool, i8)>(), 0..8),
        ) {
            let names_where = |wanted: fn(&(bool, bool, bool, i8)) -> bool| -> Vec<String> {
                let numbered = flags.iter().enumerate().filter(|(_, it)| wanted(it));
                numbered.map(|(number, _)| number.to_string()).collect()
            };
            let flows: Vec<_> = (0..).zip(&flags)
                .map(|(number, (published, _, pinned, priority))| {
                    flow(&i32::to_string(&number), *published, *pinned, (*priority).into())
                })
                .collect();
            let allowed = names_where(|it| it.1);
            let mut offered = names(&offered_intents(Some(&allowed), &flows));
            offered.sort();
            prop_assert_eq!(offered, names_where(|it| it.0 && it.1));
        }
    }
}
