//! A repository of its own for the command to run in, and what the command says there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anstream::adapter::strip_str;
use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;

use crate::diff::{Options, outcome, today};

const COMMON: &str = "\
x-error-codes:
  invalid_input: {message: Mend it.}
";

pub const EMBED: &str = "\
openapi: 3.0.3
info: {title: Embed, version: '1'}
tags: [{name: things}]
x-validation:
  body: {status: 400, code: invalid_input}
  parameters: {status: 400, code: invalid_input}
paths:
  /things:
    post:
      operationId: thingCreate
      tags: [things]
      summary: s
      description: d
      security: []
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
      responses:
        '200':
          description: d
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}
components:
  schemas:
    Thing:
      type: object
      properties:
        name: {type: string, maxLength: 64}
";

/// A repository with one commit on `main`.
pub struct Repository {
    folder: TempDir,
}

impl Repository {
    pub fn new() -> Self {
        let it = Repository { folder: TempDir::new().expect("a folder for the test") };
        it.git(&["init", "--quiet", "--initial-branch", "main"]);
        fs::create_dir(it.root().join("openapi")).expect("a new folder");
        it.write("common.yaml", COMMON);
        it.write("embed.yaml", EMBED);
        it.commit();
        it
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.root().join("openapi").join(name), text).expect("a file of the test");
    }

    pub fn commit(&self) {
        self.git(&["add", "--all"]);
        let author = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        let commit = ["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", "m"];
        self.git(&[&author[..], &commit].concat());
    }

    pub fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        // Under a git hook these name the repository that is being tested.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(variable);
        }
        let status = git.arg("-C").arg(self.root()).args(arguments).status();
        assert!(status.expect("git runs").success(), "git {arguments:?}");
    }

    /// Shortens `name` on a branch of its own.
    pub fn shorten(&self) {
        self.git(&["switch", "--quiet", "--create", "shorter"]);
        self.write("embed.yaml", &EMBED.replace("maxLength: 64", "maxLength: 32"));
    }

    /// What the command says without colours, and whether it fails; or why it does not run.
    pub fn diff(&self, arguments: &[&str]) -> Result<(String, bool), String> {
        let outcome = outcome(self.root(), &options(arguments))?;
        let text = outcome.report + &outcome.complaint;
        Ok((strip_str(&text).to_string(), outcome.fails))
    }

    pub fn report(&self, arguments: &[&str]) -> (String, bool) {
        self.diff(arguments).expect("there is something to compare")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.report(&["--format", "json"]).0).expect("JSON")
    }
}

pub fn options(arguments: &[&str]) -> Options {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }
    Line::parse_from([&["diff"], arguments].concat()).options
}

/// The text with the day and the commit replaced: they differ from run to run.
pub fn steady(text: &str, json: &Value) -> String {
    let commit = json["base"]["commit"].as_str().expect("a hash");
    text.replace(&commit[..10], "COMMIT").replace(&today(), "TODAY")
}
