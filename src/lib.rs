//! Vestibule: short-lived, narrowly scoped sessions for chat and assistants embedded in other
//! people's pages.
//!
//! The map of the house, from the outside in; an arrow points at what a part may name:
//!
//! - [`cli`] and [`config`]: arguments, configuration, operator commands, `--dev`.
//! - [`api`] → domain, store: implements the traits generated from `openapi/`, one file per tag.
//! - [`domain`]: decides. Pure: no IO, no clock, no randomness.
//! - [`store`] → domain: remembers. The only SQL.
//! - [`context`]: what handlers share; the only clock and the only randomness.
//! - [`provision`]: makes tenants and keys, for the admin surface, the command line and `--dev`.
//! - [`telemetry`]: metrics, log and traces, all made of one record per request.
//! - [`outbound`]: the one way out, to addresses that others name; [`deliveries`] sends webhooks.
//! - [`resealing`]: seals anew, in the background, what older master keys sealed.
//! - [`error`]: the one error of all of them.
//!
//! Models, validation and routing are in the crate `vestibule_api`, generated from the documents.

pub mod api;
pub mod cli;
pub mod config;
pub mod context;
pub mod deliveries;
pub mod domain;
pub mod error;
pub mod in_flight;
pub mod key_uses;
pub mod limiter;
pub mod net;
pub mod outbound;
pub mod provision;
pub mod readiness;
pub mod resealing;
pub mod serve;
pub mod store;
pub mod telemetry;
pub mod verified_tokens;

pub use serve::{ServeError, serve};
