//! The three kinds of keys that open sessions, as the store remembers them.

use super::sealing::Sealed;

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Signs requests of the embed surface.
    Embed,
    /// Publishable key of the chat surface.
    Chat,
    /// Bearer key of the iframe surface.
    Iframe,
}

impl KeyKind {
    /// Its word in documents, tables and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::Chat => "chat",
            Self::Iframe => "iframe",
        }
    }
}

/// Whether a key serves real users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It does.
    Live,
    /// It is for trying things out; it may move its own clock.
    Test,
}

impl Mode {
    /// Its word in documents, tables and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

/// What a key may cost at most; `None` is no ceiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// Sessions that it opens in a day of UTC.
    pub sessions_per_day: Option<u32>,
    /// Sessions of it that are alive at the same time.
    pub live_sessions: Option<u32>,
    /// Requests a minute of it and of the tokens of its sessions.
    pub requests_per_minute: Option<u32>,
}

/// What an embed key may grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only `showChatsList` and `showChatPage`.
    Read,
    /// Every capability.
    ReadWrite,
}

impl Scope {
    /// Its name on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        }
    }
}

/// Whether customers must prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A `customerToken` is ignored.
    Off,
    /// A `customerToken` is checked when it is given.
    Optional,
    /// A `customerId` without a valid `customerToken` is refused.
    Required,
}

impl Identity {
    /// Its word in documents, tables and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

/// Whether a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It works.
    Active,
    /// It does not work until it is resumed; its sessions do not work either.
    Paused,
    /// It never works again.
    Revoked,
}

impl KeyState {
    /// Its word in documents, tables and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Revoked => "revoked",
        }
    }
}

/// What belongs to one kind of key alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySettings {
    /// See [`KeyKind::Embed`].
    Embed {
        /// What it may grant.
        scope: Scope,
    },
    /// See [`KeyKind::Chat`].
    Chat {
        /// The intents it may trigger; `None` is all, an empty list is none.
        allowed_intents: Option<Vec<String>>,
        /// Whether a request without `Origin` is taken (native apps).
        allow_no_origin: bool,
        /// Whether customers must prove who they are.
        identity: Identity,
    },
    /// See [`KeyKind::Iframe`].
    Iframe {
        /// How often one cache key may be redeemed.
        max_redemptions: u32,
    },
}

/// What a key has to say about the sessions it opened, whatever its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whether it works.
    pub state: KeyState,
    /// See [`Key::idle_timeout_s`].
    pub idle_timeout_s: Option<u32>,
}

/// One credential of a key: the one it was made with, or one that a rotation gave it.
#[derive(Clone, Debug)]
pub struct KeySecret {
    /// Counts up with each rotation; the `kg` claim of tokens.
    pub generation: i64,
    /// How a caller's credential is told to be this one.
    pub kept: Kept,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When it stops being accepted, milliseconds since 1970; `None` while it is the newest.
    pub not_after: Option<i64>,
}

/// What is remembered of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// An embed key's secret, sealed by the master key: signatures are computed with it.
    Sealed(Sealed),
    /// By what the credential itself finds the key: a publishable key, or the hex SHA-256 of an
    /// API key. Unique over all keys.
    Lookup(String),
}

impl KeySecret {
    /// Whether it is accepted at `now_ms`.
    pub fn is_live(&self, now_ms: i64) -> bool {
        self.not_after.is_none_or(|end| now_ms < end)
    }
}

/// One key.
#[derive(Clone, Debug)]
pub struct Key {
    /// The owner.
    pub tenant: String,
    /// `key_…`, what operators call it.
    pub id: String,
    /// By what a caller's newest credential finds it: the public id (embed), the publishable key
    /// (chat), or the hex SHA-256 of the API key (iframe). Unique over all keys.
    pub lookup: String,
    /// Whether it serves real users.
    pub mode: Mode,
    /// For people.
    pub label: String,
    /// Whether it works. The store reports `Revoked` when the tenant is revoked.
    pub state: KeyState,
    /// Origins that may call (chat) or frame (embed, iframe); patterns of `domain::origin`.
    pub allowed_origins: Vec<String>,
    /// After how many seconds without a request its sessions end; `None` is their expiry alone.
    pub idle_timeout_s: Option<u32>,
    /// How many seconds after their opening its sessions end at the latest, renewals included;
    /// `None` is what every session has.
    pub max_lifetime_s: Option<u32>,
    /// What it may cost.
    pub ceilings: Ceilings,
    /// What its kind adds.
    pub settings: KeySettings,
    /// Its credentials, newest first: at least one, at most two that are accepted.
    pub secrets: Vec<KeySecret>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// What was seen of a key's use since it was written last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedUse {
    /// The owner.
    pub tenant: String,
    /// `key_…`
    pub key: String,
    /// The latest use, milliseconds since 1970.
    pub at: i64,
    /// Distinct origins of pages, and when each was seen first.
    pub origins: Vec<(String, i64)>,
}

/// How many distinct origins of a key are counted.
pub const MOST_ORIGINS: usize = 100;

/// How many of them are listed.
pub const LISTED_ORIGINS: usize = 10;

/// What is known of a key's use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Milliseconds since 1970; `None` when it never was used.
    pub last_used_at: Option<i64>,
    /// Distinct origins of pages, the earliest first; few more than [`MOST_ORIGINS`].
    pub origins: Vec<String>,
}

impl Key {
    /// What it has to say about the sessions it opened.
    pub fn terms(&self) -> Terms {
        Terms { state: self.state, idle_timeout_s: self.idle_timeout_s }
    }

    /// The generation of the credential that `lookup` stands for; `None` when it is none of this
    /// key's or is not accepted any more at `now_ms`.
    pub fn generation_of(&self, lookup: &str, now_ms: i64) -> Option<i64> {
        let mut live = self.secrets.iter().filter(|secret| secret.is_live(now_ms));
        let found = live.find(|secret| match &secret.kept {
            Kept::Lookup(own) => own == lookup,
            Kept::Sealed(_) => false,
        });
        found.map(|secret| secret.generation)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A chat key with one credential, `pk_live_1`.
    pub(crate) fn chat_key() -> Key {
        let kept = Kept::Lookup("pk_live_1".into());
        let settings = KeySettings::Chat {
            allowed_intents: None,
            allow_no_origin: false,
            identity: Identity::Off,
        };
        Key {
            tenant: "ten_a".into(),
            id: "key_a".into(),
            lookup: "pk_live_1".into(),
            mode: Mode::Live,
            label: "Shop".into(),
            state: KeyState::Active,
            allowed_origins: Vec::new(),
            idle_timeout_s: None,
            max_lifetime_s: None,
            ceilings: Ceilings::default(),
            settings,
            secrets: vec![KeySecret { generation: 1, kept, created_at: 0, not_after: None }],
            created_at: 0,
        }
    }
}
