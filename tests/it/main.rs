//! The integration tests, one binary: modules by tag and by kind.
//!
//! Services are real ones on loopback sockets: [`service::Service`] in this process, where a test
//! may reach into its clock, and [`process::Process`] as the shipped binary, where it may be
//! killed.

mod access_log;
mod audit;
mod callers;
mod chat_conversations;
mod chat_customers;
mod chat_sessions;
mod chat_variables;
mod cli;
mod client;
mod conformance;
mod constraints;
mod cors;
mod credentials;
mod doctor;
mod document;
mod documented_answers;
mod documented_constraints;
mod durability;
mod embed_sessions;
mod embed_tokens;
mod error_causes;
mod error_failures;
mod errors;
mod failing_handlers;
mod httpmock;
mod iframe_sessions;
mod iframe_themes;
mod iframe_tokens;
mod key_changes;
mod key_rotations;
mod keyring;
mod keys;
mod ledger;
mod linters;
mod master_key;
mod metrics;
mod observability;
mod parameters;
mod planted_faults;
mod process;
mod python;
mod reference;
mod requests;
mod schemathesis;
mod secrets;
mod service;
mod shutdown;
mod signatures;
mod signing_keys;
mod smoke;
mod start;
mod strict_json;
mod tail;
mod tenants;
mod tools;
#[cfg(feature = "otlp")]
mod traces;
mod tree;
mod try_out;
mod typescript;
#[cfg(feature = "unfinished")]
mod unfinished;
mod vestibule_cli;
mod webhook_deliveries;
mod webhook_receiver;
mod webhooks;
mod wire;
