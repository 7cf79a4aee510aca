//! Which database the store is in: the embedded one of a data directory, or a server's.
//!
//! Knows neither of them; an address is a secret, because it may hold a password.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Where the store is.
#[derive(Clone, Debug)]
pub enum Database {
    /// SQLite in this data directory.
    Embedded(PathBuf),
    /// PostgreSQL.
    Postgres(Postgres),
}

/// A PostgreSQL, and how to speak to it.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Its address, or that of the pooler before it.
    pub url: SecretString,
    /// Whether a pooler hands its connections out for a transaction at a time, as PgBouncer does in
    /// transaction mode: nothing of a session outlives one.
    pub is_pooled: bool,
    /// An address past the pooler, where instances hear of each other at once. Without it they ask
    /// once a second.
    pub listen_url: Option<SecretString>,
}

/// Why an address is none of a database; never the address itself.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// No address at all.
    #[error("it is no address")]
    Unreadable,
    /// An address of something else.
    #[error("there is no database for `{0}:` addresses")]
    UnknownScheme(String),
    /// An address that names no server.
    #[error("it names no host")]
    NoHost,
}

impl Database {
    /// PostgreSQL at an address like `postgres://user:password@host:5432/database`.
    ///
    /// # Errors
    /// When the address is of another kind.
    pub fn at(address: &str) -> Result<Self, BadAddress> {
        Ok(Self::Postgres(Postgres::at(address)?))
    }

    /// The place as people may see it: the data directory, or host and database.
    pub fn shown(&self) -> String {
        let address = match self {
            Self::Embedded(data_dir) => return data_dir.display().to_string(),
            Self::Postgres(postgres) => Url::parse(postgres.url.expose_secret()),
        };
        let Ok(url) = address else { return "PostgreSQL".into() };
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        format!("PostgreSQL at {}{port}{}", url.host_str().unwrap_or("its socket"), url.path())
    }
}

impl Postgres {
    /// The one at an address like `postgres://user:password@host:5432/database`, with no pooler.
    ///
    /// # Errors
    /// When the address is of another kind.
    pub fn at(address: &str) -> Result<Self, BadAddress> {
        let url = Url::parse(address).map_err(|_| BadAddress::Unreadable)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(BadAddress::UnknownScheme(url.scheme().to_owned()));
        }
        let names_host = url.host_str().is_some_and(|host| !host.is_empty())
            || url.query_pairs().any(|(name, _)| name == "host" || name == "hostaddr");
        if !names_host {
            return Err(BadAddress::NoHost);
        }
        Ok(Self { url: address.into(), is_pooled: false, listen_url: None })
    }
}

impl From<&Path> for Database {
    fn from(data_dir: &Path) -> Self {
        Self::Embedded(data_dir.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_postgresql_are_taken_and_no_others() {
        for fine in [
            "postgres://u:secret@db.example:5432/chat",
            "postgresql://localhost/chat",
            "postgres:///chat?host=/run/postgresql",
        ] {
            assert!(Database::at(fine).is_ok(), "{fine}");
        }
        assert_eq!(
            Database::at("mysql://u@h/d").expect_err("another kind"),
            BadAddress::UnknownScheme("mysql".into())
        );
        assert_eq!(Database::at("chat").expect_err("no address"), BadAddress::Unreadable);
        assert_eq!(Database::at("postgres:///chat").expect_err("no host"), BadAddress::NoHost);
    }

    #[test]
    fn nothing_shows_the_password() {
        let database = Database::at("postgres://u:s3cret@db.example:5432/chat?password=s3cret");
        let database = database.expect("an address");
        assert_eq!(database.shown(), "PostgreSQL at db.example:5432/chat");
        assert!(!format!("{database:?} {}", database.shown()).contains("s3cret"));
    }
}
