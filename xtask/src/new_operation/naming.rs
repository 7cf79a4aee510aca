//! What a new operation is called, from its method and path.
//!
//! `POST /v1/embed/sessions` creates an embed session: `embedSessionCreate`.

use heck::{ToLowerCamelCase, ToUpperCamelCase};

/// Segments that say where an interface is, not what it is about.
const PLACES: &[&str] = &["api", "public", "admin"];

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    List,
    Read,
    Create,
    Replace,
    Update,
    Delete,
    /// A verb in the path: `/keys/{keyId}/pause`.
    Act(String),
}

/// Names made of a method and a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Naming {
    pub deed: Deed,
    /// What it is about, in PascalCase: `EmbedSession`.
    pub thing: String,
    /// The same for people: `embed session`.
    pub words: String,
}

impl Naming {
    /// The names; `fallback` is what the path is about when it does not say.
    pub fn of(method: &str, path: &str, fallback: &str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
        let deed = deed(method, &segments);
        let mut literals: Vec<&str> = segments
            .into_iter()
            .filter(|it| !it.starts_with('{') && !PLACES.contains(it) && !is_version(it))
            .collect();
        if let Deed::Act(_) = deed {
            literals.pop();
        }
        if literals.is_empty() {
            literals.push(fallback);
        }
        let nouns: Vec<String> = literals.into_iter().map(singular).collect();
        let thing = nouns.join(" ").to_upper_camel_case();
        Self { deed, thing, words: nouns.join(" ").replace(['-', '_', '.'], " ").to_lowercase() }
    }

    /// `embedSessionCreate`.
    pub fn id(&self) -> String {
        format!("{} {}", self.thing, self.deed.verb()).to_lower_camel_case()
    }

    /// `Create an embed session`.
    pub fn summary(&self) -> String {
        let verb = self.deed.verb();
        if self.deed == Deed::List {
            return format!("List {}", self.plural());
        }
        let article = if self.words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{verb} {article} {}", self.words)
    }

    /// `embed sessions`.
    pub fn plural(&self) -> String {
        match self.words.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{}s", self.words),
        }
    }
}

impl Deed {
    fn verb(&self) -> String {
        match self {
            Self::List => "List".to_owned(),
            Self::Read => "Read".to_owned(),
            Self::Create => "Create".to_owned(),
            Self::Replace => "Replace".to_owned(),
            Self::Update => "Update".to_owned(),
            Self::Delete => "Delete".to_owned(),
            Self::Act(verb) => verb.to_upper_camel_case(),
        }
    }

    pub fn takes_body(&self) -> bool {
        matches!(self, Self::Create | Self::Replace | Self::Update)
    }

    pub fn status(&self) -> u16 {
        match self {
            Self::Create => 201,
            Self::Delete => 204,
            Self::List | Self::Read | Self::Replace | Self::Update | Self::Act(_) => 200,
        }
    }
}

fn deed(method: &str, segments: &[&str]) -> Deed {
    let last = segments.last().copied().unwrap_or_default();
    let is_variable = last.starts_with('{');
    let is_plural = !is_variable && singular(last) != last;
    let is_below_one = segments.iter().any(|it| it.starts_with('{')) && !is_variable;
    match method {
        "get" if is_plural => Deed::List,
        "get" => Deed::Read,
        "put" => Deed::Replace,
        "patch" => Deed::Update,
        "delete" => Deed::Delete,
        _ if is_below_one && !is_plural => Deed::Act(last.to_owned()),
        _ => Deed::Create,
    }
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

fn singular(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    let is_singular = ["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    word.strip_suffix('s').filter(|_| !is_singular).unwrap_or(word).to_owned()
}
