//! Settings of what the service sends by itself: where to, how often, how long it is remembered.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::layers::{Layers, Setting};
use super::{ConfigError, choose, integer};
use crate::domain::outbound::OutboundPolicy;
use crate::domain::webhook::Schedule;

/// How webhooks are delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhooks {
    /// The waits between attempts.
    pub schedule: Schedule,
    /// How long an attempt may take.
    pub deadline: Duration,
    /// How long finished deliveries are kept, milliseconds.
    pub keep_ms: i64,
    /// The most deliveries of one endpoint that wait, and the most that are finished.
    pub most: i64,
}

/// The longest wait between two attempts.
const MOST_WAIT_MS: i64 = 7 * 24 * 3_600_000;

/// In `--dev` the receiver is most likely on the same machine.
pub(super) fn policy(layers: &Layers, dev: bool) -> Result<OutboundPolicy, ConfigError> {
    let schemes = [("refuse", false), ("allow", true)];
    let plain_http = choose(layers, "outbound.http", &schemes, dev)?;
    let loopback = || ["127.0.0.0/8", "::1/128"].map(|net| net.parse().expect("a network")).into();
    let allow = match layers.get("outbound.allow") {
        Some(setting) => networks(setting)?,
        None if dev => loopback(),
        None => Vec::new(),
    };
    Ok(OutboundPolicy { allow, plain_http })
}

pub(super) fn webhooks(layers: &Layers) -> Result<Webhooks, ConfigError> {
    let schedule = layers.get("webhooks.retry_ms").map(waits).transpose()?;
    let deadline_ms = integer(layers, "webhooks.deadline_ms", 100..=60_000, 15_000)?;
    let keep_s: i64 = integer(layers, "webhooks.keep_s", 1..=365 * 86_400, 7 * 86_400)?;
    Ok(Webhooks {
        schedule: schedule.unwrap_or_default(),
        deadline: Duration::from_millis(deadline_ms),
        keep_ms: keep_s.saturating_mul(1000),
        most: integer(layers, "webhooks.most", 10..=10_000_000, 100_000)?,
    })
}

/// An address alone is the network of itself.
pub(super) fn networks(setting: &Setting) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: &String| {
        let alone = || text.parse::<IpAddr>().map(IpNet::from).ok();
        let found = text.parse().ok().or_else(alone);
        found.ok_or_else(|| {
            let problem = format!("`{text}` is no network");
            let remedy = "write networks like 10.1.0.0/16, 192.0.2.7 or fd00::/8";
            ConfigError::new(&setting.place, problem, remedy)
        })
    };
    setting.values.iter().map(network).collect()
}

fn waits(setting: &Setting) -> Result<Schedule, ConfigError> {
    let wait = |text: &String| {
        let wait: Option<i64> = text.parse().ok().filter(|wait| (0..=MOST_WAIT_MS).contains(wait));
        wait.ok_or_else(|| {
            let problem = format!("`{text}` is no wait between two attempts");
            let remedy = format!("write milliseconds from 0 to {MOST_WAIT_MS}, as strings");
            ConfigError::new(&setting.place, problem, remedy)
        })
    };
    setting.values.iter().map(wait).collect::<Result<_, _>>().map(Schedule)
}
