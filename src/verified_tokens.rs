//! Which embed tokens were verified a moment ago, so that a page that asks often does not have its
//! token taken apart each time.
//!
//! Holds digests and claims, never a token, in bounded memory; only genuine tokens get in. Time is
//! asked on every call, and whether the session still lives is for others to ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use crate::domain::api_key::KeyHash;
use crate::domain::token::{self, EmbedClaims, MAX_BYTES, Tokens};
use crate::error::{Error, Result};

/// The most tokens remembered, about a kilobyte each.
const MOST: usize = 4096;

/// A memory of verdicts on signatures. Whoever takes a master key away makes it forget them.
pub struct VerifiedTokens {
    verdicts: Cache<[u8; 32], Arc<EmbedClaims>>,
    /// How often they were forgotten.
    forgotten: AtomicU64,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self { verdicts: Cache::new(MOST), forgotten: AtomicU64::new(0) }
    }
}

impl VerifiedTokens {
    /// Forgets all verdicts.
    pub fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.verdicts.clear();
    }

    /// The claims of a genuine embed token that is in time. `hash` is the token's own.
    ///
    /// # Errors
    /// As [`Tokens::verify`].
    pub fn claims(
        &self,
        tokens: &Tokens,
        token: &str,
        hash: &KeyHash,
        now_ms: i64,
    ) -> Result<Arc<EmbedClaims>> {
        if token.len() > MAX_BYTES {
            return Err(Error::InvalidToken);
        }
        let digest = *hash.bytes();
        if let Some(claims) = self.verdicts.get(&digest) {
            token::require_accepted_key(tokens, &*claims, now_ms)?;
            token::require_in_time(&*claims, now_ms)?;
            return Ok(claims);
        }
        let forgotten = self.forgotten.load(Ordering::SeqCst);
        let claims = Arc::new(tokens.verify::<EmbedClaims>(token, now_ms)?);
        self.verdicts.insert(digest, Arc::clone(&claims));
        // By keys that were taken away meanwhile: it must not come in behind the forgetting.
        if self.forgotten.load(Ordering::SeqCst) != forgotten {
            self.verdicts.remove(&digest);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sealing::MasterKeys;
    use crate::domain::token::Audience;

    const KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
    const OTHER: &str = "c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab525f0c2b7e91d34a68b7";
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
        let hash = KeyHash::of(&token);
        let ask = |at_s: i64| verified.claims(&tokens, &token, &hash, at_s * 1000);
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
        let ask = |token: &str| verified.claims(&tokens, token, &KeyHash::of(token), START * 1000);
        ask(&token).expect("genuine");
        let (body, _) = token.rsplit_once('.').expect("a signature");
        for forged in [format!("{body}."), format!("{body}.AAAA"), format!("{token}A"), body.into()]
        {
            assert!(matches!(ask(&forged), Err(Error::InvalidToken)), "{forged}");
        }
    }

    #[test]
    fn a_verdict_that_is_forgotten_is_made_again_by_the_keys_there_are() {
        let keys = Arc::new(MasterKeys::parse([KEY]).expect("this key is random"));
        let tokens = Tokens::new(Arc::clone(&keys), "https://v.example");
        let (token, verified) = (tokens.mint(&claims()).expect("short"), VerifiedTokens::default());
        let ask = || verified.claims(&tokens, &token, &KeyHash::of(&token), START * 1000);
        ask().expect("genuine");
        keys.replace(&MasterKeys::parse([OTHER]).expect("this key is random"));
        verified.forget();
        assert!(matches!(ask(), Err(Error::InvalidToken)), "no key of today signed it");
    }
}
