//! Where a call goes and what it proves itself with: arguments over environment, secrets from
//! files or the environment only.
//!
//! Which operation needs which proof comes from the documents.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use clap::{Arg, ArgMatches};
use heck::ToKebabCase as _;
use reqwest::header::{HeaderMap, HeaderValue, ORIGIN};
use vestibule_client::Credentials;

use crate::surfaces::{Proof, proofs};

/// How one call is made.
pub struct Connection {
    pub base_url: String,
    pub http: reqwest::Client,
    pub credentials: Credentials,
}

/// One setting: its argument, its environment variable and its help.
struct Setting {
    argument: &'static str,
    variable: &'static str,
    value: &'static str,
    help: &'static str,
    /// The argument is a file that holds the value.
    is_secret: bool,
}

const BASE_URL: Setting = Setting {
    argument: "base-url",
    variable: "VESTIBULE_CLI_BASE_URL",
    value: "URL",
    help: "Where the service is [default: the document's first server]",
    is_secret: false,
};
const EMBED_KEY: Setting = Setting {
    argument: "embed-key",
    variable: "VESTIBULE_CLI_EMBED_KEY",
    value: "KEY",
    help: "The public id of the embed key that signs",
    is_secret: false,
};
const SECRET: Setting = Setting {
    argument: "secret-file",
    variable: "VESTIBULE_CLI_SECRET",
    value: "FILE",
    help: "A file of mode 0600 that holds the embed key's secret",
    is_secret: true,
};
const TOKEN: Setting = Setting {
    argument: "token-file",
    variable: "VESTIBULE_CLI_TOKEN",
    value: "FILE",
    help: "A file of mode 0600 that holds an API key, an admin token or a session's token",
    is_secret: true,
};
const PAGE: Setting = Setting {
    argument: "origin",
    variable: "VESTIBULE_CLI_ORIGIN",
    value: "ORIGIN",
    help: "The origin of the page that a chat session is opened for",
    is_secret: false,
};

/// The arguments that every command takes.
pub fn arguments() -> Vec<Arg> {
    let all = [BASE_URL, EMBED_KEY, SECRET, TOKEN, PAGE];
    let each = all.into_iter().map(|it| {
        let named = if it.is_secret { "holds it itself" } else { "is the same" };
        Arg::new(it.argument)
            .long(it.argument)
            .value_name(it.value)
            .help(format!("{}; the variable {} {named}", it.help, it.variable))
            .help_heading("Connection")
            .global(true)
    });
    each.collect()
}

impl Connection {
    /// What an operation needs, out of what was given.
    ///
    /// # Errors
    /// When something is missing or unusable: what, and what to do.
    pub fn read(
        operation: &str,
        given: &ArgMatches,
        variable: &dyn Fn(&str) -> Option<String>,
        server: &str,
    ) -> Result<Self, String> {
        let read = |setting: &Setting| setting.read(given, variable);
        let proofs = proofs(operation).expect("the generator lists every operation");
        let held = proofs.iter().map(|proof| proof.held(&read)).collect::<Result<Vec<_>, _>>()?;
        let credentials = match held.into_iter().flatten().next() {
            Some(credentials) => credentials,
            None if proofs.is_empty() => Credentials::none(),
            None => {
                let ways = proofs.iter().map(|proof| proof.ways()).collect::<Vec<_>>();
                return Err(format!("{} {}", operation.to_kebab_case(), ways.join("; or ")));
            }
        };
        let base_url = read(&BASE_URL)?.unwrap_or_else(|| server.to_owned());
        if !reqwest::Url::parse(&base_url).is_ok_and(|url| url.has_host()) {
            return Err(format!("`{base_url}` is no base URL: write it like {server}"));
        }
        let http = http(read(&PAGE)?)?;
        Ok(Self { base_url: base_url.trim_end_matches('/').to_owned(), http, credentials })
    }
}

impl Proof {
    /// The credentials of this kind; `None` when not all that they need was given.
    fn held(
        self,
        read: &impl Fn(&Setting) -> Result<Option<String>, String>,
    ) -> Result<Option<Credentials>, String> {
        Ok(match self {
            Self::Bearer => read(&TOKEN)?.map(Credentials::bearer),
            Self::Signature => read(&EMBED_KEY)?
                .zip(read(&SECRET)?)
                .map(|(key, secret)| Credentials::signed(key, secret)),
        })
    }

    /// What it is, and how it is given.
    fn ways(self) -> String {
        let (what, all): (_, &[Setting]) = match self {
            Self::Bearer => ("takes a bearer token", &[TOKEN]),
            Self::Signature => ("is signed", &[EMBED_KEY, SECRET]),
        };
        let ways = all.iter().map(|it| format!("--{} or {}", it.argument, it.variable));
        format!("{what}: give {}", ways.collect::<Vec<_>>().join(", and "))
    }
}

impl Setting {
    fn read(
        &self,
        given: &ArgMatches,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, String> {
        match given.get_one::<String>(self.argument) {
            Some(file) if self.is_secret => private(Path::new(file)).map(Some),
            Some(value) => Ok(Some(value.clone())),
            None => Ok(variable(self.variable)),
        }
    }
}

/// The text of a file that others cannot read, without the line break at its end.
fn private(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let unreadable = |cause| format!("{shown} cannot be read: {cause}");
    let mut file = File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "{shown} has mode {mode:04o}, so others may read the secret; run: chmod 600 {shown}"
            ));
        }
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn http(origin: Option<String>) -> Result<reqwest::Client, String> {
    let mut headers = HeaderMap::new();
    if let Some(origin) = origin {
        let value = HeaderValue::from_str(&origin);
        headers.insert(ORIGIN, value.map_err(|_| format!("{origin:?} is no origin"))?);
    }
    let builder = reqwest::Client::builder().default_headers(headers);
    builder.build().map_err(|bad| format!("the HTTP client cannot be made: {bad}"))
}
