//! `vestibule-cli` against the service: each door opens, refusals are told whole, the help is the
//! documents', and what cannot be sent is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vestibule_api::register::OPERATIONS;
use vestibule_cli::{Ended, FINE, REFUSED, UNUSABLE, run};

use crate::constraints::document;
use crate::service::Service;

/// Files as a person has them: secrets with mode 0600, bodies, and where the service is.
struct Shell {
    folder: tempfile::TempDir,
    base_url: String,
}

impl Shell {
    fn new(base_url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        Self { folder, base_url: base_url.to_owned() }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        fs::write(&path, text).expect("the directory is ours");
        set_mode(&path, 0o600);
        path.to_string_lossy().into_owned()
    }

    fn body(&self, body: &Value) -> String {
        self.file("body.json", &body.to_string())
    }

    /// Runs a command with `VESTIBULE_CLI_TOKEN` set to `token`, when there is one.
    async fn run(&self, token: Option<&str>, arguments: &[&str]) -> Ended {
        let start = ["vestibule-cli", "--base-url", &self.base_url];
        let words = start.iter().chain(arguments).map(Into::into).collect::<Vec<_>>();
        let variable = |name: &str| match name {
            "VESTIBULE_CLI_TOKEN" => token.map(str::to_owned),
            _ => None,
        };
        run(words, &variable).await
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file is ours");
}

fn answer(ended: &Ended) -> Value {
    assert_eq!((ended.code, &*ended.err), (FINE, ""), "{ended:?}");
    serde_json::from_str(&ended.out).expect("JSON")
}

#[tokio::test]
async fn a_signed_request_opens_an_embed_session_and_arguments_change_the_body() {
    let service = Service::shared();
    let (shell, embed) = (Shell::new(&service.base_url), &service.demo.demo.embed);
    let secret = shell.file("embed.secret", &format!("{}\n", embed.secret));
    let body = json!({ "employeeId": "0".repeat(24), "capabilities": ["showChatsList"] });
    let command = ["embed", "embed-session-create", "--embed-key", &embed.key, "--secret-file"];
    let rest = [&secret, "--json-body", &shell.body(&body), "--employee-id", &embed.employee_id];
    let opened = answer(&shell.run(None, &[&command[..], &rest].concat()).await);
    let token = opened["data"]["embedToken"].as_str().expect("a token");
    let read = answer(&shell.run(Some(token), &["embed", "embed-session-read"]).await);
    assert_eq!(read["data"]["employeeId"], *embed.employee_id);
    assert_eq!(read["data"]["capabilities"], body["capabilities"]);
}

#[tokio::test]
async fn a_page_s_origin_opens_a_chat_session() {
    let service = Service::shared();
    let (shell, chat) = (Shell::new(&service.base_url), &service.demo.demo.chat);
    let page = ["chat", "--origin", &chat.origin];
    let create = ["chat-session-create", "--public-key", &chat.public_key];
    let opened = answer(&shell.run(None, &[&page[..], &create].concat()).await);
    let token = opened["sessionToken"].as_str();
    let read = shell.run(token, &[&page[..], &["chat-conversation-read"]].concat()).await;
    assert_eq!(answer(&read)["conversationId"], opened["conversationId"]);
}

#[tokio::test]
async fn an_api_key_opens_an_iframe_session() {
    let service = Service::shared();
    let (shell, iframe) = (Shell::new(&service.base_url), &service.demo.demo.iframe);
    let body = shell.body(&json!({ "uid": "cli", "srcs": iframe.source_ids }));
    let create = ["iframe", "iframe-session-create", "--json-body", &body];
    let created = answer(&shell.run(Some(&iframe.api_key), &create).await);
    let key = created["cache_key"].as_str().expect("a cache key");
    let redeem = ["iframe", "iframe-token-redeem", "--cache-key", key];
    assert_eq!(answer(&shell.run(None, &redeem).await)["uid"], "cli");
}

#[tokio::test]
async fn an_answer_without_a_body_is_said_to_be_done() {
    let service = Service::shared();
    let (shell, token) = (Shell::new(&service.base_url), Some(&*service.demo.admin.token));
    let made = answer(&shell.run(token, &["admin", "tenant-create", "--name", "CLI"]).await);
    let id = made["tenant"]["tenantId"].as_str().expect("an id");
    let ended = shell.run(token, &["admin", "tenant-revoke", "--tenant-id", id]).await;
    assert_eq!((ended.code, &*ended.out, &*ended.err), (FINE, "", "done\n"));
}

#[tokio::test]
async fn a_refusal_tells_every_violation_and_exits_with_1() {
    let service = Service::shared();
    let shell = Shell::new(&service.base_url);
    let token = shell.file("iframe.key", &service.demo.demo.iframe.api_key);
    let body = shell.body(&json!({ "uid": "u", "srcs": [], "ttl": 59 }));
    let create = ["iframe", "iframe-session-create", "--token-file", &token, "--json-body", &body];
    let ended = shell.run(None, &create).await;
    assert_eq!((ended.code, &*ended.out), (REFUSED, ""));
    for line in ["error: invalid_input (400): ", "body /srcs: minItems 1", "body /ttl: minimum 60"]
    {
        assert!(ended.err.contains(line), "{line}: {}", ended.err);
    }
    let named = |line: &str| line.trim_start().starts_with("request id: ");
    assert!(ended.err.lines().any(named), "{}", ended.err);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_said_to_be_unreachable() {
    let ended = Shell::new("http://127.0.0.1:9").run(Some("t"), &["admin", "tenant-list"]).await;
    assert_eq!(ended.code, REFUSED);
    assert!(ended.err.starts_with("error: the service cannot be reached: "), "{}", ended.err);
}

#[tokio::test]
async fn an_address_that_is_no_url_exits_with_2() {
    for nowhere in ["nonsense", "127.0.0.1:8080", ""] {
        let ended = Shell::new(nowhere).run(Some("t"), &["admin", "tenant-list"]).await;
        assert_eq!((ended.code, &*ended.out), (UNUSABLE, ""), "{nowhere}: {}", ended.err);
        assert!(ended.err.contains("is no base URL: write it like http"), "{}", ended.err);
    }
}

#[tokio::test]
async fn what_cannot_be_sent_exits_with_2_and_says_what_to_do() {
    // Nothing listens there: whatever were sent would be told as unreachable.
    let shell = Shell::new("http://127.0.0.1:9");
    let open = shell.file("open", "ysk_1");
    set_mode(Path::new(&open), 0o644);
    let broken = shell.file("broken.json", "{");
    let unknown = shell.file("unknown.json", r#"{"uid":"u","srcs":[1],"fly":true}"#);
    let create = ["iframe", "iframe-session-create", "--json-body"];
    let cases: [(&[&str], &str); 7] = [
        (&["admin", "tenant-list"], "give --token-file or VESTIBULE_CLI_TOKEN"),
        (&["embed", "embed-session-create", "--json-body", "x"], "--secret-file or"),
        (&["admin", "tenant-list", "--token-file", &open], "run: chmod 600"),
        (&["admin", "tenant-list", "--token-file", "absent"], "absent cannot be read"),
        (&["admin", "key-pause"], "--key-id"),
        (&[&create[..], &[&broken]].concat(), "failed to parse"),
        (&[&create[..], &[&unknown]].concat(), "unknown field `fly`"),
    ];
    for (arguments, remedy) in cases {
        let token = arguments.iter().any(|it| it.ends_with(".json")).then_some("t");
        let ended = shell.run(token, arguments).await;
        assert_eq!((ended.code, &*ended.out), (UNUSABLE, ""), "{arguments:?}");
        assert!(ended.err.contains(remedy), "{remedy}: {}", ended.err);
    }
}

#[tokio::test]
async fn help_is_what_the_documents_say() {
    let shell = Shell::new("http://127.0.0.1:9");
    for operation in OPERATIONS {
        let words = document(operation.document);
        let paths = words["paths"].as_object().expect("paths").values();
        let mut all = paths.flat_map(|it| it.as_object().expect("methods").values());
        let written = all.find(|it| it["operationId"] == operation.id).expect("it is documented");
        let name = kebab(operation.id);
        let help = shell.run(None, &[operation.document, &name, "--help"]).await;
        let list = shell.run(None, &[operation.document, "--help"]).await;
        assert_eq!((help.code, list.code), (FINE, FINE));
        let summary = written["summary"].as_str().expect("a summary");
        assert!(help.out.starts_with(summary), "{}", help.out);
        assert!(list.out.contains(summary), "{summary}: {}", list.out);
        for line in written["description"].as_str().expect("a description").lines() {
            assert!(help.out.contains(line), "{line}: {}", help.out);
        }
    }
    let help = shell.run(None, &["embed", "embed-session-create", "--help"]).await;
    let id = &document("embed")["components"]["schemas"]["ObjectId"]["description"];
    assert!(help.out.contains(id.as_str().expect("a description")), "{}", help.out);
    assert!(!help.out.contains("json-body-template"), "it would print nothing: {}", help.out);
}

fn kebab(id: &str) -> String {
    id.chars().fold(String::new(), |mut name, c| {
        if c.is_uppercase() {
            name.push('-');
        }
        name.extend(c.to_lowercase());
        name
    })
}
