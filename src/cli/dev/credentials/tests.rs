//! Random, kept and given credentials, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn load(dir: &Path, given: Option<&Path>) -> Result<DevCredentials, ConfigError> {
    DevCredentials::layered(dir, given, None, &Ids::default())
}

fn load_given(text: &str) -> Result<DevCredentials, String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("given.json");
    fs::write(&path, text).expect("the directory is writable");
    let shown = format!("{}/", dir.path().display());
    load(dir.path(), Some(&path)).map_err(|error| error.to_string().replace(&shown, ""))
}

#[test]
fn file_has_exactly_the_documented_members() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut all = load(dir.path(), None).expect("random ones");
    let path = all.save(dir.path(), "http://127.0.0.1:8080".to_owned()).expect("writable");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(path).expect("there");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let names = |value: &Value| {
        let members = value.as_object().expect("an object");
        members.keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(names(&value), set(&["admin", "base_url", "chat", "embed", "iframe", "other"]));
    for tenant in [&value, &value["other"]] {
        let embed = [
            "key",
            "secret",
            "read_key",
            "read_secret",
            "test_key",
            "test_secret",
            "employee_id",
            "chat_id",
        ];
        assert_eq!(names(&tenant["embed"]), set(&embed));
        let chat = ["public_key", "origin", "restricted_public_key", "identity_secret"];
        assert_eq!(names(&tenant["chat"]), set(&chat));
        assert_eq!(names(&tenant["iframe"]), set(&["api_key", "source_ids", "theme_ids"]));
    }
    assert_eq!(names(&value["admin"]), set(&["token"]));
}

#[test]
fn restart_keeps_the_credentials() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut first = load(dir.path(), None).expect("random ones");
    first.save(dir.path(), "http://127.0.0.1:8080".to_owned()).expect("writable");
    let second = load(dir.path(), None).expect("kept ones");
    assert_eq!(first.demo.embed.secret, second.demo.embed.secret);
    assert_eq!(first.other.iframe.api_key, second.other.iframe.api_key);
    assert_eq!(first.admin.token, second.admin.token);
}

#[test]
fn given_values_are_taken_whatever_their_format() {
    let given = load_given(
        r#"{"base_url":"x","embed":{"key":"any-format-at-all"},"other":null,"more":1,
            "iframe":{"source_ids":["orders",7],"theme_ids":[3,4]},"admin":{"token":"sixteen-chars-ok"}}"#,
    )
    .expect("good");
    assert_eq!(given.demo.embed.key, "any-format-at-all");
    assert_eq!(given.admin.token, "sixteen-chars-ok");
    let sources = [SourceId::Text("orders".to_owned()), SourceId::Number(7)];
    assert_eq!(given.demo.iframe.source_ids, sources);
    assert_eq!(given.demo.iframe.theme_ids, [3, 4]);
    assert!(given.demo.chat.identity_secret.starts_with("cis_"), "what is absent is random");
    assert_ne!(given.demo.embed.secret, given.other.embed.secret);
}

#[test]
fn unusable_files_are_refused_in_one_line() {
    let cases = [
        ("{", "VESTIBULE_DEV_CREDENTIALS: given.json: not JSON: EOF while parsing"),
        (
            r#"{"embed":{"secret":"short"}}"#,
            "VESTIBULE_DEV_CREDENTIALS: given.json: embed.secret has 5 characters; give it at least 16",
        ),
        (
            r#"{"embed":{"key":"the-same-key-twice","read_key":"the-same-key-twice"}}"#,
            "VESTIBULE_DEV_CREDENTIALS: given.json: embed.read_key is the same as another key",
        ),
        (r#"{"iframe":{"theme_ids":["a"]}}"#, "given.json: not the expected shape"),
        (r#"{"other":{"chat":{"origin":"nonsense"}}}"#, "other.chat.origin `nonsense` is not an"),
    ];
    for (text, part) in cases {
        let refused = load_given(text).err().expect("refused");
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn configured_admin_token_wins() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let token = SecretString::from("from-the-configuration");
    let all = DevCredentials::layered(dir.path(), None, Some(&token), &Ids::default());
    assert_eq!(all.expect("good").admin.token, "from-the-configuration");
}
