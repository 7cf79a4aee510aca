//! Tokens of all surfaces and customers' tokens: whatever verifies is, byte by byte, what we mint.

use std::sync::{Arc, LazyLock};

use secrecy::SecretString;
use vestibule::domain::chat_token;
use vestibule::domain::sealing::MasterKeys;
use vestibule::domain::token::{
    Claims, EmbedClaims, IframeClaims, Tokens, read_unverified, verify_customer,
};

use crate::{NOW_MS, pieces};

const MASTER_KEY: &str = "8f3b1c5d7e9a0b2c4d6e8f1a3b5c7d9e0f2a4b6c8d0e1f3a5b7c9d1e3f5a7b9c";

static KEYS: LazyLock<Arc<MasterKeys>> = LazyLock::new(|| {
    Arc::new(MasterKeys::parse([MASTER_KEY]).expect("a master key of 32 bytes in hex"))
});
static TOKENS: LazyLock<Tokens> =
    LazyLock::new(|| Tokens::new(Arc::clone(&KEYS), "https://vestibule.example"));

/// Reads the first line as a token, for every reader of tokens; the second as a customer's id.
pub fn tokens(data: &[u8]) {
    let [token, customer] = pieces(data);
    let (Ok(token), Ok(customer)) = (std::str::from_utf8(token), std::str::from_utf8(customer))
    else {
        return;
    };
    minted_alike::<EmbedClaims>(token);
    minted_alike::<IframeClaims>(token);
    if let Ok(claims) = chat_token::verify(&KEYS, token, NOW_MS) {
        assert_eq!(chat_token::mint(&KEYS, &claims), token, "another token was taken");
    }
    let _ = chat_token::read_unverified(token);
    if let Some((header, claims)) = read_unverified(token) {
        assert_eq!(token.split('.').count(), 3, "{header} {claims}");
    }
    let secret = SecretString::from("the identity secret of a tenant, long enough");
    let _ = verify_customer(token, customer, &secret, NOW_MS);
}

fn minted_alike<C: Claims>(token: &str) {
    if let Ok(claims) = TOKENS.verify::<C>(token, NOW_MS) {
        let minted = TOKENS.mint(&claims).expect("what was minted can be minted");
        assert_eq!(minted, token, "another token was taken");
    }
}
