//! The `Prefer` header (RFC 7240): which of the documented answers a caller would like.

use http::HeaderMap;
use http::header::HeaderName;

/// The header.
pub const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The header that says which preferences were kept.
pub const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What a caller would like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preference {
    /// `code=404`: this documented status.
    pub code: Option<String>,
    /// `example=NAME`: the named example, or the stable code of a refusal.
    pub example: Option<String>,
    /// `dynamic=true`: a drawn value although there is an example.
    pub dynamic: bool,
}

impl Preference {
    /// Reads every `Prefer` of a request; of a preference given twice the first counts, one that
    /// is not known is ignored, as the RFC asks.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut preference = Self::default();
        let mut dynamic = None;
        let texts = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        for item in texts.flat_map(|text| split(text, ',')) {
            // Parameters of a preference stand behind a semicolon; none is defined for these.
            let item = split(&item, ';').into_iter().next().unwrap_or_default();
            let (name, value) = item.split_once('=').unwrap_or((&item, ""));
            let value = value.trim().trim_matches('"').to_owned();
            match name.trim().to_ascii_lowercase().as_str() {
                "code" if preference.code.is_none() => preference.code = Some(value),
                "example" if preference.example.is_none() => preference.example = Some(value),
                "dynamic" if dynamic.is_none() => dynamic = Some(value),
                _ => {}
            }
        }
        preference.dynamic = dynamic.is_some_and(|it| it.eq_ignore_ascii_case("true"));
        preference
    }

    /// What an answer keeps of it: only a refusal and a body have examples, only a body for which
    /// none was named is drawn.
    pub fn kept(&self, is_refusal: bool, has_body: bool) -> Self {
        Self {
            code: self.code.clone(),
            example: self.example.clone().filter(|_| is_refusal || has_body),
            dynamic: self.dynamic && has_body && self.example.is_none(),
        }
    }

    /// What to say of it in the answer; nothing when nothing was kept.
    pub fn applied(&self) -> Option<String> {
        let code = self.code.as_ref().map(|code| format!("code={code}"));
        let example = self.example.as_ref().map(|name| format!("example=\"{name}\""));
        let dynamic = self.dynamic.then(|| "dynamic=true".to_owned());
        let all: Vec<_> = [code, example, dynamic].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// Splits at a separator outside quotes.
fn split(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        quoted ^= c == '"';
        if c == separator && !quoted {
            parts.push(String::new());
            continue;
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}
