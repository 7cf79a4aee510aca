//! TLS of the public listener: a certificate and its key from two files, read again when they
//! change, so that renewing them needs no restart. HTTP/1.1 is all that is offered.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What whoever is neither owner nor group may do with the key.
const OTHERS: u32 = 0o007;

/// Where certificate and key stand, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the service's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why they cannot be used, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct BadTlsFiles {
    file: PathBuf,
    problem: String,
}

/// The certificate of today.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl TlsFiles {
    /// Whether a service could begin with them.
    ///
    /// # Errors
    /// When they cannot be read, hold something else, or do not belong together.
    pub fn check(&self) -> Result<(), BadTlsFiles> {
        self.read().map(drop)
    }

    /// Reads the files, and goes on doing so for as long as the acceptor is in use.
    ///
    /// # Errors
    /// When they cannot be read, hold something else, or do not belong together.
    pub(super) fn acceptor(self) -> Result<TlsAcceptor, BadTlsFiles> {
        let state = self.state();
        let current = Arc::new(Current(RwLock::new(Arc::new(self.read()?))));
        tokio::spawn(keep_fresh(self, state, Arc::downgrade(&current)));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for them");
        let mut config = config.with_no_client_auth().with_cert_resolver(current);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn read(&self) -> Result<CertifiedKey, BadTlsFiles> {
        let Self { certificate, key } = self;
        let mode = std::fs::metadata(key).map_err(|bad| unusable(key, &bad))?.permissions().mode();
        if mode & OTHERS != 0 {
            return Err(unusable(key, &"everybody may read it; take that away with chmod o="));
        }
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain: Vec<_> = chain.map_err(|bad| unusable(certificate, &bad))?;
        if chain.is_empty() {
            return Err(unusable(certificate, &"it holds no certificate (PEM)"));
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(|bad| unusable(key, &bad))?;
        let certified = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider());
        certified.map_err(|bad| unusable(key, &format!("it is not the certificate's key: {bad}")))
    }

    /// What changes with the files.
    fn state(&self) -> [Option<(u64, i64, i64, u64)>; 2] {
        [&self.certificate, &self.key].map(|file| {
            let found = std::fs::metadata(file).ok()?;
            Some((found.ino(), found.mtime(), found.mtime_nsec(), found.size()))
        })
    }
}

fn unusable(file: &Path, problem: &dyn std::fmt::Display) -> BadTlsFiles {
    BadTlsFiles { file: file.to_owned(), problem: problem.to_string() }
}

/// Takes over what the files say whenever they have changed, for as long as somebody uses it.
async fn keep_fresh(
    files: TlsFiles,
    mut known: [Option<(u64, i64, i64, u64)>; 2],
    current: Weak<Current>,
) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(current) = current.upgrade() else { return };
        let state = files.state();
        if state == known {
            continue;
        }
        // Of two files one is written first: until both fit together the old pair is used.
        match files.read() {
            Ok(read) => {
                *current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
                tracing::info!(certificate = %files.certificate.display(), "a new certificate");
            }
            Err(problem) => tracing::warn!(%problem, "the certificate stays what it was"),
        }
        known = state;
    }
}
