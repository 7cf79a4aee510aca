//! Which embed tokens were verified a moment ago, so that a page that asks often does not have its
//! token taken apart each time.
//!
//! Holds digests and claims, never a token, in bounded memory; only genuine tokens get in. Time is
//! asked on every call, and whether the session still lives is for others to ask.

use std::sync::Arc;

use aws_lc_rs::digest;
use quick_cache::sync::Cache;

use crate::domain::token::{self, EmbedClaims, MAX_BYTES, Tokens};
use crate::error::{Error, Result};

/// The most tokens remembered, about a kilobyte each.
const MOST: usize = 4096;

/// A memory of verdicts on signatures, which never change while the master keys are the same.
pub struct VerifiedTokens(Cache<[u8; 32], Arc<EmbedClaims>>);

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl VerifiedTokens {
    /// The claims of a genuine embed token that is in time.
    ///
    /// # Errors
    /// As [`Tokens::verify`].
    pub fn claims(&self, tokens: &Tokens, token: &str, now_ms: i64) -> Result<Arc<EmbedClaims>> {
        if token.len() > MAX_BYTES {
            return Err(Error::InvalidToken);
        }
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        let digest = digest.as_ref().try_into().expect("SHA-256 gives 32 bytes");
        if let Some(claims) = self.0.get(&digest) {
            token::require_accepted_key(tokens, &*claims, now_ms)?;
            token::require_in_time(&*claims, now_ms)?;
            return Ok(claims);
        }
        let claims = Arc::new(tokens.verify::<EmbedClaims>(token, now_ms)?);
        self.0.insert(digest, Arc::clone(&claims));
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sealing::MasterKeys;
    use crate::domain::token::Audience;

    const KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
    const START: i64 = 1_700_000_000;

    fn tokens() -> Tokens {
        let keys = MasterKeys::parse([KEY]).expect("this key is random");
        Tokens::new(Arc::new(keys), "https://v.example")
    }

    fn claims() -> EmbedClaims {
        EmbedClaims {
            iss: "https://v.example".into(),
            aud: Audience::Embed.name().into(),
            sub: "64f000000000000000000001".into(),
            tid: "ten_a".into(),
            sid: "ses_a".into(),
            jti: "tok_a".into(),
            iat: START,
            nbf: START,
            exp: START + 900,
            cap: vec!["showChatsList".into()],
            chat: None,
            kg: 1,
        }
    }

    #[test]
    fn remembered_token_still_expires_and_never_begins_early() {
        let (tokens, verified) = (tokens(), VerifiedTokens::default());
        let token = tokens.mint(&claims()).expect("short");
        let ask = |at_s: i64| verified.claims(&tokens, &token, at_s * 1000);
        assert!(matches!(ask(START + 900), Err(Error::TokenExpired { .. })), "not remembered yet");
        for _ in 0..2 {
            assert_eq!(*ask(START + 899).expect("in time"), claims());
        }
        assert!(matches!(ask(START + 900), Err(Error::TokenExpired { .. })));
        assert!(matches!(ask(START - 1), Err(Error::InvalidToken)));
    }

    #[test]
    fn neighbour_of_a_remembered_token_is_refused() {
        let (tokens, verified) = (tokens(), VerifiedTokens::default());
        let token = tokens.mint(&claims()).expect("short");
        verified.claims(&tokens, &token, START * 1000).expect("genuine");
        let (body, _) = token.rsplit_once('.').expect("a signature");
        for forged in [format!("{body}."), format!("{body}.AAAA"), format!("{token}A"), body.into()]
        {
            let refused = verified.claims(&tokens, &forged, START * 1000);
            assert!(matches!(refused, Err(Error::InvalidToken)), "{forged}");
        }
    }
}
