//! Schemas in words: a table with a row for every member, nested ones under their path.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::api::{component_name, members, resolve};
use super::{prose, string, table};

/// A schema's members as a table; of a scalar or an array, the one row that there is.
pub fn members_table(root: &Value, schema: &Value) -> String {
    let mut walk = Walk { root, above: Vec::new(), shown: BTreeSet::new(), rows: Vec::new() };
    walk.children("", schema);
    if walk.rows.is_empty() {
        walk.row("(the value)", schema, "yes");
    }
    table(["Member", "Type", "Required", "Constraints", "Description"], walk.rows)
}

/// A table of this many rows shows no component twice: there are documents whose components, all
/// written out, would fill the disk.
const LONG: usize = 200;

struct Walk<'a> {
    root: &'a Value,
    /// The components around the current one; a recursive schema ends at its own name.
    above: Vec<&'a str>,
    /// The components whose members have rows.
    shown: BTreeSet<&'a str>,
    rows: Vec<[String; 5]>,
}

impl<'a> Walk<'a> {
    fn row(&mut self, path: &str, schema: &Value, required: &str) {
        let it = resolve(self.root, schema);
        self.rows.push([
            format!("`{path}`"),
            kind(self.root, schema),
            required.to_owned(),
            constraints(self.root, schema),
            prose(string(&it["description"])),
        ]);
    }

    /// The rows below a path: members, items, and those of every alternative.
    fn children(&mut self, path: &str, schema: &'a Value) {
        let name = component_name(schema);
        if name.is_some_and(|name| self.above.contains(&name)) {
            return;
        }
        let it = resolve(self.root, schema);
        if name.is_some_and(|name| !self.shown.insert(name)) && self.rows.len() > LONG {
            if let Some([.., description]) =
                self.rows.last_mut().filter(|_| it["properties"].is_object())
            {
                description.push_str(" (Members as above.)");
            }
            return;
        }
        self.above.extend(name);
        for (member, required) in ordered(it) {
            let below = if path.is_empty() { member.clone() } else { format!("{path}.{member}") };
            let required = if required { "yes" } else { "no" };
            self.row(&below, &it["properties"][member], required);
            self.children(&below, &it["properties"][member]);
        }
        if it["additionalProperties"].is_object() {
            let below = if path.is_empty() { "*".to_owned() } else { format!("{path}.*") };
            self.row(&below, &it["additionalProperties"], "no");
            self.children(&below, &it["additionalProperties"]);
        }
        if it["items"].is_object() {
            let below = format!("{path}[]");
            self.row(&below, &it["items"], "");
            self.children(&below, &it["items"]);
        }
        for alternative in it["anyOf"].as_array().into_iter().flatten() {
            self.children(path, alternative);
        }
        self.above.truncate(self.above.len() - usize::from(name.is_some()));
    }
}

/// The names of an object's members: required ones first, in the order in which they are listed.
fn ordered(object: &Value) -> Vec<(&String, bool)> {
    let listed = object["required"].as_array().map_or(&[][..], Vec::as_slice);
    let place = |name: &str| listed.iter().position(|it| it == name).unwrap_or(listed.len());
    let mut names: Vec<_> = members(&object["properties"]).map(|(name, _)| name).collect();
    names.sort_by_key(|name| place(name));
    names.into_iter().map(|name| (name, place(name) < listed.len())).collect()
}

/// The type in words: `string (date-time)`, `array of integer`, `string or integer`.
pub fn kind(root: &Value, schema: &Value) -> String {
    kind_within(root, schema, 0)
}

/// Arrays of arrays and alternatives of alternatives are named down to here: they may contain
/// themselves.
const DEEPEST: usize = 4;

fn kind_within(root: &Value, schema: &Value, depth: usize) -> String {
    let it = resolve(root, schema);
    if depth == DEEPEST {
        return "any value".to_owned();
    }
    let kind = |schema| kind_within(root, schema, depth + 1);
    if let Some(alternatives) = it["anyOf"].as_array() {
        return alternatives.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    match (it["type"].as_str(), it["format"].as_str()) {
        (Some("array"), _) => {
            let items = resolve(root, &it["items"]);
            // A value of many types may be an array of itself.
            let many = items["anyOf"].is_array();
            let items = if many { "values".to_owned() } else { kind(items) };
            format!("array of {items}")
        }
        (Some(kind), Some(format)) => format!("{kind} ({format})"),
        (Some(kind), None) => kind.to_owned(),
        (None, _) => "any value".to_owned(),
    }
}

/// What a schema asks of a value beyond its type, in words; alternatives one by one.
pub fn constraints(root: &Value, schema: &Value) -> String {
    constraints_within(root, schema, 0)
}

fn constraints_within(root: &Value, schema: &Value, depth: usize) -> String {
    let it = resolve(root, schema);
    let mut all = Vec::new();
    let alternatives = it["anyOf"].as_array().filter(|_| depth < DEEPEST);
    for alternative in alternatives.into_iter().flatten() {
        let inner = constraints_within(root, alternative, depth + 1);
        if !inner.is_empty() {
            all.push(format!("{}: {inner}", kind(root, alternative)));
        }
    }
    all.extend(RANGES.iter().filter_map(|(least, most, noun)| range(it, least, most, noun)));
    all.extend(members(it).filter_map(|(keyword, value)| in_words(keyword, value)));
    all.join("; ")
}

/// Bounds that come in pairs, and what they count.
const RANGES: [(&str, &str, &str); 4] = [
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " members"),
    ("minimum", "maximum", ""),
];

fn range(schema: &Value, least: &str, most: &str, noun: &str) -> Option<String> {
    let (above, below) = (schema["exclusiveMinimum"] == true, schema["exclusiveMaximum"] == true);
    match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) if least == most => Some(format!("exactly {least}{noun}")),
        (Some(least), Some(most)) if !above && !below => Some(format!("{least} to {most}{noun}")),
        (None, None) => None,
        (least, most) => {
            let least = least.map(|n| format!("{} {n}", if above { "above" } else { "at least" }));
            let most = most.map(|n| format!("{} {n}", if below { "below" } else { "at most" }));
            let both: Vec<_> = least.into_iter().chain(most).collect();
            Some(format!("{}{noun}", both.join(", ")))
        }
    }
}

/// One keyword. What is told elsewhere gives nothing; what nobody knows is shown as it stands,
/// because a constraint that the reference hides would be worse than an odd line.
fn in_words(keyword: &str, value: &Value) -> Option<String> {
    let text = match keyword {
        "enum" => return value.as_array().map(|all| options(all)),
        "pattern" => format!("matches `{}`", string(value)),
        "multipleOf" => format!("a multiple of {value}"),
        "x-max-bytes" => format!("at most {value} bytes as JSON"),
        "x-max-depth" => format!("arrays nested at most {value} deep"),
        "x-property-names" => property_names(value),
        "default" => format!("default `{value}`"),
        "uniqueItems" if value == true => "no repetitions".to_owned(),
        "additionalProperties" if value == false => "no other members".to_owned(),
        "nullable" if value == true => "may be `null`".to_owned(),
        "deprecated" if value == true => "deprecated".to_owned(),
        "x-sensitive" if value == true => "never echoed in errors".to_owned(),
        "uniqueItems"
        | "additionalProperties"
        | "nullable"
        | "deprecated"
        | "x-sensitive"
        | "exclusiveMinimum"
        | "exclusiveMaximum"
        | "type"
        | "format"
        | "title"
        | "description"
        | "example"
        | "anyOf"
        | "items"
        | "properties"
        | "required"
        | "x-verbatim" => return None,
        bound if RANGES.iter().any(|(least, most, _)| [*least, *most].contains(&bound)) => {
            return None;
        }
        _ => format!("{keyword}: `{value}`"),
    };
    Some(text)
}

fn options(all: &[Value]) -> String {
    let shown: Vec<_> = all.iter().map(|one| format!("`{}`", plain(one))).collect();
    if shown.len() == 1 {
        return format!("always {}", shown[0]);
    }
    format!("one of {}", shown.join(", "))
}

/// A string without its quotation marks, anything else as JSON.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn property_names(value: &Value) -> String {
    let pattern = value["pattern"].as_str().map(|pattern| format!("match `{pattern}`"));
    let length = value.get("maxLength").map(|most| format!("have at most {most} characters"));
    let both: Vec<_> = pattern.into_iter().chain(length).collect();
    format!("names {}", both.join(" and "))
}
