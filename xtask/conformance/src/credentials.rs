//! The credentials file: what a deployment accepts and which ids exist there.
//!
//! A tree of JSON or TOML whose members the documents name by dotted paths. Below `other` the same
//! tree may stand for a second tenant. Secrets come from here alone and are never printed.

use std::path::Path;

use serde_json::Value;

/// Where a second tenant's values stand.
const OTHER: &str = "other";

/// The values of a deployment. Has no `Debug`, because much of it is secret.
#[derive(Clone, Default)]
pub struct Credentials {
    root: Value,
}

impl Credentials {
    /// Reads a file, TOML when it is called so and JSON otherwise.
    ///
    /// # Errors
    /// One line that says what is wrong with the file.
    pub fn read(file: &Path) -> Result<Self, String> {
        let place = file.display();
        let text = std::fs::read_to_string(file)
            .map_err(|bad| format!("{place}: the credentials cannot be read: {bad}"))?;
        let is_toml = file.extension().is_some_and(|it| it == "toml");
        let root: Result<Value, String> = if is_toml {
            toml::from_str(&text).map_err(|bad| bad.message().to_owned())
        } else {
            serde_json::from_str(&text).map_err(|bad| bad.to_string())
        };
        match root {
            Ok(root) if root.is_object() => Ok(Self { root }),
            Ok(_) => Err(format!("{place}: the credentials are not an object")),
            Err(bad) => Err(format!("{place}: the credentials are not readable: {bad}")),
        }
    }

    /// Credentials that were made elsewhere.
    pub fn new(root: Value) -> Self {
        Self { root }
    }

    /// The values at a path: the entries of a list, or the one value.
    pub fn all(&self, path: &str) -> &[Value] {
        let found = path.split('.').try_fold(&self.root, |node, name| node.get(name));
        match found {
            Some(Value::Array(list)) => list,
            Some(one) if !one.is_object() && !one.is_null() => std::slice::from_ref(one),
            Some(_) | None => &[],
        }
    }

    /// The first value at a path as text.
    pub fn text(&self, path: &str) -> Option<String> {
        self.all(path).first().map(text)
    }

    /// The path at which the second tenant's counterpart stands.
    pub fn other(path: &str) -> String {
        format!("{OTHER}.{path}")
    }
}

/// A value as it travels outside JSON.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        (dir, path)
    }

    #[test]
    fn json_and_toml_say_the_same() {
        let (_dir, json) = file("c.json", r#"{"iframe":{"api_key":"k","source_ids":[1,"a"]}}"#);
        let (_dir, toml) = file("c.toml", "[iframe]\napi_key = 'k'\nsource_ids = [1, 'a']\n");
        for path in [json, toml] {
            let read = Credentials::read(&path).map_err(|bad| panic!("{bad}")).unwrap();
            assert_eq!(read.text("iframe.api_key").as_deref(), Some("k"));
            assert_eq!(read.all("iframe.source_ids"), [Value::from(1), "a".into()]);
            assert!(read.all("iframe.theme_ids").is_empty() && read.all("iframe").is_empty());
        }
    }

    #[test]
    fn a_file_that_is_no_tree_is_told_in_one_line_without_its_text() {
        for (name, text) in [("c.json", "ysk_secret"), ("c.toml", "ysk_secret"), ("c.json", "[1]")]
        {
            let (_dir, path) = file(name, text);
            let bad = Credentials::read(&path).err().unwrap();
            assert!(!bad.contains('\n') && !bad.contains("ysk_secret"), "{bad}");
        }
        assert!(Credentials::read(Path::new("/nowhere/c.json")).is_err());
    }
}
