//! `vestibule sign`: the signature of a request to the embed surface, for scripts and for trying.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;
use serde::Serialize;
use vestibule_api::authenticate::{nonces, spelled};

use super::{Failure, print_json, print_line};
use crate::context::{Clock, Ids};
use crate::domain::hex;
use crate::domain::signature::{self, RequestLine};

const LOCAL_URL: &str = "http://127.0.0.1:8080/v1/embed/sessions";

/// Sign a request of the embed surface.
///
/// The string signed is the timestamp, a full stop and the exact bytes of the body; the signature
/// is its HMAC-SHA256 in hex under the key's secret. A signature is good for five minutes and for
/// one request.
///
/// That opens embed sessions alone. With --v2 the signature covers method, path, query and a nonce
/// too, as every other operation asks that takes a signature.
///
/// The secret comes from --secret-file, else from VESTIBULE_SIGN_SECRET, else from standard input;
/// it is never an argument, because arguments are seen by every process of the machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vestibule sign --key yk_… --secret-file embed.secret -d @body.json
  vestibule sign --key yk_… --secret-file embed.secret -d '{\"employeeId\":\"…\"}' --curl | sh
  printf %s \"$SECRET\" | vestibule sign --key yk_… -d @body.json --json
  vestibule sign --key yk_… --secret-file embed.secret --v2 --curl \\
    --url http://127.0.0.1:8080/v1/sessions/ses_… | sh

Exit codes: 0 signed, 2 unusable input")]
pub(super) struct Sign {
    /// The public id of the embed key
    #[arg(long, value_name = "K")]
    key: String,
    /// A file that holds the key's secret; a line break at its end is ignored
    #[arg(long, value_name = "F")]
    secret_file: Option<PathBuf>,
    /// The request's body: the JSON itself, or @ and a file, whose bytes are taken as they are
    #[arg(short = 'd', long = "data", value_name = "JSON|@FILE", required_unless_present = "v2")]
    data: Option<String>,
    /// Sign the whole request with version 2
    #[arg(long)]
    v2: bool,
    /// With --v2, the request's method [default: POST with a body, GET without]
    #[arg(short = 'X', long = "request", value_name = "METHOD", requires = "v2")]
    method: Option<String>,
    /// With --v2, what makes this request differ from every other: visible ASCII [default: random]
    #[arg(long, value_name = "N", requires = "v2")]
    nonce: Option<String>,
    /// Unix time in milliseconds [default: now]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1_000_000_000_000..=9_999_999_999_999))]
    timestamp: Option<u64>,
    /// Print a curl line that sends the request
    #[arg(long, conflicts_with = "json")]
    curl: bool,
    /// Where the curl line sends it; with --v2 its path and query are signed
    #[arg(long, value_name = "U", default_value = LOCAL_URL)]
    url: String,
    /// Print {"key","timestamp","nonce","signature","string_to_sign_sha256"}, the nonce with --v2
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Signed {
    /// The header `X-YoLead-Key`.
    pub(super) key: String,
    /// The header `X-YoLead-Timestamp`: milliseconds since 1970, as text.
    pub(super) timestamp: String,
    /// The header `X-YoLead-Nonce`, of version 2 alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<String>,
    /// The header `X-YoLead-Signature`, lower-case hex.
    pub(super) signature: String,
    /// Hex SHA-256 of the string signed, to compare two implementations without showing a body.
    pub(super) string_to_sign_sha256: String,
}

impl Signed {
    /// Signs `body` at `timestamp_ms` under the UTF-8 bytes of `secret`.
    pub(super) fn new(key: &str, secret: &SecretString, timestamp_ms: i64, body: &[u8]) -> Self {
        let timestamp = timestamp_ms.to_string();
        let string_to_sign = [timestamp.as_bytes(), b".", body].concat();
        Self {
            key: key.to_owned(),
            nonce: None,
            signature: signature::sign(secret, timestamp_ms, body),
            timestamp,
            string_to_sign_sha256: sha256(&string_to_sign),
        }
    }

    /// Signs a whole request with version 2.
    fn whole(
        key: &str,
        secret: &SecretString,
        line: RequestLine<'_>,
        (timestamp_ms, nonce): (i64, &str),
        body: &[u8],
    ) -> Self {
        let text = signature::string_to_sign_v2(line, timestamp_ms, nonce, body);
        Self {
            key: key.to_owned(),
            timestamp: timestamp_ms.to_string(),
            nonce: Some(nonce.to_owned()),
            signature: signature::sign_v2(secret, line, timestamp_ms, nonce, body),
            string_to_sign_sha256: sha256(text.as_bytes()),
        }
    }

    /// Its headers, as they are sent.
    fn headers(&self) -> Vec<String> {
        let nonce = self.nonce.as_ref().map(|nonce| format!("{}: {nonce}", spelled::EMBED_NONCE));
        let timestamp = format!("{}: {}", spelled::EMBED_TIMESTAMP, self.timestamp);
        let signature = format!("{}: {}", spelled::EMBED_SIGNATURE, self.signature);
        let key = format!("{}: {}", spelled::EMBED_KEY, self.key);
        [key, timestamp].into_iter().chain(nonce).chain([signature]).collect()
    }

    /// A line for a shell that sends the signed request. `data` is what `curl --data-binary` takes.
    pub(super) fn curl(&self, url: &str, data: &str) -> String {
        let json = ["Content-Type: application/json".to_owned()];
        let headers: Vec<_> = json.into_iter().chain(self.headers()).collect();
        curl(url, &headers, Some(data))
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hex::encode(digest.as_ref())
}

impl Sign {
    pub(super) fn run(self) -> Result<(), Failure> {
        let body = self.body()?;
        let secret = self.secret()?;
        let timestamp = match self.timestamp {
            Some(given) => i64::try_from(given).expect("the argument's range fits"),
            None => Clock::default().now_ms(),
        };
        let signed = match self.v2 {
            false => Signed::new(&self.key, &secret, timestamp, &body),
            true => self.whole(&secret, timestamp, &body)?,
        };
        if self.json {
            return print_json(&signed);
        }
        if self.curl {
            return print_line(&self.curl_line(&signed));
        }
        print_line(&signed.headers().join("\n"))
    }

    fn whole(&self, secret: &SecretString, timestamp: i64, body: &[u8]) -> Result<Signed, Failure> {
        let target = target(&self.url)?;
        let nonce = self.nonce.clone().unwrap_or_else(|| Ids::default().hex::<16>(""));
        if !(1..=nonces::EMBED_NONCE_LENGTH).contains(&nonce.len())
            || !nonce.bytes().all(|byte| byte.is_ascii_graphic())
        {
            let most = nonces::EMBED_NONCE_LENGTH;
            let help = format!("give 1 to {most} characters of visible ASCII, or leave it out");
            return Err(Failure::unusable("the nonce cannot be sent", help));
        }
        let line = RequestLine { method: &self.method(), target: &target };
        Ok(Signed::whole(&self.key, secret, line, (timestamp, &nonce), body))
    }

    fn method(&self) -> String {
        let usual = if self.data.is_some() { "POST" } else { "GET" };
        self.method.as_deref().unwrap_or(usual).to_uppercase()
    }

    fn curl_line(&self, signed: &Signed) -> String {
        let line = match &self.data {
            Some(data) => signed.curl(&self.url, data),
            None => curl(&self.url, &signed.headers(), None),
        };
        match self.v2 {
            true => format!("{line} -X {}", quoted(&self.method())),
            false => line,
        }
    }

    fn body(&self) -> Result<Vec<u8>, Failure> {
        let data = self.data.as_deref().unwrap_or_default();
        let Some(path) = data.strip_prefix('@') else {
            return Ok(data.as_bytes().to_vec());
        };
        std::fs::read(path).map_err(|cause| {
            let help = "give -d the JSON itself, or @ and the path of a file that holds it";
            Failure::unusable(format!("the body {path} cannot be read ({cause})"), help)
        })
    }

    fn secret(&self) -> Result<SecretString, Failure> {
        const HELP: &str = "give --secret-file F, set VESTIBULE_SIGN_SECRET, or pipe the secret in";
        let secret = if let Some(path) = &self.secret_file {
            std::fs::read_to_string(path).map_err(|cause| {
                let shown = path.display();
                Failure::unusable(format!("the secret {shown} cannot be read ({cause})"), HELP)
            })?
        } else if let Ok(secret) = std::env::var("VESTIBULE_SIGN_SECRET") {
            secret
        } else if std::io::stdin().is_terminal() {
            return Err(Failure::unusable("no secret is given", HELP));
        } else {
            let mut secret = String::new();
            std::io::stdin().read_to_string(&mut secret).map_err(|cause| {
                Failure::unusable(format!("standard input cannot be read ({cause})"), HELP)
            })?;
            secret
        };
        let secret = secret.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(Failure::unusable("the secret is empty", HELP));
        }
        Ok(SecretString::from(secret))
    }
}

/// Path and query of a URL, as they are sent.
fn target(url: &str) -> Result<String, Failure> {
    let sent = url.split('#').next().unwrap_or(url);
    let behind = sent.split_once("://").map(|(_, behind)| behind);
    let behind = behind.filter(|it| !it.starts_with(['/', '?']) && it.is_ascii());
    let target = behind.map(|it| match it.find(['/', '?']) {
        None => "/".to_owned(),
        Some(at) if it[at..].starts_with('?') => format!("/{}", &it[at..]),
        Some(at) => it[at..].to_owned(),
    });
    target.filter(|it| !it.contains(char::is_whitespace)).ok_or_else(|| {
        let help = "give --url the whole URL of the request, as http://127.0.0.1:8080/v1/sessions";
        Failure::unusable(format!("{url} is no URL that a request is sent to"), help)
    })
}

/// A curl line for a POSIX shell; `data` as `--data-binary` takes it, which keeps line breaks.
pub(super) fn curl(url: &str, headers: &[String], data: Option<&str>) -> String {
    let headers: String = headers.iter().map(|header| format!(" -H {}", quoted(header))).collect();
    let data = data.map(|data| format!(" --data-binary {}", quoted(data))).unwrap_or_default();
    format!("curl -sS{} {}{headers}{data}", as_is(url), quoted(url))
}

/// The options without which curl would send another address than this one.
fn as_is(url: &str) -> &'static str {
    match url.contains(['[', ']', '{', '}']) || url.contains("/.") {
        true => " --globoff --path-as-is",
        false => "",
    }
}

/// A word for a POSIX shell.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("@body.json"), "@body.json");
        assert_eq!(quoted(r#"{"a":"it's"}"#), r#"'{"a":"it'\''s"}'"#);
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn version_2_signs_the_urls_path_and_query() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/v1/sessions?limit=5", Some("/v1/sessions?limit=5")),
            ("https://v.example", Some("/")),
            ("https://v.example?a=1#b", Some("/?a=1")),
            ("/v1/sessions", None),
            ("http:///v1", None),
        ] {
            assert_eq!(target(url).ok().as_deref(), expected, "{url}");
        }
        let secret = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let line = RequestLine { method: "POST", target: "/v1/sessions:revoke" };
        let when = (1_700_000_000_000, "0123456789abcdef");
        let body = br#"{"targets":["uid:u1"]}"#;
        let signed = Signed::whole("yk_1", &SecretString::from(secret), line, when, body);
        let expected = "X-YoLead-Signature: v2=1a85ac8439ae210b5eda00140fac24e1712cbb44125f1f4ccc1f65906b4b20d8";
        assert_eq!(signed.headers()[2..], ["X-YoLead-Nonce: 0123456789abcdef", expected]);
    }

    #[test]
    fn curl_line_sends_the_bytes_that_were_signed() {
        let signed =
            Signed::new("yk_1", &SecretString::from("ysk_1"), 1_700_000_000_000, br#"{"a":1}"#);
        let line = signed.curl("http://127.0.0.1:8080/v1/embed/sessions", r#"{"a":1}"#);
        assert!(line.contains("-H 'X-YoLead-Timestamp: 1700000000000'"), "{line}");
        assert!(line.ends_with(r#"--data-binary '{"a":1}'"#), "{line}");
    }
}
