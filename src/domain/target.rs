//! Whose sessions somebody means: a kind and an id, written `uid:user-1`.
//!
//! The same words name what a list is narrowed to and what a revocation ends. Knows no request.

use super::audit::Subject;
use super::session::Overview;

/// A set of sessions, named by what they have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Those for one person.
    Subject(Subject),
    /// Those that may see one chat alone, or speak in one conversation.
    Chat(String),
    /// Those that one key opened.
    Key(String),
    /// One session.
    Session(String),
}

impl Target {
    /// Reads a target. `None` for another kind, or without an id.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once(':').filter(|(_, id)| !id.is_empty())?;
        match kind {
            "chat" => Some(Self::Chat(id.to_owned())),
            "key" => Some(Self::Key(id.to_owned())),
            "session" => Some(Self::Session(id.to_owned())),
            _ => Subject::of(kind, id).map(Self::Subject),
        }
    }

    /// Whether it names this session.
    pub fn names(&self, session: &Overview) -> bool {
        match self {
            Self::Subject(subject) => session.subject.as_ref() == Some(subject),
            Self::Chat(chat) => session.chat.as_ref() == Some(chat),
            Self::Key(key) => session.key_id == *key,
            Self::Session(id) => session.id == *id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Subject, Target};

    #[test]
    fn a_target_is_a_known_kind_and_an_id() {
        for (text, subject) in [
            ("uid:a:b", Subject::Uid("a:b".into())),
            ("employee:e", Subject::Employee("e".into())),
            ("customer: ", Subject::Customer(" ".into())),
        ] {
            assert_eq!(subject.to_string(), text);
            assert_eq!(Target::parse(text), Some(Target::Subject(subject)));
        }
        assert_eq!(Target::parse("chat:c"), Some(Target::Chat("c".into())));
        assert_eq!(Target::parse("key:k"), Some(Target::Key("k".into())));
        assert_eq!(Target::parse("session:s"), Some(Target::Session("s".into())));
        for text in ["", "uid", "uid:", "customer:", "UID:a", ":a", "tenant:a"] {
            assert_eq!(Target::parse(text), None, "{text}");
        }
    }
}
