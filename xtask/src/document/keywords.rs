//! The walk over the raw tree: every keyword known in its place, every value of the right shape.
//!
//! Along the way it notes what the document names (components, error codes, schemes, tags) and which
//! objects it is made of, with places, so that nobody else has to know where a `$ref` is a reference
//! and where it is data.

use std::collections::BTreeSet;

use super::finding::{Finding, Source, nearest};
use super::grammar::{Count, Keyword, Mentioned, Name, Object, Shape};
use super::yaml::{Key, Node, NodeValue, Span};
use crate::rule::{self, Rule};

/// A text in the document that names something.
#[derive(Clone, Debug)]
pub struct Mention {
    pub of: Mentioned,
    pub text: String,
    pub span: Span,
    /// JSON pointer of the value that holds it; for a `$ref` of the object around it.
    pub pointer: String,
}

/// An object of the document; a `$ref` in its place is none.
#[derive(Clone, Debug)]
pub struct Site<'t> {
    pub object: Object,
    pub node: &'t Node,
    /// The key that leads to it, or the first place of an entry of a list.
    pub key: Span,
    /// Its JSON pointer.
    pub pointer: String,
}

/// What a document is made of and what is wrong with it.
#[derive(Debug, Default)]
pub struct Walked<'t> {
    pub sites: Vec<Site<'t>>,
    pub mentions: Vec<Mention>,
    /// Pointers of the objects that have a keyword of the wrong name, place or type.
    pub broken: BTreeSet<String>,
    pub findings: Vec<Finding>,
}

/// Checks a document against the grammar.
pub fn check<'t>(source: &Source<'_>, root: &'t Node, object: Object) -> Walked<'t> {
    let mut walk = Walk { source, pointer: String::new(), walked: Walked::default() };
    let top = Span { line: 1, column: 1, end_line: 1, end_column: 1, index: 0 };
    walk.object(object, root, Place { name: source.stem(), span: top });
    walk.walked
}

/// JSON pointer of a member (RFC 6901).
pub fn pointer_to(parent: &str, member: &str) -> String {
    format!("{parent}/{}", member.replace('~', "~0").replace('/', "~1"))
}

struct Walk<'s, 't> {
    source: &'s Source<'s>,
    pointer: String,
    walked: Walked<'t>,
}

/// The key that leads to a value.
#[derive(Clone, Copy)]
struct Place<'k> {
    name: &'k str,
    span: Span,
}

impl<'t> Walk<'_, 't> {
    fn object(&mut self, object: Object, node: &'t Node, place: Place<'_>) {
        let NodeValue::Mapping(entries) = &node.value else {
            return self.wrong_type(Shape::Is(object), node, place);
        };
        if object.section().is_some()
            && let Some((key, target)) = node.entry("$ref")
        {
            return self.reference(object, entries, key, target);
        }
        let pointer = self.pointer.clone();
        self.walked.sites.push(Site { object, node, key: place.span, pointer });
        for (key, value) in entries {
            match object.keywords().iter().find(|keyword| keyword.name == key.text) {
                Some(keyword) => {
                    if object == Object::Schema {
                        self.applies(keyword, key, node);
                    }
                    self.member(keyword.shape, key, value);
                }
                None => self.unknown(object, node, key),
            }
        }
        for keyword in object.keywords().iter().filter(|keyword| keyword.required) {
            if node.get(keyword.name).is_none() {
                let message = format!("{} needs `{}`", object.noun(), keyword.name);
                self.report(place.span, missing(object, keyword.name), message, None);
            }
        }
    }

    fn reference(&mut self, object: Object, entries: &[(Key, Node)], key: &Key, target: &Node) {
        for (sibling, _) in entries.iter().filter(|(sibling, _)| sibling.text != "$ref") {
            let message = format!("`{}` beside `$ref` is ignored by every reader", sibling.text);
            let help = "remove it, or put it into the component that is referred to";
            self.report(sibling.span, &rule::REF_SIBLING, message, Some(help.to_owned()));
        }
        let Some(text) = target.as_str() else {
            let place = Place { name: "$ref", span: key.span };
            return self.wrong_type(Shape::Text, target, place);
        };
        self.walked.mentions.push(Mention {
            of: Mentioned::Component(object),
            text: text.to_owned(),
            span: target.span,
            pointer: self.pointer.clone(),
        });
    }

    /// A constraint on a schema of another type would be accepted and never checked.
    fn applies(&mut self, keyword: &Keyword, key: &Key, schema: &Node) {
        let Some(kind) = schema.get("type").and_then(Node::as_str) else { return };
        if keyword.types.is_empty() || keyword.types.contains(&kind) {
            return;
        }
        let message = format!(
            "`{}` means nothing for type `{kind}`, only for {}",
            key.text,
            quoted(keyword.types)
        );
        self.walked.broken.insert(self.pointer.clone());
        self.report(key.span, &rule::MISPLACED_KEYWORD, message, None);
    }

    fn unknown(&mut self, object: Object, node: &Node, key: &Key) {
        self.walked.broken.insert(self.pointer.clone());
        let known = || object.keywords().iter().map(|keyword| keyword.name);
        if let Some(instead) = object.instead_of(&key.text) {
            let is_guessed = key.text == "oneOf" && node.get("discriminator").is_none();
            let rule = if is_guessed { &rule::UNTAGGED_UNION } else { &rule::REFUSED_KEYWORD };
            let message = format!("`{}` is no part of the dialect of these documents", key.text);
            return self.report(key.span, rule, message, Some(instead.to_owned()));
        }
        let help = if key.text == "$ref" {
            "write it out here: the dialect has no `$ref` in this place".to_owned()
        } else if let Some(near) = nearest(&key.text, known()) {
            format!("did you mean `{near}`?")
        } else if let Some(other) = Object::elsewhere(&key.text) {
            format!("`{}` belongs on {}", key.text, other.noun())
        } else {
            format!("{} may have {}", object.noun(), quoted(&known().collect::<Vec<_>>()))
        };
        let message = format!("`{}` is not a keyword of {}", key.text, object.noun());
        self.report(key.span, &rule::UNKNOWN_KEYWORD, message, Some(help));
    }

    fn member(&mut self, shape: Shape, key: &Key, value: &'t Node) {
        let place = Place { name: &key.text, span: key.span };
        self.within(&key.text, |walk| walk.shape(shape, value, place));
    }

    fn within(&mut self, member: &str, visit: impl FnOnce(&mut Self)) {
        let inner = pointer_to(&self.pointer, member);
        let outer = std::mem::replace(&mut self.pointer, inner);
        visit(self);
        self.pointer = outer;
    }

    fn shape(&mut self, shape: Shape, node: &'t Node, place: Place<'_>) {
        let value = &node.value;
        let text = node.as_str();
        let fits = match shape {
            Shape::Is(object) => return self.object(object, node, place),
            Shape::FlagOr(object) => {
                if let NodeValue::Mapping(_) = value {
                    return self.object(object, node, place);
                }
                matches!(value, NodeValue::Bool(_))
            }
            Shape::List(count, item) => {
                if let NodeValue::Sequence(items) = value {
                    return self.list(count, item, items, place);
                }
                false
            }
            Shape::Map(name, item) => {
                if let NodeValue::Mapping(entries) = value {
                    return self.map(name, item, entries);
                }
                false
            }
            Shape::Mention(of) => text.inspect(|text| self.mention(of, text, node.span)).is_some(),
            Shape::Anything => true,
            Shape::Flag => matches!(value, NodeValue::Bool(_)),
            Shape::Integer(least, most) => {
                matches!(value, NodeValue::Int(number) if (least..=most).contains(number))
            }
            Shape::Number(above) => is_number(value, above),
            Shape::Text => text.is_some(),
            Shape::CamelCase => text.is_some_and(is_camel_case),
            Shape::Word(words) => text.is_some_and(|text| words.contains(&text)),
        };
        if !fits {
            self.wrong_type(shape, node, place);
        }
    }

    fn list(&mut self, count: Count, item: &Shape, items: &'t [Node], place: Place<'_>) {
        let (enough, wanted) = match count {
            Count::Any => (true, ""),
            Count::AtLeastOne => (!items.is_empty(), "at least one entry"),
            Count::ExactlyOne => (items.len() == 1, "exactly one entry"),
        };
        if !enough {
            let message = format!("`{}` needs {wanted}, has {}", place.name, items.len());
            self.report(place.span, miscounted(place.name), message, None);
        }
        for (index, node) in items.iter().enumerate() {
            let place = Place { name: place.name, span: node.span };
            self.within(&index.to_string(), |walk| walk.shape(*item, node, place));
        }
    }

    fn map(&mut self, name: Name, item: &Shape, entries: &'t [(Key, Node)]) {
        for (key, value) in entries {
            if let Some(expected) = name.objection(&key.text) {
                let message = format!("`{}` cannot stand here: expected {expected}", key.text);
                self.report(key.span, &rule::WRONG_NAME, message, None);
            }
            if let Name::SecurityScheme = name {
                self.mention(Mentioned::SecurityScheme, &key.text, key.span);
            }
            self.member(*item, key, value);
        }
    }

    fn mention(&mut self, of: Mentioned, text: &str, span: Span) {
        let pointer = self.pointer.clone();
        self.walked.mentions.push(Mention { of, text: text.to_owned(), span, pointer });
    }

    fn wrong_type(&mut self, shape: Shape, node: &Node, place: Place<'_>) {
        let (expected, found) = (expected(shape), shown(node));
        let message = format!("`{}` must be {expected}, here it is {found}", place.name);
        // An absent value has no width and a collection starts on another line: show the key.
        let at = match &node.value {
            NodeValue::Null | NodeValue::Sequence(_) | NodeValue::Mapping(_) => place.span,
            NodeValue::Bool(_) | NodeValue::Int(_) | NodeValue::Float(_) | NodeValue::String(_) => {
                node.span
            }
        };
        let holder = self.pointer.rsplit_once('/').map_or("", |(holder, _)| holder);
        self.walked.broken.insert(holder.to_owned());
        self.report(at, &rule::WRONG_TYPE, message, quotes(shape, &node.value));
    }

    fn report(&mut self, at: Span, rule: &'static Rule, message: String, help: Option<String>) {
        self.walked.findings.push(self.source.finding(at, rule, message).maybe_help(help));
    }
}

/// What every operation needs has a rule of its own.
fn missing(object: Object, keyword: &str) -> &'static Rule {
    match (object, keyword) {
        (Object::Operation, "operationId") => &rule::OPERATION_ID,
        (Object::Operation, "tags") => &rule::OPERATION_TAG,
        (Object::Operation, "summary") => &rule::OPERATION_SUMMARY,
        _ => &rule::MISSING_KEYWORD,
    }
}

fn miscounted(keyword: &str) -> &'static Rule {
    if keyword == "tags" { &rule::OPERATION_TAG } else { &rule::WRONG_COUNT }
}

/// The repair when a value of the wrong type has quotes too many or too few.
fn quotes(shape: Shape, value: &NodeValue) -> Option<String> {
    let text = if let NodeValue::String(text) = value { Some(text) } else { None };
    let is_bare = matches!(value, NodeValue::Bool(_) | NodeValue::Int(_) | NodeValue::Float(_));
    let (helps, repair) = match shape {
        Shape::Integer(..) => (text.is_some_and(|text| text.parse::<i64>().is_ok()), "remove"),
        Shape::Number(_) => (text.is_some_and(|text| text.parse::<f64>().is_ok()), "remove"),
        Shape::Flag | Shape::FlagOr(_) => {
            (text.is_some_and(|text| text.parse::<bool>().is_ok()), "remove")
        }
        Shape::Text | Shape::CamelCase | Shape::Mention(_) | Shape::Word(_) => (is_bare, "add"),
        Shape::Anything | Shape::List(..) | Shape::Map(..) | Shape::Is(_) => (false, ""),
    };
    helps.then(|| format!("{repair} the quotes"))
}

/// What a value of this shape is, for people.
fn expected(shape: Shape) -> String {
    match shape {
        Shape::Anything => "any value".to_owned(),
        Shape::Flag => "`true` or `false`".to_owned(),
        Shape::Integer(0, i64::MAX) => "an integer that is not negative".to_owned(),
        Shape::Integer(least, most) => format!("an integer from {least} to {most}"),
        Shape::Number(None) => "a number".to_owned(),
        Shape::Number(Some(above)) => format!("a number greater than {above}"),
        Shape::Text | Shape::Mention(_) => "a text".to_owned(),
        Shape::CamelCase => "a camelCase text".to_owned(),
        Shape::Word([word]) => format!("the text `{word}`"),
        Shape::Word(words) => format!("a text out of {}", quoted(words)),
        Shape::List(..) => "a list".to_owned(),
        Shape::Map(..) => "an object".to_owned(),
        Shape::Is(object) => object.noun().to_owned(),
        Shape::FlagOr(object) => format!("`true`, `false` or {}", object.noun()),
    }
}

/// A value in a few words.
fn shown(node: &Node) -> String {
    match &node.value {
        NodeValue::Null => "empty".to_owned(),
        NodeValue::Bool(value) => format!("`{value}`"),
        NodeValue::Int(value) => format!("the integer {value}"),
        NodeValue::Float(value) => format!("the number {value}"),
        NodeValue::String(value) if value.chars().count() <= 40 => format!("the text {value:?}"),
        NodeValue::String(_) => "a text".to_owned(),
        NodeValue::Sequence(_) => "a list".to_owned(),
        NodeValue::Mapping(_) => "an object".to_owned(),
    }
}

fn is_number(value: &NodeValue, above: Option<i64>) -> bool {
    let number = match value {
        // Exact enough: the bounds that are asked for are small.
        NodeValue::Int(number) => *number as f64,
        NodeValue::Float(number) => *number,
        NodeValue::Null
        | NodeValue::Bool(_)
        | NodeValue::String(_)
        | NodeValue::Sequence(_)
        | NodeValue::Mapping(_) => return false,
    };
    above.is_none_or(|above| number > above as f64)
}

fn is_camel_case(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
