//! What an operator may create: keys whose members fit their kind, and the credentials they get.
//!
//! A key is created from one flat request; which members belong to which kind is for
//! [`super::key_settings`] to say.

use secrecy::SecretString;

use super::api_key::KeyHash;
use super::hex;
use super::key::{Ceilings, KeyKind, KeySettings, Mode};
use super::key_settings::{self, KindMembers};
use crate::error::{Error, Result};

/// A key to be created, checked against the document. `None` is a member that was not given.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// What it shall open.
    pub kind: KeyKind,
    /// Whether it serves real users.
    pub mode: Mode,
    /// What belongs to its kind.
    pub members: KindMembers,
    /// All keys: patterns of [`super::origin`].
    pub allowed_origins: Vec<String>,
    /// All keys: seconds, see [`super::key::Key::idle_timeout_s`].
    pub idle_timeout_s: Option<u32>,
    /// All keys: seconds, see [`super::key::Key::max_lifetime_s`].
    pub max_lifetime_s: Option<u32>,
    /// All keys: what it may cost.
    pub ceilings: Ceilings,
}

/// A new credential. Whatever is secret is shown once and never again.
#[derive(Clone, Debug)]
pub struct Credential {
    /// [`super::key::Key::lookup`].
    pub lookup: String,
    /// The public part: an embed key's id or a publishable key. Iframe keys have none.
    pub public: Option<String>,
    /// The secret part: an embed key's secret or an API key. Chat keys have none.
    pub secret: Option<SecretString>,
}

/// How many random bytes [`credential`] takes.
pub const CREDENTIAL_BYTES: usize = 48;

/// The settings of a new key.
///
/// # Errors
/// `Rules` with every member that is not of the kind, the intents when they are neither or both
/// listed and all, the redemption mode when it contradicts the number, and every origin that is
/// not a pattern.
pub fn settings(request: &KeyRequest) -> Result<KeySettings> {
    let narrowest = key_settings::narrowest(request.kind);
    let mut violations = key_settings::violations(&narrowest, &request.members);
    // Nobody may grant everything, or nothing, by leaving both out.
    if request.kind == KeyKind::Chat && !request.members.says_intents() {
        violations.push(key_settings::no_intents());
    }
    violations.extend(key_settings::origin_violations(&request.allowed_origins));
    if !violations.is_empty() {
        return Err(Error::Rules(violations));
    }
    Ok(key_settings::with(narrowest, &request.members))
}

/// Makes the credential of a new key out of fresh random bytes.
pub fn credential(kind: KeyKind, mode: Mode, random: &[u8; CREDENTIAL_BYTES]) -> Credential {
    let (id, secret) = random.split_at(16);
    let (id, secret) = (hex::encode(id), hex::encode(secret));
    let mark = match mode {
        Mode::Live => "",
        Mode::Test => "test_",
    };
    match kind {
        KeyKind::Embed => {
            let public = format!("yk_{mark}{id}");
            let secret = Some(SecretString::from(format!("ysk_{mark}{secret}")));
            Credential { lookup: public.clone(), public: Some(public), secret }
        }
        KeyKind::Chat => {
            let public = format!("pk_{}_{id}", mode.name());
            Credential { lookup: public.clone(), public: Some(public), secret: None }
        }
        KeyKind::Iframe => {
            let key = format!("iak_{mark}{secret}");
            let lookup = KeyHash::of(&key).lookup();
            Credential { lookup, public: None, secret: Some(SecretString::from(key)) }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::option::of;
    use proptest::prelude::*;
    use proptest::sample::select;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::domain::key::{Identity, Scope};
    use crate::domain::key_settings::RedemptionMode;

    pub(crate) fn request(kind: KeyKind) -> KeyRequest {
        KeyRequest {
            kind,
            mode: Mode::Live,
            members: KindMembers::default(),
            allowed_origins: Vec::new(),
            idle_timeout_s: None,
            max_lifetime_s: None,
            ceilings: Ceilings::default(),
        }
    }

    fn broken(request: &KeyRequest) -> Vec<(String, String)> {
        match settings(request) {
            Ok(_) => Vec::new(),
            Err(Error::Rules(found)) => {
                found.into_iter().map(|it| (it.pointer, it.keyword)).collect()
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_given_is_the_narrowest() {
        let embed = settings(&request(KeyKind::Embed)).expect("an embed key");
        assert_eq!(embed, KeySettings::Embed { scope: Scope::Read });
        let iframe = settings(&request(KeyKind::Iframe)).expect("an iframe key");
        assert_eq!(iframe, KeySettings::Iframe { max_redemptions: 10 });
        let chat = KeyRequest {
            members: KindMembers { allows_all_intents: Some(true), ..KindMembers::default() },
            ..request(KeyKind::Chat)
        };
        let chat = settings(&chat).expect("a chat key");
        let expected = KeySettings::Chat {
            allowed_intents: None,
            allow_no_origin: false,
            identity: Identity::Off,
        };
        assert_eq!(chat, expected);
    }

    #[test]
    fn an_empty_list_of_intents_is_none_not_all() {
        let chat = KeyRequest {
            members: KindMembers { allowed_intents: Some(Vec::new()), ..KindMembers::default() },
            ..request(KeyKind::Chat)
        };
        let Ok(KeySettings::Chat { allowed_intents, .. }) = settings(&chat) else {
            panic!("a chat key");
        };
        assert_eq!(allowed_intents, Some(Vec::new()));
    }

    #[test]
    fn intents_are_either_listed_or_all() {
        let chat = |list: Option<&str>, all| KeyRequest {
            members: KindMembers {
                allowed_intents: list.map(|name| vec![name.to_owned()]),
                allows_all_intents: all,
                ..KindMembers::default()
            },
            ..request(KeyKind::Chat)
        };
        let neither = [("/allowedIntents".to_owned(), "required".to_owned())];
        assert_eq!(broken(&chat(None, None)), neither);
        assert_eq!(broken(&chat(None, Some(false))), neither);
        let both = [("/allowsAllIntents".to_owned(), "not".to_owned())];
        assert_eq!(broken(&chat(Some("a"), Some(true))), both);
        assert!(broken(&chat(Some("a"), Some(false))).is_empty());
        assert!(broken(&chat(None, Some(true))).is_empty());
    }

    #[test]
    fn every_bad_origin_is_named() {
        let origins = ["https://acme.com", "https://*.co.uk", "https://*.acme.com", "acme.com"];
        let embed = KeyRequest {
            allowed_origins: origins.map(String::from).to_vec(),
            ..request(KeyKind::Embed)
        };
        let expected = ["/allowedOrigins/1", "/allowedOrigins/3"];
        let found = broken(&embed);
        assert!(found.iter().map(|(pointer, _)| pointer).eq(expected));
        assert!(found.iter().all(|(_, keyword)| keyword == "pattern"));
    }

    #[test]
    fn credentials_have_the_documented_forms() {
        let random = std::array::from_fn(|index| index as u8);
        let id = "000102030405060708090a0b0c0d0e0f";
        let secret = "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f";
        let embed = credential(KeyKind::Embed, Mode::Live, &random);
        assert_eq!((embed.lookup, embed.public), (format!("yk_{id}"), Some(format!("yk_{id}"))));
        assert_eq!(embed.secret.expect("a secret").expose_secret(), format!("ysk_{secret}"));
        let chat = credential(KeyKind::Chat, Mode::Live, &random);
        assert_eq!(
            (chat.lookup, chat.public),
            (format!("pk_live_{id}"), Some(format!("pk_live_{id}")))
        );
        assert!(chat.secret.is_none());
        let iframe = credential(KeyKind::Iframe, Mode::Live, &random);
        assert_eq!(iframe.secret.expect("a key").expose_secret(), format!("iak_{secret}"));
        assert_eq!(iframe.lookup, KeyHash::of(&format!("iak_{secret}")).lookup());
        assert!(iframe.public.is_none());
    }

    #[test]
    fn credentials_of_test_keys_say_so() {
        let random = std::array::from_fn(|index| index as u8);
        let [embed, chat, iframe] = [KeyKind::Embed, KeyKind::Chat, KeyKind::Iframe]
            .map(|kind| credential(kind, Mode::Test, &random));
        let secret = |it: &Credential| it.secret.as_ref().map(|it| it.expose_secret().to_owned());
        let begins = |text: Option<String>, with: &str| text.is_some_and(|it| it.starts_with(with));
        assert!(begins(embed.public.clone(), "yk_test_0") && begins(secret(&embed), "ysk_test_1"));
        assert!(begins(chat.public.clone(), "pk_test_0") && secret(&chat).is_none());
        assert!(begins(secret(&iframe), "iak_test_1") && iframe.public.is_none());
        assert_eq!((Some(embed.lookup), Some(chat.lookup)), (embed.public, chat.public));
    }

    proptest! {
        /// Every member that is not of the kind is named, and no member of the kind is.
        #[test]
        fn members_of_other_kinds_are_refused(
            kind in select(&[KeyKind::Embed, KeyKind::Chat, KeyKind::Iframe][..]),
            scope in of(Just(Scope::Read)), allow_no_origin: Option<bool>,
            identity in of(Just(Identity::Required)), max_redemptions in of(2u32..100),
            redemption_mode in of(Just(RedemptionMode::Multiple)),
        ) {
            let members = KindMembers {
                scope, allow_no_origin, identity, max_redemptions, redemption_mode,
                allows_all_intents: (kind == KeyKind::Chat).then_some(true),
                allowed_intents: None,
            };
            let request = KeyRequest { members, ..request(kind) };
            let expected: Vec<_> = [
                ("/scope", scope.is_some() && kind != KeyKind::Embed),
                ("/allowNoOrigin", allow_no_origin.is_some() && kind != KeyKind::Chat),
                ("/identity", identity.is_some() && kind != KeyKind::Chat),
                ("/redemptionMode", redemption_mode.is_some() && kind != KeyKind::Iframe),
                ("/maxRedemptions", max_redemptions.is_some() && kind != KeyKind::Iframe),
            ]
            .into_iter()
            .filter(|(_, foreign)| *foreign)
            .map(|(pointer, _)| (pointer.to_owned(), "additionalProperties".to_owned()))
            .collect();
            prop_assert_eq!(broken(&request), expected);
        }
    }
}
