//! Which keyword may stand where: OpenAPI 3.0.3 restricted to our dialect, as tables.
//!
//! `openapiv3` drops what it does not know, so these tables are the only place that notices a
//! misspelt constraint. A keyword is listed only if the generator honours it. The walk over a
//! document is `keywords.rs`.

use super::grammar::Count::{Any as AnyNumber, AtLeastOne, ExactlyOne};
use super::grammar::Mentioned::{ErrorCode as Code, Operation as OperationId, Tag as TagName};
use super::grammar::Shape::{
    Anything, CamelCase, Flag, FlagOr, Integer, Is, List, Map, Mention, Number, Text, Word,
};
use super::grammar::{Keyword, Name, Object, Shape};

const MAX: i64 = i64::MAX;
/// What a body in memory may reasonably be; more is a typing error.
const MAX_BODY: i64 = 64 << 20;
const MAX_HEADER: i64 = 1024;

const DOCUMENT: &[Keyword] = &[
    must("openapi", Word(&["3.0.3"])),
    must("info", Is(Object::Info)),
    may("servers", List(AtLeastOne, &Is(Object::Server))),
    may("tags", List(AnyNumber, &Is(Object::Tag))),
    must("paths", Map(Name::Path, &Is(Object::PathItem))),
    may("components", Is(Object::Components)),
    may("externalDocs", Is(Object::ExternalDocs)),
    must("x-validation", Is(Object::Validation)),
];
const COMMON: &[Keyword] = &[
    may("openapi", Word(&["3.0.3"])),
    may("info", Is(Object::Info)),
    may("servers", List(AtLeastOne, &Is(Object::Server))),
    may("paths", Map(Name::NoPath, &Anything)),
    may("components", Is(Object::Components)),
    must("x-error-codes", Map(Name::ErrorCode, &Is(Object::CatalogueEntry))),
];
const CATALOGUE_ENTRY: &[Keyword] = &[must("message", Text)];
const INFO: &[Keyword] = &[
    must("title", Text),
    must("version", Text),
    may("description", Text),
    may("termsOfService", Text),
    may("contact", Is(Object::Contact)),
    may("license", Is(Object::License)),
];
const CONTACT: &[Keyword] = &[may("name", Text), may("url", Text), may("email", Text)];
const LICENSE: &[Keyword] = &[must("name", Text), may("url", Text)];
const EXTERNAL_DOCS: &[Keyword] = &[must("url", Text), may("description", Text)];
const SERVER: &[Keyword] = &[must("url", Text), may("description", Text)];
const TAG: &[Keyword] = &[
    must("name", CamelCase),
    may("description", Text),
    may("externalDocs", Is(Object::ExternalDocs)),
];
const VALIDATION: &[Keyword] =
    &[must("body", Is(Object::ValidationAnswer)), must("parameters", Is(Object::ValidationAnswer))];
const VALIDATION_ANSWER: &[Keyword] =
    &[must("status", Integer(400, 499)), must("code", Mention(Code))];
const PATH_ITEM: &[Keyword] = &[
    may("summary", Text),
    may("description", Text),
    may("parameters", List(AnyNumber, &Is(Object::Parameter))),
    may("get", Is(Object::Operation)),
    may("put", Is(Object::Operation)),
    may("post", Is(Object::Operation)),
    may("patch", Is(Object::Operation)),
    may("delete", Is(Object::Operation)),
];
const OPERATION: &[Keyword] = &[
    must("operationId", CamelCase),
    must("tags", List(ExactlyOne, &Mention(TagName))),
    must("summary", Text),
    must("description", Text),
    must("security", List(AnyNumber, &Map(Name::SecurityScheme, &List(AnyNumber, &Text)))),
    may("parameters", List(AnyNumber, &Is(Object::Parameter))),
    may("requestBody", Is(Object::RequestBody)),
    must("responses", Map(Name::Status, &Is(Object::Response))),
    may("deprecated", Flag),
    may("externalDocs", Is(Object::ExternalDocs)),
    may("x-max-bytes", Integer(1, MAX_BODY)),
    may("x-cors", Flag),
];
const PARAMETER: &[Keyword] = &[
    must("name", Text),
    must("in", Word(&["path", "query", "header"])),
    may("description", Text),
    may("required", Flag),
    may("deprecated", Flag),
    must("schema", Is(Object::Schema)),
    may("example", Anything),
    may("x-credential", Text),
    may("x-idempotency", Is(Object::Idempotency)),
    may("x-test-clock", Is(Object::TestClock)),
];
/// What makes a header parameter the key under which a request takes effect once: how long its
/// answer is kept, the header of an answer that is given again, and the codes that refuse another
/// request under the key, and one that comes before the first is answered.
const IDEMPOTENCY: &[Keyword] = &[
    must("kept-ms", Integer(1, MAX)),
    must("replayed", Text),
    must("reused", Mention(Code)),
    must("in-progress", Mention(Code)),
];
/// What makes a header parameter the clock of its request: how far ahead of the service's time it may
/// be, and the code that refuses those who may not move it there.
const TEST_CLOCK: &[Keyword] = &[must("ahead-ms", Integer(1, MAX)), must("refused", Mention(Code))];
const REQUEST_BODY: &[Keyword] = &[
    may("description", Text),
    may("required", Flag),
    must("content", Map(Name::MediaType, &Is(Object::MediaType))),
    may("x-credentials", Map(Name::Pointer, &Is(Object::Known))),
    may("x-rules", List(AtLeastOne, &Is(Object::Rule))),
];
/// A member whose value only a deployment knows: where a credentials file has it, and the codes
/// that refuse another tenant's and one that nobody has.
const KNOWN: &[Keyword] =
    &[must("credential", Text), may("foreign", Mention(Code)), may("unknown", Mention(Code))];
/// What may refuse a body that breaks no constraint: a code, when all these members are there, or
/// a violation of this keyword there.
const RULE: &[Keyword] = &[
    may("code", Mention(Code)),
    may("when", List(AtLeastOne, &Text)),
    may("pointer", Text),
    may("keyword", Text),
];
const RESPONSE: &[Keyword] = &[
    must("description", Text),
    may("headers", Map(Name::Header, &Is(Object::Header))),
    may("content", Map(Name::MediaType, &Is(Object::MediaType))),
    may("x-codes", List(AtLeastOne, &Mention(Code))),
    may("links", Map(Name::Component, &Is(Object::Link))),
];
const LINK: &[Keyword] = &[
    must("operationId", Mention(OperationId)),
    may("description", Text),
    may("parameters", Map(Name::Property, &Text)),
    may("requestBody", Map(Name::Property, &Text)),
];
const HEADER: &[Keyword] = &[
    may("description", Text),
    may("required", Flag),
    may("deprecated", Flag),
    must("schema", Is(Object::Schema)),
    may("example", Anything),
];
const MEDIA_TYPE: &[Keyword] = &[
    must("schema", Is(Object::Schema)),
    may("example", Anything),
    may("examples", Map(Name::Component, &Is(Object::Example))),
];
const EXAMPLE: &[Keyword] =
    &[may("summary", Text), may("description", Text), must("value", Anything)];

const STRINGS: &[&str] = &["string"];
const NUMBERS: &[&str] = &["integer", "number"];
const ARRAYS: &[&str] = &["array"];
const OBJECTS: &[&str] = &["object"];
const SCHEMA: &[Keyword] = &[
    may("type", Word(&["string", "integer", "number", "boolean", "object", "array"])),
    may("title", Text),
    may("description", Text),
    may("nullable", Flag),
    may("enum", List(AtLeastOne, &Anything)),
    may("default", Anything),
    may("example", Anything),
    may("deprecated", Flag),
    may("anyOf", List(AtLeastOne, &Is(Object::Schema))),
    only(STRINGS, "pattern", Text),
    only(STRINGS, "minLength", Integer(0, MAX)),
    only(STRINGS, "maxLength", Integer(0, MAX)),
    only(STRINGS, "format", Word(&["date-time", "uuid", "uri"])),
    only(NUMBERS, "minimum", Number(None)),
    only(NUMBERS, "maximum", Number(None)),
    only(NUMBERS, "exclusiveMinimum", Flag),
    only(NUMBERS, "exclusiveMaximum", Flag),
    only(NUMBERS, "multipleOf", Number(Some(0))),
    only(ARRAYS, "items", Is(Object::Schema)),
    only(ARRAYS, "minItems", Integer(0, MAX)),
    only(ARRAYS, "maxItems", Integer(0, MAX)),
    only(ARRAYS, "uniqueItems", Flag),
    only(OBJECTS, "properties", Map(Name::Property, &Is(Object::Schema))),
    only(OBJECTS, "required", List(AtLeastOne, &Text)),
    only(OBJECTS, "additionalProperties", FlagOr(Object::Schema)),
    only(OBJECTS, "minProperties", Integer(0, MAX)),
    only(OBJECTS, "maxProperties", Integer(0, MAX)),
    only(OBJECTS, "x-property-names", Is(Object::PropertyNames)),
    only(OBJECTS, "x-max-depth", Integer(1, 64)),
    may("x-max-bytes", Integer(1, MAX_BODY)),
    may("x-sensitive", Flag),
    may("x-verbatim", Flag),
];
const PROPERTY_NAMES: &[Keyword] = &[may("pattern", Text), may("maxLength", Integer(0, MAX))];
const COMPONENTS: &[Keyword] = &[
    may("schemas", Map(Name::Schema, &Is(Object::Schema))),
    may("responses", Map(Name::Component, &Is(Object::Response))),
    may("parameters", Map(Name::Component, &Is(Object::Parameter))),
    may("headers", Map(Name::Component, &Is(Object::Header))),
    may("securitySchemes", Map(Name::Component, &Is(Object::SecurityScheme))),
];
const SECURITY_SCHEME: &[Keyword] = &[
    must("type", Word(&["http", "apiKey"])),
    may("description", Text),
    may("scheme", Word(&["bearer"])),
    may("bearerFormat", Text),
    may("name", Text),
    may("in", Word(&["header"])),
    must("x-caller", CamelCase),
    may("x-browser", Word(&["refused"])),
    may("x-credential", Text),
    may("x-obtained-by", Is(Object::Obtained)),
    may("x-window-ms", Integer(1, MAX)),
    may("x-nonce-length", Integer(1, MAX_HEADER)),
    may("x-signature", Word(&["hmac-sha256-timestamp-body", "hmac-sha256-vestibule2"])),
];
/// The operation that gives a credential, and where its answer has it.
const OBTAINED: &[Keyword] = &[must("operationId", Mention(OperationId)), must("pointer", Text)];

const UNIONS: &str = "name one object schema, or use `anyOf` over values of different types";
const COMPONENT_SCHEMAS: &str = "name the schema under `components.schemas` and use `$ref`";
const TWO_SCHEMAS: &str = "write two schemas, one for the request and one for the answer";
const SIMPLE: &str = "parameters are scalars in the default style: say it with `schema`";
const MEMBER_NAMES: &str = "use `x-property-names` with `additionalProperties: <schema>`";

/// Keywords people know from elsewhere that the dialect leaves out, and what to write instead.
const REFUSED: &[(Object, &[&str], &str)] = &[
    (Object::Schema, &["oneOf", "allOf", "not", "discriminator", "if", "then", "else"], UNIONS),
    (Object::Schema, &["const"], "write `enum` with one value"),
    (Object::Schema, &["$defs", "definitions"], COMPONENT_SCHEMAS),
    (Object::Schema, &["readOnly", "writeOnly"], TWO_SCHEMAS),
    (Object::Schema, &["examples"], "write one `example`"),
    (Object::Schema, &["patternProperties", "propertyNames"], MEMBER_NAMES),
    (Object::Document, &["security"], "say it on each operation, `[]` where there is none"),
    (Object::PathItem, &["options"], "preflights are generated: set `x-cors: true`"),
    (Object::PathItem, &["head", "trace"], "the service answers `get` and writing methods alone"),
    (Object::PathItem, &["servers"], "say it once, for the whole document"),
    (Object::Components, &["requestBodies"], "write the body where it is used, its schema by name"),
    (Object::Components, &["examples", "links", "callbacks"], "write it where it is used"),
    (
        Object::Operation,
        &["callbacks", "servers"],
        "the service has nothing of the kind: remove it",
    ),
    (Object::Response, &["links"], "say it in the description"),
    (Object::Parameter, &["content", "style", "explode", "allowReserved"], SIMPLE),
    (Object::Header, &["content", "style", "explode"], SIMPLE),
];

/// The objects that a keyword is likely to have been misplaced between.
const PLACES: [Object; 10] = [
    Object::Schema,
    Object::Operation,
    Object::Parameter,
    Object::Header,
    Object::Response,
    Object::RequestBody,
    Object::MediaType,
    Object::SecurityScheme,
    Object::PathItem,
    Object::Document,
];

impl Object {
    /// Its keywords, and its name with an article for people.
    fn table(self) -> (&'static [Keyword], &'static str) {
        match self {
            Object::Document => (DOCUMENT, "a document"),
            Object::Common => (COMMON, "common.yaml"),
            Object::CatalogueEntry => (CATALOGUE_ENTRY, "an error code's entry"),
            Object::Info => (INFO, "an info object"),
            Object::Contact => (CONTACT, "a contact"),
            Object::License => (LICENSE, "a license"),
            Object::ExternalDocs => (EXTERNAL_DOCS, "an externalDocs object"),
            Object::Server => (SERVER, "a server"),
            Object::Tag => (TAG, "a tag"),
            Object::Validation => (VALIDATION, "an x-validation object"),
            Object::ValidationAnswer => (VALIDATION_ANSWER, "a validation answer"),
            Object::PathItem => (PATH_ITEM, "a path item"),
            Object::Operation => (OPERATION, "an operation"),
            Object::Parameter => (PARAMETER, "a parameter"),
            Object::Idempotency => (IDEMPOTENCY, "an x-idempotency object"),
            Object::TestClock => (TEST_CLOCK, "an x-test-clock object"),
            Object::RequestBody => (REQUEST_BODY, "a request body"),
            Object::Known => (KNOWN, "an entry of x-credentials"),
            Object::Rule => (RULE, "an entry of x-rules"),
            Object::Link => (LINK, "a link"),
            Object::Response => (RESPONSE, "a response"),
            Object::Header => (HEADER, "a header"),
            Object::MediaType => (MEDIA_TYPE, "a media type"),
            Object::Example => (EXAMPLE, "an example"),
            Object::Schema => (SCHEMA, "a schema"),
            Object::PropertyNames => (PROPERTY_NAMES, "an x-property-names object"),
            Object::Components => (COMPONENTS, "the components"),
            Object::SecurityScheme => (SECURITY_SCHEME, "a security scheme"),
            Object::Obtained => (OBTAINED, "an x-obtained-by object"),
        }
    }

    pub fn keywords(self) -> &'static [Keyword] {
        self.table().0
    }

    /// `a schema`, `an operation`.
    pub fn noun(self) -> &'static str {
        self.table().1
    }

    /// The section under `components` a `$ref` in its place may point to; `None` where the dialect
    /// has no `$ref`.
    pub fn section(self) -> Option<&'static str> {
        COMPONENTS.iter().find_map(|section| match section.shape {
            Map(_, Is(object)) if *object == self => Some(section.name),
            _ => None,
        })
    }

    /// Where else a keyword could have been meant to stand.
    pub fn elsewhere(keyword: &str) -> Option<Object> {
        PLACES.into_iter().find(|object| object.keywords().iter().any(|k| k.name == keyword))
    }

    /// What to write instead of a keyword that the dialect leaves out on purpose.
    pub fn instead_of(self, keyword: &str) -> Option<&'static str> {
        REFUSED
            .iter()
            .find(|(object, keywords, _)| *object == self && keywords.contains(&keyword))
            .map(|(_, _, instead)| *instead)
    }
}

const fn may(name: &'static str, shape: Shape) -> Keyword {
    Keyword { name, shape, required: false, types: &[] }
}

const fn must(name: &'static str, shape: Shape) -> Keyword {
    Keyword { name, shape, required: true, types: &[] }
}

const fn only(types: &'static [&'static str], name: &'static str, shape: Shape) -> Keyword {
    Keyword { name, shape, required: false, types }
}
