//! A request ready for the wire, and the line for a shell that sends it again.
//!
//! In that line a secret is a shell variable, and a signature is made anew, since an old one is
//! worth nothing. Knows no document.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::credentials::text;
use crate::revealed::Hidden;

/// What stands as it is in paths and queries (RFC 3986, unreserved).
pub const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One request.
#[derive(Clone)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Names and values in order; a name may come twice.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Option<Vec<u8>>,
    /// How it was signed, if it was.
    pub signed: Option<Signed>,
}

impl Request {
    /// A plain `GET`.
    pub fn get(url: &str) -> Self {
        let (method, url) = (Method::GET, url.to_owned());
        Self { method, url, headers: vec![], body: None, signed: None }
    }
}

/// How a request was signed.
#[derive(Clone)]
pub struct Signed {
    /// The key's public id.
    pub key: String,
    /// The secret that made the signature.
    pub secret: String,
    /// The timestamp minus the time of sending, milliseconds.
    pub skew_ms: i64,
    /// The names of its headers, lower case.
    pub headers: Vec<String>,
    /// The body that was signed, where another one is sent.
    pub other_body: Option<Vec<u8>>,
    /// Whether the whole request was signed, not the body alone.
    pub is_whole: bool,
}

/// Secrets that were sent or came, and how people are told to name them.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    variables: BTreeMap<String, Variable>,
}

#[derive(Clone, Debug)]
struct Variable {
    name: String,
    origin: String,
    is_secret: bool,
}

impl Secrets {
    /// Remembers a secret. `origin` is where a person finds it: `iframe.api_key`.
    pub fn add(&mut self, secret: &str, name: &str, origin: &str) {
        self.put(secret, name, origin, true);
    }

    /// Remembers what an operation's answer gives away.
    pub fn hide(&mut self, hidden: &Hidden<'_>, operation: &str) {
        let origin = format!("{} of {operation}'s answer", hidden.pointer);
        self.put(&text(hidden.value), &hidden.name, &origin, hidden.is_secret);
    }

    /// As it is, as it stands in JSON, and as it stands in a URL.
    fn put(&mut self, value: &str, name: &str, origin: &str, is_secret: bool) {
        let quoted = serde_json::Value::from(value).to_string();
        let forms = [
            (value.to_owned(), "", ""),
            (quoted[1..quoted.len() - 1].to_owned(), "_json", " as it stands in JSON"),
            (utf8_percent_encode(value, ESCAPED).to_string(), "_url", " as it stands in a URL"),
        ];
        for (text, suffix, form) in forms {
            // What is this short occurs in other words.
            if text.len() < 8 {
                continue;
            }
            let (name, origin) = (shouted(&format!("{name}{suffix}")), format!("{origin}{form}"));
            let variable = Variable { name, origin, is_secret };
            self.variables.entry(text).or_insert(variable).is_secret |= is_secret;
        }
    }

    /// Whether a text has a secret in it; an id is none.
    pub fn are_in(&self, text: &str) -> bool {
        let mut secrets = self.variables.iter().filter(|(_, it)| it.is_secret);
        secrets.any(|(secret, _)| text.contains(secret))
    }

    /// A text in which every secret and id is blanked out.
    pub fn masked(&self, text: &str) -> String {
        let (mut masked, mut rest) = (String::new(), text);
        while let Some((at, secret, variable)) = self.first(rest) {
            masked.push_str(&rest[..at]);
            let _ = write!(masked, "${}", variable.name);
            rest = &rest[at + secret.len()..];
        }
        masked + rest
    }

    /// The secret that stands leftmost in a text, and of several at one place the longest: of
    /// none may the end be left over.
    fn first(&self, text: &str) -> Option<(usize, &str, &Variable)> {
        let all = self.variables.iter();
        let found = all.filter_map(|(secret, it)| Some((text.find(secret)?, secret.as_str(), it)));
        found.min_by_key(|(at, secret, _)| (*at, Reverse(secret.len())))
    }

    /// A word for a POSIX shell, in which secrets are variables; tells those that it has.
    fn word(&self, text: &str, used: &mut BTreeMap<String, String>) -> String {
        let Some((at, secret, variable)) = self.first(text) else { return quoted(text) };
        used.insert(variable.name.clone(), variable.origin.clone());
        let before = &text[..at];
        let after = self.word(&text[at + secret.len()..], used);
        let before = if before.is_empty() { String::new() } else { quoted(before) };
        let after = if after == "''" { String::new() } else { after };
        format!("{before}\"${{{}}}\"{after}", variable.name)
    }
}

/// Lines for a POSIX shell that send the request again.
pub fn curl(request: &Request, secrets: &Secrets) -> String {
    let mut used = BTreeMap::new();
    let line = match &request.signed {
        Some(signed) => signed_curl(request, signed, secrets, &mut used),
        None => {
            let data = request.body.as_ref().map(|body| secrets.word(&shown(body), &mut used));
            let data = data.map(|data| format!(" --data-binary {data}")).unwrap_or_default();
            format!("{}{data}", plain_curl(request, &[], secrets, &mut used))
        }
    };
    let mut lines = String::new();
    for (name, origin) in used {
        let _ = writeln!(lines, "# {name} is {origin}");
    }
    lines + &line
}

fn plain_curl(
    request: &Request,
    without: &[String],
    secrets: &Secrets,
    used: &mut BTreeMap<String, String>,
) -> String {
    let mut line =
        format!("curl -sS -i -X {} {}", request.method, secrets.word(&request.url, used));
    for (name, value) in &request.headers {
        if without.iter().any(|it| it.eq_ignore_ascii_case(name)) {
            continue;
        }
        // curl drops a header without a value unless it ends in a semicolon.
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        let _ = write!(line, " -H {}", secrets.word(&header, used));
    }
    // curl would say `application/x-www-form-urlencoded` of its own accord.
    let has =
        |wanted: &str| request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    if request.body.is_some() && !has("content-type") {
        line.push_str(" -H Content-Type:");
    }
    line
}

fn signed_curl(
    request: &Request,
    signed: &Signed,
    secrets: &Secrets,
    used: &mut BTreeMap<String, String>,
) -> String {
    let body = request.body.as_deref().unwrap_or_default();
    let signing = signed.other_body.as_deref().unwrap_or(body);
    let skew = match signed.skew_ms {
        0 => String::new(),
        // GNU date; the timestamp may be as far from now as it was.
        ms => format!(" --timestamp $(( $(date +%s%3N) + ({ms}) ))"),
    };
    let whole = match signed.is_whole {
        false => String::new(),
        true => format!(" --v2 -X {} --url {}", request.method, secrets.word(&request.url, used)),
    };
    let (signing, sent) = match request.body {
        None => (String::new(), String::new()),
        Some(_) => (
            format!(" -d {}", secrets.word(&shown(signing), used)),
            format!(" --data-binary {}", secrets.word(&shown(body), used)),
        ),
    };
    format!(
        "VESTIBULE_SIGN_SECRET={} vestibule sign --key {}{skew}{whole}{signing} |\n  {} -H @-{sent}",
        secrets.word(&signed.secret, used),
        quoted(&signed.key),
        plain_curl(request, &signed.headers, secrets, used),
    )
}

/// A body as text. What is not UTF-8 cannot be an argument, and is told by a mark.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// A word for a POSIX shell. Long runs of blanks are made, not written.
fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    let stem = word.trim_end_matches(' ');
    let blanks = word.len() - stem.len();
    if blanks > 64 {
        return format!("{}\"$(printf '%*s' {blanks} '')\"", quoted(stem));
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A name as shell variables are written.
fn shouted(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        out.push(if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            method: Method::POST,
            url: "http://127.0.0.1:1/v1/things?a=b".into(),
            headers: vec![
                ("Authorization".into(), "Bearer iak_0123456789".into()),
                ("Content-Type".into(), "application/json".into()),
            ],
            body: Some(br#"{"a":"it's"}"#.to_vec()),
            signed: None,
        }
    }

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add("iak_0123456789", "iframe.api_key", "iframe.api_key");
        secrets.add("ysk_0123456789", "embed.secret", "embed.secret");
        secrets
    }

    #[test]
    fn curl_names_secrets_and_quotes_the_rest() {
        let line = curl(&request(), &secrets());
        let expected = "# IFRAME_API_KEY is iframe.api_key\ncurl -sS -i -X POST \
            'http://127.0.0.1:1/v1/things?a=b' -H 'Authorization: Bearer '\"${IFRAME_API_KEY}\" \
            -H 'Content-Type: application/json' --data-binary '{\"a\":\"it'\\''s\"}'";
        assert_eq!(line, expected);
        assert_eq!(secrets().masked("x iak_0123456789 y"), "x $IFRAME_API_KEY y");
    }

    /// Two in one word, either way round, and one that begins with another.
    #[test]
    fn no_secret_is_left_beside_another() {
        let mut secrets = secrets();
        secrets.add("iak_012345678", "short", "short");
        for word in ["ysk_0123456789 iak_0123456789", "iak_0123456789 ysk_0123456789"] {
            let headers = vec![("X-Two".into(), word.into())];
            let line = curl(&Request { headers, ..request() }, &secrets);
            for text in [line, secrets.masked(word)] {
                assert!(!text.contains("012345") && !text.contains("SHORT"), "{text}");
            }
        }
    }

    #[test]
    fn no_part_of_a_secret_stays_beside_another() {
        let mut secrets = secrets();
        secrets.add("iak_012345678", "short", "the key without its end");
        assert_eq!(secrets.masked("ysk_0123456789iak_0123456789"), "$EMBED_SECRET$IFRAME_API_KEY");
        assert_eq!(secrets.masked("iak_012345678!"), "$SHORT!");
        let word = secrets.word("ysk_0123456789 iak_0123456789", &mut BTreeMap::new());
        assert_eq!(word, "\"${EMBED_SECRET}\"' '\"${IFRAME_API_KEY}\"");
    }

    #[test]
    fn curl_signs_anew_and_sends_what_was_sent() {
        let signed = Signed {
            key: "yk_1".into(),
            secret: "ysk_0123456789".into(),
            skew_ms: -300_500,
            headers: vec!["x-key".into()],
            other_body: Some(b"{}".to_vec()),
            is_whole: false,
        };
        let mut request = Request { signed: Some(signed), ..request() };
        request.headers.push(("X-Key".into(), "yk_1".into()));
        let line = curl(&request, &secrets());
        assert!(
            line.contains("VESTIBULE_SIGN_SECRET=\"${EMBED_SECRET}\" vestibule sign"),
            "{line}"
        );
        assert!(line.contains("+ (-300500) )) -d '{}' |"), "{line}");
        assert!(!line.contains("X-Key") && !line.contains("_0123456789"), "{line}");
        request.body = None;
        if let Some(signed) = &mut request.signed {
            signed.is_whole = true;
        }
        let line = curl(&request, &secrets());
        assert!(line.contains("--v2 -X POST --url 'http://127.0.0.1:1/v1/things?a=b' |"), "{line}");
        assert!(line.ends_with("-H @-"), "{line}");
    }

    /// What the line says is tried by the shell itself.
    #[test]
    fn shell_reads_back_what_was_meant() {
        let long = format!("{{}}{}", " ".repeat(5000));
        for word in ["", "a b", "it's", "$HOME `x` \"y\" \\", "a&b", long.as_str()] {
            let script = format!("printf %s {}", quoted(word));
            let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }

    #[test]
    fn absent_media_type_stays_absent() {
        let mut request = request();
        request.headers.pop();
        assert!(curl(&request, &secrets()).contains(" -H Content-Type: "));
    }
}
