//! Tokens of all surfaces as somebody else than their holder shows them: which kind one is, whether
//! it is genuine, and whether it speaks for a session.
//!
//! The cost is bounded: a token that is too long or another tenant's is not verified at all, and
//! one that is looked at is verified for the one kind that it says it is.

use super::chat_token::{self, ChatClaims};
use super::sealing::MasterKeys;
use super::session::Session;
use super::token::{Audience, EmbedClaims, IframeClaims, MAX_BYTES, Tokens, read_unverified};
use super::{chat_session, embed_session, iframe_session};

/// A genuine token that is in time. Whether its session lives is another question.
#[derive(Clone, Debug, PartialEq)]
pub enum Presented {
    /// Of the agent inbox.
    Embed(EmbedClaims),
    /// Of the website widget.
    Chat(ChatClaims),
    /// Of the assistant.
    Iframe(IframeClaims),
}

/// What all tokens say, in the words of RFC 7662. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Said<'a> {
    /// Who issued it, where the token says so.
    pub iss: Option<&'a str>,
    /// For which surface it is.
    pub aud: &'a str,
    /// For whom it is.
    pub sub: &'a str,
    /// The token's own id.
    pub jti: &'a str,
    /// When it was issued.
    pub iat: i64,
    /// When it began.
    pub nbf: i64,
    /// From when on it is over.
    pub exp: i64,
}

/// Reads a token that a caller shows who may see `tenant` alone, or everything when that is `None`.
/// `None` for whatever is not genuine, not in time, or not theirs to see.
pub fn read(
    tokens: &Tokens,
    keys: &MasterKeys,
    token: &str,
    tenant: Option<&str>,
    now_ms: i64,
) -> Option<Presented> {
    if token.len() > MAX_BYTES {
        return None;
    }
    let is_theirs = |tid: &str| tenant.is_none_or(|own| own == tid);
    if let Some(unverified) = chat_token::read_unverified(token) {
        let claims = is_theirs(&unverified.tid).then(|| chat_token::verify(keys, token, now_ms));
        return claims?.ok().map(Presented::Chat);
    }
    let (_, unverified) = read_unverified(token)?;
    if !unverified["tid"].as_str().is_some_and(is_theirs) {
        return None;
    }
    match unverified["aud"].as_str()? {
        it if it == Audience::Embed.name() => {
            tokens.verify(token, now_ms).ok().map(Presented::Embed)
        }
        it if it == Audience::Iframe.name() => {
            tokens.verify(token, now_ms).ok().map(Presented::Iframe)
        }
        _ => None,
    }
}

impl Presented {
    /// Tenant and session that it names.
    pub fn session(&self) -> (&str, &str) {
        match self {
            Self::Embed(claims) => (&claims.tid, &claims.sid),
            Self::Chat(claims) => (&claims.tid, &claims.sid),
            Self::Iframe(claims) => (&claims.tid, &claims.sid),
        }
    }

    /// Whether it speaks for that session now: it is the present token or superseded a moment ago.
    pub fn speaks(&self, session: &Session, now_ms: i64) -> bool {
        match self {
            Self::Embed(claims) => embed_session::speaks(session, claims, now_ms),
            Self::Chat(claims) => chat_session::speaks(session, claims, now_ms),
            Self::Iframe(claims) => iframe_session::speaks(session, claims, now_ms),
        }
    }

    /// What it says. A superseded token is over when its overlap is.
    pub fn said(&self, session: &Session, now_ms: i64) -> Said<'_> {
        let mut said = match self {
            Self::Embed(it) => Said {
                iss: Some(&it.iss),
                aud: &it.aud,
                sub: &it.sub,
                jti: &it.jti,
                iat: it.iat,
                nbf: it.nbf,
                exp: it.exp,
            },
            Self::Chat(it) => Said {
                iss: None,
                aud: chat_token::AUDIENCE,
                sub: &it.cid,
                jti: &it.jti,
                iat: it.iat,
                nbf: it.iat,
                exp: it.exp,
            },
            Self::Iframe(it) => Said {
                iss: Some(&it.iss),
                aud: &it.aud,
                sub: &it.sub,
                jti: &it.jti,
                iat: it.iat,
                nbf: it.nbf,
                exp: it.exp,
            },
        };
        if let Some(until) = session.overlap_of(said.jti, now_ms) {
            said.exp = said.exp.min(until.div_euclid(1000));
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000_500;
    const KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";

    fn keys() -> Arc<MasterKeys> {
        Arc::new(MasterKeys::parse([KEY]).expect("this key is random"))
    }

    fn tokens() -> Tokens {
        Tokens::new(keys(), "https://v.example")
    }

    fn iframe() -> IframeClaims {
        IframeClaims {
            iss: "https://v.example".into(),
            aud: Audience::Iframe.name().into(),
            sub: "u".into(),
            tid: "ten_a".into(),
            sid: "ses_a".into(),
            jti: "tok_a".into(),
            iat: 1_700_000_000,
            nbf: 1_700_000_000,
            exp: 1_700_000_900,
            kg: 0,
        }
    }

    fn chat() -> ChatClaims {
        ChatClaims {
            tid: "ten_a".into(),
            sid: "ses_a".into(),
            cid: "c".into(),
            jti: "tok_a".into(),
            iat: 1_700_000_000,
            exp: 1_700_003_600,
        }
    }

    fn ask(token: &str, tenant: Option<&str>) -> Option<Presented> {
        read(&tokens(), &keys(), token, tenant, NOW)
    }

    #[test]
    fn tokens_of_every_kind_are_read_by_their_tenant_and_the_operator_alone() {
        let own = [
            (tokens().mint(&iframe()).expect("short"), Presented::Iframe(iframe())),
            (chat_token::mint(&keys(), &chat()), Presented::Chat(chat())),
        ];
        for (token, presented) in own {
            for caller in [Some("ten_a"), None] {
                assert_eq!(ask(&token, caller), Some(presented.clone()));
            }
            assert_eq!(ask(&token, Some("ten_b")), None);
        }
    }

    #[test]
    fn a_token_that_says_it_is_another_kind_is_none() {
        let aud = "vestibule:embed".to_owned();
        let token = tokens().mint(&IframeClaims { aud, ..iframe() }).expect("short");
        assert_eq!(ask(&token, None), None);
        let aud = "vestibule:chat".to_owned();
        let token = tokens().mint(&IframeClaims { aud, ..iframe() }).expect("short");
        assert_eq!(ask(&token, None), None);
    }

    proptest! {
        /// Whatever is shown is read or not, and never makes reading panic.
        #[test]
        fn any_text_is_no_token(text in ".{0,300}") {
            prop_assert_eq!(ask(&text, None), None);
        }

        /// A token with one character changed is none.
        #[test]
        fn a_changed_token_is_none(
            at in any::<prop::sample::Index>(),
            to in "[A-Za-z0-9_.-]",
            is_chat: bool,
        ) {
            let jwt = || tokens().mint(&iframe()).expect("short");
            let token = if is_chat { chat_token::mint(&keys(), &chat()) } else { jwt() };
            let at = at.index(token.len());
            let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
            prop_assume!(changed != token);
            prop_assert_eq!(ask(&changed, Some("ten_a")), None);
        }
    }
}
