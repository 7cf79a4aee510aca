//! What a change means and for whom: the classes, exactly, and how a side decides between them.
//!
//! It knows neither documents nor keywords.

use std::fmt;

use serde::Serialize;

/// For whom a change is one.
///
/// Both documents are promises about the same exchanges. A *caller* was written against the base
/// and talks to a server that implements the head; a *server* was written against the base and is
/// judged by the head. Generated code counts: who regenerates must still compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A caller may be refused what was accepted, may receive what was not documented, may miss
    /// what it read, or finds an item of its generated client gone or renamed.
    BreaksCaller,
    /// A server gives answers that are not documented any more, or lacks a credential, a preflight
    /// or a protection of an operation it has, on which callers may now rely.
    BreaksServer,
    /// Every exchange between such a caller and such a server stays valid; more becomes possible.
    ///
    /// A caller ignores members and headers that it does not know, takes an unknown 4xx or 5xx for
    /// its class (RFC 9110, section 15) and an unknown error code for its status: that is why a
    /// new optional member of an answer, a new error status and a new code are additive. So are a
    /// wider request and a new operation: no caller sends them before its server is known to take
    /// them, and the compiler names the handler that is missing.
    Additive,
    /// Nothing that is sent, checked or generated differs: texts for people, examples, metadata.
    Wording,
}

/// In which direction values that a schema describes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    Request,
    Answer,
    /// No operation uses the component, before and after, on the same side: nobody can notice.
    Unused,
}

/// What a change does to the set of values that a place allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Fewer values than before.
    Narrower,
    /// More values than before.
    Wider,
    /// Others, or nobody can tell (two patterns, two types).
    Other,
}

/// How a change is judged: alike everywhere, or by its effect and the side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Is(Class),
    By(Effect),
}

impl Class {
    pub fn is_breaking(self) -> bool {
        matches!(self, Class::BreaksCaller | Class::BreaksServer)
    }
}

impl Verdict {
    /// A narrower request is refused to callers, a wider answer surprises them; a narrower answer
    /// forbids a server what it says today, a wider request only lets callers send more.
    pub fn class(self, side: Side) -> Class {
        match (self, side) {
            (Verdict::Is(Class::Wording), _) => Class::Wording,
            (_, Side::Unused) => Class::Additive,
            (Verdict::Is(class), _) => class,
            (Verdict::By(Effect::Other), _) => Class::BreaksCaller,
            (Verdict::By(Effect::Narrower), Side::Request) => Class::BreaksCaller,
            (Verdict::By(Effect::Wider), Side::Request) => Class::Additive,
            (Verdict::By(Effect::Narrower), Side::Answer) => Class::BreaksServer,
            (Verdict::By(Effect::Wider), Side::Answer) => Class::BreaksCaller,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::BreaksCaller => "breaks callers",
            Class::BreaksServer => "breaks servers",
            Class::Additive => "additive",
            Class::Wording => "wording",
        })
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Request => "request",
            Side::Answer => "answer",
            Side::Unused => "unused",
        })
    }
}
