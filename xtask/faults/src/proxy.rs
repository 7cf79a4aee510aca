//! The proxy between the suite and the server, which plants at most one fault at a time.
//!
//! Hop by hop as RFC 9110 has it: bodies are read whole, headers of the connection stay behind.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::exchange::{Answer, Request};
use crate::fault::Fault;
use crate::world::World;

/// More than any case sends.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Headers that describe a connection, not a message.
const OF_THE_CONNECTION: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING];

/// A listening proxy. Dropping it stops it.
pub struct Proxy {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    /// The server behind it and what is known of it.
    world: World,
    fault: RwLock<Option<Arc<Fault>>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Proxy {
    /// Starts to pass requests from `listener` on to the world's server.
    pub fn start(listener: TcpListener, world: World) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let shared = Arc::new(Shared { world, fault: RwLock::default(), client });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, accepting }
    }

    /// The server behind it and what is known of it.
    pub fn world(&self) -> &World {
        &self.shared.world
    }

    /// From the next request on this fault is there, and no other.
    pub fn plant(&self, fault: Option<Arc<Fault>>) {
        *self.shared.fault.write().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // A connection that went away before it was accepted is nobody's loss.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &shared));
            // The caller sees a broken connection as such; there is nobody else to tell.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: http::Request<Incoming>,
    shared: &Shared,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let answer = match shared.pass(request).await {
        Ok(answer) => answer,
        Err(problem) => Answer::text(StatusCode::BAD_GATEWAY, problem),
    };
    let mut response = http::Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

impl Shared {
    async fn pass(&self, request: http::Request<Incoming>) -> Result<Answer, String> {
        let received = read(request).await?;
        let fault = self.fault.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(fault) = fault.filter(|fault| fault.concerns(&received, &self.world)) else {
            return self.forward(received).await;
        };
        let mut sent = received.clone();
        if let Some(answer) = fault.before_it(&mut sent, &self.world) {
            return Ok(answer);
        }
        if sent.body != received.body && self.world.is_genuine(&received) {
            self.world.sign_again(&mut sent);
        }
        let mut answer = self.forward(sent).await?;
        fault.after_it(&received, &mut answer);
        Ok(answer)
    }

    async fn forward(&self, request: Request) -> Result<Answer, String> {
        let Request { method, path, query, headers, body } = request;
        let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
        let uri = format!("http://{}{target}", self.world.address()).parse::<Uri>();
        let uri = uri.map_err(|bad| format!("a target that cannot be passed on: {bad}"))?;
        let mut passed = http::Request::new(Full::new(body));
        *passed.method_mut() = method;
        *passed.uri_mut() = uri;
        *passed.headers_mut() = headers;
        let response = self.client.request(passed).await;
        let response = response.map_err(|bad| format!("the server does not answer: {bad:?}"))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|bad| format!("half an answer: {bad}"))?;
        Ok(Answer {
            status: parts.status,
            headers: of_the_message(parts.headers),
            body: body.to_bytes(),
        })
    }
}

async fn read(request: http::Request<Incoming>) -> Result<Request, String> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MOST_BYTES).collect().await;
    let body = body.map_err(|bad| format!("half a request: {bad}"))?;
    Ok(Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(ToOwned::to_owned),
        headers: of_the_message(parts.headers),
        body: body.to_bytes(),
    })
}

fn of_the_message(mut headers: HeaderMap) -> HeaderMap {
    for name in &OF_THE_CONNECTION {
        headers.remove(name);
    }
    headers
}

/// Where a proxy listens until it is started.
///
/// # Errors
/// In words, when there is no free port.
pub async fn listen() -> Result<(TcpListener, SocketAddr), String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.map_err(|bad| format!("no free port: {bad}"))?;
    let address = listener.local_addr().map_err(|bad| format!("no address: {bad}"))?;
    Ok((listener, address))
}
