//! The text of a new operation and of the schemas it names: everything that the lint asks for,
//! with placeholders that read as such.
//!
//! Pure: what is asked and the neighbours in, lines out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use heck::ToUpperCamelCase;

use super::naming::{Deed, Naming};
use super::neighbours::Neighbours;
use super::refusals;
use super::text::{lines_of, moved};

/// What a body may be where no neighbour says.
const MAX_BYTES: i64 = 16384;

/// What an operation has that makes something.
const IDEMPOTENCY_KEY: &str = "common.yaml#/components/parameters/IdempotencyKey";
const IDEMPOTENT_REPLAYED: &str = "common.yaml#/components/headers/IdempotentReplayed";

/// What was decided about a new operation.
pub struct Asked<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub id: String,
    pub tag: String,
    /// The kind of caller; nobody in particular when it is open.
    pub caller: Option<String>,
    pub naming: Naming,
    /// Names that no new schema can have, in lower case.
    pub taken: BTreeSet<String>,
}

impl Asked<'_> {
    /// Whether it is to be repeated without making a second thing.
    pub fn takes_key(&self) -> bool {
        self.naming.deed == Deed::Create
    }

    /// Whether it will know who asks: by a credential, or by what stands in the body.
    pub fn knows_caller(&self) -> bool {
        self.caller.is_some() || self.naming.deed.takes_body()
    }
}

/// Lines of an operation as a member of `paths`' items, and of new schemas, not indented.
pub struct Skeleton {
    pub operation: Vec<String>,
    pub schemas: Vec<(String, Vec<String>)>,
}

/// Writes the skeleton.
pub fn write(asked: &Asked<'_>, neighbours: &Neighbours<'_>) -> Skeleton {
    let mut writer = Writer { asked, neighbours, schemas: Vec::new() };
    let operation = writer.operation();
    Skeleton { operation, schemas: writer.schemas }
}

struct Writer<'a> {
    asked: &'a Asked<'a>,
    neighbours: &'a Neighbours<'a>,
    schemas: Vec<(String, Vec<String>)>,
}

impl Writer<'_> {
    fn operation(&mut self) -> Vec<String> {
        let Asked { method, id, tag, naming, .. } = self.asked;
        let summary = naming.summary();
        let mut lines = lines_of(&format!(
            "{method}:\n  operationId: {id}\n  tags: [{tag}]\n  summary: {summary}\n  \
             description: Placeholder. Say what it does, for whom, and what it changes."
        ));
        let donor = self.neighbours.all.iter().find(|it| it.node.get("x-max-bytes").is_some());
        if naming.deed.takes_body() {
            let bytes = donor.and_then(|it| it.node.get("x-max-bytes"));
            let bytes = bytes.map_or(MAX_BYTES.into(), |it| it.to_json());
            lines.push(format!("  x-max-bytes: {bytes}"));
        }
        if self.is_cors() {
            lines.push("  x-cors: true".to_owned());
        }
        lines.extend(self.security());
        lines.extend(self.parameters());
        if naming.deed.takes_body() {
            let schema = self.request_schema();
            lines.extend(lines_of(&format!(
                "  requestBody:\n    description: Placeholder. What is sent.\n    required: true\n    \
                 content:\n      application/json:\n        schema:\n          \
                 $ref: '#/components/schemas/{schema}'"
            )));
        }
        lines.push("  responses:".to_owned());
        let success = self.success();
        lines.extend(moved(&success, 0, 4));
        lines.extend(refusals::write(self.asked, self.neighbours, donor));
        lines
    }

    /// Pages of other origins may call it when they may call everything else here.
    fn is_cors(&self) -> bool {
        let all = &self.neighbours.all;
        !all.is_empty() && all.iter().all(|it| it.is_set("x-cors"))
    }

    fn security(&self) -> Vec<String> {
        let Some(caller) = &self.asked.caller else { return vec!["  security: []".to_owned()] };
        let schemes = self.neighbours.schemes(caller);
        let each = schemes.iter().enumerate().map(|(i, scheme)| {
            let lead = if i == 0 { "- " } else { "  " };
            format!("    {lead}{scheme}: []")
        });
        std::iter::once("  security:".to_owned()).chain(each).collect()
    }

    fn parameters(&self) -> Vec<String> {
        let shared = match self.asked.knows_caller() {
            true => self.neighbours.shared_parameters(),
            false => BTreeSet::new(),
        };
        let shared = shared.into_iter().map(|target| format!("    - $ref: '{target}'"));
        let each = variables(self.asked.path).flat_map(|name| {
            self.neighbours.parameter(name, 4).unwrap_or_else(|| {
                let text = format!(
                    "- name: {name}\n  in: path\n  description: Placeholder. Which one.\n  \
                     required: true\n  schema:\n    type: string\n    \
                     pattern: ^[A-Za-z0-9_-]+$\n    minLength: 1\n    maxLength: 64\n    \
                     example: placeholder"
                );
                moved(&lines_of(&text), 0, 4)
            })
        });
        let key = self.asked.takes_key().then(|| format!("    - $ref: '{IDEMPOTENCY_KEY}'"));
        let all: Vec<_> = each.chain(key).chain(shared).collect();
        if all.is_empty() {
            return all;
        }
        std::iter::once("  parameters:".to_owned()).chain(all).collect()
    }

    fn success(&mut self) -> Vec<String> {
        let status = self.asked.naming.deed.status();
        let mut text = format!("'{status}':\n  description: Placeholder. What the caller gets.\n");
        let caller = self.asked.caller.as_deref();
        let mut headers = self.neighbours.common_headers(caller, |key| key.starts_with('2'));
        if self.asked.takes_key() {
            headers.insert(("Idempotent-Replayed".to_owned(), IDEMPOTENT_REPLAYED.to_owned()));
        }
        if !headers.is_empty() {
            text.push_str("  headers:\n");
        }
        for (name, target) in headers {
            let _ = writeln!(text, "    {name}:\n      $ref: '{target}'");
        }
        if status != 204 {
            let schema = self.answer_schema();
            let _ = write!(
                text,
                "  content:\n    application/json:\n      schema:\n        \
                 $ref: '#/components/schemas/{schema}'"
            );
        }
        lines_of(&text)
    }

    /// The schema of the body: one string member, to be replaced.
    fn request_schema(&mut self) -> String {
        let name = self.free(&[self.asked.id.to_upper_camel_case()], "Body");
        let description = format!("Placeholder. What is sent to {}.", self.asked.id);
        // Of an update every member may be left out.
        let required = self.asked.naming.deed != Deed::Update;
        self.schemas.push((name.clone(), object(&name, &description, required)));
        name
    }

    /// The schema of the answer: the thing itself where the document knows it.
    fn answer_schema(&mut self) -> String {
        let thing = self.thing();
        let list = self.asked.naming.deed == Deed::List;
        let inner = if list { self.list_of(&thing) } else { thing };
        if !self.neighbours.answers_in_envelopes() {
            return inner;
        }
        let name = format!("{inner}Envelope");
        if self.neighbours.schema(&name).is_some() {
            return name;
        }
        let name = self.free(&[name], "Answer");
        let text = format!(
            "{name}:\n  type: object\n  description: Placeholder. What is answered.\n  \
             additionalProperties: false\n  required: [data]\n  properties:\n    data:\n      \
             $ref: '#/components/schemas/{inner}'"
        );
        self.schemas.push((name.clone(), lines_of(&text)));
        name
    }

    fn thing(&mut self) -> String {
        let thing = &self.asked.naming.thing;
        if self.neighbours.schema(thing).is_some_and(|it| it.get("properties").is_some()) {
            return thing.clone();
        }
        let name = self.free(std::slice::from_ref(thing), "Answer");
        let description =
            format!("Placeholder. What the service tells of the {}.", self.asked.naming.words);
        self.schemas.push((name.clone(), object(&name, &description, true)));
        name
    }

    fn list_of(&mut self, thing: &str) -> String {
        let name = format!("{thing}List");
        if self.neighbours.schema(&name).is_some() {
            return name;
        }
        let name = self.free(&[name], "Answer");
        let text = format!(
            "{name}:\n  type: object\n  description: Placeholder. All {}.\n  \
             additionalProperties: false\n  required: [items]\n  properties:\n    items:\n      \
             type: array\n      description: Placeholder. In which order.\n      maxItems: 200\n      \
             items:\n        $ref: '#/components/schemas/{thing}'",
            self.asked.naming.plural()
        );
        self.schemas.push((name.clone(), lines_of(&text)));
        name
    }

    /// The first of these names that is free, or the operation's with an ending.
    fn free(&self, wanted: &[String], ending: &str) -> String {
        let id = self.asked.id.to_upper_camel_case();
        let others = std::iter::successors(Some(format!("{id}{ending}")), |it| {
            Some(format!("{it}{ending}"))
        });
        let is_free = |name: &String| {
            let is_mine = self.schemas.iter().any(|(mine, _)| mine == name);
            !is_mine && !self.asked.taken.contains(&name.to_lowercase())
        };
        wanted.iter().cloned().chain(others).find(is_free).expect("one of endless many is free")
    }
}

/// An object with one string, which the lint has nothing to say about.
fn object(name: &str, description: &str, required: bool) -> Vec<String> {
    let required = if required { "  required: [placeholder]\n" } else { "" };
    lines_of(&format!(
        "{name}:\n  type: object\n  description: {description}\n  additionalProperties: false\n\
         {required}  properties:\n    placeholder:\n      type: string\n      \
         description: Placeholder. Write the members here.\n      minLength: 1\n      \
         maxLength: 100\n      example: placeholder\n  example:\n    placeholder: placeholder"
    ))
}

/// The variables of a path.
pub fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
}
