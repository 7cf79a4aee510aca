//! That what is added passes the lint and generates, keeps what people wrote, and that what cannot
//! be added is said in one line.

use std::collections::BTreeSet;
use std::fs;

use super::naming::Naming;
use super::{Added, NewOperation};
use crate::document::load_texts;
use crate::{generate, lint};

/// Method, path, document, and the id it gets.
const COMBINATIONS: &[(&str, &str, &str, &str)] = &[
    ("GET", "/v1/embed/sessions", "embed", "embedSessionList"),
    ("POST", "/v1/embed/notes", "embed", "embedNoteCreate"),
    ("PATCH", "/v1/embed/notes/{noteId}", "embed", "embedNoteUpdate"),
    ("delete", "/v1/embed/session", "embed", "embedSessionDelete"),
    ("GET", "/api/admin/v1/tenants/{tenantId}", "admin", "tenantRead"),
    ("PUT", "/api/admin/v1/tenants/{tenantId}", "admin", "tenantReplace"),
    ("POST", "/api/admin/v1/keys/{keyId}/archive", "admin", "keyArchive"),
    ("GET", "/api/admin/v1/tenants/{tenantId}/labels", "admin", "tenantLabelList"),
    ("POST", "/api/admin/v1/tenants/{tenantId}/labels", "admin", "tenantLabelCreate"),
    ("GET", "/api/public/v1/chat/quick-questions", "chat", "chatQuickQuestionList"),
    ("PUT", "/api/public/v1/chat/conversation", "chat", "chatConversationReplace"),
    ("GET", "/api/v1/quotas/{uid}", "iframe", "quotaRead"),
    ("POST", "/api/v1/appearance/themes", "iframe", "appearanceThemeCreate"),
];

#[test]
fn every_skeleton_passes_the_lint() {
    for (method, path, document, id) in COMBINATIONS {
        let input = input();
        let added = asked(method, path, document).checked(&input);
        let added = added.unwrap_or_else(|bad| panic!("{method} {path}: {bad}"));
        assert_eq!(added.id, *id);
        let mut texts = input.texts;
        let before = texts.insert(added.file.clone(), added.text.clone()).expect("it was there");
        let documents =
            load_texts(&texts).unwrap_or_else(|bad| panic!("{method} {path}: {bad:#?}"));
        let handlers = generate::handlers(&documents).expect("it generates");
        let handler = handlers.iter().find(|it| it.id == *id).expect("its handler");
        assert!(handler.file.starts_with("src/api/"), "{method} {path}");
        keeps(&before, &added);
    }
}

/// Every line that was there is there, in its order.
fn keeps(before: &str, added: &Added) {
    let mut now = added.text.lines();
    for line in before.lines() {
        assert!(now.any(|it| it == line), "{}: {line:?} is lost", added.id);
    }
    let line = added.text.lines().nth(added.line - 1).expect("its line");
    let methods = ["get:", "put:", "post:", "patch:", "delete:"];
    assert!(methods.contains(&line.trim()), "{}: {line:?} is its line", added.id);
    let next = added.text.lines().nth(added.line).expect("its next line");
    assert_eq!(next.trim(), format!("operationId: {}", added.id));
}

#[test]
fn all_skeletons_together_pass_the_lint_and_generate() {
    let mut input = input();
    for (method, path, document, _) in COMBINATIONS {
        let added = asked(method, path, document).checked(&input);
        let added = added.unwrap_or_else(|bad| panic!("{method} {path}: {bad}"));
        input.texts.insert(added.file, added.text);
    }
    let documents = load_texts(&input.texts).expect("no finding");
    let files = generate::all(&documents).expect("it generates");
    for handler in generate::handlers(&documents).expect("it generates") {
        let stem = handler.file.trim_start_matches("src/api/");
        let made = &files[&format!("generated/server/src/{stem}")];
        assert!(made.contains(&format!("fn {}(", handler.method)), "{}", handler.id);
    }
}

#[test]
fn skeleton_has_what_its_neighbours_have() {
    let added = asked("post", "/v1/embed/notes", "embed").checked(&input()).expect("it fits");
    let embed_token = NewOperation {
        security: Some("embedToken".to_owned()),
        ..asked("post", "/v1/embed/notes", "embed")
    };
    let other = embed_token.checked(&input()).expect("it fits");
    assert_ne!(added.text, other.text, "another caller, other refusals");
    for (added, part) in [
        (&added, "x-max-bytes: 8192\n"),
        (&added, "        - embedKey: []\n          embedTimestamp: []\n"),
        (&added, "$ref: '#/components/schemas/EmbedNoteCreate'\n"),
        (&added, "$ref: '#/components/schemas/EmbedNoteEnvelope'\n"),
        (&other, "        - embedToken: []\n      parameters:\n"),
        (
            &other,
            "        - $ref: 'common.yaml#/components/parameters/TestClock'\n      requestBody:\n",
        ),
    ] {
        assert!(added.text.contains(part), "{part}: {}", added.text);
    }
    assert_eq!(added.schemas, ["EmbedNoteCreate", "EmbedNote", "EmbedNoteEnvelope"]);
}

#[test]
fn what_cannot_be_added_is_said_in_one_line() {
    let of = |method: &str, path: &str, document: &str| asked(method, path, document);
    let with_tag =
        |tag: &str| NewOperation { tag: Some(tag.to_owned()), ..of("get", "/a", "admin") };
    let with_id = |id: &str| NewOperation { id: Some(id.to_owned()), ..of("get", "/a", "admin") };
    let by = |it: &str| NewOperation { security: Some(it.to_owned()), ..of("get", "/a", "admin") };
    let cases = [
        (of("post", "/v1/embed/sessions", "embed"), "is there already: embedSessionCreate"),
        (of("get", "/a", "embedd"), "there is no document `embedd`; did you mean `embed`?"),
        (of("get", "/a", "common"), "there is no document `common`"),
        (of("head", "/a", "embed"), "`head` is none of get, put"),
        (with_tag("kesy"), "there is no tag `kesy`; did you mean `keys`?"),
        (by("nobody"), "there is no caller `nobody`; there are: adminKey, none"),
        (with_id("keyCreate"), "keyCreate"),
        (of("get", "/v1/embed/{what}", "embed"), "nothing was changed"),
        (of("get", "/api/admin/v1/tenants/{id}", "admin"), "nothing was changed"),
        (of("get", "/api/admin/v1/x{id}", "admin"), "nothing was changed"),
        (of("get", "a", "admin"), "beginning with `/`"),
    ];
    for (case, says) in cases {
        let problem = case.checked(&input()).expect_err(says);
        assert!(problem.contains(says), "{says}: {problem}");
        assert_eq!(problem.lines().count(), 1, "{problem}");
    }
}

#[test]
fn documents_with_findings_are_not_touched() {
    let mut input = input();
    let embed = input.texts.get_mut("openapi/embed.yaml").expect("it is there");
    *embed = embed.replace("maxItems: 16", "maxItmes: 16");
    let problem = asked("get", "/v1/embed/notes", "embed").checked(&input).expect_err("a finding");
    assert!(problem.starts_with("openapi/embed.yaml:") && problem.ends_with("mend that first"));
}

/// What is silenced passes the lint; the generator still cannot read it.
#[test]
fn nothing_is_written_that_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let embed = folder.path().join("openapi/embed.yaml");
    fs::create_dir(folder.path().join("openapi")).expect("the disk");
    let lint::Input { texts, silences, .. } = input();
    for (file, text) in texts {
        let text = text.replace("Sessions of the embedded agent inbox.", "S.\n    colour: red");
        fs::write(folder.path().join(file), text).expect("the disk");
    }
    let (_, mut silences) = silences.expect("we have some");
    silences += "\n[[silence]]\nrule = 'unknown-keyword'\n\
                   at = 'embed.yaml#/tags/0'\nreason = 'r'\n";
    fs::write(folder.path().join("openapi/lint.toml"), silences).expect("the disk");
    let before = fs::read_to_string(&embed).expect("the document");
    let problem =
        asked("get", "/v1/embed/notes", "embed").run(folder.path()).expect_err("silenced");
    assert!(problem.starts_with("error: openapi/embed.yaml:"), "{problem}");
    assert!(problem.ends_with("; nothing was changed") && !problem.contains('\n'), "{problem}");
    assert_eq!(fs::read_to_string(embed).expect("the document"), before);
}

#[test]
fn names_come_from_method_and_path() {
    let ids: BTreeSet<String> = [
        ("get", "/v2/policies"),
        ("get", "/v2/status"),
        ("post", "/v2/access-tokens/{id}/revoke"),
        ("get", "/"),
    ]
    .map(|(method, path)| Naming::of(method, path, "chat").id())
    .into();
    let expected = ["accessTokenRevoke", "chatRead", "policyList", "statusRead"];
    assert_eq!(ids, expected.map(str::to_owned).into());
    let policies = Naming::of("get", "/v2/policies", "chat");
    assert_eq!(policies.summary(), "List policies");
    assert_eq!(Naming::of("post", "/access-tokens", "chat").summary(), "Create an access token");
}

fn asked(method: &str, path: &str, document: &str) -> NewOperation {
    let [method, path, document] = [method, path, document].map(str::to_owned);
    NewOperation { method, path, document, id: None, tag: None, security: None }
}

fn input() -> lint::Input {
    lint::command::folder(&crate::root().join("openapi"), "openapi").expect("our documents")
}
