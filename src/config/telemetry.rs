//! What the service tells about itself, and where: the request log, and traces for a collector.

use super::layers::Layers;
use super::{ConfigError, integer};

/// How much the request log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLogBounds {
    /// Bytes in one file. A write that begins below it is made whole.
    pub max_bytes: u64,
    /// Files, the one that grows among them; at least 1.
    pub files: u32,
}

/// Where traces are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// The base URL of a collector that speaks OTLP over HTTP, without a slash at the end.
    pub endpoint: String,
    /// How many of a hundred traces are sent.
    pub sample_percent: u8,
}

/// How much the request log keeps; `None` when it has no file.
pub(super) fn request_log(layers: &Layers) -> Result<Option<RequestLogBounds>, ConfigError> {
    let kibibyte = 1024;
    let most = 1024 * kibibyte * kibibyte;
    let max_bytes =
        integer(layers, "request_log.max_bytes", 4 * kibibyte..=most, 16 * kibibyte * kibibyte)?;
    let files = integer(layers, "request_log.files", 0..=100, 4)?;
    Ok((files > 0).then_some(RequestLogBounds { max_bytes, files }))
}

/// Where traces are sent; `None` when nowhere.
pub(super) fn otlp(layers: &Layers) -> Result<Option<Otlp>, ConfigError> {
    let sample_percent = integer(layers, "otlp.sample_percent", 0..=100, 100)?;
    let Some(setting) = layers.get("otlp.endpoint") else { return Ok(None) };
    if !cfg!(feature = "otlp") {
        let problem = "this build sends no traces";
        let remedy = "take the setting out, or build with the feature `otlp`";
        return Err(ConfigError::new(&setting.place, problem, remedy));
    }
    let text = setting.text();
    let parsed = url::Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let endpoint = parsed.map(|url| url.as_str().trim_end_matches('/').to_owned());
    let endpoint = endpoint.ok_or_else(|| {
        let remedy = "write the base URL of a collector, like http://127.0.0.1:4318";
        ConfigError::new(&setting.place, format!("`{text}` is no base URL"), remedy)
    })?;
    Ok(Some(Otlp { endpoint, sample_percent }))
}
