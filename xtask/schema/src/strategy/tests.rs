//! The laws of the strategies, over schemas with every keyword of the dialect.
//!
//! The `jsonschema` crate is the judge where it knows the keyword, so that a mistake in `check`
//! does not hide behind itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use serde_json::{Value, json};

use super::schema::size;
use super::*;

const NAMES: [&str; 5] = ["EmbedCreate", "ChatOpen", "IframeCreate", "Oddities", "VariableValue"];

/// A bundled document with every keyword of the dialect.
fn document() -> Value {
    serde_json::from_str(include_str!("fixture.json")).expect("the fixture is JSON")
}

fn set() -> Arc<SchemaSet> {
    Arc::new(SchemaSet::new(&document(), Caps::default()))
}

/// The document in the words of JSON Schema 2020-12; our own two keywords are left aside.
fn translated(value: &Value) -> Value {
    let Value::Object(members) = value else {
        let items = value.as_array().map(|items| items.iter().map(translated).collect());
        return items.map_or_else(|| value.clone(), Value::Array);
    };
    let mut out: serde_json::Map<String, Value> =
        members.iter().map(|(name, inner)| (name.clone(), translated(inner))).collect();
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        if out.remove(exclusive).is_some() {
            let limit = out.remove(bound).expect("an exclusive bound has a bound");
            out.insert(exclusive.into(), limit);
        }
    }
    if let Some(names) = out.remove("x-property-names") {
        out.insert("propertyNames".into(), names);
    }
    if out.remove("nullable").is_some() {
        return json!({"anyOf": [{"type": "null"}, out]});
    }
    Value::Object(out)
}

fn judge(name: &str) -> Validator {
    let mut root = translated(&document());
    root["$ref"] = format!("#/components/schemas/{name}").into();
    let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
    options.should_validate_formats(true).build(&root).expect("the fixture is a schema")
}

/// A value as a client's bytes carry it.
fn over_the_wire(value: &Value) -> Value {
    serde_json::from_str(&value.to_string()).expect("what was written is JSON")
}

/// Whether the judge can see this violation: it lacks two keywords and counts 900.0 as an integer.
fn judged(broken: &Broken) -> bool {
    let ours = broken.keyword.starts_with("x-max");
    !ours && !broken.label.contains("fraction of zero")
}

#[test]
fn valid_and_full_values_satisfy_the_schema() {
    let set = set();
    for name in NAMES {
        let judge = judge(name);
        for (kind, strategy) in
            [("valid", valid(&set, &name.into())), ("full", full(&set, &name.into()))]
        {
            for seed in 0..300 {
                let value = sample(&strategy, seed);
                assert!(judge.is_valid(&value), "{kind} {name} seed {seed}: {value}");
                assert_eq!(check(&set, &name.into(), &value), [], "{kind} {name} seed {seed}");
                assert_eq!(over_the_wire(&value), value, "{kind} {name} seed {seed}");
                assert!(size(&value) <= set.caps().body_bytes);
                assert!(!value.to_string().contains("\\u0000"));
            }
        }
    }
}

#[test]
fn full_values_have_every_member_and_nothing_empty() {
    let set = set();
    for seed in 0..50 {
        let value = sample(&full(&set, &"IframeCreate".into()), seed);
        let listed = &document()["components"]["schemas"]["IframeCreate"]["properties"];
        let names = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
        assert_eq!(names(&value), names(listed));
        for part in ["/reference_queries/0/title", "/theme/recommendations/0", "/srcs/0"] {
            assert!(value.pointer(part).is_some(), "{part}: {value}");
        }
        let css = value["theme"]["custom_css_vars"].as_object();
        assert!(css.is_some_and(|css| !css.is_empty()));
    }
}

#[test]
fn every_broken_value_breaks_what_it_says() {
    let set = set();
    for name in NAMES {
        let judge = judge(name);
        for breakage in breakages(&set, &name.into()) {
            for seed in 0..6 {
                let broken = sample(&breakage.strategy(), seed);
                let found = check(&set, &name.into(), &broken.value);
                let asked = |v: &&crate::Violation| {
                    v.pointer == broken.pointer && v.keyword == broken.keyword
                };
                assert!(found.iter().any(|v| asked(&v)), "{breakage:?}: {broken:?}");
                assert_eq!(found.len() == 1, broken.exact, "{breakage:?}: {found:?}");
                assert!(broken.exact || !breakage.exact, "{breakage:?}");
                let refused = !judged(&broken) || !judge.is_valid(&broken.value);
                assert!(refused, "{breakage:?} accepted: {}", broken.value);
                assert_eq!(over_the_wire(&broken.value), broken.value);
                assert!(size(&broken.value) <= set.caps().body_bytes);
            }
        }
    }
}

/// Where `judge` sees every keyword, it finds the same places as `check` does.
#[test]
fn the_judge_and_the_check_agree_on_places() {
    let set = set();
    for name in NAMES {
        let judge = judge(name);
        for breakage in breakages(&set, &name.into()).into_iter().filter(|b| b.exact) {
            let broken = sample(&breakage.strategy(), 1);
            if !judged(&broken) {
                continue;
            }
            let errors: BTreeSet<String> =
                judge.iter_errors(&broken.value).map(|e| e.instance_path().to_string()).collect();
            let near = errors.iter().any(|at| broken.pointer.starts_with(at.as_str()));
            assert!(near && errors.len() == 1, "{breakage:?}: {errors:?} for {}", broken.pointer);
        }
    }
}

#[test]
fn every_boundary_is_accepted_and_on_its_bound() {
    let set = set();
    for name in NAMES {
        let judge = judge(name);
        for Boundary { value, label, constraint } in boundaries(&set, &name.into()) {
            assert!(judge.is_valid(&value), "{constraint} ({label}): {value}");
            assert_eq!(check(&set, &name.into(), &value), [], "{constraint} ({label})");
            assert_eq!(over_the_wire(&value), value);
        }
    }
}

fn places(name: &str) -> BTreeSet<String> {
    breakages(&set(), &name.into()).into_iter().map(|b| b.pointer_to_constraint).collect()
}

#[test]
fn every_constraint_of_the_chat_body_is_broken() {
    let expected = "additionalProperties
        properties/customerId/maxLength
        properties/customerId/minLength
        properties/customerId/type
        properties/locale/maxLength
        properties/locale/pattern
        properties/locale/type
        properties/publicKey/maxLength
        properties/publicKey/pattern
        properties/publicKey/type
        properties/variables/additionalProperties/anyOf/0/maxLength
        properties/variables/additionalProperties/anyOf/1/maximum
        properties/variables/additionalProperties/anyOf/1/minimum
        properties/variables/additionalProperties/anyOf/3/items/anyOf/0/maxLength
        properties/variables/additionalProperties/anyOf/3/items/anyOf/1/maximum
        properties/variables/additionalProperties/anyOf/3/items/anyOf/1/minimum
        properties/variables/additionalProperties/anyOf/3/items/anyOf/3/maxItems
        properties/variables/additionalProperties/anyOf/3/items/type
        properties/variables/additionalProperties/anyOf/3/maxItems
        properties/variables/additionalProperties/type
        properties/variables/maxProperties
        properties/variables/propertyNames
        properties/variables/type
        properties/variables/x-max-bytes
        properties/variables/x-max-depth
        required/publicKey
        type";
    let expected: BTreeSet<String> =
        expected.lines().map(|line| format!("ChatOpen/{}", line.trim())).collect();
    assert_eq!(places("ChatOpen"), expected);
    assert_eq!(unreachable(&set(), &"ChatOpen".into()), []);
}

#[test]
fn only_constraints_that_hang_together_are_broken_together() {
    let set = set();
    let mut together = BTreeSet::new();
    for name in NAMES {
        let ways = breakages(&set, &name.into());
        let exact: BTreeSet<_> =
            ways.iter().filter(|b| b.exact).map(|b| b.pointer_to_constraint.clone()).collect();
        let all = ways.into_iter().map(|b| b.pointer_to_constraint);
        together.extend(all.filter(|place| !exact.contains(place)));
    }
    let expected = [
        // The pattern fixes the length.
        "ChatOpen/properties/publicKey/maxLength",
        "EmbedCreate/properties/chatId/maxLength",
        "EmbedCreate/properties/chatId/minLength",
        "EmbedCreate/properties/employeeId/maxLength",
        "EmbedCreate/properties/employeeId/minLength",
        "Oddities/properties/code/maxLength",
        "Oddities/properties/code/minLength",
        // The format does.
        "Oddities/properties/at/maxLength",
        "Oddities/properties/id/maxLength",
        // A string over 4096 characters is over 4096 bytes.
        "ChatOpen/properties/variables/additionalProperties/anyOf/0/maxLength",
        "ChatOpen/properties/variables/additionalProperties/anyOf/3/items/anyOf/0/maxLength",
        "IframeCreate/properties/knowledge_base_entries/items/maxLength",
        // There are three capabilities in all.
        "Oddities/properties/flags/maxItems",
    ];
    assert_eq!(together, expected.map(str::to_owned).into());
}

#[test]
fn what_no_body_can_hold_is_unreachable_with_the_reason() {
    let found = unreachable(&set(), &"IframeCreate".into());
    let place = "IframeCreate/properties/huge/maxItems";
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, place);
    assert!(found[0].1.contains("values, a body holds 1900"), "{}", found[0].1);
    assert!(!places("IframeCreate").contains(place));
}

#[test]
fn sizes_and_depths_are_met_to_the_byte_and_the_level() {
    let set = set();
    let labels = ["exactly x-max-bytes", "exactly x-max-depth"];
    let boundaries = boundaries(&set, &"ChatOpen".into());
    let [bytes, depth] =
        labels.map(|label| boundaries.iter().find(|b| b.label == label).expect("reachable"));
    assert_eq!(size(&bytes.value["variables"]), 4096);
    assert_eq!(check::array_depth(&depth.value), 4);
    for breakage in breakages(&set, &"ChatOpen".into()) {
        let broken = sample(&breakage.strategy(), 3);
        if breakage.keyword == "x-max-bytes" {
            assert_eq!(size(&broken.value["variables"]), 4097);
            assert_eq!(broken.pointer, "/variables");
        }
        if breakage.keyword == "x-max-depth" {
            assert_eq!(check::array_depth(&broken.value), 5);
            assert!(broken.pointer.starts_with("/variables/"));
        }
    }
}

#[test]
fn lengths_are_drawn_in_characters_that_take_several_bytes() {
    let boundaries = boundaries(&set(), &"ChatOpen".into());
    let wide = boundaries.iter().find(|b| {
        b.constraint.ends_with("customerId/maxLength") && b.label.contains("several bytes")
    });
    let text = wide.and_then(|b| b.value["customerId"].as_str()).expect("reachable");
    assert_eq!(text.chars().count(), 100);
    assert!(text.len() >= 200);
}

#[test]
fn draws_are_the_same_for_the_same_seed() {
    let set = set();
    let strategy = broken(&set, &"IframeCreate".into());
    assert_eq!(sample(&strategy, 7), sample(&strategy, 7));
    assert_ne!(sample(&strategy, 7), sample(&strategy, 8));
}

#[test]
fn shrinking_ends_at_the_leanest_value_that_still_fails() {
    let set = set();
    let mut runner = TestRunner::deterministic();
    let strategy = valid(&set, &"IframeCreate".into());
    for _ in 0..20 {
        let tree = strategy.new_tree(&mut runner).expect("nothing is rejected");
        let failure = runner.run_one(tree, |_| Err(TestCaseError::fail("always")));
        let Err(TestError::Fail(_, value)) = failure else { panic!("{failure:?}") };
        let names: Vec<&String> = value.as_object().into_iter().flat_map(|o| o.keys()).collect();
        assert_eq!(names, ["srcs", "uid"]);
    }
}

#[test]
fn optional_members_come_and_go() {
    let strategy = valid(&set(), &"IframeCreate".into());
    let drawn: Vec<Value> = (0..200).map(|seed| sample(&strategy, seed)).collect();
    for member in ["ttl", "theme", "limits", "reference_queries"] {
        let present = drawn.iter().filter(|value| value.get(member).is_some()).count();
        assert!((60..140).contains(&present), "{member}: {present} of 200");
    }
    let longest = drawn.iter().filter_map(|value| value["uid"].as_str()).map(|s| s.chars().count());
    assert_eq!(longest.max(), Some(255));
}

#[test]
fn every_value_keeps_the_caps_of_a_small_body() {
    let caps = Caps { body_bytes: 700, values: 30 };
    let set = Arc::new(SchemaSet::new(&document(), caps));
    let schema = "IframeCreate".into();
    let bodies = boundaries(&set, &schema).into_iter().map(|b| b.value);
    let broken = breakages(&set, &schema).into_iter().map(|b| sample(&b.strategy(), 1).value);
    let valid = (0..50).map(|seed| sample(&valid(&set, &schema), seed));
    for value in bodies.chain(broken).chain(valid) {
        assert!(size(&value) <= 700, "{value}");
    }
    let missed = unreachable(&set, &schema);
    let query = "IframeCreate/properties/reference_queries/items/properties/query/maxLength";
    assert!(missed.iter().any(|(p, why)| p == query && why.contains("a body holds 700")));
}

/// A failing case leaves no file in the tree.
fn without_files() -> ProptestConfig {
    ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(without_files())]

    /// Any broken value of an inline schema with a reference is refused.
    #[test]
    fn broken_values_are_refused(broken in broken(&set(), &json!({
        "type": "array", "minItems": 1, "maxItems": 3,
        "items": {"$ref": "#/components/schemas/Query"},
    }))) {
        let schema = json!({"type": "array", "minItems": 1, "maxItems": 3,
            "items": {"$ref": "#/components/schemas/Query"}});
        prop_assert!(!check(&set(), &schema, &broken.value).is_empty());
    }
}
