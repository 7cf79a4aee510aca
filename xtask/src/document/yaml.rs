//! YAML text into a tree in which every key and value knows its place.
//!
//! The YAML 1.2 core schema without what would make a document read differently than it looks:
//! no duplicate keys, anchors, aliases, tags or second documents. It knows nothing of OpenAPI.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use super::finding::{Finding, Source};
use super::surrogates::Joined;
use crate::rule;

/// The deepest nesting that is read; documents of people stay below 30.
const DEEPEST: usize = 128;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: NodeValue,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum NodeValue {
    Null,
    Bool(bool),
    Int(i64),
    /// Always finite.
    Float(f64),
    String(String),
    Sequence(Vec<Node>),
    /// In the order of the text; keys are unique.
    Mapping(Vec<(Key, Node)>),
}

/// A mapping's key: its text, whatever the scalar looks like (`200` and `'200'` are the same key).
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub text: String,
    pub span: Span,
}

/// Lines and columns are 1-based, columns count characters, the end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
    /// Of the first character, in characters from the start of the text.
    pub index: usize,
}

/// Parses one file.
///
/// The tree is absent after a syntax error; all other findings leave a tree that can be checked
/// further (of two equal keys the first one counts).
pub fn parse(source: &Source<'_>) -> (Option<Node>, Vec<Finding>) {
    let is_json = source.file.ends_with(".json");
    let joined = if is_json { Joined::json(source.text) } else { Joined::unchanged(source.text) };
    let parser = Parser::new_from_str(&joined.text);
    let findings = Vec::new();
    let mut builder = Builder { parser, joined: &joined, source, depth: 0, findings };
    let root = builder.stream();
    let mut findings = builder.findings;
    match root {
        Ok(root) => (Some(root), findings),
        Err(finding) => {
            findings.push(*finding);
            (None, findings)
        }
    }
}

impl Node {
    /// Of an operation: whether it knows who asks, by a credential or by what stands in the body.
    pub fn knows_caller(&self) -> bool {
        let schemes = self.get("security").map_or(&[][..], Node::items);
        !schemes.is_empty() || self.get("requestBody").is_some()
    }

    /// The member of a mapping, with its key.
    pub fn entry(&self, name: &str) -> Option<(&Key, &Node)> {
        self.entries().iter().find(|(key, _)| key.text == name).map(|(key, node)| (key, node))
    }

    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The members of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        if let NodeValue::Mapping(entries) = &self.value { entries } else { &[] }
    }

    /// The entries of a sequence; none for anything else.
    pub fn items(&self) -> &[Node] {
        if let NodeValue::Sequence(items) = &self.value { items } else { &[] }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let NodeValue::String(text) = &self.value { Some(text) } else { None }
    }

    pub fn is_true(&self) -> bool {
        self.value == NodeValue::Bool(true)
    }

    /// The JSON value. `serde_json` sorts the members.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::{Number, Value};
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(value) => Value::Bool(*value),
            NodeValue::Int(value) => Value::Number((*value).into()),
            NodeValue::Float(value) => Value::Number(
                Number::from_f64(*value).expect("the parser keeps finite floats only"),
            ),
            NodeValue::String(value) => Value::String(value.clone()),
            NodeValue::Sequence(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            NodeValue::Mapping(entries) => Value::Object(
                entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect(),
            ),
        }
    }
}

struct Builder<'s, 't> {
    parser: Parser<'t, StrInput<'t>>,
    joined: &'t Joined<'s>,
    source: &'s Source<'s>,
    depth: usize,
    findings: Vec<Finding>,
}

impl<'t> Builder<'_, 't> {
    fn stream(&mut self) -> Result<Node, Box<Finding>> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd, _) => {
                    return Err(self.absent("the file holds no document"));
                }
                (event, span) => {
                    let root = self.node(event, span)?;
                    self.end()?;
                    return Ok(root);
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), Box<Finding>> {
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(()),
                (_, span) => {
                    let finding = self.syntax(span, "the file holds a second document");
                    let help = "put it in a file of its own; here it would never be read";
                    return Err(Box::new(finding.help(help)));
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Box<Finding>> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.place(span.start, span.end))),
            Some(Err(error)) => {
                let at = self.place(*error.marker(), *error.marker());
                let at = Span { end_column: at.column + 1, ..at };
                Err(self.syntax(at, &format!("not YAML: {}", error.info())))
            }
            None => Err(self.absent("the file ends too early")),
        }
    }

    fn place(&self, start: Marker, end: Marker) -> Span {
        let index = |marker: Marker| self.joined.index(marker.index());
        // What the line's own pairs of escapes add.
        let column = |marker: Marker| {
            let line = self.joined.index(marker.index().saturating_sub(marker.col()));
            index(marker).saturating_sub(line) + 1
        };
        Span {
            line: start.line(),
            column: column(start),
            end_line: end.line(),
            end_column: column(end),
            index: index(start),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Box<Finding>> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse(anchor, tag.is_some(), span);
                let value = match style {
                    ScalarStyle::Plain => self.plain(&text, span),
                    ScalarStyle::SingleQuoted
                    | ScalarStyle::DoubleQuoted
                    | ScalarStyle::Literal
                    | ScalarStyle::Folded => NodeValue::String(text.into_owned()),
                };
                Ok(Node { value, span })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse(anchor, tag.is_some(), span);
                self.deeper(span, Self::sequence)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse(anchor, tag.is_some(), span);
                self.deeper(span, Self::mapping)
            }
            Event::Alias(_) => {
                let message = "aliases are not part of the dialect";
                let finding = self.source.finding(span, &rule::YAML_ANCHOR, message);
                self.findings.push(finding.help("name the component and refer to it with `$ref`"));
                Ok(Node { value: NodeValue::Null, span })
            }
            other => Err(self.syntax(span, &format!("unexpected {other:?}"))),
        }
    }

    /// Reading, checking and generating all follow the nesting with the stack.
    fn deeper(
        &mut self,
        span: Span,
        read: fn(&mut Self, Span) -> Result<Node, Box<Finding>>,
    ) -> Result<Node, Box<Finding>> {
        if self.depth == DEEPEST {
            let message = format!("nested more than {DEEPEST} levels deep");
            let finding = self.source.finding(span, &rule::YAML_DEPTH, message);
            return Err(Box::new(
                finding.help("name the inner parts and refer to them with `$ref`"),
            ));
        }
        self.depth += 1;
        let node = read(self, span);
        self.depth -= 1;
        node
    }

    fn sequence(&mut self, start: Span) -> Result<Node, Box<Finding>> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let end = items.last().map_or(span, |item| item.span);
                return Ok(Node { value: NodeValue::Sequence(items), span: start.until(end) });
            }
            items.push(self.node(event, span)?);
        }
    }

    fn mapping(&mut self, start: Span) -> Result<Node, Box<Finding>> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut places = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                // The end of a block mapping lies at the next token, often lines below.
                let end = entries.last().map_or(span, |(_, node)| node.span);
                return Ok(Node { value: NodeValue::Mapping(entries), span: start.until(end) });
            }
            let key = self.key(event, span)?;
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            if let Some(first) = places.get(&key.text) {
                self.duplicate(&key, *first);
                continue;
            }
            places.insert(key.text.clone(), key.span);
            entries.push((key, node));
        }
    }

    fn key(&mut self, event: Event<'t>, span: Span) -> Result<Key, Box<Finding>> {
        match event {
            Event::Scalar(text, _, anchor, tag) if !text.is_empty() => {
                self.refuse(anchor, tag.is_some(), span);
                Ok(Key { text: text.into_owned(), span })
            }
            _ => Err(self.syntax(span, "a key must be a text that is not empty")),
        }
    }

    fn syntax(&self, span: Span, message: &str) -> Box<Finding> {
        Box::new(self.source.finding(span, &rule::YAML_SYNTAX, message))
    }

    fn absent(&self, message: &str) -> Box<Finding> {
        Box::new(Finding::of_file(self.source.file, &rule::YAML_SYNTAX, message))
    }

    fn duplicate(&mut self, key: &Key, first: Span) {
        let message = format!(
            "the key `{}` is given twice, first at {}:{}",
            key.text, first.line, first.column
        );
        let finding = self.source.finding(key.span, &rule::DUPLICATE_KEY, message);
        self.findings
            .push(finding.help("remove one of them; readers disagree on which one counts"));
    }

    fn refuse(&mut self, anchor: usize, tagged: bool, span: Span) {
        if anchor != 0 {
            let finding = self.source.finding(
                span,
                &rule::YAML_ANCHOR,
                "anchors are not part of the dialect",
            );
            self.findings.push(finding.help("name the component and refer to it with `$ref`"));
        }
        if tagged {
            let finding =
                self.source.finding(span, &rule::YAML_TAG, "tags are not part of the dialect");
            self.findings.push(finding.help("quote the value if it is meant as text"));
        }
    }

    fn plain(&mut self, text: &str, span: Span) -> NodeValue {
        resolve(text).unwrap_or_else(|| {
            let message = format!("the number `{text}` does not fit into a JSON number");
            let finding = self.source.finding(span, &rule::YAML_NUMBER, message);
            self.findings.push(finding.help("quote it if it is meant as text"));
            NodeValue::Null
        })
    }
}

impl Span {
    fn until(self, end: Span) -> Span {
        Span { end_line: end.end_line, end_column: end.end_column, ..self }
    }
}

/// A plain scalar by the core schema (YAML 1.2.2, 10.3.2); `None` for a number that is too big, is
/// infinite or is none at all.
fn resolve(text: &str) -> Option<NodeValue> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(NodeValue::Null),
        "true" | "True" | "TRUE" => return Some(NodeValue::Bool(true)),
        "false" | "False" | "FALSE" => return Some(NodeValue::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return None,
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if [".inf", ".Inf", ".INF"].contains(&unsigned) {
        return None;
    }
    if let Some((digits, radix)) = radix(text) {
        return i64::from_str_radix(digits, radix).ok().map(NodeValue::Int);
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(NodeValue::Int);
    }
    // With these characters alone, Rust's grammar of floats is the one of the core schema.
    if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        && let Ok(number) = text.parse::<f64>()
    {
        return number.is_finite().then_some(NodeValue::Float(number));
    }
    Some(NodeValue::String(text.to_owned()))
}

fn radix(text: &str) -> Option<(&str, u32)> {
    let (digits, radix) = match (text.strip_prefix("0o"), text.strip_prefix("0x")) {
        (Some(digits), _) => (digits, 8),
        (_, Some(digits)) => (digits, 16),
        (None, None) => return None,
    };
    let fits = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    fits.then_some((digits, radix))
}
