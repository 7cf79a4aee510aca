//! The one way out of the service: a request to an address that somebody else named.
//!
//! A name is resolved once, each address is asked about in `domain::outbound`, and the connection
//! goes to an address that was asked about: no second resolution, no redirect, no proxy, no reuse.
//! Bounded in time and in what is read of the answer. Knows nothing of webhooks.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;

use crate::domain::outbound::{OutboundPolicy, RefusedTarget, Target};

/// Sends requests to addresses that the policy allows.
pub struct Outbound {
    policy: OutboundPolicy,
    /// From the first packet to the last byte that is read.
    deadline: Duration,
    /// Made when first needed: reading the system's certificates takes a moment.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status; a redirect is an answer like others.
    pub status: u16,
    /// The first [`MOST_READ`] bytes of its body as text; what is no UTF-8 is replaced.
    pub beginning: String,
}

/// Why there was no answer, in one sentence that shows no more than the caller's own URL does.
#[derive(Debug, thiserror::Error)]
pub enum Unsent {
    /// The address may not be sent to.
    #[error(transparent)]
    Refused(#[from] RefusedTarget),
    /// The name has no address.
    #[error("The name does not resolve.")]
    Unresolved,
    /// No connection came about.
    #[error("The connection failed: {0}.")]
    Unconnected(String),
    /// No TLS came about.
    #[error("TLS failed: {0}.")]
    Insecure(String),
    /// The connection broke, or what came was no HTTP.
    #[error("The exchange failed: {0}.")]
    Broken(String),
    /// The time was over.
    #[error("No answer came within {} s.", .0.as_secs_f32())]
    TimedOut(Duration),
}

/// How much of an answer's body is read, bytes.
pub const MOST_READ: usize = 4096;

/// Sent with every request.
const USER_AGENT: &str = concat!("vestibule/", env!("CARGO_PKG_VERSION"));

impl Outbound {
    /// Sends as `policy` allows; each request may take as long as `deadline`.
    pub fn new(policy: OutboundPolicy, deadline: Duration) -> Self {
        Self { policy, deadline, tls: OnceLock::new() }
    }

    /// Checks the text of an address, for whoever stores it. What its name resolves to is checked
    /// by each request.
    ///
    /// # Errors
    /// As [`OutboundPolicy::target`].
    pub fn check(&self, url: &str) -> Result<Target, RefusedTarget> {
        self.policy.target(url)
    }

    /// Posts JSON and reads the beginning of the answer.
    ///
    /// # Errors
    /// When no answer came, or none was asked for since the address is refused.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<Reply, Unsent> {
        let target = self.policy.target(url)?;
        let request = request(&target, headers, body)?;
        let exchange = self.exchange(&target, request);
        let done = tokio::time::timeout(self.deadline, exchange).await;
        done.unwrap_or(Err(Unsent::TimedOut(self.deadline)))
    }

    async fn exchange(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
    ) -> Result<Reply, Unsent> {
        let stream = self.connect(target).await?;
        if !target.is_https {
            return speak(stream, request).await;
        }
        let connector = TlsConnector::from(self.tls().map_err(Unsent::Insecure)?);
        let name = match &target.host {
            Host::Domain(name) => ServerName::try_from(name.clone()),
            Host::Ipv4(address) => Ok(IpAddr::from(*address).into()),
            Host::Ipv6(address) => Ok(IpAddr::from(*address).into()),
        };
        let name = name.map_err(|bad| Unsent::Insecure(bad.to_string()))?;
        let stream = connector.connect(name, stream).await;
        speak(stream.map_err(|bad| Unsent::Insecure(bad.to_string()))?, request).await
    }

    /// A connection to the first address that is allowed and answers.
    async fn connect(&self, target: &Target) -> Result<TcpStream, Unsent> {
        let mut last = Unsent::Unresolved;
        for address in resolve(target).await? {
            if let Err(refused) = self.policy.require(address.ip()) {
                last = refused.into();
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(bad) => last = Unsent::Unconnected(bad.kind().to_string()),
            }
        }
        Err(last)
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        self.tls.get_or_init(client_config).clone()
    }
}

/// The only resolution there is; what it says is what is checked and connected to.
async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, Unsent> {
    let at = |ip: IpAddr| Ok(vec![SocketAddr::new(ip, target.port)]);
    match &target.host {
        Host::Ipv4(ip) => at((*ip).into()),
        Host::Ipv6(ip) => at((*ip).into()),
        Host::Domain(name) => {
            let found = tokio::net::lookup_host((name.as_str(), target.port)).await;
            found.map(Iterator::collect).map_err(|_| Unsent::Unresolved)
        }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Reply, Unsent> {
    let broken = |bad: hyper::Error| Unsent::Broken(bad.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with the sender, which this function drops, or with its own connection.
    let driving = tokio::spawn(connection);
    let reply = async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status().as_u16();
        Ok(Reply { status, beginning: beginning(answer.into_body()).await })
    };
    let reply = reply.await;
    driving.abort();
    reply
}

/// What can be read of the body up to the cap. A status has come, so a body that breaks off is no
/// failure.
async fn beginning(mut body: hyper::body::Incoming) -> String {
    let mut read = Vec::new();
    while read.len() < MOST_READ
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data);
        }
    }
    read.truncate(MOST_READ);
    String::from_utf8_lossy(&read).into_owned()
}

fn request(
    target: &Target,
    headers: &[(&'static str, String)],
    body: String,
) -> Result<Request<Full<Bytes>>, Unsent> {
    let url = &target.url;
    let path = url.query().map_or_else(|| url.path().into(), |query| [url.path(), query].join("?"));
    let host = url
        .port()
        .map_or_else(|| target.host.to_string(), |port| format!("{}:{port}", target.host));
    let mut request = Request::post(path)
        .header("host", host)
        .header("user-agent", USER_AGENT)
        .header("content-type", "application/json")
        .header("connection", "close");
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).map_err(|bad| Unsent::Broken(bad.to_string()))?;
        request = request.header(HeaderName::from_static(name), value);
    }
    request.body(Full::from(body)).map_err(|bad| Unsent::Broken(bad.to_string()))
}

fn client_config() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    for problem in &found.errors {
        tracing::warn!(%problem, "a certificate authority of this system cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(authorities = roots.len(), unusable, "certificates for outgoing requests");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|bad| bad.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
