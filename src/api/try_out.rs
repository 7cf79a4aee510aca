//! What `--dev` adds to the reference: the demo credentials, and a relay for requests that the
//! service takes from backends alone.
//!
//! A browser sends `Origin` with every `POST`, and operations with secret keys refuse that. The
//! relay leaves it out and hands on the service's own answer. Both are for this service's own pages
//! in a browser on this machine; the relay calls nobody but this service.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dropshot::{
    ApiDescription, ApiDescriptionRegisterError, Body, HttpError, Path, RawRequest, RequestContext,
};
use http::header::{self, HeaderMap, HeaderName};
use http::{Request, Response, StatusCode, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use url::{Host, Url};
use vestibule_api::authenticate::schemes;

use super::answer;
use crate::context::Context;

/// Where the relay is; the path of the request that is meant follows.
const RELAY: &str = "/dev/try";

/// Registers what the page asks for.
pub(super) fn register(
    api: &mut ApiDescription<Arc<Context>>,
) -> Result<(), ApiDescriptionRegisterError> {
    let path = format!("{RELAY}/{{path:.*}}");
    unpublished!(api, POST "/dev/credentials", credentials)?;
    unpublished!(api, POST path.as_str(), relay, path: Path<Rest>, request: RawRequest)?;
    unpublished!(api, PUT path.as_str(), relay, path: Path<Rest>, request: RawRequest)?;
    unpublished!(api, PATCH path.as_str(), relay, path: Path<Rest>, request: RawRequest)?;
    unpublished!(api, DELETE path.as_str(), relay, path: Path<Rest>, request: RawRequest)
}

/// The demo credentials by scheme, the secret to sign with, and bodies that open each door.
async fn credentials(context: RequestContext<Arc<Context>>) -> Result<Response<Body>, HttpError> {
    let service = context.context();
    let Some(demo) = service.dev.as_ref().filter(|_| is_own_page(&context)) else {
        return refused();
    };
    let (embed, iframe) = (&demo.demo.embed, &demo.demo.iframe);
    let signed = "signed at each request";
    let body = json!({
        "now_ms": service.clock.now_ms(),
        "schemes": {
            schemes::EMBED_KEY: embed.key,
            schemes::EMBED_TIMESTAMP: signed,
            schemes::EMBED_SIGNATURE: signed,
            schemes::API_KEY: iframe.api_key,
            schemes::ADMIN_KEY: demo.admin.token,
        },
        "signing": {
            "timestamp": schemes::EMBED_TIMESTAMP,
            "signature": schemes::EMBED_SIGNATURE,
            "secret": embed.secret,
        },
        "bodies": demo.demo.first_requests(),
    });
    answer(StatusCode::OK, &body)
}

/// The segments behind [`RELAY`]; the request's own text is used instead, which nobody decoded.
#[derive(Deserialize, JsonSchema)]
struct Rest {
    #[serde(rename = "path")]
    _path: Vec<String>,
}

async fn relay(
    context: RequestContext<Arc<Context>>,
    _: Path<Rest>,
    request: RawRequest,
) -> Result<Response<Body>, HttpError> {
    if !is_own_page(&context) {
        return refused();
    }
    let sent = send_on(context.server.local_addr, request.into_inner()).await;
    sent.or_else(|problem| {
        let message = format!("The service did not answer the relay: {problem}");
        answer(StatusCode::BAD_GATEWAY, &json!({ "error": "unavailable", "message": message }))
    })
}

/// Whether a script of this service's own pages asks, from this machine: others can write any
/// `Origin`, and a development server may listen on all addresses. Without one it is no page.
fn is_own_page(context: &RequestContext<Arc<Context>>) -> bool {
    let service = context.context();
    let peer = service.clients.behind(context.request.remote_addr()).ip();
    let headers = context.request.headers();
    if !is_near(peer, &service.public_url, headers) {
        return false;
    }
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    origin.is_some_and(|origin| service.require_same_origin(Some(origin)).is_ok())
}

/// Whether the peer is this machine. Behind a proxy on this machine everybody seems to be: then the
/// service is known by another name, or the proxy tells for whom it asks.
fn is_near(peer: IpAddr, public_url: &str, headers: &HeaderMap) -> bool {
    is_this_machine(peer) && names_this_machine(public_url) && !headers.keys().any(tells_of_a_proxy)
}

fn is_this_machine(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Whether a URL's host is this machine, whoever reads it.
fn names_this_machine(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => is_this_machine(ip.into()),
        Some(Host::Ipv6(ip)) => is_this_machine(ip.into()),
        None => false,
    }
}

fn tells_of_a_proxy(name: &HeaderName) -> bool {
    *name == header::FORWARDED || *name == header::VIA || name.as_str().starts_with("x-forwarded-")
}

fn refused() -> Result<Response<Body>, HttpError> {
    let message = "Only pages of this service, in a browser on its own machine, may ask for this.";
    answer(StatusCode::FORBIDDEN, &json!({ "error": "origin_not_allowed", "message": message }))
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request to the service itself, without what tells of a browser.
async fn send_on(service: SocketAddr, request: Request<Body>) -> Result<Response<Body>, Failure> {
    let (mut parts, body) = request.into_parts();
    let meant = parts.uri.path_and_query().map_or("", |it| it.as_str());
    parts.uri = meant.strip_prefix(RELAY).unwrap_or(meant).parse::<Uri>()?;
    parts.version = http::Version::HTTP_11;
    strip(&mut parts.headers);
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let ip = if service.ip().is_unspecified() { loopback } else { service.ip() };
    let stream = TcpStream::connect((ip, service.port())).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let answered = sender.send_request(Request::from_parts(parts, body)).await?;
    let (mut parts, body) = answered.into_parts();
    strip(&mut parts.headers);
    Ok(Response::from_parts(parts, Body::wrap(body)))
}

/// Takes away what is between two hops only, and what a browser says of the page it shows.
fn strip(headers: &mut HeaderMap) {
    let hop = [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::UPGRADE];
    let page = [header::ORIGIN, header::REFERER, header::COOKIE];
    let metadata = headers.keys().filter(|name| name.as_str().starts_with("sec-")).cloned();
    let names: Vec<HeaderName> = metadata.chain(hop).chain(page).collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::header::{FORWARDED, HeaderMap, HeaderValue, VIA};

    use super::is_near;

    const HERE: &str = "http://127.0.0.1:8080";

    fn near(peer: &str, public_url: &str) -> bool {
        is_near(peer.parse().expect("an address"), public_url, &HeaderMap::new())
    }

    #[test]
    fn only_loopback_addresses_are_this_machine() {
        for peer in ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(near(peer, HERE), "{peer}");
        }
        for peer in ["192.0.2.7", "10.0.0.1", "0.0.0.0", "2001:db8::1", "::ffff:10.0.0.1"] {
            assert!(!near(peer, HERE), "{peer}");
        }
    }

    #[test]
    fn a_service_known_by_another_name_has_no_near_pages() {
        for url in [HERE, "http://localhost", "http://[::1]:8080"] {
            assert!(near("127.0.0.1", url), "{url}");
        }
        for url in ["https://dev.example", "http://192.0.2.7", "http://localhost.example", ""] {
            assert!(!near("127.0.0.1", url), "{url}");
        }
    }

    #[test]
    fn who_comes_through_a_proxy_is_not_near() {
        for name in [FORWARDED, VIA, "x-forwarded-for".parse().expect("a header")] {
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("x"))]);
            assert!(!is_near("127.0.0.1".parse().expect("an address"), HERE, &headers), "{name}");
        }
    }
}
