//! `vestibule doctor` on real deployments: one that is well, and one broken thing at a time.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::cli::{Ended, run};
use crate::listener_tls::write_pair;
use crate::process::Process;
use crate::service::Service;

/// A doctor's report on a data directory.
struct Report(Ended);

impl Report {
    fn of(data_dir: &Path, environment: &[(&str, &str)], flags: &[&str]) -> Self {
        let data_dir = data_dir.to_str().expect("a plain path");
        let base = ["doctor", "--json", "--data-dir", data_dir];
        Self(run(Path::new("."), "", environment, &[&base[..], flags].concat()))
    }

    fn check(&self, name: &str) -> Value {
        let report = self.0.json();
        let checks = report["checks"].as_array().expect("checks");
        let found = checks.iter().find(|check| check["check"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in {report}")).clone()
    }

    /// The one check that failed, and nothing else did.
    fn fails_alone(&self, name: &str) {
        let report = self.0.json();
        let failed = |check: &&Value| check["verdict"] == "failed";
        let checks = report["checks"].as_array().expect("checks");
        let failed: Vec<_> = checks.iter().filter(failed).map(|it| &it["check"]).collect();
        assert_eq!(failed, [name], "{report}");
        assert_eq!(self.0.code, 1);
        assert!(self.check(name)["remedy"].is_string(), "{report}");
    }
}

#[test]
fn doctor_finds_nothing_in_a_deployment_that_is_well_and_changes_nothing() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let own = process.base_url.clone();
    let before = names(data.path());
    let report = Report::of(data.path(), &[], &["--public-url", &own, "--origin", &own]);
    assert_eq!(report.0.code, 0, "{}{}", report.0.out, report.0.err);
    for check in
        ["clock", "data directory", "database", "master key", "migrations", "keys of origin"]
    {
        assert_eq!(report.check(check)["verdict"], "ok", "{check}: {}", report.0.out);
    }
    for check in ["public URL", "readiness", "clock of the service", "frame ancestors"] {
        assert_eq!(report.check(check)["verdict"], "ok", "{check}: {}", report.0.out);
    }
    assert_eq!(report.check("TLS")["verdict"], "warning", "plain HTTP on this machine");
    assert_eq!(names(data.path()), before);
    let words = run(data.path(), "", &[], &["doctor", "--data-dir", ".", "--public-url", &own]);
    assert_eq!(words.code, 0, "{}", words.err);
    assert!(words.out.contains("ok       migrations"), "{}", words.out);
    assert!(words.out.ends_with("one warning to think about.\n"), "{}", words.out);
}

#[test]
fn doctor_says_that_a_certificate_holds_which_is_trusted_and_for_the_host() {
    let files = tempfile::tempdir().expect("a temporary directory");
    for (host, code) in [("127.0.0.1", 0), ("elsewhere.example", 1)] {
        let (pair, _) = write_pair(files.path(), host);
        let trusted = pair.certificate.to_str().expect("a plain path").to_owned();
        let service = Service::start(|config| {
            config.listener.as_mut().expect("it is on by default").tls = Some(pair);
        });
        let own = service.base_url.replace("http://", "https://");
        let environment = [("SSL_CERT_FILE", trusted.as_str())];
        let report = Report::of(service.data(), &environment, &["--public-url", &own]);
        let verdict = if code == 0 { "ok" } else { "failed" };
        assert_eq!(report.check("TLS")["verdict"], verdict, "{}{}", report.0.out, report.0.err);
        assert_eq!(report.0.code, code, "{}", report.0.out);
    }
}

/// Not even the files that reading a database usually makes.
#[test]
fn doctor_leaves_every_byte_and_file_of_a_stopped_service_as_it_is() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let own = process.base_url.clone();
    assert!(process.terminate().success());
    let state = || {
        let entries = names(data.path()).into_iter().map(|name| {
            let file = data.path().join(&name);
            (name, std::fs::read(&file).expect("it is ours"), changed(&file))
        });
        (entries.collect::<Vec<_>>(), changed(data.path()))
    };
    let before = state();
    assert!(
        !names(data.path()).iter().any(|name| name.contains("-wal")),
        "{:?}",
        names(data.path())
    );
    let report = Report::of(data.path(), &[], &["--public-url", &own, "--origin", &own]);
    report.fails_alone("public URL");
    for check in
        ["clock", "data directory", "database", "master key", "migrations", "keys of origin"]
    {
        assert_eq!(report.check(check)["verdict"], "ok", "{check}: {}", report.0.out);
    }
    assert!(state() == before, "{:?} {:?}", names(data.path()), before.1);
}

#[test]
fn doctor_names_the_one_thing_that_is_broken() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let own = process.base_url.clone();
    let of = |environment: &[(&str, &str)], flags: &[&str]| {
        Report::of(data.path(), environment, &[&["--public-url", &own], flags].concat())
    };
    let other = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
    of(&[("VESTIBULE__MASTER_KEYS", other)], &[]).fails_alone("master key");

    let foreign = of(&[], &["--origin", "https://nobody.example"]);
    assert_eq!(foreign.0.code, 1);
    for check in ["keys of origin", "frame ancestors"] {
        assert_eq!(foreign.check(check)["verdict"], "failed", "{}", foreign.0.out);
    }

    // TLS is spoken to a port that speaks plain HTTP.
    let tls = own.replace("http://", "https://");
    Report::of(data.path(), &[], &["--public-url", &tls]).fails_alone("TLS");

    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let nowhere = format!("http://{free}");
    Report::of(data.path(), &[], &["--public-url", &nowhere]).fails_alone("public URL");

    let key = data.path().join("master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).expect("it is ours");
    let ended = of(&[], &[]).0;
    assert_eq!(ended.code, 2, "others may read the key: {}{}", ended.out, ended.err);
    assert!(ended.err.contains("chmod 600"), "{}", ended.err);
}

#[test]
fn doctor_refuses_what_is_no_origin_and_tells_of_a_missing_directory() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let ended = run(data.path(), "", &[], &["doctor", "--origin", "crm.example"]);
    assert_eq!((ended.code, ended.err.contains("is no origin")), (2, true), "{}", ended.err);
    let report = Report::of(&data.path().join("nowhere"), &[], &[]);
    assert_eq!(report.check("data directory")["verdict"], "failed");
    assert!(!data.path().join("nowhere").exists());
}

fn changed(path: &Path) -> std::time::SystemTime {
    std::fs::metadata(path).and_then(|found| found.modified()).expect("it is ours")
}

fn names(data_dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data_dir).expect("it is ours");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("it is ours").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
