//! Torture: the shipped binary under load, killed by SIGKILL again and again, and a checker that
//! holds what clients were told against what is there afterwards.
//!
//! Speaks to the server over HTTP alone and shares no code with it. What must hold is decided in
//! [`history`], which knows neither a server nor a clock.

mod client;
pub mod history;
mod load;
mod observe;
mod run;
mod server;

pub use run::{Database, Plan, Summary, Watch, torture};
