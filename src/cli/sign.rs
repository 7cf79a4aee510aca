//! `vestibule sign`: the signature of a request to the embed surface, for scripts and for trying.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;
use serde::Serialize;

use super::{Failure, print_json, print_line};
use crate::context::Clock;
use crate::domain::signature;

const LOCAL_URL: &str = "http://127.0.0.1:8080/v1/embed/sessions";

/// Sign a request of the embed surface.
///
/// The string signed is the timestamp, a full stop and the exact bytes of the body; the signature
/// is its HMAC-SHA256 in hex under the key's secret. A signature is good for five minutes and for
/// one request.
///
/// The secret comes from --secret-file, else from VESTIBULE_SIGN_SECRET, else from standard input;
/// it is never an argument, because arguments are seen by every process of the machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vestibule sign --key yk_… --secret-file embed.secret -d @body.json
  vestibule sign --key yk_… --secret-file embed.secret -d '{\"employeeId\":\"…\"}' --curl | sh
  printf %s \"$SECRET\" | vestibule sign --key yk_… -d @body.json --json

Exit codes: 0 signed, 2 unusable input")]
pub(super) struct Sign {
    /// The public id of the embed key
    #[arg(long, value_name = "K")]
    key: String,
    /// A file that holds the key's secret; a line break at its end is ignored
    #[arg(long, value_name = "F")]
    secret_file: Option<PathBuf>,
    /// The request's body: the JSON itself, or @ and a file, whose bytes are taken as they are
    #[arg(short = 'd', long = "data", value_name = "JSON|@FILE")]
    data: String,
    /// Unix time in milliseconds [default: now]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1_000_000_000_000..=9_999_999_999_999))]
    timestamp: Option<u64>,
    /// Print a curl line that sends the request
    #[arg(long, conflicts_with = "json")]
    curl: bool,
    /// Where the curl line sends it
    #[arg(long, value_name = "U", default_value = LOCAL_URL)]
    url: String,
    /// Print {"key","timestamp","signature","string_to_sign_sha256"}
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
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &string_to_sign);
        Self {
            key: key.to_owned(),
            signature: signature::sign(secret, timestamp_ms, body),
            timestamp,
            string_to_sign_sha256: digest
                .as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        }
    }

    /// A line for a shell that sends the signed request. `data` is what `curl --data-binary` takes.
    pub(super) fn curl(&self, url: &str, data: &str) -> String {
        let headers = [
            "Content-Type: application/json".to_owned(),
            format!("X-YoLead-Key: {}", self.key),
            format!("X-YoLead-Timestamp: {}", self.timestamp),
            format!("X-YoLead-Signature: {}", self.signature),
        ];
        curl(url, &headers, data)
    }
}

impl Sign {
    pub(super) fn run(self) -> Result<(), Failure> {
        let body = self.body()?;
        let secret = self.secret()?;
        let timestamp = match self.timestamp {
            Some(given) => i64::try_from(given).expect("the argument's range fits"),
            None => Clock::default().now_ms(),
        };
        let signed = Signed::new(&self.key, &secret, timestamp, &body);
        if self.json {
            return print_json(&signed);
        }
        if self.curl {
            return print_line(&signed.curl(&self.url, &self.data));
        }
        print_line(&format!(
            "X-YoLead-Key: {}\nX-YoLead-Timestamp: {}\nX-YoLead-Signature: {}",
            signed.key, signed.timestamp, signed.signature
        ))
    }

    fn body(&self) -> Result<Vec<u8>, Failure> {
        let Some(path) = self.data.strip_prefix('@') else {
            return Ok(self.data.clone().into_bytes());
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

/// A curl line for a POSIX shell; `data` as `--data-binary` takes it, which keeps line breaks.
pub(super) fn curl(url: &str, headers: &[String], data: &str) -> String {
    let headers: String = headers.iter().map(|header| format!(" -H {}", quoted(header))).collect();
    format!("curl -sS {}{headers} --data-binary {}", quoted(url), quoted(data))
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
    fn curl_line_sends_the_bytes_that_were_signed() {
        let signed =
            Signed::new("yk_1", &SecretString::from("ysk_1"), 1_700_000_000_000, br#"{"a":1}"#);
        let line = signed.curl("http://127.0.0.1:8080/v1/embed/sessions", r#"{"a":1}"#);
        assert!(line.contains("-H 'X-YoLead-Timestamp: 1700000000000'"), "{line}");
        assert!(line.ends_with(r#"--data-binary '{"a":1}'"#), "{line}");
    }
}
