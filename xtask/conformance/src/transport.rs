//! Bytes out, bytes in: HTTP/1.1, over TLS where the URL asks for it, redirects not followed.
//!
//! Sends exactly the headers it is given, doubled and odd ones too. Knows no operation.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::request::Request;

/// How long a connection may rest before another is opened: less than servers let it, so that
/// none closes it while a request is on its way there.
const IDLE: Duration = Duration::from_secs(2);

/// A client with its connections.
pub struct Transport {
    client: Connections,
    timeout: Duration,
}

/// Trust in certificates is read from the system for HTTPS alone, which takes its time.
enum Connections {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Secure(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers in order, names lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
    /// From the first byte sent to the last received.
    pub took: Duration,
}

/// Why there is no answer: the innermost cause, in words.
#[derive(Clone, Debug)]
pub struct NoReply(pub String);

impl Reply {
    /// The values of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(it, _)| it.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Transport {
    /// A client for one deployment.
    ///
    /// # Errors
    /// When the system has no certificates to trust.
    pub fn new(base_url: &str, timeout: Duration) -> Result<Self, String> {
        let mut pool = Client::builder(TokioExecutor::new());
        pool.pool_idle_timeout(IDLE);
        if !base_url.starts_with("https://") {
            return Ok(Self { client: Connections::Plain(pool.build_http()), timeout });
        }
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|bad| format!("the system has no certificates to trust: {bad}"))?
            .https_only()
            .enable_http1()
            .build();
        Ok(Self { client: Connections::Secure(pool.build(connector)), timeout })
    }

    /// Sends one request once.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: &Request) -> Result<Reply, NoReply> {
        let outgoing = outgoing(request).map_err(|bad| NoReply(bad.to_string()))?;
        let began = Instant::now();
        let exchange = async {
            let response = match &self.client {
                Connections::Plain(client) => client.request(outgoing).await,
                Connections::Secure(client) => client.request(outgoing).await,
            };
            let response = response.map_err(|bad| NoReply(root(&bad)))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|bad| NoReply(root(&bad)))?;
            Ok((head, body.to_bytes()))
        };
        let within = tokio::time::timeout(self.timeout, exchange).await;
        let seconds = self.timeout.as_secs();
        let (head, body) = within.map_err(|_| NoReply(format!("nothing within {seconds} s")))??;
        let headers = head.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let (status, headers) = (head.status.as_u16(), headers.collect());
        Ok(Reply { status, headers, body, took: began.elapsed() })
    }
}

fn outgoing(request: &Request) -> Result<http::Request<Full<Bytes>>, http::Error> {
    let mut out = http::Request::builder().method(request.method.clone()).uri(&request.url);
    for (name, value) in &request.headers {
        out = out.header(name, value);
    }
    out.body(Full::new(request.body.clone().unwrap_or_default().into()))
}

/// The innermost cause, which names the trouble: `Connection refused`.
fn root(bad: &dyn std::error::Error) -> String {
    let mut cause = bad;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    /// A server that drops every connection with a request on it is never asked twice.
    #[tokio::test]
    async fn dropped_connection_is_no_reply_and_not_tried_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let again = listener.try_clone().unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.read(&mut [0; 1024]).unwrap()
        });
        let transport = Transport::new(&url, Duration::from_secs(10)).unwrap();
        transport.send(&Request::get(&url)).await.unwrap_err();
        assert!(server.join().unwrap() > 0, "the request came");
        again.set_nonblocking(true).unwrap();
        assert!(again.accept().is_err(), "nobody came a second time");
    }
}
