//! What Vestibule decides: pure functions over plain values.
//!
//! Nothing here does IO, reads a clock, draws a random number or names dropshot or sqlx; time, ids
//! and random bytes come in as arguments.

pub mod admin;
pub mod api_key;
pub mod audit;
pub mod audit_chain;
pub mod base32;
pub mod caller;
pub mod catalogue;
pub mod ceiling;
pub mod chat_session;
pub mod chat_token;
pub mod cipher;
pub mod database;
pub mod embed_session;
pub mod erasure;
pub mod explanation;
pub mod hex;
pub mod idempotency;
pub mod iframe_session;
pub mod introspection;
pub mod key;
pub mod key_pair;
pub mod key_rotation;
pub mod key_settings;
pub mod key_update;
pub mod limits;
pub mod origin;
pub mod outbound;
pub mod renewal;
pub mod sealing;
pub mod session;
pub mod session_filter;
pub mod signature;
pub mod signature_diagnosis;
pub mod signing_key;
pub mod sortable_id;
pub mod target;
pub mod tenant;
pub mod test_clock;
pub mod theme;
pub mod token;
pub mod usage;
pub mod webhook;
