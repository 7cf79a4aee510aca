//! The secrets an operator gives: the master keys, the admin token and the database's address.
//!
//! Outside `--dev` nothing weak passes: missing, short, guessable or readable by others.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::ConfigError;
use super::key_file::{MASTER_KEY_FILE, read_or_create_master_key, read_private};
use super::key_list::read_master_keys;
use super::layers::{Layers, Setting, split, variable};
use crate::domain::database::{Database, Postgres};
use crate::domain::sealing::MasterKeys;

const MASTER_KEYS: &str = "master_keys";
const ADMIN_TOKEN: &str = "admin.token";
const DATABASE_URL: &str = "database.url";
const LISTEN_URL: &str = "database.listen_url";
const POOLER: &str = "database.pooler";
const ADMIN_TOKEN_MIN: usize = 32;

/// Parts of secrets that people copy out of documentation.
const EXAMPLES: [&str; 5] = ["example", "changeme", "change-me", "change_me", "placeholder"];

/// The master keys to start with; `--dev` makes one when there is none.
pub(super) fn master_keys(
    layers: &Layers,
    data_dir: &Path,
    dev: bool,
) -> Result<MasterKeys, ConfigError> {
    if let Some(setting) = layers.get(MASTER_KEYS) {
        return parse_master_keys(&setting.place, &read_list(setting)?);
    }
    if dev {
        let place = data_dir.join(MASTER_KEY_FILE).display().to_string();
        return parse_master_keys(&place, &split(&read_or_create_master_key(data_dir)?));
    }
    let remedy = format!(
        "set {}_FILE to a file made by: (umask 077; openssl rand -hex 32 > master.key)",
        variable(MASTER_KEYS)
    );
    Err(ConfigError::new(MASTER_KEYS, "no master key is given", remedy))
}

/// The master keys that are configured or lie in the data directory, if there are any.
pub(super) fn known_master_keys(
    layers: &Layers,
    data_dir: &Path,
) -> Result<Option<MasterKeys>, ConfigError> {
    if let Some(setting) = layers.get(MASTER_KEYS) {
        return parse_master_keys(&setting.place, &read_list(setting)?).map(Some);
    }
    let path = data_dir.join(MASTER_KEY_FILE);
    if path.exists() { read_master_keys(&path).map(Some) } else { Ok(None) }
}

/// The file of the master keys, if they stand in one.
pub(super) fn master_key_file(layers: &Layers, data_dir: &Path) -> Option<PathBuf> {
    match layers.get(MASTER_KEYS) {
        Some(setting) => setting.is_file.then(|| PathBuf::from(setting.text())),
        None => Some(data_dir.join(MASTER_KEY_FILE)).filter(|path| path.exists()),
    }
}

/// The admin token; `None` in `--dev` when none is given.
pub(super) fn admin_token(layers: &Layers, dev: bool) -> Result<Option<SecretString>, ConfigError> {
    let make = "make one with: echo adm_$(openssl rand -hex 32)";
    let Some(setting) = layers.get(ADMIN_TOKEN) else {
        if dev {
            return Ok(None);
        }
        let remedy = format!("set {}_FILE to a file of mode 0600; {make}", variable(ADMIN_TOKEN));
        return Err(ConfigError::new(ADMIN_TOKEN, "no admin token is given", remedy));
    };
    let token = read_one(setting)?;
    let length = token.chars().count();
    let problem = if token.is_empty() {
        "the admin token is empty".to_owned()
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        "the admin token has characters that no header may carry".to_owned()
    } else if !dev && length < ADMIN_TOKEN_MIN {
        format!("the admin token has {length} characters, at least {ADMIN_TOKEN_MIN} are needed")
    } else if !dev && is_guessable(&token) {
        "the admin token is an example or easily guessed".to_owned()
    } else {
        return Ok(Some(SecretString::from(token)));
    };
    Err(ConfigError::new(&setting.place, problem, make))
}

/// The database of a data directory, unless an address says another.
pub(super) fn database(layers: &Layers, data_dir: &Path) -> Result<Database, ConfigError> {
    let Some(setting) = layers.get(DATABASE_URL) else {
        let alone = layers.get(LISTEN_URL).or_else(|| layers.get(POOLER));
        return alone.map_or(Ok(Database::Embedded(data_dir.to_owned())), |setting| {
            let remedy = "give the address of PostgreSQL, too, or leave this out";
            Err(ConfigError::new(&setting.place, "there is no database.url", remedy))
        });
    };
    let mut postgres = read_postgres(setting)?;
    postgres.is_pooled = layers.get(POOLER).map_or(Ok(false), read_pooler)?;
    let past = layers.get(LISTEN_URL).map(read_postgres).transpose()?;
    postgres.listen_url = past.map(|past| past.url);
    Ok(Database::Postgres(postgres))
}

fn read_postgres(setting: &Setting) -> Result<Postgres, ConfigError> {
    Postgres::at(&read_one(setting)?).map_err(|bad| {
        let remedy = "write postgres://user:password@host:5432/database, or leave it out for the \
                      database in the data directory";
        ConfigError::new(&setting.place, bad.to_string(), remedy)
    })
}

fn read_pooler(setting: &Setting) -> Result<bool, ConfigError> {
    match setting.text() {
        "none" => Ok(false),
        "transaction" => Ok(true),
        other => {
            let problem = format!("`{other}` is no kind of pooler");
            let remedy = "write transaction for one like PgBouncer in transaction mode, or none";
            Err(ConfigError::new(&setting.place, problem, remedy))
        }
    }
}

pub(super) fn parse_master_keys(place: &str, texts: &[String]) -> Result<MasterKeys, ConfigError> {
    MasterKeys::parse(texts.iter().map(String::as_str))
        .map_err(|bad| ConfigError::new(place, bad.to_string(), "keep it in a file of mode 0600"))
}

fn read_one(setting: &Setting) -> Result<String, ConfigError> {
    if !setting.is_file {
        return Ok(setting.text().to_owned());
    }
    let text = read_private(&setting.place, &PathBuf::from(setting.text()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_list(setting: &Setting) -> Result<Vec<String>, ConfigError> {
    if !setting.is_file {
        return Ok(setting.values.clone());
    }
    Ok(split(&read_private(&setting.place, &PathBuf::from(setting.text()))?))
}

fn is_guessable(secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    let distinct: HashSet<_> = lower.strip_prefix("adm_").unwrap_or(&lower).chars().collect();
    distinct.len() < 5 || EXAMPLES.iter().any(|part| lower.contains(part))
}
