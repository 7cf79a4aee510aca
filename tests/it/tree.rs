//! The shape of the tree, as `architecture.md` draws it: which module names which, which crate is
//! named where, how long files and functions are, how files begin and what they are called.
//!
//! A plain reading of the text, comments and literals blanked out. Every list of exceptions may
//! only shrink: one that is not needed any more fails too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::constraints::none;

/// Which part of the service may name which others.
const ARROWS: &[(&str, &[&str])] = &[
    ("api", &["domain", "store", "context", "error", "telemetry", "in_flight", "provision"]),
    ("in_flight", &["domain"]),
    ("telemetry", &["config", "limiter", "net", "store"]),
    ("store", &["domain", "error"]),
    ("domain", &["error"]),
    ("error", &[]),
    ("limiter", &["error", "net"]),
    ("net", &[]),
    ("verified_tokens", &["domain", "error"]),
    ("config", &["context", "domain", "error", "limiter", "net"]),
    ("key_uses", &["domain", "error", "store"]),
    ("outbound", &["domain"]),
    ("deliveries", &["context", "domain", "error", "outbound", "provision", "store", "telemetry"]),
    (
        "context",
        &[
            "config",
            "domain",
            "error",
            "in_flight",
            "key_uses",
            "limiter",
            "net",
            "outbound",
            "provision",
            "readiness",
            "resealing",
            "store",
            "telemetry",
            "verified_tokens",
        ],
    ),
    ("provision", &["context", "domain", "error", "store"]),
    ("readiness", &["store"]),
    ("resealing", &["context", "domain", "error", "store"]),
    (
        "serve",
        &["api", "config", "context", "deliveries", "domain", "error", "net", "store", "telemetry"],
    ),
    (
        "cli",
        &[
            "config",
            "context",
            "domain",
            "error",
            "net",
            "provision",
            "resealing",
            "serve",
            "store",
            "telemetry",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &["serve"]),
];

/// Arrows that are drawn nowhere and are there: file and what it names.
const ARROW_EXCEPTIONS: &[(&str, &str)] = &[
    ("src/api/dev.rs", "cli"),
    ("src/context.rs", "cli"),
    ("src/resealing/tests.rs", "provision"),
    ("src/serve.rs", "cli"),
];

/// Crates and paths that are named below these places and nowhere else in `src/`.
const PLACES: &[(&str, &[&str])] = &[
    ("sqlx", &["src/store/"]),
    ("rusqlite", &["src/store/sqlite/"]),
    ("dropshot", &["src/api/", "src/serve.rs"]),
    ("clap", &["src/cli/"]),
    ("jsonwebtoken", &["src/domain/token.rs", "src/domain/token/"]),
    ("vestibule_api", &["src/api/", "src/cli/", "src/serve.rs"]),
    ("http", &["src/api/", "src/cli/doctor/", "src/net/", "src/outbound.rs", "src/telemetry/"]),
    ("SystemTime", &["src/context.rs"]),
    ("Utc", &[]),
    ("aws_lc_rs::rand", &["src/context.rs"]),
    ("std::fs", &["src/config/", "src/cli/", "src/net/tls.rs", "src/store/", "src/telemetry/"]),
    ("std::env", &["src/config/", "src/cli/", "src/store/on_postgres.rs", "src/store/on_sqlite/"]),
];

/// What the domain may not name on top of that: it is pure.
const IMPURE: &[&str] = &[
    "tokio",
    "futures",
    "hyper",
    "reqwest",
    "tracing",
    "rand",
    "Instant",
    "std::io",
    "std::process",
    "std::thread",
    "Uuid",
];

/// Crates that a package may depend on among ours and the heavy ones; `src/` is nobody's.
const OURS: &[(&str, &[&str])] = &[
    ("xtask", &["vestibule-cluster", "vestibule-schema"]),
    ("xtask/cluster", &[]),
    ("xtask/schema", &[]),
    ("xtask/mock", &["dropshot", "tokio", "vestibule-runtime"]),
    ("xtask/runtime", &["dropshot", "tokio", "vestibule-schema"]),
    ("xtask/conformance", &["tokio", "vestibule-schema"]),
    ("fuzz", &["dropshot", "tokio", "vestibule", "vestibule-api", "vestibule-runtime"]),
    ("xtask/faults", &["tokio", "vestibule-conformance", "vestibule-schema"]),
    ("xtask/torture", &["reqwest", "tokio", "vestibule-cluster"]),
    ("generated/server", &["dropshot", "vestibule-runtime"]),
    ("generated/client", &["reqwest"]),
    ("generated/cli", &["reqwest", "tokio", "vestibule-client"]),
    ("generated/httpmock", &["vestibule-client"]),
    (".", &["dropshot", "jsonwebtoken", "sqlx", "tokio", "vestibule-api", "vestibule-runtime"]),
];

const WATCHED: &[&str] = &[
    "dropshot",
    "jsonwebtoken",
    "reqwest",
    "sqlx",
    "tokio",
    "vestibule",
    "vestibule-api",
    "vestibule-cli",
    "vestibule-client",
    "vestibule-cluster",
    "vestibule-conformance",
    "vestibule-httpmock",
    "vestibule-planted-faults",
    "vestibule-runtime",
    "vestibule-schema",
    "vestibule-torture",
    "xtask",
];

/// Where people write Rust.
const WRITTEN: &[&str] = &[
    "src",
    "xtask",
    "tests",
    "benches",
    "fuzz",
    "generated/cli/src/credentials.rs",
    "generated/cli/src/lib.rs",
    "generated/cli/src/main.rs",
    "generated/cli/src/printer.rs",
    "generated/client/src/signing.rs",
];

/// No file and no folder of Rust code is called after a role.
const DRAWERS: &[&str] =
    &["common", "helper", "helpers", "misc", "params", "types", "util", "utils", "views"];

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 80;
/// Files and functions (`file function`) that are longer, and files without a first line `//!`.
const SHAPE_EXCEPTIONS: &[&str] = &[];

/// A file that people wrote.
struct Source {
    /// From the repository's root, with `/`.
    path: String,
    text: String,
    /// The text with comments and literals blanked, line for line.
    code: String,
}

#[test]
fn modules_name_only_what_they_may() {
    let mut faults = Vec::new();
    let mut unused: BTreeSet<_> = ARROW_EXCEPTIONS.iter().copied().collect();
    for source in sources(&["src"]) {
        let module = module_of(&source.path);
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == module) else {
            faults.push(format!("{}: ARROWS does not know the module {module}", source.path));
            continue;
        };
        for named in named_modules(&source) {
            let is_known = |it: &&(&str, &str)| **it == (&*source.path, &*named);
            let exception = ARROW_EXCEPTIONS.iter().find(is_known);
            exception.map(|it| unused.remove(it));
            if named != module && !allowed.contains(&named.as_str()) && exception.is_none() {
                faults.push(format!("{} names {named}", source.path));
            }
        }
    }
    faults.extend(
        unused
            .iter()
            .map(|(path, named)| format!("{path} does not name {named}: remove the exception")),
    );
    none(faults);
}

#[test]
fn crates_are_named_in_their_places() {
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        for (name, places) in PLACES {
            let is_there = places.iter().any(|place| source.path.starts_with(place));
            if !is_there && names(&source.code, name) {
                faults.push(format!("{} names {name}", source.path));
            }
        }
        let is_domain = source.path.starts_with("src/domain/");
        for name in IMPURE.iter().filter(|name| is_domain && names(&source.code, name)) {
            faults.push(format!("{} names {name}: the domain is pure", source.path));
        }
    }
    none(faults);
}

#[test]
fn places_of_crates_are_used() {
    let all = sources(&["src"]);
    for (name, places) in PLACES {
        for place in *places {
            let mut there = all.iter().filter(|source| source.path.starts_with(place));
            assert!(there.any(|source| names(&source.code, name)), "{place} does not name {name}");
        }
    }
}

/// Below `src/` stand the generated crates and their runtime; the generator knows files only.
#[test]
fn packages_depend_downwards() {
    for (package, allowed) in OURS {
        let manifest = root().join(package).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).expect("a package has a manifest");
        let manifest: toml::Table = text.parse().expect("a manifest is TOML");
        let dependencies = manifest["dependencies"].as_table().expect("a table");
        let named = dependencies.keys().map(String::as_str);
        let watched: BTreeSet<_> = named.filter(|name| WATCHED.contains(name)).collect();
        assert_eq!(watched, allowed.iter().copied().collect(), "{package}");
    }
    for (path, text) in generated() {
        assert!(!names(&blanked(&text), "vestibule"), "{path} names the service");
    }
}

/// Whoever wants traces asks for them; nobody else builds what sends them.
#[test]
fn traces_are_no_part_of_the_usual_build() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
    assert_eq!(manifest["features"].get("default"), None, "nothing is on by itself");
    let dependencies = manifest["dependencies"].as_table().expect("a table");
    let of_traces = dependencies.iter().filter(|(name, _)| name.contains("opentelemetry"));
    let optional = of_traces.map(|(_, it)| it.get("optional").and_then(toml::Value::as_bool));
    assert_eq!(optional.collect::<Vec<_>>(), [Some(true); 5]);
}

#[test]
fn files_and_functions_are_short_and_say_what_they_are_for() {
    let mut found = BTreeSet::new();
    for source in sources(WRITTEN) {
        if source.text.lines().count() > FILE_LINES || !source.text.starts_with("//! ") {
            found.insert(source.path.clone());
        }
        let long = functions(&source.code).into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES);
        found.extend(long.map(|(name, _)| format!("{} {name}", source.path)));
    }
    assert_eq!(found, SHAPE_EXCEPTIONS.iter().map(ToString::to_string).collect());
}

#[test]
fn no_file_is_a_drawer() {
    for source in sources(WRITTEN) {
        let mut parts = source.path.trim_end_matches(".rs").split('/');
        let drawer = parts.rfind(|part| DRAWERS.contains(part));
        assert_eq!(drawer, None, "{}: name it for the thing, not for the role", source.path);
    }
}

#[test]
fn reading_sees_names_and_not_what_looks_like_them() {
    let text = r##"
        //! sqlx::query
        use crate::{api, domain::{token, key as store}, context::Ids}; // crate::cli
        const A: &str = "crate::error \" { dropshot::B"; const B: char = '"'; /* tokio:: */
        fn long<'a>(x: &'a str) -> [u8; 2] {
            let _ = r#"crate::config "{" "#;
            super::super::limiter::go();
        }
        trait T { fn declared(&self); }
    "##;
    let (path, code) = ("src/provision/deep.rs".to_owned(), blanked(text));
    assert_eq!(code.lines().count(), text.lines().count());
    for name in ["sqlx", "dropshot", "tokio"] {
        assert!(!names(&code, name), "{code}");
    }
    assert!(names("a(sqlx::query)", "sqlx") && names("use sqlx;", "sqlx"));
    assert!(!names("my_sqlx::query", "sqlx") && !names("sqlx_x::query", "sqlx"));
    assert_eq!(functions(&code), [("long".to_owned(), 4)]);
    let source = Source { path, text: text.to_owned(), code };
    let named = named_modules(&source).into_iter().collect::<Vec<_>>();
    assert_eq!(named, ["api", "context", "domain", "limiter"]);
}

/// The top-level module that a file of `src/` belongs to.
fn module_of(path: &str) -> &str {
    let below = path.trim_start_matches("src/").trim_end_matches(".rs");
    below.split('/').next().unwrap_or(below)
}

/// The top-level modules that a file names: by `crate::`, out of a `crate::{…}` group, or by as
/// many `super::` as lead there; `main` by the crate's own name.
fn named_modules(source: &Source) -> BTreeSet<String> {
    let depth = source.path.trim_end_matches("/mod.rs").matches('/').count();
    let roots = ["crate::".to_owned(), "super::".repeat(depth), "vestibule::".to_owned()];
    let mut named = BTreeSet::new();
    for root in roots {
        let after = source.code.split(root.as_str()).skip(1);
        named.extend(after.flat_map(first_segments).filter(|name| is_module(name)));
    }
    named
}

fn is_module(name: &str) -> bool {
    ARROWS.iter().any(|(module, _)| *module == name)
}

/// The first segment of a path, or those of a group.
fn first_segments(path: &str) -> Vec<String> {
    let word = |text: &str| {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    if !path.starts_with('{') {
        return vec![word(path)];
    }
    let (mut depth, mut starts) = (0, vec![1]);
    for (at, c) in path.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => starts.push(at + 1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    starts.into_iter().map(|at| word(&path[at..])).collect()
}

/// Whether code names a crate, a type or a path, as a whole word.
fn names(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        // A member or a function of the same name is followed by something else.
        !before.is_some_and(is_word) && (after.starts_with("::") || after.starts_with(';'))
    })
}

/// Every function with a body: its name and its lines.
fn functions(code: &str) -> Vec<(String, usize)> {
    let starts = code
        .match_indices("fn ")
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    let each = starts.filter_map(|(at, _)| {
        let rest = &code[at + 3..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let (mut depth, mut round) = (0usize, 0usize);
        for (end, c) in rest.char_indices() {
            match c {
                '(' | '[' => round += 1,
                ')' | ']' => round = round.saturating_sub(1),
                ';' if depth == 0 && round == 0 => return None,
                '{' => depth += 1,
                '}' if depth == 1 => return Some((name, rest[..end].lines().count())),
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        None
    });
    each.filter(|(name, _)| !name.is_empty()).collect()
}

/// The text with every comment and literal replaced by spaces; line ends stay.
fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hidden = literal(rest, out.chars().next_back());
        let (taken, shown) = match hidden {
            Some(length) => (length, false),
            None => (first.len_utf8(), true),
        };
        let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
        let part = &rest[..taken];
        out.extend(part.chars().map(|c| if shown { c } else { blank(c) }));
        rest = &rest[taken..];
    }
    out
}

/// The length of the comment or literal that a text begins with.
fn literal(text: &str, before: Option<char>) -> Option<usize> {
    let until = |from: usize, end: &str| {
        text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(until(2, "*/"));
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let hashes = text.strip_prefix('r').map(|it| it.len() - it.trim_start_matches('#').len());
    if let Some(hashes) = hashes.filter(|n| !in_word && text[1 + n..].starts_with('"')) {
        return Some(until(hashes + 2, &format!("\"{}", "#".repeat(hashes))));
    }
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    // A lifetime has no second quote right behind its first character.
    let is_lifetime =
        quote == '\'' && !text[1..].starts_with('\\') && text.chars().nth(2) != Some('\'');
    if is_lifetime {
        return None;
    }
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = !escaped && *c == quote;
        escaped = !escaped && *c == '\\';
        ends
    });
    Some(end.map_or(text.len(), |(at, _)| at + 1))
}

/// Every Rust file below these places.
fn sources(places: &[&str]) -> Vec<Source> {
    let files = places.iter().flat_map(|place| rust_files(&root().join(place)));
    let all: Vec<_> = files
        .map(|file| {
            let text = fs::read_to_string(&file).expect("a source is text");
            Source { path: relative(&file), code: blanked(&text), text }
        })
        .collect();
    assert!(!all.is_empty(), "{places:?}");
    all
}

fn generated() -> impl Iterator<Item = (String, String)> {
    let files = rust_files(&root().join("generated")).into_iter();
    files.map(|file| (relative(&file), fs::read_to_string(&file).expect("a source is text")))
}

fn rust_files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the disk").path()).collect();
    paths.sort();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|file| file.extension().is_some_and(|it| it == "rs"));
    rust.chain(folders.iter().flat_map(|folder| rust_files(folder))).collect()
}

fn relative(file: &Path) -> String {
    let below = file.strip_prefix(root()).expect("a file of the repository");
    below.to_string_lossy().replace('\\', "/")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
