//! Where settings come from: flag over environment over TOML over default.
//!
//! Turns each source into the same flat map of dotted keys and remembers the place of every value,
//! so that a complaint can point at it. Knows which keys exist, not what their values mean.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::ConfigError;

/// What a setting's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A string.
    Text,
    /// An integer.
    Integer,
    /// Several strings.
    Texts,
    /// One secret; also given as `…_file`.
    Secret,
    /// Several secrets; also given as `…_file`.
    Secrets,
}

/// Every key there is. `…_file` is not listed: each secret has it.
pub(super) const KEYS: &[(&str, Shape)] = &[
    ("bind", Shape::Text),
    ("public_url", Shape::Text),
    ("data_dir", Shape::Text),
    ("database.url", Shape::Secret),
    ("database.listen_url", Shape::Secret),
    ("database.pooler", Shape::Text),
    ("master_keys", Shape::Secrets),
    ("admin.token", Shape::Secret),
    ("log.format", Shape::Text),
    ("log.level", Shape::Text),
    ("metrics.bind", Shape::Text),
    ("request_log.max_bytes", Shape::Integer),
    ("request_log.files", Shape::Integer),
    ("otlp.endpoint", Shape::Text),
    ("otlp.sample_percent", Shape::Integer),
    ("limits.redeem_per_minute", Shape::Integer),
    ("limits.body_deadline_ms", Shape::Integer),
    ("limits.in_flight_bytes", Shape::Integer),
    ("limits.edge.mode", Shape::Text),
    ("limits.edge.address_per_minute", Shape::Integer),
    ("limits.edge.address_burst", Shape::Integer),
    ("limits.edge.key_per_minute", Shape::Integer),
    ("limits.edge.key_burst", Shape::Integer),
    ("limits.edge.session_per_minute", Shape::Integer),
    ("limits.edge.session_burst", Shape::Integer),
    ("listener.guard", Shape::Text),
    ("listener.connections", Shape::Integer),
    ("listener.connections_per_address", Shape::Integer),
    ("listener.first_byte_ms", Shape::Integer),
    ("listener.head_ms", Shape::Integer),
    ("listener.head_bytes", Shape::Integer),
    ("listener.stall_ms", Shape::Integer),
    ("listener.idle_ms", Shape::Integer),
    ("listener.lifetime_ms", Shape::Integer),
    ("listener.trusted_proxies", Shape::Texts),
    ("listener.tls_certificate", Shape::Text),
    ("listener.tls_key", Shape::Text),
    ("outbound.allow", Shape::Texts),
    ("outbound.http", Shape::Text),
    ("webhooks.retry_ms", Shape::Texts),
    ("webhooks.deadline_ms", Shape::Integer),
    ("webhooks.keep_s", Shape::Integer),
    ("webhooks.most", Shape::Integer),
    ("dev.clock_offset_ms", Shape::Integer),
];

/// All our variables begin so. A single underscore is left alone on purpose: Kubernetes sets
/// `VESTIBULE_PORT` and the like for a service of this name.
const PREFIX: &str = "VESTIBULE__";

/// One value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// One element, or as many as a list has.
    pub(super) values: Vec<String>,
    /// For people: `vestibule.toml:3: bind`, `VESTIBULE__BIND` or `--bind`.
    pub(super) place: String,
    /// The value is the path of a file that holds the secret.
    pub(super) is_file: bool,
}

impl Setting {
    /// The value of a setting that is no list.
    pub(super) fn text(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }
}

/// The settings of all sources, the strongest source winning.
#[derive(Debug, Default)]
pub(super) struct Layers {
    settings: BTreeMap<&'static str, Setting>,
}

impl Layers {
    /// The value of a known key, if any source gave one.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    /// Takes a flag, which wins over everything added before.
    pub(super) fn add_flag(&mut self, key: &'static str, flag: &str, value: Option<String>) {
        if let Some(value) = value {
            let setting = Setting { values: vec![value], place: flag.to_owned(), is_file: false };
            self.settings.insert(key, setting);
        }
    }

    /// Takes a TOML file, whose values win over everything added before.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|cause| {
            let remedy = "give --config the path of a readable TOML file";
            ConfigError::new(&file, format!("the file cannot be read ({cause})"), remedy)
        })?;
        let root = DeTable::parse(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            let problem = format!("not TOML: {}", error.message().replace('\n', ", "));
            ConfigError::new(&format!("{file}:{line}"), problem, "mend the syntax there")
        })?;
        let source = TomlSource { file: &file, text: &text };
        let mut layer = BTreeMap::new();
        source.walk("", root.get_ref(), &mut layer)?;
        self.settings.append(&mut layer);
        Ok(())
    }

    /// Takes the environment, whose values win over everything added before.
    pub(super) fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        let mut layer = BTreeMap::new();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
            let Some((key, shape, is_file)) = known(&key) else {
                let remedy = format!("the nearest known one is {}", variable(nearest(&key)));
                return Err(ConfigError::new(name, "there is no such setting", remedy));
            };
            let value = value.into_string().map_err(|_| {
                ConfigError::new(name, "the value is not UTF-8", "write it in UTF-8")
            })?;
            let values = match shape {
                Shape::Texts => split(&value),
                Shape::Secrets if !is_file => split(&value),
                Shape::Secrets | Shape::Secret | Shape::Text | Shape::Integer => vec![value],
            };
            insert(&mut layer, key, Setting { values, place: name.to_owned(), is_file })?;
        }
        self.settings.append(&mut layer);
        Ok(())
    }
}

/// The entries of a list that is written as text: by line, comma or space; `#` opens a comment.
pub(super) fn split(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let entries = lines.flat_map(|line| line.split([',', ' ', '\t']));
    entries.filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

/// The name of the environment variable of a dotted key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

struct TomlSource<'a> {
    file: &'a str,
    text: &'a str,
}

impl TomlSource<'_> {
    fn walk(
        &self,
        path: &str,
        table: &DeTable<'_>,
        layer: &mut BTreeMap<&'static str, Setting>,
    ) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = if path.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{path}.{}", name.get_ref())
            };
            let place = format!("{}:{}", self.file, line_of(self.text, name.span().start));
            if let Some((key, shape, is_file)) = known(&key) {
                let shape = if is_file { Shape::Text } else { shape };
                let place = format!("{place}: {key}{}", if is_file { "_file" } else { "" });
                let values = read_toml(&place, shape, value.get_ref())?;
                insert(layer, key, Setting { values, place, is_file })?;
                continue;
            }
            let is_section = KEYS.iter().any(|(known, _)| known.starts_with(&format!("{key}.")));
            match value.get_ref() {
                // An unknown section is named by its first key, which says what was meant.
                DeValue::Table(section) if is_section || !section.is_empty() => {
                    self.walk(&key, section, layer)?;
                }
                _ if is_section => {
                    let remedy = format!("write [{key}] and its keys below");
                    return Err(ConfigError::new(&place, format!("`{key}` is a section"), remedy));
                }
                _ => {
                    let problem = format!("there is no setting `{key}`");
                    let remedy = format!("the nearest known one is `{}`", nearest(&key));
                    return Err(ConfigError::new(&place, problem, remedy));
                }
            }
        }
        Ok(())
    }
}

fn read_toml(place: &str, shape: Shape, value: &DeValue<'_>) -> Result<Vec<String>, ConfigError> {
    let expected = match (shape, value) {
        (Shape::Text | Shape::Secret | Shape::Secrets, DeValue::String(text)) => {
            return Ok(vec![text.to_string()]);
        }
        (Shape::Integer, DeValue::Integer(digits)) if digits.radix() == 10 => {
            return Ok(vec![digits.as_str().replace('_', "")]);
        }
        (Shape::Secrets | Shape::Texts, DeValue::Array(entries)) => {
            let texts = entries.iter().map(|entry| entry.get_ref().as_str().map(str::to_owned));
            if let Some(texts) = texts.collect() {
                return Ok(texts);
            }
            "a list of strings"
        }
        (Shape::Integer, _) => "a decimal integer",
        (Shape::Secrets | Shape::Texts, _) => "a list of strings",
        (Shape::Text | Shape::Secret, _) => "a string",
    };
    let problem = format!("the value is not {expected}");
    Err(ConfigError::new(place, problem, format!("write {expected} there")))
}

fn insert(
    layer: &mut BTreeMap<&'static str, Setting>,
    key: &'static str,
    setting: Setting,
) -> Result<(), ConfigError> {
    let place = setting.place.clone();
    if let Some(other) = layer.insert(key, setting) {
        let problem = format!("it is given twice, also by {}", other.place);
        return Err(ConfigError::new(&place, problem, "keep one of the two"));
    }
    Ok(())
}

/// A key as it stands in [`KEYS`], its shape, and whether its `_file` form was meant.
fn known(key: &str) -> Option<(&'static str, Shape, bool)> {
    let find = |key: &str| KEYS.iter().find(|(known, _)| *known == key);
    if let Some((key, shape)) = find(key) {
        return Some((key, *shape, false));
    }
    let (key, shape) = find(key.strip_suffix("_file")?)?;
    matches!(shape, Shape::Secret | Shape::Secrets).then_some((*key, *shape, true))
}

/// The known key that reads most like this one, whole or by its last part.
fn nearest(key: &str) -> &'static str {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |known: &str| {
        let whole = strsim::normalized_damerau_levenshtein(key, known);
        whole.max(0.9 * strsim::normalized_damerau_levenshtein(&last(key), &last(known)))
    };
    // Of equals the one that says least.
    let nearer =
        |a: &&str, b: &&str| score(a).total_cmp(&score(b)).then_with(|| b.len().cmp(&a.len()));
    let best = KEYS.iter().map(|(known, _)| *known).max_by(nearer);
    best.expect("there is at least one key")
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}
