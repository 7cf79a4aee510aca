//! What people reach: the public URL, its certificate, its clock and the frame policy of its pages.
//!
//! Asks the service as a browser would, over the network, and follows no redirect.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use http::header::{CONTENT_SECURITY_POLICY, DATE, REFERER, X_FRAME_OPTIONS};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use url::{Host, Url};

use super::Finding;
use crate::config::DataAccess;
use crate::context::Clock;
use crate::domain::origin::{Origin, OriginPattern};

const PUBLIC_URL: &str = "public URL";
const TLS: &str = "TLS";
const READY: &str = "readiness";
const SERVER_CLOCK: &str = "clock of the service";
const FRAME_ANCESTORS: &str = "frame ancestors";

/// A service that answers nothing within this does not work for anybody.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than the service's own answers to these questions.
const MOST_BYTES: usize = 64 * 1024;

/// Dates of answers count in seconds, so less than this says nothing.
const SKEW_S: i64 = 5;

/// Looks at the deployment from outside.
pub(super) async fn examine(access: &DataAccess, origin: Option<&Origin>) -> Vec<Finding> {
    let Ok(url) = Url::parse(&access.public_url) else {
        let finding = format!("{} is no URL", access.public_url);
        return vec![Finding::failed(
            PUBLIC_URL,
            finding,
            "write it like https://chat.example.com",
        )];
    };
    let client = client(&url);
    let get = async |path, referer| get(client.as_ref(), &url, path, referer).await;
    let version = get("/version", None).await;
    let answered_s = Clock::default().now_ms() / 1000;
    let mut findings = vec![address(&url, &version), certificate(&url, &version)];
    let Ok(version) = version else {
        let unreached = |check| Finding::skipped(check, "the service cannot be reached");
        findings.extend([READY, SERVER_CLOCK, FRAME_ANCESTORS].map(unreached));
        return findings;
    };
    findings.push(readiness(get("/readyz", None).await));
    findings.push(skew(&version.headers, answered_s));
    findings.push(match origin {
        None => Finding::skipped(FRAME_ANCESTORS, "give --origin URL to see who may frame"),
        Some(origin) => {
            let referer = format!("{origin}/");
            frame_ancestors(get("/embed/chats", Some(&referer)).await, origin)
        }
    });
    findings
}

/// An answer, read whole.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Why there is none: the innermost cause, in words.
#[derive(Clone)]
struct NoReply {
    cause: String,
    /// The connection stood, its certificate or handshake did not hold.
    is_tls: bool,
}

fn address(url: &Url, version: &Result<Reply, NoReply>) -> Finding {
    let shown = url.origin().ascii_serialization();
    let help = "start the service, or set public_url to where people reach it";
    let reply = match version {
        Ok(reply) => reply,
        Err(none) if none.is_tls => return Finding::skipped(PUBLIC_URL, "see TLS"),
        Err(none) => {
            return Finding::failed(PUBLIC_URL, format!("{shown}: {}", none.cause), help);
        }
    };
    let name = serde_json::from_slice::<Value>(&reply.body);
    if name.is_ok_and(|value| value["name"] == "vestibule") {
        return Finding::fine(PUBLIC_URL, format!("{shown} answers as Vestibule"));
    }
    let finding = format!("{shown} answers {}, but not as Vestibule", reply.status.as_u16());
    Finding::failed(PUBLIC_URL, finding, help)
}

fn certificate(url: &Url, version: &Result<Reply, NoReply>) -> Finding {
    if url.scheme() == "https" {
        return match version {
            Err(none) if none.is_tls => Finding::failed(
                TLS,
                none.cause.clone(),
                "renew the certificate for this host and send its whole chain",
            ),
            Err(_) => Finding::skipped(TLS, "the service cannot be reached"),
            Ok(_) => Finding::fine(TLS, "the certificate holds for this host"),
        };
    }
    let is_local = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if is_local {
        return Finding::warning(
            TLS,
            "plain HTTP, which browsers trust on this machine alone",
            "before others use it: put TLS in front and set public_url to the https origin",
        );
    }
    Finding::failed(
        TLS,
        "plain HTTP: whoever is on the way reads every token",
        "put TLS in front and set public_url to the https origin",
    )
}

fn readiness(reply: Result<Reply, NoReply>) -> Finding {
    let help = "read the log of the service";
    match reply {
        Ok(reply) if reply.status == StatusCode::OK => {
            Finding::fine(READY, "every part says that it works")
        }
        Ok(reply) => {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            Finding::failed(READY, format!("{}: {text}", reply.status.as_u16()), help)
        }
        Err(none) => Finding::failed(READY, none.cause, help),
    }
}

/// Another clock than this machine's would refuse signatures that are good here.
fn skew(headers: &HeaderMap, now_s: i64) -> Finding {
    let date = headers.get(DATE).and_then(|value| value.to_str().ok());
    let Some(theirs) = date.and_then(|text| DateTime::parse_from_rfc2822(text).ok()) else {
        return Finding::skipped(SERVER_CLOCK, "its answers carry no date");
    };
    let skew = theirs.timestamp() - now_s;
    if skew.abs() <= SKEW_S {
        return Finding::fine(SERVER_CLOCK, "as this machine's");
    }
    let finding = format!("{} s {} this machine's", skew.abs(), ahead_or_behind(skew));
    Finding::failed(SERVER_CLOCK, finding, "set both clocks by NTP")
}

fn ahead_or_behind(skew: i64) -> &'static str {
    if skew > 0 { "ahead of" } else { "behind" }
}

/// What the page says itself, after every proxy on the way.
fn frame_ancestors(reply: Result<Reply, NoReply>, origin: &Origin) -> Finding {
    let reply = match reply {
        Ok(reply) => reply,
        Err(none) => return Finding::failed(FRAME_ANCESTORS, none.cause, "run this again"),
    };
    if reply.headers.contains_key(X_FRAME_OPTIONS) {
        let help = "take X-Frame-Options away from /embed, /widget and /iframe in the proxy";
        let finding = "a proxy adds X-Frame-Options, which old browsers take for a no";
        return Finding::failed(FRAME_ANCESTORS, finding, help);
    }
    let policies = reply.headers.get_all(CONTENT_SECURITY_POLICY).iter();
    let lists: Vec<_> = policies.filter_map(|it| sources(it.to_str().ok()?)).collect();
    if lists.is_empty() {
        let help = "let the proxy pass Content-Security-Policy on";
        return Finding::failed(FRAME_ANCESTORS, "the page sends no frame policy", help);
    }
    // A browser obeys all policies of a page together.
    let refuses = lists.iter().find(|list| !allows(list, origin));
    match refuses {
        None => Finding::fine(FRAME_ANCESTORS, format!("{origin} may frame the inbox")),
        Some(list) => Finding::failed(
            FRAME_ANCESTORS,
            format!("{origin} may not frame the inbox; the page allows {list}"),
            "add the origin to the allowed origins of an embed key",
        ),
    }
}

fn sources(policy: &str) -> Option<String> {
    let directives = policy.split(';').map(str::trim);
    let mut named = directives.filter_map(|it| it.strip_prefix("frame-ancestors"));
    named.next().map(|list| list.trim().to_owned())
}

fn allows(list: &str, origin: &Origin) -> bool {
    let patterns = list.split_whitespace().filter_map(|text| OriginPattern::parse(text).ok());
    patterns.into_iter().any(|pattern| pattern.matches(origin))
}

async fn get(
    client: Result<&Browser, &NoReply>,
    base: &Url,
    path: &str,
    referer: Option<&str>,
) -> Result<Reply, NoReply> {
    let client = client.map_err(NoReply::clone)?;
    let plain = |cause: String| NoReply { cause, is_tls: false };
    let mut request = Request::get(format!("{}{path}", base.origin().ascii_serialization()));
    if let Some(referer) = referer {
        request = request.header(REFERER, referer);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|bad| plain(bad.to_string()))?;
    let exchange = async {
        let response = client.request(request).await.map_err(|bad| why(&bad))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await;
        let body = body.map_err(|bad| plain(bad.to_string()))?.to_bytes();
        Ok(Reply { status: head.status, headers: head.headers, body })
    };
    let within = tokio::time::timeout(PATIENCE, exchange).await;
    within.map_err(|_| plain(format!("nothing within {} s", PATIENCE.as_secs())))?
}

/// Trusts what the system trusts.
type Browser = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

fn client(url: &Url) -> Result<Browser, NoReply> {
    let none = |cause: String| NoReply { cause, is_tls: true };
    let connector = match url.scheme() {
        "https" => HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|bad| none(format!("the system has no certificates to trust ({bad})")))?,
        // Whoever is asked in the clear shows no certificate, so that none has to be trusted.
        _ => HttpsConnectorBuilder::new().with_tls_config(trusting_nobody().map_err(none)?),
    };
    let connector = connector.https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

fn trusting_nobody() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|bad| bad.to_string())?;
    Ok(versions.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// The innermost cause, which names the trouble: `Connection refused`.
fn why(bad: &(dyn std::error::Error + 'static)) -> NoReply {
    let (mut cause, mut is_tls) = (bad, false);
    loop {
        is_tls |= cause.downcast_ref::<io::Error>().is_some_and(is_refused_by_tls);
        match cause.source() {
            Some(next) => cause = next,
            None => return NoReply { cause: cause.to_string(), is_tls },
        }
    }
}

/// What the TLS library refuses comes up as data that makes no sense, perhaps wrapped once more.
fn is_refused_by_tls(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>());
    error.kind() == ErrorKind::InvalidData || inner.is_some_and(is_refused_by_tls)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::Verdict;
    use super::*;

    fn page(headers: &[(http::header::HeaderName, &'static str)]) -> Result<Reply, NoReply> {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        Ok(Reply { status: StatusCode::OK, headers: headers.collect(), body: Bytes::new() })
    }

    fn verdict(headers: &[(http::header::HeaderName, &'static str)]) -> Verdict {
        let origin = Origin::parse("https://crm.acme.com").expect("an origin");
        frame_ancestors(page(headers), &origin).verdict
    }

    #[test]
    fn page_must_name_the_origin_in_every_policy_it_sends() {
        let allows = "default-src 'none'; frame-ancestors https://*.acme.com https://b.example";
        let refuses = "frame-ancestors 'none'";
        assert_eq!(verdict(&[(CONTENT_SECURITY_POLICY, allows)]), Verdict::Fine);
        assert_eq!(verdict(&[(CONTENT_SECURITY_POLICY, refuses)]), Verdict::Failed);
        let both = [(CONTENT_SECURITY_POLICY, allows), (CONTENT_SECURITY_POLICY, refuses)];
        assert_eq!(verdict(&both), Verdict::Failed);
        let old = [(CONTENT_SECURITY_POLICY, allows), (X_FRAME_OPTIONS, "SAMEORIGIN")];
        assert_eq!(verdict(&old), Verdict::Failed);
        assert_eq!(verdict(&[]), Verdict::Failed);
    }

    #[test]
    fn plain_http_is_a_warning_here_and_a_failure_elsewhere() {
        let of = |url: &str| certificate(&Url::parse(url).expect("a URL"), &page(&[])).verdict;
        assert_eq!(of("http://127.0.0.1:8080"), Verdict::Warning);
        assert_eq!(of("http://[::1]:8080"), Verdict::Warning);
        assert_eq!(of("http://localhost"), Verdict::Warning);
        assert_eq!(of("http://chat.example.com"), Verdict::Failed);
        assert_eq!(of("https://chat.example.com"), Verdict::Fine);
    }

    #[test]
    fn clocks_apart_are_told_with_their_direction() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static("Wed, 25 Nov 2026 18:00:00 GMT"));
        let at = 1_795_629_600;
        assert_eq!(skew(&headers, at).verdict, Verdict::Fine);
        assert_eq!(skew(&headers, at + SKEW_S).verdict, Verdict::Fine);
        let behind = skew(&headers, at + 60);
        assert_eq!(
            (behind.verdict, behind.finding.as_str()),
            (Verdict::Failed, "60 s behind this machine's")
        );
    }
}
