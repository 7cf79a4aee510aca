//! The other side of the comparison: a commit, found and read through `git`.
//!
//! It knows revisions and files; what stands in the files is not its business.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::document::is_document;

/// The branches that a merge base is looked for with, best first.
const MAINS: [&str; 2] = ["main", "origin/main"];
const FOLDER: &str = "openapi";

/// A commit to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The whole hash.
    pub commit: String,
    /// What it is, for people: `the merge base with main`, or the revision that was asked for.
    pub title: String,
    /// Whether it is the commit that is checked out.
    pub is_head: bool,
}

/// Why there is no base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing was asked for and nothing was found; what to do is in the text.
    Nowhere(String),
    /// What was asked for does not exist.
    Unknown(String),
}

impl Base {
    /// The commit that was asked for, or the merge base with the main branch.
    pub fn find(root: &Path, revision: Option<&str>) -> Result<Self, Missing> {
        let head = git(root, &["rev-parse", "--verify", "HEAD^{commit}"])
            .map(|commit| commit.trim().to_owned());
        if let Some(revision) = revision {
            let commit = commit(root, revision).ok_or_else(|| unknown(revision))?;
            let is_head = head.as_ref() == Ok(&commit);
            return Ok(Base { commit, title: format!("`{revision}`"), is_head });
        }
        let head = head.map_err(|bad| nowhere(&format!("git finds no commit here ({bad})")))?;
        let mut mains = MAINS.into_iter();
        let Some(main) = mains.find(|main| commit(root, main).is_some()) else {
            let [local, remote] = MAINS;
            return Err(nowhere(&format!("there is neither `{local}` nor `{remote}`")));
        };
        let commit = git(root, &["merge-base", "HEAD", main])
            .map_err(|_| nowhere(&format!("HEAD and `{main}` have no common commit here")))?;
        let commit = commit.trim().to_owned();
        Ok(Base { is_head: commit == head, title: format!("the merge base with {main}"), commit })
    }

    /// The hash as people write it.
    pub fn short(&self) -> &str {
        self.commit.get(..10).unwrap_or(&self.commit)
    }

    /// The documents' texts by file name, as they were.
    pub fn texts(&self, root: &Path) -> Result<BTreeMap<String, String>, String> {
        let folder = format!("{FOLDER}/");
        let list = git(root, &["ls-tree", "-z", "--name-only", &self.commit, &folder])?;
        let files = list.split('\0').filter(|file| is_document(Path::new(file)));
        files.map(|file| Ok((file.to_owned(), self.show(root, file)?))).collect()
    }

    /// A file of that folder as it was; `None` when there was none.
    pub fn file(&self, root: &Path, name: &str) -> Result<Option<String>, String> {
        let file = format!("{FOLDER}/{name}");
        let list = git(root, &["ls-tree", "--name-only", &self.commit, &file])?;
        if list.is_empty() {
            return Ok(None);
        }
        self.show(root, &file).map(Some)
    }

    fn show(&self, root: &Path, file: &str) -> Result<String, String> {
        git(root, &["show", &format!("{}:./{file}", self.commit)])
    }
}

fn nowhere(reason: &str) -> Missing {
    Missing::Nowhere(format!(
        "{reason}: fetch the main branch with its history (`git fetch origin main`, \
         `git fetch --unshallow`), or name a commit with `--base REV`"
    ))
}

fn unknown(revision: &str) -> Missing {
    Missing::Unknown(format!(
        "git knows no commit `{revision}`: see `git log --oneline`, or leave `--base` out for the \
         merge base with main"
    ))
}

/// The hash that a revision means.
fn commit(root: &Path, revision: &str) -> Option<String> {
    let wanted = format!("{revision}^{{commit}}");
    let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
    Some(git(root, &arguments).ok()?.trim().to_owned())
}

/// What a git command writes, or in one line why it fails.
fn git(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    // Within a git hook these name a repository; ours is the one around `root`.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    let output = command.arg("-C").arg(root).args(arguments).output();
    let output = output.map_err(|bad| format!("git does not run: {bad}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let reason = reason.lines().next().unwrap_or_default();
        return Err(format!("git {}: {reason}", arguments.join(" ")));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("git {}: the answer is not UTF-8", arguments.join(" ")))
}
