//! Each bad configuration → its line; each source wins over the weaker ones.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::*;

const KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
const TOKEN: &str = "adm_9f31c07be2645a8d1f0b7c39e8a2d6541c";

/// A directory for one case, with the files the case needs.
struct Case {
    dir: TempDir,
}

impl Case {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).expect("the directory is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        path
    }

    /// Loads with good secrets in the environment, under what the case says. `@` in a variable
    /// or in the file stands for the directory.
    fn load(&self, toml: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        self.load_with(toml, environment, &Overrides::default())
    }

    fn load_with(
        &self,
        toml: &str,
        environment: &[(&str, &str)],
        overrides: &Overrides,
    ) -> Result<Config, String> {
        let dir = self.dir.path().display().to_string();
        let mut overrides = overrides.clone();
        if !toml.is_empty() {
            overrides.config = Some(self.file("vestibule.toml", &toml.replace('@', &dir), 0o644));
        }
        let good = [("VESTIBULE__MASTER_KEYS", KEY), ("VESTIBULE__ADMIN__TOKEN", TOKEN)];
        let given = |name: &str| environment.iter().any(|(other, _)| *other == name);
        let good = good.iter().filter(|(name, _)| !given(name));
        let variables = good.chain(environment).filter(|(_, value)| *value != "(unset)");
        let variables =
            variables.map(|(name, value)| (OsString::from(name), value.replace('@', &dir).into()));
        let loaded = Config::from_environment(&overrides, variables.collect::<Vec<_>>());
        loaded.map_err(|error| error.to_string().replace(&format!("{dir}/"), ""))
    }
}

/// A file, an environment, and the line that tells what is wrong.
type BadValue = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const BAD_VALUES: &[BadValue] = &[
    (
        "bind = \"127.0.0.1:1\"\n\nadmin.tokn = \"x\"",
        &[],
        "vestibule.toml:3: there is no setting `admin.tokn`; the nearest known one is `admin.token`",
    ),
    (
        "[server]\nbind = \"127.0.0.1:1\"",
        &[],
        "vestibule.toml:2: there is no setting `server.bind`; the nearest known one is `bind`",
    ),
    (
        "[log]\nformat = \"text\"\nlevl = \"info\"",
        &[],
        "vestibule.toml:3: there is no setting `log.levl`; the nearest known one is `log.level`",
    ),
    ("log = 1", &[], "vestibule.toml:1: `log` is a section; write [log] and its keys below"),
    ("bind = 8080", &[], "vestibule.toml:1: bind: the value is not a string; write a string there"),
    (
        "[limits]\nredeem_per_minute = \"30\"",
        &[],
        "vestibule.toml:2: limits.redeem_per_minute: the value is not a decimal integer; write a decimal integer there",
    ),
    (
        "master_keys = [1]",
        &[],
        "vestibule.toml:1: master_keys: the value is not a list of strings; write a list of strings there",
    ),
    (
        "[limits]\nredeem_per_minute = 0",
        &[],
        "vestibule.toml:2: limits.redeem_per_minute: `0` is not an integer of the allowed range; write an integer from 1 to 100000",
    ),
    (
        "[limits.edge]\nmode = \"monitor\"",
        &[],
        "vestibule.toml:2: limits.edge.mode: `monitor` is none of its values; write one of shadow, enforce",
    ),
    (
        "[limits.edge]\nkey_per_minute = 60\nkey_burst = 61",
        &[],
        "vestibule.toml:3: limits.edge.key_burst: `61` is not an integer of the allowed range; write an integer from 1 to 60",
    ),
    (
        "[limits.edge]\nsession_per_minute = 0",
        &[],
        "vestibule.toml:2: limits.edge.session_per_minute: `0` is not an integer of the allowed range; write an integer from 1 to 6000000",
    ),
    (
        "[limits.edge]\nip_per_minute = 60",
        &[],
        "vestibule.toml:2: there is no setting `limits.edge.ip_per_minute`; the nearest known one is `limits.edge.key_per_minute`",
    ),
    (
        "",
        &[("VESTIBULE__LIMITS__BODY_DEADLINE", "5")],
        "VESTIBULE__LIMITS__BODY_DEADLINE: there is no such setting; the nearest known one is VESTIBULE__LIMITS__BODY_DEADLINE_MS",
    ),
    (
        "",
        &[("VESTIBULE__BIND_FILE", "x")],
        "VESTIBULE__BIND_FILE: there is no such setting; the nearest known one is VESTIBULE__BIND",
    ),
    (
        "",
        &[("VESTIBULE__LIMITS__BODY_DEADLINE_MS", "soon")],
        "VESTIBULE__LIMITS__BODY_DEADLINE_MS: `soon` is not an integer of the allowed range; write an integer from 10 to 600000",
    ),
    (
        "",
        &[("VESTIBULE__BIND", "8080")],
        "VESTIBULE__BIND: `8080` is no socket address; write address and port, like 127.0.0.1:8080 or [::1]:8080",
    ),
    (
        "",
        &[("VESTIBULE__PUBLIC_URL", "https://a.example/chat")],
        "VESTIBULE__PUBLIC_URL: `https://a.example/chat` is not the origin of a site; write scheme, host and perhaps a port, like https://chat.example.com",
    ),
    (
        "",
        &[("VESTIBULE__PUBLIC_URL", "ftp://a.example")],
        "VESTIBULE__PUBLIC_URL: `ftp://a.example` is not the origin of a site; write scheme, host and perhaps a port, like https://chat.example.com",
    ),
    (
        "",
        &[("VESTIBULE__METRICS__BIND", "9090")],
        "VESTIBULE__METRICS__BIND: `9090` is no socket address; write address and port, like 127.0.0.1:8080 or [::1]:8080",
    ),
    (
        "[metrics]\nbnd = \"127.0.0.1:9090\"",
        &[],
        "vestibule.toml:2: there is no setting `metrics.bnd`; the nearest known one is `metrics.bind`",
    ),
    (
        "[request_log]\nmax_bytes = 1",
        &[],
        "vestibule.toml:2: request_log.max_bytes: `1` is not an integer of the allowed range; write an integer from 4096 to 1073741824",
    ),
    (
        "",
        &[("VESTIBULE__LOG__FORMAT", "xml")],
        "VESTIBULE__LOG__FORMAT: `xml` is none of its values; write one of text, json",
    ),
    (
        "",
        &[("VESTIBULE__LOG__LEVEL", "loud")],
        "VESTIBULE__LOG__LEVEL: `loud` is none of its values; write one of error, warn, info, debug, trace",
    ),
    (
        "",
        &[("VESTIBULE__DEV__CLOCK_OFFSET_MS", "0")],
        "VESTIBULE__DEV__CLOCK_OFFSET_MS: the clock may only be moved in --dev; take the setting out or add --dev",
    ),
    (
        "[admin]\ntoken = \"x\"\ntoken_file = \"y\"",
        &[],
        "vestibule.toml:3: admin.token_file: it is given twice, also by vestibule.toml:2: admin.token; keep one of the two",
    ),
    (
        "",
        &[("VESTIBULE__MASTER_KEYS", KEY), ("VESTIBULE__MASTER_KEYS_FILE", "y")],
        "VESTIBULE__MASTER_KEYS_FILE: it is given twice, also by VESTIBULE__MASTER_KEYS; keep one of the two",
    ),
    (
        "",
        &[("VESTIBULE__DATABASE__URL", "mysql://host/chat")],
        "VESTIBULE__DATABASE__URL: there is no database for `mysql:` addresses; write \
         postgres://user:password@host:5432/database, or leave it out for the database in the data \
         directory",
    ),
    (
        "[database]\nurl = \"chat\"",
        &[],
        "vestibule.toml:2: database.url: it is no address; write \
         postgres://user:password@host:5432/database, or leave it out for the database in the data \
         directory",
    ),
];

#[test]
fn bad_values_are_refused_with_place_problem_and_remedy() {
    for (toml, environment, line) in BAD_VALUES.iter().copied() {
        let refused = Case::new().load(toml, environment).expect_err(line);
        assert_eq!(refused, line);
    }
}

#[test]
fn weak_or_missing_secrets_never_start() {
    let zeros = "0".repeat(64);
    let counted: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
    let same = "a".repeat(40);
    let cases = [
        ("VESTIBULE__MASTER_KEYS", "(unset)", "master_keys: no master key is given; set"),
        ("VESTIBULE__MASTER_KEYS", "", "VESTIBULE__MASTER_KEYS: no master key is given"),
        ("VESTIBULE__MASTER_KEYS", "abcd", "VESTIBULE__MASTER_KEYS: master key 1 is not 32 bytes"),
        ("VESTIBULE__MASTER_KEYS", &zeros, "master key 1 can be guessed, it is all zero"),
        ("VESTIBULE__MASTER_KEYS", &counted, "master key 1 can be guessed, it counts up"),
        ("VESTIBULE__ADMIN__TOKEN", "(unset)", "admin.token: no admin token is given; set"),
        ("VESTIBULE__ADMIN__TOKEN", "", "VESTIBULE__ADMIN__TOKEN: the admin token is empty; make"),
        ("VESTIBULE__ADMIN__TOKEN", "short", "the admin token has 5 characters, at least 32 are"),
        ("VESTIBULE__ADMIN__TOKEN", &same, "the admin token is an example or easily guessed; make"),
        ("VESTIBULE__ADMIN__TOKEN", "changeme-changeme-changeme-changeme", "is an example"),
        ("VESTIBULE__ADMIN__TOKEN", "has a space, has a space, has a space", "no header may carry"),
    ];
    for (name, value, part) in cases {
        let refused = Case::new().load("", &[(name, value)]).expect_err(part);
        assert!(refused.contains(part), "{refused}");
        assert!(!refused.contains('\n'), "one line: {refused}");
        assert!(value.len() < 32 || !refused.contains(value), "no secret in {refused}");
    }
}

#[test]
fn secret_files_must_be_readable_by_their_owner_alone() {
    let case = Case::new();
    case.file("keys", &format!("# newest first\n{KEY}\n\n{}\n", KEY.replace('5', "7")), 0o600);
    case.file("open", KEY, 0o640);
    case.file("token", &format!("{TOKEN}\n"), 0o400);
    let unset = ("VESTIBULE__MASTER_KEYS", "(unset)");
    let files = [unset, ("VESTIBULE__MASTER_KEYS_FILE", "@/keys")];
    let config = case.load("", &files).expect("two keys in a private file");
    assert_eq!(format!("{:?}", config.master_keys), "MasterKeys(2 redacted)");
    let refused = case.load("", &[unset, ("VESTIBULE__MASTER_KEYS_FILE", "@/open")]);
    assert_eq!(
        refused.expect_err("others may read it"),
        "VESTIBULE__MASTER_KEYS_FILE: open has mode 0640, so others may read the secret; run: chmod 600 open"
    );
    let absent = case.load("", &[unset, ("VESTIBULE__MASTER_KEYS_FILE", "@/absent")]);
    let absent = absent.expect_err("it is not there");
    assert!(absent.starts_with("VESTIBULE__MASTER_KEYS_FILE: absent cannot be read (No such file"));
    let unset = ("VESTIBULE__ADMIN__TOKEN", "(unset)");
    let config = case.load("admin.token_file = \"@/token\"", &[unset]).expect("a private file");
    let token = config.admin_token.expect("outside --dev there is one");
    assert_eq!(token.expose_secret(), TOKEN, "without the line break");
}

#[test]
fn flag_wins_over_environment_over_file_over_default() {
    let case = Case::new();
    let config = case.load("", &[]).expect("the defaults are good");
    assert_eq!((config.bind, config.bind_is_chosen), (DEFAULT_BIND, false));
    assert_eq!(config.data_dir, PathBuf::from("./data"));
    let requests = Rate { per_minute: 6000, burst: 1000 };
    let limits = Limits {
        edge_mode: Mode::Shadow,
        address: requests,
        key: requests,
        session: Rate { per_minute: 600, burst: 120 },
        redeem_per_minute: 30,
        body_deadline_ms: 10_000,
        in_flight_bytes: 64 << 20,
    };
    assert_eq!(config.limits, limits);
    let slow = case.load("[limits.edge]\nmode = \"enforce\"\naddress_per_minute = 60", &[]);
    let slow = slow.expect("good").limits;
    assert_eq!((slow.edge_mode, slow.address), (Mode::Enforce, Rate { per_minute: 60, burst: 60 }));
    let toml = "bind = \"127.0.0.1:1\"\n[limits]\nredeem_per_minute = 1_000";
    let config = case.load(toml, &[]).expect("good");
    assert_eq!((config.bind.port(), config.limits.redeem_per_minute), (1, 1000));
    let environment = [("VESTIBULE__BIND", "127.0.0.1:2"), ("VESTIBULE_PORT", "tcp://10.0.0.1:80")];
    let config = case.load(toml, &environment).expect("good");
    assert_eq!((config.bind.port(), config.bind_is_chosen), (2, true));
    let flags = Overrides { bind: Some("127.0.0.1:3".to_owned()), ..Overrides::default() };
    let config = case.load_with(toml, &environment, &flags).expect("good");
    assert_eq!(config.bind.port(), 3);
}

#[test]
fn the_database_is_the_data_directorys_unless_an_address_says_another() {
    let case = Case::new();
    let config = case.load("data_dir = \"elsewhere\"", &[]).expect("good");
    assert!(
        matches!(&config.database, Database::Embedded(at) if at == &PathBuf::from("elsewhere"))
    );
    case.file("url", "postgres://db.example/chat?password=s3cret\n", 0o600);
    for (toml, environment) in [
        ("[database]\nurl = \"postgres://db.example/chat?password=s3cret\"", None),
        ("[database]\nurl_file = \"@/url\"", None),
        ("", Some(("VESTIBULE__DATABASE__URL", "postgres://db.example/chat?password=s3cret"))),
        ("", Some(("VESTIBULE__DATABASE__URL_FILE", "@/url"))),
    ] {
        let config = case.load(toml, environment.as_slice()).expect("good");
        let Database::Postgres(at) = &config.database else { panic!("{config:?}") };
        assert!(!at.is_pooled && at.listen_url.is_none());
        assert_eq!(at.url.expose_secret(), "postgres://db.example/chat?password=s3cret");
        assert!(!format!("{config:?}").contains("s3cret"), "it is a secret");
    }
}

#[test]
fn a_pooler_is_told_of_and_may_be_gone_past() {
    let case = Case::new();
    let url = "url = \"postgres://pooler.example/chat\"";
    let past = "listen_url = \"postgres://db.example/chat?password=s3cret\"";
    let text = format!("[database]\n{url}\npooler = \"transaction\"\n{past}");
    let config = case.load(&text, &[]).expect("good");
    let Database::Postgres(at) = &config.database else { panic!("{config:?}") };
    let past_it = at.listen_url.as_ref().map(|url| url.expose_secret());
    assert_eq!((at.is_pooled, past_it), (true, Some("postgres://db.example/chat?password=s3cret")));
    assert!(!format!("{config:?}").contains("s3cret"), "it is a secret");
    for (text, problem) in [
        (format!("[database]\n{url}\npooler = \"session\""), "`session` is no kind of pooler"),
        ("[database]\npooler = \"transaction\"".to_owned(), "there is no database.url"),
        (format!("[database]\n{past}"), "there is no database.url"),
        (format!("[database]\n{url}\nlisten_url = \"chat\""), "it is no address"),
    ] {
        let error = case.load(&text, &[]).expect_err("it is wrong").to_string();
        assert!(error.contains(problem) && error.contains("vestibule.toml:"), "{error}");
    }
}

#[test]
fn public_url_follows_the_bound_address_unless_set() {
    let case = Case::new();
    let config = case.load("", &[]).expect("good");
    for (bound, url) in [
        ("127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:8080", "http://[::1]:8080"),
    ] {
        assert_eq!(config.public_url(bound.parse().expect("an address")), url);
    }
    let set = [("VESTIBULE__PUBLIC_URL", "https://chat.example.com/")];
    let config = case.load("", &set).expect("good");
    assert_eq!(config.public_url(DEFAULT_BIND), "https://chat.example.com");
}

#[test]
fn dev_makes_one_master_key_and_keeps_it() {
    let case = Case::new();
    let data_dir = case.dir.path().join("data");
    let flags = Overrides { dev: true, data_dir: Some(data_dir.clone()), ..Overrides::default() };
    let unset = [("VESTIBULE__MASTER_KEYS", "(unset)"), ("VESTIBULE__ADMIN__TOKEN", "(unset)")];
    let config = case.load_with("", &unset, &flags).expect("--dev needs nothing");
    assert!(config.admin_token.is_none());
    let path = data_dir.join("master.key");
    let mode = fs::metadata(&path).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = fs::read_to_string(&path).expect("it is ours");
    case.load_with("", &unset, &flags).expect("again");
    assert_eq!(fs::read_to_string(&path).expect("it is ours"), first);
    assert_eq!(fs::read_dir(&data_dir).expect("it is ours").count(), 1, "nothing left behind");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let refused = case.load_with("", &unset, &flags).expect_err("others may read it");
    assert!(refused.contains("has mode 0644"), "{refused}");
}

#[test]
fn what_the_service_tells_of_itself_is_off_or_bounded_unless_set() {
    let case = Case::new();
    let config = case.load("", &[]).expect("good");
    assert_eq!((config.metrics_bind, config.otlp), (None, None));
    let bounds = RequestLogBounds { max_bytes: 16 << 20, files: 4 };
    assert_eq!(config.request_log, Some(bounds));
    let toml = "[metrics]\nbind = \"127.0.0.1:9090\"\n[request_log]\nfiles = 0";
    let config = case.load(toml, &[]).expect("good");
    assert_eq!(config.metrics_bind.map(|bind| bind.port()), Some(9090));
    assert_eq!(config.request_log, None);
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_build_without_traces_refuses_to_be_told_where_they_go() {
    let endpoint = [("VESTIBULE__OTLP__ENDPOINT", "http://127.0.0.1:4318")];
    let refused = Case::new().load("", &endpoint).expect_err("it sends none");
    let line = "VESTIBULE__OTLP__ENDPOINT: this build sends no traces; take the setting out, or \
                build with the feature `otlp`";
    assert_eq!(refused, line);
}

#[cfg(feature = "otlp")]
#[test]
fn traces_go_to_the_base_url_of_a_collector() {
    let load = |url| Case::new().load("", &[("VESTIBULE__OTLP__ENDPOINT", url)]);
    let config = load("http://127.0.0.1:4318/").expect("good");
    let otlp = Otlp { endpoint: "http://127.0.0.1:4318".to_owned(), sample_percent: 100 };
    assert_eq!(config.otlp, Some(otlp));
    for bad in ["127.0.0.1:4318", "grpc://a.example", "http://u:p@a.example", "http://a/?b"] {
        let refused = load(bad).expect_err(bad);
        assert!(refused.contains("is no base URL; write the base URL of a collector"), "{refused}");
    }
}

#[test]
fn the_guard_is_on_unless_switched_off_and_tls_needs_both_files_and_the_guard() {
    let load = |settings: &[(&str, &str)]| Case::new().load("", settings);
    let guard = load(&[]).expect("good").listener.expect("it is on");
    assert_eq!((guard.most, guard.most_of_one, guard.tls), (8192, 512, None));
    assert!(load(&[("VESTIBULE__LISTENER__GUARD", "off")]).expect("good").listener.is_none());
    let certificate = ("VESTIBULE__LISTENER__TLS_CERTIFICATE", "c.pem");
    let key = ("VESTIBULE__LISTENER__TLS_KEY", "k.pem");
    let config = load(&[certificate, key]).expect("good");
    assert_eq!(config.public_url(DEFAULT_BIND), "https://127.0.0.1:8080");
    let refused = load(&[certificate]).expect_err("half a pair");
    let line = "VESTIBULE__LISTENER__TLS_CERTIFICATE: TLS needs listener.tls_key as well; set \
                listener.tls_key to the path of a PEM file";
    assert_eq!(refused, line);
    let refused = load(&[certificate, key, ("VESTIBULE__LISTENER__GUARD", "off")]);
    assert!(refused.expect_err("nobody speaks it").contains("without the guard there is no TLS"));
    let proxies = ("VESTIBULE__LISTENER__TRUSTED_PROXIES", "10.0.0.0/8, fd00::1");
    let config = load(&[proxies]).expect("good");
    let is_trusted =
        |text: &str| config.trusted_proxies.contains(text.parse().expect("an address"));
    assert!(is_trusted("10.1.2.3") && is_trusted("fd00::1") && !is_trusted("192.0.2.1"));
}
