//! What the server finds when it starts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Server, is_bundled_again, write};
use crate::document::load;
use crate::generate::all;

#[test]
fn server_ends_with_whoever_started_it() {
    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    let server = Server::start(sleep).expect("it starts");
    let process = format!("/proc/{}", server.0.id());
    assert!(Path::new(&process).exists(), "it runs");
    drop(server);
    assert!(!Path::new(&process).exists(), "it has ended");
}

#[test]
fn save_that_cannot_be_read_ends_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    assert!(!is_bundled_again(dir.path()), "there is no openapi/ for a moment");
}

#[test]
fn folder_holds_the_documents_as_they_are_now() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let stale = dir.path().join("documents/gone.json");
    fs::create_dir_all(stale.parent().expect("a folder")).expect("the disk");
    fs::write(&stale, "{}").expect("the disk");
    let documents = load(&crate::root().join("openapi")).expect("our documents");
    write(dir.path(), &all(&documents).expect("they generate")).expect("the disk");
    let names = fs::read_dir(dir.path().join("documents")).expect("the folder");
    let names: BTreeSet<_> = names.map(|it| it.expect("the disk").file_name()).collect();
    let expected = documents.documents.iter().map(|it| format!("{}.json", it.name).into());
    assert_eq!(names, expected.collect());
    let facts = fs::read_to_string(dir.path().join("facts.json")).expect("the facts");
    let facts: serde_json::Value = serde_json::from_str(&facts).expect("JSON");
    let operations = facts["operations"].as_array().expect("a list");
    let create =
        operations.iter().find(|it| it["id"] == "embedSessionCreate").expect("it is there");
    assert_eq!(create["credentials"][0]["browser_refused"], true);
    assert_eq!(create["body"]["schema"], "CreateEmbedSession");
    assert_eq!(create["body"]["refused"], "invalid_request");
}
