//! The demo tenants' credentials: drawn once, kept in a file, or given by whoever tests.
//!
//! One shape in three places: `dev-credentials.json`, the file that `VESTIBULE_DEV_CREDENTIALS`
//! names, and this type. Given values are taken whatever their format; nothing may rely on prefixes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{ConfigError, read_private, write_private};
use crate::context::Ids;
use crate::domain::origin::Origin;

const VARIABLE: &str = "VESTIBULE_DEV_CREDENTIALS";
const FILE: &str = "dev-credentials.json";
const KEY_MIN: usize = 16;

/// All credentials of a service in `--dev`. Has no `Debug`, because all of it is secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct DevCredentials {
    /// The service's public address, without a slash at the end.
    pub base_url: String,
    /// The demo tenant's; its members stand beside `base_url`.
    #[serde(flatten)]
    pub demo: TenantCredentials,
    /// The operator's.
    pub admin: AdminCredentials,
    /// A second tenant's, to see that tenants are apart.
    pub other: TenantCredentials,
}

/// One tenant's credentials on the three surfaces.
#[derive(Clone, Serialize, Deserialize)]
pub struct TenantCredentials {
    /// The agent inbox.
    pub embed: EmbedCredentials,
    /// The website widget.
    pub chat: ChatCredentials,
    /// The assistant.
    pub iframe: IframeCredentials,
}

/// Three signing keys, and an employee and a chat of the tenant's directory.
#[derive(Clone, Serialize, Deserialize)]
pub struct EmbedCredentials {
    /// Public id of the key with scope `read-write`.
    pub key: String,
    /// Its secret.
    pub secret: String,
    /// Public id of the key with scope `read`.
    pub read_key: String,
    /// Its secret.
    pub read_secret: String,
    /// Public id of the key of mode `test`, with scope `read-write`.
    pub test_key: String,
    /// Its secret.
    pub test_secret: String,
    /// 24 hex digits.
    pub employee_id: String,
    /// 24 hex digits.
    pub chat_id: String,
}

/// Two publishable keys and where they may be used.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChatCredentials {
    /// May trigger every intent.
    pub public_key: String,
    /// The origin that both keys allow.
    pub origin: String,
    /// May trigger two of the five intents.
    pub restricted_public_key: String,
    /// Signs `customerToken`s.
    pub identity_secret: String,
}

/// An API key, and the ids of what it may use.
#[derive(Clone, Serialize, Deserialize)]
pub struct IframeCredentials {
    /// The bearer key.
    pub api_key: String,
    /// The tenant's sources.
    pub source_ids: Vec<SourceId>,
    /// The tenant's themes.
    pub theme_ids: Vec<i64>,
}

/// The operator's credential.
#[derive(Clone, Serialize, Deserialize)]
pub struct AdminCredentials {
    /// The bearer token of the admin surface.
    pub token: String,
}

/// A source's id in the form the customer uses. The store knows its text alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SourceId {
    /// An integer.
    Number(i64),
    /// A string.
    Text(String),
}

impl std::fmt::Display for SourceId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(out),
            Self::Text(text) => out.write_str(text),
        }
    }
}

impl DevCredentials {
    /// The credentials to start with: random ones, over them those of the last start, over them
    /// those of the file that `VESTIBULE_DEV_CREDENTIALS` names, over them a configured admin
    /// token. `base_url` is filled in by [`Self::save`].
    ///
    /// # Errors
    /// A file cannot be read or does not have the shape, or a value is too short or used twice.
    pub fn load(
        data_dir: &Path,
        admin_token: Option<&SecretString>,
        ids: &Ids,
    ) -> Result<Self, ConfigError> {
        let given = std::env::var_os(VARIABLE).map(PathBuf::from);
        Self::layered(data_dir, given.as_deref(), admin_token, ids)
    }

    fn layered(
        data_dir: &Path,
        given: Option<&Path>,
        admin_token: Option<&SecretString>,
        ids: &Ids,
    ) -> Result<Self, ConfigError> {
        let mut all = serde_json::to_value(Self::random(ids)).expect("credentials are plain JSON");
        let kept = data_dir.join(FILE);
        let mut place = kept.display().to_string();
        if kept.exists() {
            let text = read_private(&place, &kept)?;
            merge(&mut all, parse(&place, &text)?);
        }
        if let Some(path) = given {
            place = format!("{VARIABLE}: {}", path.display());
            let text = std::fs::read_to_string(path).map_err(|cause| {
                let remedy = format!("write the file, or unset {VARIABLE}");
                ConfigError::new(&place, format!("cannot be read ({cause})"), remedy)
            })?;
            merge(&mut all, parse(&place, &text)?);
        }
        if let Some(token) = admin_token {
            all["admin"]["token"] = Value::from(token.expose_secret());
        }
        let all: Self = serde_json::from_value(all).map_err(|cause| {
            let remedy = format!("give it the shape of the {FILE} that `vestibule serve` writes");
            ConfigError::new(&place, format!("not the expected shape: {cause}"), remedy)
        })?;
        all.check(&place)?;
        Ok(all)
    }

    /// Writes the credentials into the data directory, readable by their owner alone, with the
    /// address under which the service is reached. Returns the file's path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&mut self, data_dir: &Path, base_url: String) -> Result<PathBuf, ConfigError> {
        self.base_url = base_url;
        let path = data_dir.join(FILE);
        let text = serde_json::to_string_pretty(&self).expect("credentials are plain JSON");
        write_private(&path, &(text + "\n")).map_err(|cause| {
            let place = path.display().to_string();
            let problem = format!("the credentials cannot be written ({cause})");
            ConfigError::new(&place, problem, "give --data-dir a directory this user can write")
        })?;
        Ok(path)
    }

    fn random(ids: &Ids) -> Self {
        Self {
            base_url: String::new(),
            demo: TenantCredentials::random(ids, "https://shop.example", [101, 102], 11),
            admin: AdminCredentials { token: ids.hex::<32>("adm_") },
            other: TenantCredentials::random(ids, "https://other.example", [201, 202], 21),
        }
    }

    fn check(&self, place: &str) -> Result<(), ConfigError> {
        let mut seen = HashSet::new();
        let tenants = [("", &self.demo), ("other.", &self.other)];
        let keys = tenants.iter().flat_map(|(prefix, tenant)| {
            tenant.keys().into_iter().map(move |(name, key)| (format!("{prefix}{name}"), key))
        });
        let admin = ("admin.token".to_owned(), self.admin.token.as_str());
        for (name, key) in keys.chain([admin]) {
            let length = key.chars().count();
            if length < KEY_MIN {
                let problem = format!("{name} has {length} characters");
                let remedy = format!("give it at least {KEY_MIN}");
                return Err(ConfigError::new(place, problem, remedy));
            }
            // Secrets may repeat; what a key is found by may not.
            if name.ends_with("key") && !seen.insert(key) {
                let problem = format!("{name} is the same as another key");
                return Err(ConfigError::new(place, problem, "give every key a value of its own"));
            }
        }
        for (prefix, tenant) in tenants {
            let origin = &tenant.chat.origin;
            if Origin::parse(origin).is_none() {
                let problem = format!("{prefix}chat.origin `{origin}` is not an origin");
                return Err(ConfigError::new(place, problem, "write it as https://shop.example"));
            }
        }
        Ok(())
    }
}

impl TenantCredentials {
    fn random(ids: &Ids, origin: &str, sources: [i64; 2], theme: i64) -> Self {
        Self {
            embed: EmbedCredentials {
                key: ids.hex::<16>("yk_"),
                secret: ids.hex::<32>("ysk_"),
                read_key: ids.hex::<16>("yk_"),
                read_secret: ids.hex::<32>("ysk_"),
                test_key: ids.hex::<16>("yk_test_"),
                test_secret: ids.hex::<32>("ysk_test_"),
                employee_id: ids.hex::<12>(""),
                chat_id: ids.hex::<12>(""),
            },
            chat: ChatCredentials {
                public_key: ids.hex::<16>("pk_live_"),
                origin: origin.to_owned(),
                restricted_public_key: ids.hex::<16>("pk_live_"),
                identity_secret: ids.hex::<32>("cis_"),
            },
            iframe: IframeCredentials {
                api_key: ids.hex::<32>("iak_"),
                source_ids: sources.map(SourceId::Number).to_vec(),
                theme_ids: vec![theme],
            },
        }
    }

    /// Every value that opens or signs something, with its name in the file.
    fn keys(&self) -> [(&'static str, &str); 10] {
        let Self { embed, chat, iframe } = self;
        [
            ("embed.key", &embed.key),
            ("embed.secret", &embed.secret),
            ("embed.read_key", &embed.read_key),
            ("embed.read_secret", &embed.read_secret),
            ("embed.test_key", &embed.test_key),
            ("embed.test_secret", &embed.test_secret),
            ("chat.public_key", &chat.public_key),
            ("chat.restricted_public_key", &chat.restricted_public_key),
            ("chat.identity_secret", &chat.identity_secret),
            ("iframe.api_key", &iframe.api_key),
        ]
    }
}

fn parse(place: &str, text: &str) -> Result<Value, ConfigError> {
    serde_json::from_str(text).map_err(|cause| {
        ConfigError::new(place, format!("not JSON: {cause}"), "mend it or remove the file")
    })
}

/// Lays `over` upon `base`: members of objects one by one, everything else as a whole, null not.
fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                merge(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (base, over) => *base = over,
    }
}

#[cfg(test)]
mod tests;
