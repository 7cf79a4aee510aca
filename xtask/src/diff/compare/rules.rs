//! How a change of each keyword is judged: the dialect's tables, one rule a keyword.
//!
//! A keyword without a rule is reported as a break by the walk; a test proves that none of the
//! dialect's keywords ends there. It must not know how documents are walked.

use super::spot::Spot;
use crate::diff::class::Class::{Additive, BreaksCaller, BreaksServer, Wording};
use crate::diff::class::Effect::{Narrower, Other, Wider};
use crate::diff::class::Verdict::{self, By, Is};
use crate::document::{METHODS, Object};

/// Judges an entry of a map or list, or a member that is an object, which appears or disappears.
/// It is given the key and the resolved value.
pub type Judge = fn(&str, &Spot<'_>) -> Verdict;

/// What to do with one keyword.
#[derive(Clone, Copy)]
pub enum Rule {
    /// Any difference of the value has this verdict.
    Value(Verdict),
    /// `true` or not.
    Flag {
        set: Verdict,
        dropped: Verdict,
    },
    /// An upper bound; absent is unbounded.
    Upper,
    /// A lower bound; absent is unbounded.
    Lower,
    Multiple,
    /// A constraint whose values cannot be compared: `pattern`, `format`.
    Opaque,
    Type,
    Default,
    Enum,
    /// A list of words in no order.
    Words {
        added: Verdict,
        removed: Verdict,
    },
    /// A member that is an object.
    Member {
        added: Judge,
        removed: Judge,
    },
    /// A map of objects, or a list of them in which one member is the key.
    Entries {
        noun: &'static str,
        added: Judge,
        removed: Judge,
    },
    Alternatives,
    Properties,
    Required,
    AdditionalProperties,
    Parameters,
    Security,
    Components,
}

const TEXT: Rule = Rule::Value(Is(Wording));
const NARROWS: Rule = Rule::Flag { set: By(Narrower), dropped: By(Wider) };
const BREAKS_CALLERS: Rule = Rule::Value(Is(BreaksCaller));
const VALIDATION: Rule = Rule::Member { added: breaks_caller, removed: breaks_caller };
const PROSE: Rule = Rule::Member { added: wording, removed: wording };
const MEDIA_TYPES: Rule =
    Rule::Entries { noun: "media-type", added: media_type_added, removed: breaks_caller };

/// The rule of an object's keyword; `None` for a keyword that the dialect does not have.
pub fn rule(object: Object, keyword: &str) -> Option<Rule> {
    match object {
        // Always empty: there for other tools.
        Object::Common if keyword == "paths" => Some(TEXT),
        Object::Document | Object::Common => document(keyword),
        Object::CatalogueEntry => one_of(keyword, &["message"], TEXT),
        Object::Info | Object::Tag => about(keyword),
        Object::Contact => one_of(keyword, &["name", "url", "email"], TEXT),
        Object::License => one_of(keyword, &["name", "url"], TEXT),
        Object::ExternalDocs => one_of(keyword, &["url", "description"], TEXT),
        Object::Example => one_of(keyword, &["summary", "description", "value"], TEXT),
        Object::Server => match keyword {
            "url" => Some(BREAKS_CALLERS),
            _ => one_of(keyword, &["description"], TEXT),
        },
        Object::Validation => one_of(keyword, &["body", "parameters"], VALIDATION),
        // The status and the code of a refusal are what callers branch on.
        Object::ValidationAnswer => one_of(keyword, &["status", "code"], BREAKS_CALLERS),
        Object::PathItem => path_item(keyword),
        Object::Operation => operation(keyword),
        Object::Parameter => parameter(keyword),
        // Whoever retries leans on both.
        Object::Idempotency => {
            one_of(keyword, &["kept-ms", "replayed", "reused", "in-progress"], BREAKS_CALLERS)
        }
        Object::TestClock => match keyword {
            "ahead-ms" => Some(Rule::Upper),
            "refused" => Some(BREAKS_CALLERS),
            _ => None,
        },
        Object::RequestBody => request_body(keyword),
        Object::Known | Object::Rule | Object::Link | Object::Obtained => Some(TEXT),
        Object::Response => response(keyword),
        Object::Header => header(keyword),
        Object::MediaType => media_type(keyword),
        Object::Schema => schema(keyword),
        Object::PropertyNames => property_names(keyword),
        Object::Components => Some(Rule::Components),
        Object::SecurityScheme => security_scheme(keyword),
    }
}

/// Whether names of changes within such an object begin with the side.
pub fn has_side(object: Object) -> bool {
    matches!(
        object,
        Object::Parameter
            | Object::RequestBody
            | Object::Response
            | Object::Header
            | Object::MediaType
            | Object::Schema
            | Object::PropertyNames
    )
}

fn document(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "openapi" => BREAKS_CALLERS,
        "info" | "externalDocs" => PROSE,
        "servers" => Rule::Entries { noun: "server", added: additive, removed: breaks_caller },
        "tags" => Rule::Entries { noun: "tag", added: wording, removed: wording },
        "paths" => Rule::Entries { noun: "path", added: additive, removed: breaks_caller },
        "components" => Rule::Member { added: additive, removed: additive },
        "x-validation" => Rule::Member { added: additive, removed: breaks_caller },
        // A code is a promise: its name and its meaning never change.
        "x-error-codes" => {
            Rule::Entries { noun: "error-code", added: additive, removed: breaks_caller }
        }
        _ => return None,
    })
}

/// What a document or a tag says about itself.
fn about(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "title" | "version" | "description" | "termsOfService" | "name" => TEXT,
        "contact" | "license" | "externalDocs" => PROSE,
        _ => return None,
    })
}

fn path_item(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "summary" | "description" => TEXT,
        "parameters" => Rule::Parameters,
        method if METHODS.contains(&method) => {
            Rule::Member { added: additive, removed: breaks_caller }
        }
        _ => return None,
    })
}

fn operation(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        // The method of every generated client is named after it.
        "operationId" => BREAKS_CALLERS,
        // Handlers live in one trait a tag: the method moves, callers do not notice.
        "tags" => Rule::Value(Is(BreaksServer)),
        "summary" | "description" => TEXT,
        "externalDocs" => PROSE,
        "security" => Rule::Security,
        "parameters" => Rule::Parameters,
        "requestBody" => Rule::Member { added: body_added, removed: breaks_caller },
        "responses" => {
            Rule::Entries { noun: "status", added: status_added, removed: breaks_server }
        }
        "deprecated" => Rule::Value(Is(Additive)),
        "x-max-bytes" => Rule::Upper,
        "x-cors" => Rule::Flag { set: Is(BreaksServer), dropped: Is(BreaksCaller) },
        _ => return None,
    })
}

fn parameter(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "name" | "in" => BREAKS_CALLERS,
        "description" | "example" | "x-credential" => TEXT,
        "required" => NARROWS,
        "deprecated" => Rule::Value(Is(Additive)),
        "schema" => Rule::Member { added: narrower, removed: wider },
        "x-idempotency" | "x-test-clock" => {
            Rule::Member { added: additive, removed: breaks_caller }
        }
        _ => return None,
    })
}

fn request_body(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "description" => TEXT,
        "required" => NARROWS,
        "content" => MEDIA_TYPES,
        // For whoever tests: what the prose says to everybody else.
        "x-credentials" | "x-rules" => TEXT,
        _ => return None,
    })
}

fn response(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "description" | "links" => TEXT,
        "headers" => Rule::Entries { noun: "header", added: header_added, removed: breaks_caller },
        "content" => MEDIA_TYPES,
        "x-codes" => Rule::Words { added: Is(Additive), removed: Is(BreaksServer) },
        _ => return None,
    })
}

fn header(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "description" | "example" => TEXT,
        "required" => NARROWS,
        "deprecated" => Rule::Value(Is(Additive)),
        "schema" => Rule::Member { added: narrower, removed: wider },
        _ => return None,
    })
}

fn schema(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "title" | "description" | "example" => TEXT,
        "type" => Rule::Type,
        "nullable" => Rule::Flag { set: By(Wider), dropped: By(Narrower) },
        "enum" => Rule::Enum,
        "default" => Rule::Default,
        "deprecated" => Rule::Value(Is(Additive)),
        "anyOf" => Rule::Alternatives,
        "pattern" | "format" => Rule::Opaque,
        "maxLength" | "maximum" | "maxItems" | "maxProperties" | "x-max-depth" | "x-max-bytes" => {
            Rule::Upper
        }
        "minLength" | "minimum" | "minItems" | "minProperties" => Rule::Lower,
        "exclusiveMinimum" | "exclusiveMaximum" | "uniqueItems" => NARROWS,
        "multipleOf" => Rule::Multiple,
        "items" | "x-property-names" => Rule::Member { added: narrower, removed: wider },
        "properties" => Rule::Properties,
        "required" => Rule::Required,
        "additionalProperties" => Rule::AdditionalProperties,
        // A server must learn to hide the value; without it callers lose that protection.
        "x-sensitive" => Rule::Flag { set: Is(BreaksServer), dropped: Is(BreaksCaller) },
        // The same bytes, but another type in every generated client.
        "x-verbatim" => BREAKS_CALLERS,
        _ => return None,
    })
}

fn media_type(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "schema" => Rule::Member { added: narrower, removed: wider },
        "example" => TEXT,
        "examples" => Rule::Entries { noun: "example", added: wording, removed: wording },
        _ => return None,
    })
}

fn property_names(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "pattern" => Rule::Opaque,
        "maxLength" => Rule::Upper,
        _ => return None,
    })
}

fn security_scheme(keyword: &str) -> Option<Rule> {
    Some(match keyword {
        "description" | "bearerFormat" | "x-credential" | "x-obtained-by" => TEXT,
        "x-window-ms" | "x-nonce-length" => Rule::Upper,
        "type" | "scheme" | "name" | "in" | "x-signature" => BREAKS_CALLERS,
        // Names the type that handlers are given.
        "x-caller" => Rule::Value(Is(BreaksServer)),
        // Its one value refuses browsers.
        "x-browser" => Rule::Opaque,
        _ => return None,
    })
}

fn one_of(keyword: &str, known: &[&str], rule: Rule) -> Option<Rule> {
    known.contains(&keyword).then_some(rule)
}

/// A success that callers were not written for; an error is told by its class.
fn status_added(status: &str, _: &Spot<'_>) -> Verdict {
    Is(if status < "400" { BreaksCaller } else { Additive })
}

fn body_added(_: &str, body: &Spot<'_>) -> Verdict {
    Is(if body.flag("required") { BreaksCaller } else { Additive })
}

fn header_added(_: &str, header: &Spot<'_>) -> Verdict {
    if header.flag("required") { By(Narrower) } else { Is(Additive) }
}

/// One more to choose from in a request, a surprise in an answer.
fn media_type_added(_: &str, _: &Spot<'_>) -> Verdict {
    By(Wider)
}

fn wording(_: &str, _: &Spot<'_>) -> Verdict {
    Is(Wording)
}

fn additive(_: &str, _: &Spot<'_>) -> Verdict {
    Is(Additive)
}

fn breaks_caller(_: &str, _: &Spot<'_>) -> Verdict {
    Is(BreaksCaller)
}

fn breaks_server(_: &str, _: &Spot<'_>) -> Verdict {
    Is(BreaksServer)
}

fn narrower(_: &str, _: &Spot<'_>) -> Verdict {
    By(Narrower)
}

fn wider(_: &str, _: &Spot<'_>) -> Verdict {
    By(Wider)
}

/// The verdict of what nobody can compare.
pub const INCOMPARABLE: Verdict = By(Other);

/// A place that refers to another component, or is written out instead.
pub fn redirected(object: Object) -> Verdict {
    Is(if object == Object::Schema { BreaksCaller } else { Wording })
}

/// A component that appears or disappears; what operations exchange is judged where they use it.
pub fn component(object: Object, appears: bool) -> Verdict {
    match (object, appears) {
        (Object::Schema | Object::SecurityScheme, true) => Is(Additive),
        // The type that generated clients have for it is gone.
        (Object::Schema | Object::SecurityScheme, false) => Is(BreaksCaller),
        _ => Is(Wording),
    }
}
