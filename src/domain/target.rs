//! Whose sessions somebody means: a kind and an id, written `uid:user-1`.
//!
//! The same words name what a list is narrowed to and what a revocation ends. Knows no request.

use super::session::Overview;

/// A set of sessions, named by what they have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Those for one person: `uid:…`, `employee:…` or `customer:…`, as in [`Overview::subject`].
    Subject(String),
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
            "uid" | "employee" | "customer" => Some(Self::Subject(text.to_owned())),
            "chat" => Some(Self::Chat(id.to_owned())),
            "key" => Some(Self::Key(id.to_owned())),
            "session" => Some(Self::Session(id.to_owned())),
            _ => None,
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
    use super::Target;

    #[test]
    fn a_target_is_a_known_kind_and_an_id() {
        let subject = |text: &str| Some(Target::Subject(text.to_owned()));
        assert_eq!(Target::parse("uid:a:b"), subject("uid:a:b"));
        assert_eq!(Target::parse("employee:e"), subject("employee:e"));
        assert_eq!(Target::parse("customer: "), subject("customer: "));
        assert_eq!(Target::parse("chat:c"), Some(Target::Chat("c".into())));
        assert_eq!(Target::parse("key:k"), Some(Target::Key("k".into())));
        assert_eq!(Target::parse("session:s"), Some(Target::Session("s".into())));
        for text in ["", "uid", "uid:", "UID:a", ":a", "tenant:a"] {
            assert_eq!(Target::parse(text), None, "{text}");
        }
    }
}
