//! Settings of the public listener: how many connections, how much patience, TLS, and whose word
//! about the far end of a connection counts.

use std::path::PathBuf;
use std::time::Duration;

use super::layers::Layers;
use super::{ConfigError, choose, integer, networks};
use crate::net::{Guard, Patience, TlsFiles, TrustedProxies};

/// What stands between clients and the server; `None` when the server listens itself.
pub(super) fn guard(layers: &Layers) -> Result<Option<Guard>, ConfigError> {
    let tls = tls(layers)?;
    if !choose(layers, "listener.guard", &[("on", true), ("off", false)], true)? {
        let Some(setting) = layers.get("listener.tls_certificate") else { return Ok(None) };
        let remedy = "take the setting out, or set listener.guard to on";
        return Err(ConfigError::new(&setting.place, "without the guard there is no TLS", remedy));
    }
    let milliseconds =
        |key, most, default| integer(layers, key, 100..=most, default).map(Duration::from_millis);
    let hour_ms = 3_600_000;
    Ok(Some(Guard {
        most: integer(layers, "listener.connections", 1..=100_000, 8192)?,
        most_of_one: integer(layers, "listener.connections_per_address", 1..=100_000, 512)?,
        patience: Patience {
            first_byte: milliseconds("listener.first_byte_ms", hour_ms, 5_000)?,
            head: milliseconds("listener.head_ms", hour_ms, 10_000)?,
            head_bytes: integer(layers, "listener.head_bytes", 1024..=1024 * 1024, 16 * 1024)?,
            stall: milliseconds("listener.stall_ms", hour_ms, 20_000)?,
            idle: milliseconds("listener.idle_ms", hour_ms, 100_000)?,
            lifetime: milliseconds("listener.lifetime_ms", 24 * hour_ms, 3_600_000)?,
        },
        tls,
    }))
}

/// Whose `X-Forwarded-For` counts.
pub(super) fn trusted_proxies(layers: &Layers) -> Result<TrustedProxies, ConfigError> {
    let networks = layers.get("listener.trusted_proxies").map(networks).transpose()?;
    Ok(TrustedProxies::new(networks.unwrap_or_default()))
}

pub(super) fn tls(layers: &Layers) -> Result<Option<TlsFiles>, ConfigError> {
    const CERTIFICATE: &str = "listener.tls_certificate";
    const KEY: &str = "listener.tls_key";
    let file = |text: &str| PathBuf::from(text);
    let (certificate, key) = match (layers.get(CERTIFICATE), layers.get(KEY)) {
        (Some(certificate), Some(key)) => (file(certificate.text()), file(key.text())),
        (None, None) => return Ok(None),
        (Some(alone), None) => return Err(missing(&alone.place, KEY)),
        (None, Some(alone)) => return Err(missing(&alone.place, CERTIFICATE)),
    };
    Ok(Some(TlsFiles { certificate, key }))
}

fn missing(place: &str, other: &str) -> ConfigError {
    let problem = format!("TLS needs {other} as well");
    ConfigError::new(place, problem, format!("set {other} to the path of a PEM file"))
}
