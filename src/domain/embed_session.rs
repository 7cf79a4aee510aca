//! Opening a session of the agent inbox: scope, chats, claims and the iframe's address.
//!
//! Knows neither the signature that let the caller in nor where sessions are kept.

use vestibule_runtime::Violation;

use super::key::{Key, KeySettings, Scope};
use super::session::{FreshIds, Grant, Session, seconds};
use super::tenant::Directory;
use super::token::{Audience, EmbedClaims};
use crate::error::{Error, Result, Thing};

/// How long an embed session lives, seconds.
pub const TTL_S: i64 = 15 * 60;

/// What an integrator asks for, checked against the document.
#[derive(Clone, Debug)]
pub struct Request {
    /// The employee it is for.
    pub employee: String,
    /// Capabilities by their wire names; may hold duplicates.
    pub capabilities: Vec<String>,
    /// The only chat it shall see.
    pub chat: Option<String>,
}

/// Opens a session for the holder of `key`, whose secret of `generation` signed the request.
///
/// # Errors
/// `Rules` when a lone chat page names no chat; `InsufficientScope` when the key may not grant
/// what is asked; `InvalidApiKey` when the key is not an embed key.
pub fn open(
    key: &Key,
    generation: i64,
    request: Request,
    now_ms: i64,
    ids: FreshIds,
) -> Result<Session> {
    let KeySettings::Embed { scope } = key.settings else { return Err(Error::InvalidApiKey) };
    let Request { employee, capabilities, chat } = request;
    let capabilities = folded(capabilities);
    require_chat(&capabilities, chat.as_deref())?;
    require_scope(scope, &capabilities)?;
    let grant = Grant::Embed { employee, capabilities, chat };
    Ok(Session::open(key, generation, (now_ms, TTL_S), ids, grant))
}

/// Whether a key would still grant what a session of it may do.
///
/// # Errors
/// `InsufficientScope` when it would not.
pub fn reconsider(key: &Key, capabilities: &[String]) -> Result<()> {
    match key.settings {
        KeySettings::Embed { scope } => require_scope(scope, capabilities),
        KeySettings::Chat { .. } | KeySettings::Iframe { .. } => Err(Error::KeyDisabled),
    }
}

/// Whether the tenant's directory admits the employee and the chat. `None` for a chat that was
/// not asked for.
///
/// # Errors
/// `NotFound` when the directory is strict and one of them is unknown, the employee first.
pub fn require_known(directory: Directory, employee: bool, chat: Option<bool>) -> Result<()> {
    match directory {
        Directory::Open => Ok(()),
        Directory::Strict if !employee => Err(Error::NotFound(Thing::Employee)),
        Directory::Strict if chat == Some(false) => Err(Error::NotFound(Thing::Chat)),
        Directory::Strict => Ok(()),
    }
}

/// The claims of a session's token. A token speaks for a session only while they are equal.
/// `None` for a session of another surface.
pub fn claims(session: &Session, issuer: &str) -> Option<EmbedClaims> {
    let Grant::Embed { employee, capabilities, chat } = &session.grant else { return None };
    let issued_at = seconds(session.token_issued_at());
    Some(EmbedClaims {
        iss: issuer.to_owned(),
        aud: Audience::Embed.name().to_owned(),
        sub: employee.clone(),
        tid: session.tenant.clone(),
        sid: session.id.clone(),
        jti: session.token_id.clone(),
        iat: issued_at,
        nbf: issued_at,
        exp: seconds(session.expires_at),
        cap: capabilities.clone(),
        chat: chat.clone(),
        kg: session.key_generation,
    })
}

/// Whether a genuine token speaks for a session: its present token, or one that it superseded a
/// moment ago, whatever that one granted.
pub fn speaks(session: &Session, token: &EmbedClaims, now_ms: i64) -> bool {
    claims(session, &token.iss).as_ref() == Some(token)
        || session.overlap_of(&token.jti, now_ms).is_some()
}

/// Where the host page points its iframe. The token stays in the fragment, out of every log.
pub fn iframe_url(public_url: &str, chat: Option<&str>, token: &str) -> String {
    let base = public_url.trim_end_matches('/');
    match chat {
        Some(chat) => format!("{base}/embed/chats/{chat}#token={token}"),
        None => format!("{base}/embed/chats#token={token}"),
    }
}

const LIST: &str = "showChatsList";
const PAGE: &str = "showChatPage";

/// What a key of scope `read` may grant.
const READ: [&str; 2] = [LIST, PAGE];

fn folded(capabilities: Vec<String>) -> Vec<String> {
    capabilities.into_iter().fold(Vec::new(), |mut kept, capability| {
        if !kept.contains(&capability) {
            kept.push(capability);
        }
        kept
    })
}

/// Without the list there is no way to a chat but the one that is named.
fn require_chat(capabilities: &[String], chat: Option<&str>) -> Result<()> {
    let has = |name: &str| capabilities.iter().any(|capability| capability == name);
    if has(PAGE) && !has(LIST) && chat.is_none() {
        return Err(Error::Rules(vec![Violation::body("/chatId", "required")]));
    }
    Ok(())
}

fn require_scope(scope: Scope, capabilities: &[String]) -> Result<()> {
    let beyond = |capability: &&String| match scope {
        Scope::Read => !READ.contains(&capability.as_str()),
        Scope::ReadWrite => false,
    };
    let missing: Vec<String> = capabilities.iter().filter(beyond).cloned().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::InsufficientScope { scope: scope.name().to_owned(), missing })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::domain::key::{Ceilings, KeyState, Mode};

    const NOW: i64 = 1_700_000_000_123;
    const ALL: [&str; 5] = [LIST, PAGE, "showSendInput", "showStatusButton", "showAssigneeButton"];

    fn key(scope: Scope) -> Key {
        Key {
            tenant: "ten_a".into(),
            id: "key_a".into(),
            lookup: "yk_a".into(),
            mode: Mode::Live,
            label: "a".into(),
            state: KeyState::Active,
            allowed_origins: Vec::new(),
            idle_timeout_s: None,
            max_lifetime_s: None,
            ceilings: Ceilings::default(),
            settings: KeySettings::Embed { scope },
            secrets: Vec::new(),
            created_at: 0,
        }
    }

    fn ids() -> FreshIds {
        FreshIds { session: "ses_a".into(), token: "tok_a".into() }
    }

    fn open_with(scope: Scope, capabilities: &[&str], chat: Option<&str>) -> Result<Session> {
        let request = Request {
            employee: "64f000000000000000000001".into(),
            capabilities: capabilities.iter().map(ToString::to_string).collect(),
            chat: chat.map(String::from),
        };
        open(&key(scope), 2, request, NOW, ids())
    }

    fn capabilities_of(session: &Session) -> &[String] {
        match &session.grant {
            Grant::Embed { capabilities, .. } => capabilities,
            Grant::Chat { .. } | Grant::Iframe { .. } => panic!("an embed session"),
        }
    }

    #[test]
    fn a_session_lives_a_quarter_of_an_hour() {
        let session = open_with(Scope::ReadWrite, &[LIST], None).expect("granted");
        assert_eq!(session.expires_at, 1_700_000_900_000);
        assert_eq!(session.remaining_s(NOW), 900);
        assert_eq!((session.key_id.as_str(), session.key_generation), ("key_a", 2));
    }

    #[test]
    fn a_lone_chat_page_requires_a_chat_before_any_scope() {
        let refused = open_with(Scope::Read, &[PAGE, "showSendInput"], None);
        let Err(Error::Rules(violations)) = refused else { panic!("{refused:?}") };
        assert_eq!(violations, [Violation::body("/chatId", "required")]);
        assert!(open_with(Scope::Read, &[PAGE], Some("64f000000000000000000002")).is_ok());
        assert!(open_with(Scope::Read, &[PAGE, LIST], None).is_ok());
        assert!(open_with(Scope::ReadWrite, &["showSendInput"], None).is_ok());
    }

    #[test]
    fn another_kind_of_key_opens_nothing() {
        let mut key = key(Scope::Read);
        key.settings = KeySettings::Iframe { max_redemptions: 1 };
        let request = Request { employee: "e".into(), capabilities: vec![], chat: None };
        assert!(matches!(open(&key, 0, request, NOW, ids()), Err(Error::InvalidApiKey)));
    }

    #[test]
    fn a_key_whose_scope_was_narrowed_is_told_what_is_missing() {
        let asked = ["showChatsList", "showSendInput"].map(str::to_owned);
        assert!(reconsider(&key(Scope::ReadWrite), &asked).is_ok());
        let Err(Error::InsufficientScope { missing, .. }) = reconsider(&key(Scope::Read), &asked)
        else {
            panic!("a read key grants no input");
        };
        assert_eq!(missing, ["showSendInput"]);
    }

    #[test]
    fn a_session_lives_no_longer_than_its_key_says() {
        let short = Key { max_lifetime_s: Some(60), ..key(Scope::Read) };
        let capabilities = vec![LIST.to_owned()];
        let request = Request { employee: "e".into(), capabilities, chat: None };
        let session = open(&short, 1, request, NOW, ids()).expect("granted");
        assert_eq!(session.remaining_s(NOW), 60);
    }

    #[test]
    fn a_strict_directory_refuses_what_it_does_not_know() {
        use Directory::{Open, Strict};
        assert!(require_known(Open, false, Some(false)).is_ok());
        assert!(require_known(Strict, true, None).is_ok());
        assert!(require_known(Strict, true, Some(true)).is_ok());
        let nobody = require_known(Strict, false, Some(false));
        assert!(matches!(nobody, Err(Error::NotFound(Thing::Employee))));
        let no_chat = require_known(Strict, true, Some(false));
        assert!(matches!(no_chat, Err(Error::NotFound(Thing::Chat))));
    }

    #[test]
    fn the_token_stays_in_the_fragment() {
        assert_eq!(
            iframe_url("https://v.example/", Some("c1"), "t.o.k"),
            "https://v.example/embed/chats/c1#token=t.o.k"
        );
        assert_eq!(
            iframe_url("https://v.example", None, "t"),
            "https://v.example/embed/chats#token=t"
        );
    }

    #[test]
    fn claims_say_what_the_session_says() {
        let session = open_with(Scope::ReadWrite, &[LIST, LIST], Some("c")).expect("granted");
        let claims = claims(&session, "vestibule").expect("an embed session");
        assert_eq!(
            (claims.sub.as_str(), claims.chat.as_deref()),
            ("64f000000000000000000001", Some("c"))
        );
        assert_eq!(
            (claims.iat, claims.nbf, claims.exp),
            (1_700_000_000, 1_700_000_000, 1_700_000_900)
        );
        assert_eq!((claims.cap.len(), claims.kg, claims.jti.as_str()), (1, 2, "tok_a"));
        let other = Session {
            grant: Grant::Iframe { uid: "u".into(), sources: vec![], context: Default::default() },
            ..session
        };
        assert_eq!(super::claims(&other, "vestibule"), None);
    }

    proptest! {
        /// What is granted is what was asked for, each once, in the order of first mention.
        #[test]
        fn duplicates_are_folded_and_order_is_kept(
            asked in proptest::collection::vec(select(&ALL[..]), 1..12),
        ) {
            let session = open_with(Scope::ReadWrite, &asked, Some("c")).expect("granted");
            let granted = capabilities_of(&session);
            prop_assert!(granted.iter().all(|it| asked.contains(&it.as_str())));
            let firsts = |name: &&str| asked.iter().position(|it| it == name);
            let places: Vec<_> = granted.iter().map(|it| firsts(&it.as_str())).collect();
            prop_assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(asked.iter().all(|it| granted.iter().any(|granted| granted == it)));
        }

        /// A read key is refused exactly when it is asked for more than list and page, and is told
        /// every capability that is beyond it, once.
        #[test]
        fn a_read_key_grants_list_and_page_alone(
            asked in proptest::collection::vec(select(&ALL[..]), 1..12),
        ) {
            let beyond: std::collections::BTreeSet<&str> =
                asked.iter().copied().filter(|it| ![LIST, PAGE].contains(it)).collect();
            match open_with(Scope::Read, &asked, Some("c")) {
                Ok(_) => prop_assert!(beyond.is_empty()),
                Err(Error::InsufficientScope { scope, missing }) => {
                    prop_assert_eq!(scope, "read");
                    prop_assert_eq!(missing.len(), beyond.len());
                    prop_assert!(missing.iter().all(|it| beyond.contains(it.as_str())));
                }
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
