//! The rules by which a key opens a session, in the order in which they decide, and what to do when
//! one of them refuses.
//!
//! Decides nothing: the rules themselves stand with their surfaces.

use super::key::KeyKind;
use crate::error::{Error, Thing};

/// What decides whether a session is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// There is such a key, and it is the tenant's.
    Key,
    /// The key works.
    KeyState,
    /// The page is on the key's list.
    Origin,
    /// The body keeps every constraint, those between its members too.
    Request,
    /// The key may grant the capabilities.
    Scope,
    /// Whoever claims to be a customer proves it.
    Customer,
    /// A strict directory knows employee and chat.
    Directory,
    /// The sources are the tenant's.
    Sources,
    /// There is such a theme, and only one is named.
    Theme,
    /// The key may still open sessions, and send requests.
    Ceilings,
}

/// The rules of a surface in the order in which its door looks at them.
pub fn rules(kind: KeyKind) -> &'static [Rule] {
    use Rule::{
        Ceilings, Customer, Directory, Key, KeyState, Origin, Request, Scope, Sources, Theme,
    };
    match kind {
        KeyKind::Embed => &[Key, KeyState, Request, Scope, Directory, Ceilings],
        KeyKind::Chat => &[Request, Key, KeyState, Origin, Customer, Ceilings],
        KeyKind::Iframe => &[Key, KeyState, Request, Theme, Sources, Ceilings],
    }
}

/// The rule that an error of a door speaks for; `None` for failures, which say nothing of the
/// request.
pub fn rule_of(error: &Error) -> Option<Rule> {
    match error {
        Error::Rules(_) => Some(Rule::Request),
        Error::InvalidApiKey | Error::InvalidSignature | Error::MissingCredentials => {
            Some(Rule::Key)
        }
        Error::WidgetDisabled | Error::KeyDisabled => Some(Rule::KeyState),
        Error::OriginNotAllowed { .. } => Some(Rule::Origin),
        Error::InsufficientScope { .. } => Some(Rule::Scope),
        Error::InvalidCustomerToken(_) => Some(Rule::Customer),
        Error::NotFound(Thing::Employee | Thing::Chat) => Some(Rule::Directory),
        Error::UnknownSource { .. } => Some(Rule::Sources),
        Error::ThemeConflict | Error::NotFound(Thing::Theme) => Some(Rule::Theme),
        Error::LimitExceeded { .. } | Error::RateLimited { .. } => Some(Rule::Ceilings),
        Error::NotFound(
            Thing::Tenant
            | Thing::Key
            | Thing::CacheKey
            | Thing::Session
            | Thing::Webhook
            | Thing::Delivery
            | Thing::Message,
        )
        | Error::TimestampOutOfWindow { .. }
        | Error::SignatureReplayed
        | Error::InvalidToken
        | Error::TokenExpired { .. }
        | Error::TokenRevoked
        | Error::CacheKeyExpired
        | Error::CacheKeyUsed
        | Error::IntentNotAllowed { .. }
        | Error::SessionEnded(_)
        | Error::LifetimeExhausted
        | Error::WebhookDisabled
        | Error::RotationInProgress { .. }
        | Error::TestClockRefused { .. }
        | Error::Unavailable(_)
        | Error::Restored { .. }
        | Error::IdempotencyInProgress
        | Error::IdempotencyKeyReused
        | Error::Answered(_)
        | Error::Internal(_) => None,
    }
}

/// What a rule says when it is kept.
pub fn kept(rule: Rule) -> &'static str {
    match rule {
        Rule::Key => "The key is the tenant's.",
        Rule::KeyState => "The key is active.",
        Rule::Origin => "The key lists the origin.",
        Rule::Request => "The body keeps every constraint.",
        Rule::Scope => "The key's scope reaches every requested capability.",
        Rule::Customer => "The key asks for no proof, or it was given.",
        Rule::Directory => "The directory takes the employee and the chat.",
        Rule::Sources => "Every source is the tenant's.",
        Rule::Theme => "The theme can be shown.",
        Rule::Ceilings => "The key may open more sessions.",
    }
}

/// What to do when a rule refuses.
pub fn remedy(rule: Rule) -> &'static str {
    match rule {
        Rule::Key => "Take the key's id from the list of keys, and a key of this tenant.",
        Rule::KeyState => "Resume the key; a revoked one is replaced by a new key.",
        Rule::Origin => "Add the origin to the key's allowed origins, or allowNoOrigin for apps.",
        Rule::Request => "Mend the members that the violations name.",
        Rule::Scope => "Ask for less, or give the key the scope read-write.",
        Rule::Customer => "Send a customerToken signed by the tenant's identity secret.",
        Rule::Directory => "Add employee and chat to the directory, or open the directory.",
        Rule::Sources => "Ask for sources of this tenant alone.",
        Rule::Theme => "Name one theme that the tenant has, or none.",
        Rule::Ceilings => {
            "Wait as long as the finding says, end sessions that are not needed, or raise the key's \
             ceilings."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_that_an_error_speaks_for_is_a_rule_of_some_surface() {
        let errors = [
            Error::Rules(Vec::new()),
            Error::InvalidApiKey,
            Error::WidgetDisabled,
            Error::OriginNotAllowed { origin: None },
            Error::InsufficientScope { scope: "read".into(), missing: Vec::new() },
            Error::InvalidCustomerToken("no"),
            Error::NotFound(Thing::Employee),
            Error::UnknownSource { unknown: Vec::new() },
            Error::ThemeConflict,
            Error::LimitExceeded { exceeded: Vec::new(), retry_after_s: 1 },
        ];
        for error in errors {
            let rule = rule_of(&error).unwrap_or_else(|| panic!("{error} speaks for a rule"));
            let kinds = [KeyKind::Embed, KeyKind::Chat, KeyKind::Iframe];
            assert!(kinds.into_iter().any(|kind| rules(kind).contains(&rule)), "{rule:?}");
        }
    }

    #[test]
    fn chat_bodies_are_looked_at_before_the_key_that_stands_in_them() {
        assert_eq!(rules(KeyKind::Chat)[..2], [Rule::Request, Rule::Key]);
        assert_eq!(rules(KeyKind::Embed)[0], Rule::Key);
    }
}
