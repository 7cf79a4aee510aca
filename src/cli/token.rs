//! `vestibule token inspect`: what a session token says, and whether this service made it.

use std::io::Read;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use super::workplace::Workplace;
use super::{Failure, print_json, print_line};
use crate::context::Clock;
use crate::domain::sealing::MasterKeys;
use crate::domain::token::{Audience, EmbedClaims, IframeClaims, Tokens};
use crate::domain::{chat_token, token};
use crate::store::Store;

/// Look into session tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    Inspect(Inspect),
}

/// Show what a token says and whether it is genuine.
///
/// Knows embed and iframe tokens (JWT) and chat session tokens. A token is verified by the master
/// keys of the configuration, or by the one that `serve --dev` left in the data directory;
/// without either, `verified` is null. It says that the token was made by this service and not
/// changed since; the end of its time and a revocation are separate matters.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vestibule token inspect eyJhbGciOi… --data-dir ./data
  pbpaste | vestibule token inspect - --json

--json prints {\"kind\",\"header\",\"claims\",\"expires_in\",\"verified\"}: kind is embed, iframe, chat or
other; expires_in is in seconds, negative when over; header is null for chat tokens.

Exit codes: 0 shown, 1 shown but it does not verify, 2 not a token")]
pub(super) struct Inspect {
    /// The token, an address that carries it as #token=, or - for standard input
    token: String,
    #[command(flatten)]
    workplace: Workplace,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is known about a token.
#[derive(Debug, Serialize)]
struct Inspection {
    kind: &'static str,
    header: Option<Value>,
    claims: Value,
    expires_in: Option<i64>,
    verified: Option<bool>,
}

impl Token {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Inspect(inspect) => inspect.run(),
        }
    }
}

impl Inspect {
    fn run(self) -> Result<(), Failure> {
        let token = read_token(&self.token)?;
        let keys = known_keys(self.workplace)?;
        let now_s = Clock::default().now_ms().div_euclid(1000);
        let inspection = inspect(&token, keys, now_s).ok_or_else(|| {
            let help = "give a whole embed, iframe or chat token; a cache key (ck_…) is none, \
                        exchange it at POST /api/v1/iframe/token first";
            Failure::unusable("this is not a token", help)
        })?;
        if self.json {
            print_json(&inspection)?;
        } else {
            print_line(&inspection.text())?;
        }
        if inspection.verified == Some(false) {
            let help = "it was changed, or made under another master key or by another service";
            return Err(Failure::refused("the token does not verify", help));
        }
        Ok(())
    }
}

/// The master keys, if they are known, and with a database what became of signing keys.
fn known_keys(workplace: Workplace) -> Result<Option<MasterKeys>, Failure> {
    let access = workplace.clone().access()?;
    if let Some(keys) = &access.master_keys
        && Store::is_in(&access.database)
    {
        // Retired ones too: age alone makes no token look forged.
        let all = workplace.work(async |desk| Ok(desk.store.signing_keys(0).await?))?;
        keys.signing.replace(all);
    }
    Ok(access.master_keys)
}

impl Inspection {
    fn text(&self) -> String {
        let verified = match self.verified {
            Some(true) => "yes, made by the holder of these master keys",
            Some(false) => "no",
            None => "unknown: no master key for this kind of token is at hand",
        };
        let expires = match self.expires_in {
            Some(left) if left > 0 => format!("in {left} s"),
            Some(left) => format!("over since {} s", left.unsigned_abs()),
            None => "never said".to_owned(),
        };
        let header = self.header.as_ref().map_or("none".to_owned(), Value::to_string);
        let claims = format!("{:#}", self.claims);
        format!(
            "kind      {}\nverified  {verified}\nexpires   {expires}\nheader    {header}\nclaims    {claims}",
            self.kind
        )
    }
}

/// Reads the argument; the token may stand alone or in the fragment of an address.
fn read_token(argument: &str) -> Result<String, Failure> {
    let mut text = argument.to_owned();
    if argument == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text).map_err(|cause| {
            let help = "pipe the token in, or give it as the argument";
            Failure::unusable(format!("standard input cannot be read ({cause})"), help)
        })?;
    }
    let text = text.trim();
    Ok(text.rsplit_once("#token=").map_or(text, |(_, token)| token).to_owned())
}

fn inspect(token: &str, keys: Option<MasterKeys>, now_s: i64) -> Option<Inspection> {
    if let Some(claims) = chat_token::read_unverified(token) {
        let at_issue = claims.iat.saturating_mul(1000);
        // Verified at the second of its issue, so that age alone makes no token look forged.
        let verified = keys.map(|keys| chat_token::verify(&keys, token, at_issue).is_ok());
        let expires_in = Some(claims.exp.saturating_sub(now_s));
        let claims = serde_json::to_value(claims).ok()?;
        return Some(Inspection { kind: "chat", header: None, claims, expires_in, verified });
    }
    let (header, claims) = token::read_unverified(token)?;
    let audience = [Audience::Embed, Audience::Iframe]
        .into_iter()
        .find(|audience| claims["aud"].as_str() == Some(audience.name()));
    let verified = audience.zip(keys).map(|(audience, keys)| {
        // The issuer as the token says it: its key is derived from ours, which is the proof.
        let tokens = Tokens::new(Arc::new(keys), claims["iss"].as_str().unwrap_or_default());
        let at_issue = claims["iat"].as_i64().unwrap_or_default().saturating_mul(1000);
        match audience {
            Audience::Embed => tokens.verify::<EmbedClaims>(token, at_issue).is_ok(),
            Audience::Iframe => tokens.verify::<IframeClaims>(token, at_issue).is_ok(),
        }
    });
    let kind = match audience {
        Some(Audience::Embed) => "embed",
        Some(Audience::Iframe) => "iframe",
        None => "other",
    };
    let expires_in = claims["exp"].as_i64().map(|exp| exp.saturating_sub(now_s));
    Some(Inspection { kind, header: Some(header), claims, expires_in, verified })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chat_token::ChatClaims;

    const KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
    const OTHER: &str = "c9a1f4d27b3e58069d41cc83f25e7ab0143f9de2865b7c10ea47d3b95f6820c4";

    fn keys(text: &str) -> MasterKeys {
        MasterKeys::parse([text]).expect("this key is random")
    }

    fn embed_claims() -> EmbedClaims {
        EmbedClaims {
            iss: "http://127.0.0.1:8080".into(),
            aud: Audience::Embed.name().into(),
            sub: "64f000000000000000000001".into(),
            tid: "ten_a".into(),
            sid: "ses_a".into(),
            jti: "jti_a".into(),
            iat: 1_700_000_000,
            nbf: 1_700_000_000,
            exp: 1_700_000_900,
            cap: vec!["showChatsList".into()],
            chat: None,
            kg: 1,
        }
    }

    #[test]
    fn expired_but_genuine_token_verifies() {
        let tokens = Tokens::new(Arc::new(keys(KEY)), "http://127.0.0.1:8080");
        let token = tokens.mint(&embed_claims()).expect("it is short");
        let seen = inspect(&token, Some(keys(KEY)), 1_700_001_000).expect("a token");
        assert_eq!((seen.kind, seen.expires_in, seen.verified), ("embed", Some(-100), Some(true)));
        assert_eq!(seen.claims["cap"][0], "showChatsList");
        assert_eq!(inspect(&token, Some(keys(OTHER)), 0).expect("a token").verified, Some(false));
        assert_eq!(inspect(&token, None, 0).expect("a token").verified, None);
    }

    #[test]
    fn chat_token_has_no_header() {
        let (tid, sid, cid, jti) = ("ten_a".into(), "ses_a".into(), "c".into(), "t".into());
        let claims = ChatClaims { tid, sid, cid, jti, iat: 1_700_000_000, exp: 1_700_003_600 };
        let token = chat_token::mint(&keys(KEY), &claims);
        let seen = inspect(&token, Some(keys(KEY)), 1_700_000_000).expect("a token");
        assert_eq!((seen.kind, seen.expires_in, seen.verified), ("chat", Some(3600), Some(true)));
        assert!(seen.header.is_none());
    }

    #[test]
    fn address_with_a_fragment_is_taken_apart() {
        let url = "http://127.0.0.1:8080/embed/chats#token=a.b.c";
        assert_eq!(read_token(url).expect("no input"), "a.b.c");
        assert!(inspect("ck_abc", None, 0).is_none());
    }
}
