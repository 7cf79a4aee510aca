//! What `--dev` adds: a demo tenant with random credentials, and the data it has.
//!
//! The credentials live in `<data-dir>/dev-credentials.json`, so that a restart keeps them.

mod credentials;
mod demo;
mod first_requests;
mod seed;

pub use credentials::{
    AdminCredentials, ChatCredentials, DevCredentials, EmbedCredentials, IframeCredentials,
    SourceId, TenantCredentials,
};
pub use demo::{DemoData, demo_data};
pub use seed::seed;
