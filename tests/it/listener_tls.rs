//! TLS of the public listener: the pair of files, and that a new pair needs no restart.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use vestibule::net::TlsFiles;

use crate::process::{LOG, Process};
use crate::service::Service;
use crate::webhook_receiver::until;

const HOST: &str = "localhost";
/// Far more than any of these waits takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pair of files in `directory` for a host; gives the certificate.
pub fn write_pair(directory: &Path, host: &str) -> (TlsFiles, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([host.to_owned()]).expect("a certificate");
    let files = TlsFiles { certificate: directory.join("c.pem"), key: directory.join("k.pem") };
    std::fs::write(&files.certificate, cert.pem()).expect("the directory is ours");
    write_key(&files.key, &signing_key);
    (files, cert.der().clone())
}

fn write_key(file: &Path, key: &KeyPair) {
    std::fs::write(file, key.serialize_pem()).expect("the directory is ours");
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).expect("the file is ours");
}

/// The answer to one request over TLS, of a client that trusts `root` alone.
async fn ask(at: SocketAddr, root: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("suites")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(HOST).expect("a name");
    let stream = TcpStream::connect(at).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: v\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[tokio::test]
async fn a_new_certificate_is_taken_over_while_the_service_runs() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (files, first) = write_pair(directory.path(), HOST);
    let data = tempfile::tempdir().expect("a temporary directory");
    let path = |file: &Path| file.to_str().expect("a plain path").to_owned();
    let settings = [
        ("VESTIBULE__LISTENER__TLS_CERTIFICATE", path(&files.certificate)),
        ("VESTIBULE__LISTENER__TLS_KEY", path(&files.key)),
    ];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let process = Process::start_with(data.path(), 0, &settings);
    assert!(process.base_url.starts_with("https://"), "{}", process.base_url);
    let at = SocketAddr::from(([127, 0, 0, 1], process.port()));
    let said = ask(at, &first).await.expect("a trusted answer");
    assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with('}'), "{said}");
    let (_, second) = write_pair(directory.path(), HOST);
    let begun = Instant::now();
    while ask(at, &second).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "the new certificate is not used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ask(at, &first).await.expect_err("the old certificate is still used");
    // A pair that does not fit together, as between two writes, changes nothing.
    let refused = || {
        let log = std::fs::read_to_string(data.path().join(LOG)).expect("a log");
        log.matches("the certificate stays what it was").count()
    };
    let before = refused();
    write_key(&directory.path().join("k.pem"), &KeyPair::generate().expect("a key"));
    until(async || refused() > before, || "the pair is not looked at".to_owned()).await;
    ask(at, &second).await.expect("the pair before is kept");
}

#[tokio::test]
async fn whoever_speaks_no_tls_is_cut() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (files, _) = write_pair(directory.path(), HOST);
    let service = Service::start(|config| {
        config.listener.as_mut().expect("it is on by default").tls = Some(files);
    });
    let at: SocketAddr =
        service.base_url.trim_start_matches("http://").parse().expect("an address");
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: v\r\n\r\n").await.expect("it listens");
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    read.expect("it is cut").ok();
    assert!(!said.starts_with(b"HTTP/"), "answered in the clear");
}

#[test]
fn files_that_cannot_be_used_are_one_line_and_exit_2() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (files, _) = write_pair(directory.path(), HOST);
    let data_dir = directory.path().join("data");
    let run = |certificate: &Path, key: &Path| {
        let mut command = Process::command();
        command.args(["serve", "--dev", "--bind", "127.0.0.1:0", "--data-dir"]);
        command.arg(&data_dir);
        command.env("VESTIBULE__LISTENER__TLS_CERTIFICATE", certificate);
        command.env("VESTIBULE__LISTENER__TLS_KEY", key);
        let output = command.output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let none = directory.path().join("none.pem");
    assert!(run(&none, &files.key).contains("none.pem: "), "names the file");
    assert!(run(&files.key, &files.key).contains("holds no certificate"), "names the fault");
    write_key(&none, &KeyPair::generate().expect("a key"));
    assert!(run(&files.certificate, &none).contains("not the certificate's key"));
    std::fs::set_permissions(&files.key, PermissionsExt::from_mode(0o604)).expect("ours");
    let said = run(&files.certificate, &files.key);
    assert!(said.contains("everybody may read it; take that away with chmod o="), "{said}");
    let made =
        data_dir.join("vestibule.db").exists() || data_dir.join("dev-credentials.json").exists();
    assert!(!made, "they are read before the database and the demo's credentials are made");
}
