//! Which settings belong to which kind of key, which contradict each other, and what members of a
//! request make of the settings that were there.
//!
//! Creating a key is changing the narrowest one of its kind, so both follow the same rules.

use vestibule_runtime::Violation;

use super::key::{Identity, Key, KeyKind, KeySettings, Scope};
use super::origin::OriginPattern;

/// The members that belong to one kind of key alone. `None` is a member that was not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindMembers {
    /// Embed keys: what it may grant; `read` when it never was given.
    pub scope: Option<Scope>,
    /// Chat keys: the intents it may trigger.
    pub allowed_intents: Option<Vec<String>>,
    /// Chat keys: that it may trigger all intents.
    pub allows_all_intents: Option<bool>,
    /// Chat keys: whether a request without `Origin` is taken; `false` when it never was given.
    pub allow_no_origin: Option<bool>,
    /// Chat keys: whether customers must prove who they are; `off` when it never was given.
    pub identity: Option<Identity>,
    /// Iframe keys: whether a cache key may be redeemed more than once.
    pub redemption_mode: Option<RedemptionMode>,
    /// Iframe keys: how often a cache key may be redeemed; 10 when it never was given.
    pub max_redemptions: Option<u32>,
}

/// Whether a cache key may be redeemed more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedemptionMode {
    /// Once.
    Single,
    /// As often as the key's number says.
    Multiple,
}

impl RedemptionMode {
    /// What a number of redemptions is.
    pub fn of(max_redemptions: u32) -> Self {
        if max_redemptions == 1 { Self::Single } else { Self::Multiple }
    }

    /// Its word in documents, tables and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Multiple => "multiple",
        }
    }
}

impl KindMembers {
    /// Whether it says which intents a chat key may trigger.
    pub fn says_intents(&self) -> bool {
        self.allowed_intents.is_some() || self.allows_all_intents == Some(true)
    }
}

/// The settings of a key of whose kind nothing was said.
pub fn narrowest(kind: KeyKind) -> KeySettings {
    match kind {
        KeyKind::Embed => KeySettings::Embed { scope: Scope::Read },
        KeyKind::Chat => KeySettings::Chat {
            allowed_intents: Some(Vec::new()),
            allow_no_origin: false,
            identity: Identity::Off,
        },
        KeyKind::Iframe => KeySettings::Iframe { max_redemptions: DEFAULT_REDEMPTIONS },
    }
}

/// What `settings` become when `members` are given; what was not given stays.
pub fn with(settings: KeySettings, members: &KindMembers) -> KeySettings {
    match settings {
        KeySettings::Embed { scope } => {
            KeySettings::Embed { scope: members.scope.unwrap_or(scope) }
        }
        KeySettings::Chat { allowed_intents, allow_no_origin, identity } => KeySettings::Chat {
            allowed_intents: match (&members.allowed_intents, members.allows_all_intents) {
                (Some(listed), _) => Some(listed.clone()),
                (None, Some(true)) => None,
                (None, Some(false) | None) => allowed_intents,
            },
            allow_no_origin: members.allow_no_origin.unwrap_or(allow_no_origin),
            identity: members.identity.unwrap_or(identity),
        },
        KeySettings::Iframe { max_redemptions } => KeySettings::Iframe {
            max_redemptions: match (members.max_redemptions, members.redemption_mode) {
                (Some(most), _) => most,
                (None, Some(RedemptionMode::Single)) => 1,
                (None, Some(RedemptionMode::Multiple)) if max_redemptions == 1 => {
                    DEFAULT_REDEMPTIONS
                }
                (None, Some(RedemptionMode::Multiple) | None) => max_redemptions,
            },
        },
    }
}

/// What is wrong with `members` for a key with these settings: what is of another kind, and what
/// contradicts itself.
pub fn violations(settings: &KeySettings, members: &KindMembers) -> Vec<Violation> {
    let mut violations = foreign(settings, members);
    match settings {
        KeySettings::Embed { .. } => {}
        KeySettings::Chat { allowed_intents, .. } => {
            violations.extend(intents_violation(allowed_intents.is_none(), members));
        }
        KeySettings::Iframe { .. } => violations.extend(redemption_violation(members)),
    }
    violations
}

/// That nothing says which intents a chat key may trigger.
pub fn no_intents() -> Violation {
    Violation::body("/allowedIntents", "required")
        .actual("neither allowedIntents nor allowsAllIntents: true")
}

/// Every origin that is not a pattern.
pub fn origin_violations(origins: &[String]) -> impl Iterator<Item = Violation> + '_ {
    origins.iter().enumerate().filter_map(|(index, text)| {
        let reason = OriginPattern::parse(text).err()?;
        Some(
            Violation::body(format!("/allowedOrigins/{index}"), "pattern")
                .actual(reason.to_string()),
        )
    })
}

const DEFAULT_REDEMPTIONS: u32 = 10;

fn foreign(settings: &KeySettings, members: &KindMembers) -> Vec<Violation> {
    use KeyKind::{Chat, Embed, Iframe};
    let all = [
        ("/scope", Embed, members.scope.is_some()),
        ("/allowedIntents", Chat, members.allowed_intents.is_some()),
        ("/allowsAllIntents", Chat, members.allows_all_intents.is_some()),
        ("/allowNoOrigin", Chat, members.allow_no_origin.is_some()),
        ("/identity", Chat, members.identity.is_some()),
        ("/redemptionMode", Iframe, members.redemption_mode.is_some()),
        ("/maxRedemptions", Iframe, members.max_redemptions.is_some()),
    ];
    let own = settings.kind();
    all.into_iter()
        .filter(|(_, kind, given)| *given && *kind != own)
        .map(|(pointer, _, _)| Violation::body(pointer, "additionalProperties"))
        .collect()
}

/// The list and "all" exclude each other, and taking "all" back says nothing without a list.
fn intents_violation(all_before: bool, members: &KindMembers) -> Option<Violation> {
    match (members.allowed_intents.is_some(), members.allows_all_intents) {
        (true, Some(true)) => {
            Some(Violation::body("/allowsAllIntents", "not").actual("true beside allowedIntents"))
        }
        (false, Some(false)) if all_before => Some(no_intents()),
        (true, Some(false) | None) | (false, Some(_) | None) => None,
    }
}

fn redemption_violation(members: &KindMembers) -> Option<Violation> {
    let (mode, most) = (members.redemption_mode?, members.max_redemptions?);
    (mode != RedemptionMode::of(most)).then(|| {
        Violation::body("/redemptionMode", "not")
            .actual(format!("{} beside maxRedemptions {most}", mode.name()))
    })
}

impl KeySettings {
    /// What a key with these settings opens.
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Embed { .. } => KeyKind::Embed,
            Self::Chat { .. } => KeyKind::Chat,
            Self::Iframe { .. } => KeyKind::Iframe,
        }
    }
}

impl Key {
    /// What this key opens.
    pub fn kind(&self) -> KeyKind {
        self.settings.kind()
    }
}
