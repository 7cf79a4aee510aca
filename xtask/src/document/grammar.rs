//! The words in which the dialect is written down: objects, keywords, the shapes of their values.
//!
//! The dialect itself is in `dialect.rs`, the walk over a document in `keywords.rs`.

/// The objects of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    Document,
    /// The root of `common.yaml`.
    Common,
    CatalogueEntry,
    Info,
    Contact,
    License,
    ExternalDocs,
    Server,
    Tag,
    Validation,
    ValidationAnswer,
    PathItem,
    Operation,
    Parameter,
    Idempotency,
    TestClock,
    RequestBody,
    Known,
    Rule,
    Response,
    Link,
    Header,
    MediaType,
    Example,
    Schema,
    PropertyNames,
    Components,
    SecurityScheme,
    Obtained,
}

/// One keyword of an object.
#[derive(Debug)]
pub struct Keyword {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
    /// The schema types it means something for; empty for all.
    pub types: &'static [&'static str],
}

/// What a keyword's value must look like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Any value; not looked into.
    Anything,
    Flag,
    /// Inclusive bounds.
    Integer(i64, i64),
    /// Greater than the bound, if there is one.
    Number(Option<i64>),
    Text,
    CamelCase,
    Word(&'static [&'static str]),
    /// A text that names something defined elsewhere.
    Mention(Mentioned),
    List(Count, &'static Shape),
    /// Free member names of one kind.
    Map(Name, &'static Shape),
    Is(Object),
    FlagOr(Object),
}

#[derive(Clone, Copy, Debug)]
pub enum Count {
    Any,
    AtLeastOne,
    ExactlyOne,
}

/// What a text can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mentioned {
    ErrorCode,
    /// Of any document.
    Operation,
    SecurityScheme,
    Tag,
    /// The target of a `$ref`.
    Component(Object),
}

/// What the member names of a map are.
#[derive(Clone, Copy, Debug)]
pub enum Name {
    Property,
    Path,
    /// A JSON pointer into a body, in which `*` is any item or member.
    Pointer,
    /// `common.yaml` may say `paths: {}`, so that other tools accept it.
    NoPath,
    Status,
    Schema,
    Component,
    Header,
    MediaType,
    ErrorCode,
    /// A scheme of this document; a mention.
    SecurityScheme,
}

impl Name {
    /// What such a name looks like, if this is none.
    pub fn objection(self, name: &str) -> Option<&'static str> {
        let starts = |fits: fn(char) -> bool| name.starts_with(fits);
        let all = |fits: fn(char) -> bool| name.chars().all(fits);
        let (fits, expected) = match self {
            Name::Property | Name::SecurityScheme => (true, "a name"),
            Name::Path => (starts(|c| c == '/'), "a path, beginning with `/`"),
            Name::Pointer => (starts(|c| c == '/'), "a JSON pointer, beginning with `/`"),
            Name::NoPath => (false, "nothing: common.yaml has no operations of its own"),
            Name::Status => (
                ("200".."600").contains(&name) && is_registered(name),
                "one registered status such as `404`: ranges and `default` would let undocumented \
                 answers in",
            ),
            Name::Schema => (
                starts(|c| c.is_ascii_uppercase()) && all(|c| c.is_ascii_alphanumeric()),
                "a PascalCase name: it becomes a Rust type",
            ),
            Name::Component => (
                starts(|c| c.is_ascii_alphabetic())
                    && all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c)),
                "a name of ASCII letters, digits, `_`, `-` and `.`",
            ),
            Name::Header => (
                starts(|c| c.is_ascii_alphabetic())
                    && all(|c| c.is_ascii_alphanumeric() || c == '-'),
                "a header name",
            ),
            Name::MediaType => (name == "application/json", "`application/json`"),
            Name::ErrorCode => (
                starts(|c| c.is_ascii_lowercase())
                    && all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
                "a snake_case code",
            ),
        };
        (!fits).then_some(expected)
    }
}

/// Whether a status has a name, which generated variants are called after.
fn is_registered(status: &str) -> bool {
    http::StatusCode::from_bytes(status.as_bytes())
        .is_ok_and(|status| status.canonical_reason().is_some())
}
