//! `/metrics` on an address of its own, so that no public port ever shows it.
//!
//! One request per connection, few connections, short patience: whoever reads metrics reads them
//! every few seconds, and nobody else has business here.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Where Prometheus looks when nobody says otherwise.
pub const PATH: &str = "/metrics";

/// Connections at once; the next one waits.
const CONNECTIONS: usize = 16;
/// From a connection's begin to its end.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a failure to accept, e.g. for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What is shown: made anew for each reader.
type Text = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Listens, and answers for as long as the runtime runs. Gives the address it listens at.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn show(bind: SocketAddr, text: Text) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(bind).await?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener, text));
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "whoever reaches this address can read the metrics");
    }
    Ok(address)
}

async fn accept(listener: TcpListener, text: Text) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let text = Arc::clone(&text);
                tokio::spawn(async move {
                    // A reader that went away or is slow is its own business.
                    let _ = tokio::time::timeout(PATIENCE, connection(stream, text)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a reader of the metrics could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, text: Text) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(&request, &text);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
    http.serve_connection(TokioIo::new(stream), service).await
}

fn answer(request: &Request<Incoming>, text: &Text) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, http::HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if request.uri().path() != PATH {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    if !is_read {
        headers.insert(ALLOW, http::HeaderValue::from_static("GET, HEAD"));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return response;
    }
    let Some(text) = text() else {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let kind = http::HeaderValue::from_static(prometheus::TEXT_FORMAT);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    *response.body_mut() = Full::new(text.into());
    response
}
