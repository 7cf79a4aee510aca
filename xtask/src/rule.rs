//! The catalogue: every rule of the lint with its name, its reason and its remedy.
//!
//! A finding can be made with a rule of this table only. The examples of each rule stand in
//! `lint/examples/`, one file each; the tests hold every rule against its own.

use std::fmt;

/// One rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// In kebab-case, stable.
    pub name: &'static str,
    /// What it belongs to, for listings.
    pub subject: &'static str,
    /// Why there is such a rule, in one line.
    pub reason: &'static str,
    /// How to mend a finding.
    pub remedy: &'static str,
    /// A bad and a good example, as the file in `lint/examples/` has them.
    pub examples: &'static str,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// The rule of a name.
pub fn find(name: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.name == name)
}

macro_rules! catalogue {
    ($($subject:literal { $($id:ident $name:literal $reason:literal $remedy:literal;)* })*) => {
        $($(
            #[doc = $reason]
            pub static $id: Rule = Rule {
                name: $name,
                subject: $subject,
                reason: $reason,
                remedy: $remedy,
                examples: include_str!(concat!("lint/examples/", $name, ".yaml")),
            };
        )*)*

        /// Every rule, by subject.
        pub static ALL: &[&Rule] = &[$($(&$id),*),*];
    };
}

catalogue! {
    "Reading the file" {
        UNREADABLE_FILE "unreadable-file"
            "A file that cannot be read is not checked."
            "Make it a UTF-8 text that this user may read.";
        MISSING_FILE "missing-file"
            "Every set of documents shares the error codes and the error schema of common.yaml."
            "Write common.yaml with `x-error-codes` and the schema `Error`.";
        SAME_DOCUMENT "same-document"
            "A document is known by its file's name without the ending: of two, one is lost."
            "Rename one of them, or put its contents into the other.";
        YAML_SYNTAX "yaml-syntax"
            "A file that is not exactly one YAML or JSON document has no meaning."
            "Mend the place shown; nothing of the file was checked.";
        YAML_ANCHOR "yaml-anchor"
            "Anchors and aliases are copies that no tool downstream can see."
            "Name the component and refer to it with `$ref`.";
        YAML_TAG "yaml-tag"
            "A tag changes what a value is, and JSON has no tags."
            "Remove it; quote the value if it is meant as text.";
        YAML_NUMBER "yaml-number"
            "A number that JSON cannot hold is read differently by every reader."
            "Write a smaller number, or quote it if it is meant as text.";
        YAML_DEPTH "yaml-depth"
            "Nesting without end exhausts the stack of every reader."
            "Name the inner parts and refer to them with `$ref`.";
        DUPLICATE_KEY "duplicate-key"
            "Readers disagree on which of two equal keys counts."
            "Remove one of them.";
    }
    "Keywords" {
        UNKNOWN_KEYWORD "unknown-keyword"
            "Parsers drop a keyword they do not know, and with it the constraint it was meant to be."
            "Correct the spelling, or move it to the object that has it.";
        MISPLACED_KEYWORD "misplaced-keyword"
            "A constraint on a schema of another type is never checked."
            "Remove it, or correct the `type`.";
        REFUSED_KEYWORD "refused-keyword"
            "This part of OpenAPI is left out of the dialect: no generator here honours it."
            "Write what the help proposes instead.";
        UNTAGGED_UNION "untagged-union"
            "Without a discriminator a reader guesses the branch by trial, and errors name no member."
            "Use one object schema, or `anyOf` over values of different JSON types.";
        MISSING_KEYWORD "missing-keyword"
            "The object means nothing without this keyword, or its default is a trap."
            "Add it.";
        WRONG_TYPE "wrong-type"
            "A value of the wrong type is dropped or refused by other tools."
            "Write a value of the type that is named; mind the quotes.";
        WRONG_COUNT "wrong-count"
            "The list must have this many entries."
            "Add or remove entries.";
        WRONG_NAME "wrong-name"
            "The name becomes a path, a status, a header or a Rust type and cannot be one."
            "Choose a name of the form that is named.";
        EMPTY_TEXT "empty-text"
            "An empty title, summary or description documents nothing."
            "Write a sentence, or remove the keyword.";
    }
    "References" {
        REF_SIBLING "ref-sibling"
            "OpenAPI 3.0 ignores whatever stands beside a `$ref`."
            "Remove it, or put it into the component that is referred to.";
        UNRESOLVED_REF "unresolved-ref"
            "The `$ref` leads nowhere, or to the wrong kind of component."
            "Correct the name, or define the component.";
        CIRCULAR_REF "circular-ref"
            "The component is only a reference to itself and never defined."
            "Define it.";
        UNUSED_COMPONENT "unused-component"
            "Nothing reaches the component, so nobody notices when it is wrong."
            "Remove it, or refer to it.";
        INLINE_BODY "inline-body"
            "A body without a name gets a made-up one in every generated language."
            "Name the schema under `components.schemas` and refer to it.";
    }
    "Names" {
        NAME_COLLISION "name-collision"
            "Both names become one Rust item: case, `-` and `_` do not tell them apart."
            "Rename one, or share it through common.yaml if both mean the same.";
        MEMBER_COLLISION "member-collision"
            "Both members become one Rust field or variant."
            "Rename one of them.";
        RESERVED_NAME "reserved-name"
            "The name becomes a Rust item and is a word of the language."
            "Choose another name.";
        UNKNOWN_CODE "unknown-code"
            "An error code that is not in the catalogue has no message and no promise."
            "Correct it, or add it to `x-error-codes` of common.yaml.";
        UNUSED_CODE "unused-code"
            "A code that no operation documents can be answered by none."
            "Remove it, or list it under the `x-codes` of an answer.";
        UNKNOWN_SCHEME "unknown-scheme"
            "The security requirement names a scheme that the document does not define."
            "Correct it, or add it to `components.securitySchemes`.";
        UNKNOWN_OPERATION "unknown-operation"
            "No document has the operation that a link or a credential comes from."
            "Correct the operationId.";
        UNKNOWN_TAG "unknown-tag"
            "The tag is not in the document's list, so it has no description."
            "Correct it, or add it to `tags`.";
        UNUSED_TAG "unused-tag"
            "A tag without operations becomes an empty trait and an empty chapter."
            "Remove it, or tag an operation with it.";
    }
    "Routing, over all documents together" {
        PATH_CONFLICT "path-conflict"
            "The router panics at start: a literal and a variable, or two variable names, at one position."
            "Use one name for the variable, or another literal path.";
        PATH_SEGMENT "path-segment"
            "A segment is a variable or plain characters of a URL; an empty one cannot be routed."
            "Write `/{name}/` as a segment of its own, no `//`, nothing to escape.";
        DUPLICATE_ROUTE "duplicate-route"
            "The router panics at start: a method of a path belongs to one operation."
            "Change the path or the method of one of them.";
    }
    "Parameters" {
        UNDECLARED_VARIABLE "undeclared-variable"
            "The path has a variable that no parameter describes, so it is checked by nothing."
            "Add a parameter with `in: path` and `required: true`.";
        STRAY_PATH_PARAMETER "stray-path-parameter"
            "The parameter is `in: path` and the path has no such variable."
            "Correct the name, or the path.";
        OPTIONAL_PATH_PARAMETER "optional-path-parameter"
            "A path without its variable is another path: path parameters are `required: true`."
            "Add `required: true`.";
        DUPLICATE_PARAMETER "duplicate-parameter"
            "Two parameters of one place have the same name (headers: in any case)."
            "Remove one of them.";
        RESERVED_HEADER "reserved-header"
            "OpenAPI ignores parameters of this name; the media type and `security` say it."
            "Remove it.";
        PARAMETER_SHAPE "parameter-shape"
            "A parameter is one scalar in the default style."
            "Use a string, number, integer or boolean that is not nullable.";
        REQUIRED_DEFAULT "required-default"
            "A default is for what was left out, and this may not be left out."
            "Remove the default, or `required`.";
    }
    "Patterns" {
        PATTERN_SYNTAX "pattern-syntax"
            "Validation runs in linear time: no look-around, no back-references."
            "Say it without them, or say it in the description and check it in the handler.";
        PATTERN_CLASS "pattern-class"
            "`\\d`, `\\w`, `\\s` and `\\b` differ between languages: some match all of Unicode."
            "Write the characters out: `[0-9]`, `[A-Za-z0-9_]`, `[ \\t]`.";
        PATTERN_ANCHOR "pattern-anchor"
            "A pattern that is not anchored accepts any text that contains a match."
            "Begin it with `^` and end it with `$`, around a group if there are alternatives.";
    }
    "Bounds that nothing satisfies" {
        EMPTY_RANGE "empty-range"
            "The lower bound lies above the upper one: no value is valid."
            "Swap or correct the bounds.";
        PATTERN_LENGTH "pattern-length"
            "No text matches the pattern within the length bounds."
            "Correct `minLength`, `maxLength` or the pattern.";
        UNKNOWN_REQUIRED "unknown-required"
            "The required member is not a property, and the object is closed: no value is valid."
            "Correct the name, or add the property.";
        DUPLICATE_REQUIRED "duplicate-required"
            "A member is required once."
            "Remove the repetition.";
        DUPLICATE_ENUM "duplicate-enum"
            "A repeated value says nothing and breaks generators."
            "Remove the repetition.";
        ENUM_MISMATCH "enum-mismatch"
            "The value breaks the schema it stands in and is never valid."
            "Correct the value, or the schema.";
        TOO_FEW_VALUES "too-few-values"
            "The items must be different, and there are fewer values than `minItems` asks for."
            "Lower `minItems`, or allow more values.";
        ENDLESS_SCHEMA "endless-schema"
            "The object requires itself, directly or through others: no finite value is valid."
            "Make one of the members optional, nullable or an array.";
    }
    "Sizes" {
        LARGE_INTEGER "large-integer"
            "JSON readers keep integers exactly only up to 2^53 - 1."
            "Write a bound within ±9007199254740991, or use a string.";
        UNBOUNDED_INTEGER "unbounded-integer"
            "An integer without bounds may exceed 2^53 - 1, which many readers round."
            "Give it `minimum` and `maximum`.";
        UNBOUNDED_STRING "unbounded-string"
            "A string of any length is an invitation to send a gigabyte."
            "Give it `maxLength` or `enum`.";
        UNBOUNDED_ARRAY "unbounded-array"
            "An array of any length is an invitation to send a gigabyte."
            "Give it `maxItems`.";
        UNBOUNDED_MAP "unbounded-map"
            "A map of any size is an invitation to send a gigabyte."
            "Give it `maxProperties`.";
        OPEN_OBJECT "open-object"
            "An object that does not say whether it is closed accepts misspelt members."
            "Write `additionalProperties: false`, or the schema of further members with `maxProperties`.";
        UNTYPED_SCHEMA "untyped-schema"
            "A schema without a type accepts everything."
            "Give it a `type`, `anyOf` or, if it is meant to be anything, `x-verbatim: true`.";
        UNTYPED_ITEMS "untyped-items"
            "An array without `items` accepts everything."
            "Say what the entries are.";
    }
    "Examples and defaults" {
        INVALID_EXAMPLE "invalid-example"
            "The example breaks its own schema: whoever copies it is refused."
            "Correct the example, or the schema.";
        INVALID_DEFAULT "invalid-default"
            "The default breaks its own schema."
            "Correct the default, or the schema.";
    }
    "Operations" {
        OPERATION_ID "operation-id"
            "The operationId names the operation in every layer."
            "Give it one in camelCase: noun, then verb.";
        OPERATION_TAG "operation-tag"
            "The one tag of an operation is the trait that its handler belongs to."
            "Give it exactly one tag.";
        OPERATION_SUMMARY "operation-summary"
            "The summary is the operation's title in the reference, the CLI and the client."
            "Give it a few words.";
        NO_SUCCESS "no-success"
            "An operation that cannot succeed is no operation."
            "Document its 2xx.";
        NO_CLIENT_ERROR "no-client-error"
            "Every request can be wrong; an undocumented refusal cannot be sent."
            "Document at least one 4xx.";
        NO_SERVER_ERROR "no-server-error"
            "A handler that panics is 500, one that is late or cannot reach its store 503."
            "Document 500 and 503.";
        NO_LIMIT_ANSWER "no-limit-answer"
            "Every operation can be asked too often, by one address at least."
            "Document 429.";
        BODY_LIMIT "body-limit"
            "An operation with a body needs a limit on it."
            "Give it `x-max-bytes`.";
        STRAY_LIMIT "stray-limit"
            "The operation has no body that the limit could apply to."
            "Remove `x-max-bytes`, or add the body.";
        BODY_ANSWERS "body-answers"
            "A body can be no JSON, late, too large or of another media type."
            "Document 400, 408, 413 and 415.";
        OPTIONAL_BODY "optional-body"
            "Generated code reads a body always or never."
            "Write `required: true`.";
        BODY_ON_READ "body-on-read"
            "Caches and proxies drop the body of GET and DELETE."
            "Use query parameters, or POST.";
        VALIDATION_ANSWER "validation-answer"
            "`x-validation` promises a refusal that the operation does not document."
            "Document the status with the code.";
    }
    "Security" {
        NO_UNAUTHORIZED "no-unauthorized"
            "An operation with `security` refuses callers that it does not know."
            "Document 401.";
        NO_CHALLENGE "no-challenge"
            "RFC 9110: a 401 tells how to authenticate."
            "Give it the header `WWW-Authenticate`, `required: true`.";
        SECURITY_ALTERNATIVES "security-alternatives"
            "A request must show which of several requirements it is meant for."
            "Write requirements that differ in `x-caller`, each of schemes that share it, and in their headers; bearer tokens are tried in order.";
        INCOMPLETE_SCHEME "incomplete-scheme"
            "A scheme of type `http` needs `scheme`; one of type `apiKey` needs `name` and `in`."
            "Add what is missing.";
        CACHEABLE_SECRET "cacheable-secret"
            "An answer with a credential may be kept by caches on the way."
            "Give it the header `Cache-Control`, `required: true`, with `enum: [no-store]`.";
        UNMARKED_SECRET "unmarked-secret"
            "What is refused is repeated in errors and logs unless it is marked as sensitive."
            "Give the member `x-sensitive: true`.";
    }
    "Answers" {
        MISSING_CODES "missing-codes"
            "A refusal is known to programs by its code."
            "List `x-codes`.";
        STRAY_CODES "stray-codes"
            "Only refusals have error codes."
            "Remove `x-codes`.";
        REPEATED_CODE "repeated-code"
            "A code has one status in an operation, and stands there once."
            "Remove one of them.";
        ERROR_SCHEMA "error-schema"
            "Every refusal is the one shared `Error` object."
            "Refer to `common.yaml#/components/schemas/Error`.";
        STRAY_CONTENT "stray-content"
            "An answer of this status has no body."
            "Remove `content`, or use another status.";
        NO_RETRY_AFTER "no-retry-after"
            "Who is told to come back later must be told when."
            "Give it the header `Retry-After`, `required: true`.";
        NO_RATE_LIMIT "no-rate-limit"
            "Who is limited must be told the limit."
            "Give it the headers `RateLimit` and `RateLimit-Policy`.";
        IDEMPOTENCY_ANSWERS "idempotency-answers"
            "Whoever repeats a request must be told what was said before, and when the key is taken."
            "Give every 2xx the header, and the refusals the two codes, that `x-idempotency` names.";
        TEST_CLOCK_ANSWERS "test-clock-answers"
            "Whoever moves a clock and may not must be told."
            "Give a refusal the code that `refused` of `x-test-clock` names.";
        TEST_CLOCK_MISSING "test-clock-missing"
            "A test that moves its clock in one request and not in the next tests nothing."
            "Refer to the parameter with `x-test-clock` in all operations of a document that know a caller, or in none.";
        NO_IDEMPOTENCY_KEY "no-idempotency-key"
            "Whoever hears no answer must be able to ask again without making a second thing."
            "Give it the parameter `common.yaml#/components/parameters/IdempotencyKey`.";
        CORS_HEADERS "cors-headers"
            "A page of another origin cannot read an answer without these headers."
            "Give every answer of an `x-cors` operation `Access-Control-Allow-Origin` and `Vary`.";
    }
    "openapi/lint.toml" {
        SILENCE_SYNTAX "silence-syntax"
            "A silence is a rule, a place and a reason, nothing else."
            "Write `rule`, `at` and a `reason` that is not empty.";
        SILENCE_RULE "silence-rule"
            "There is no rule of this name."
            "Correct it; `cargo xtask lint --rules` lists them.";
        SILENCE_POINTER "silence-pointer"
            "The silence is for a place that does not exist."
            "Correct `at`: a file name, `#` and a JSON pointer.";
        SILENCE_UNUSED "silence-unused"
            "The rule finds nothing at this place any more."
            "Remove the silence.";
    }
}
