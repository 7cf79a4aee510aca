//! Origins of pages and the patterns that allow them: a pattern never allows more than it says, and
//! never becomes more than one source of a policy.

use vestibule::domain::origin::{Origin, OriginPattern, frame_ancestors};

use crate::pieces;

/// Reads the first line as a pattern and the second as an origin.
pub fn origins(data: &[u8]) {
    let [pattern, origin] = pieces(data);
    let (Ok(text), Ok(sent)) = (std::str::from_utf8(pattern), std::str::from_utf8(origin)) else {
        return;
    };
    let origin = Origin::parse(sent);
    if let Some(origin) = &origin {
        let again = Origin::parse(&origin.to_string());
        assert_eq!(again.as_ref(), Some(origin), "it is read as it is written");
        require_one_source(&origin.to_string());
    }
    let policy = frame_ancestors(&[text.to_owned()]);
    require_one_source(&policy);
    let Ok(pattern) = OriginPattern::parse(text) else {
        assert_eq!(policy, "'none'");
        return;
    };
    assert_eq!(OriginPattern::parse(&pattern.to_string()).as_ref(), Ok(&pattern));
    match &pattern {
        OriginPattern::Exact(exact) => assert!(pattern.matches(exact), "it allows itself"),
        OriginPattern::Below(base) => assert!(!pattern.matches(base), "it allows its apex"),
    }
    let Some(origin) = origin.filter(|origin| pattern.matches(origin)) else { return };
    let (allowed, pattern) = (origin.to_string(), pattern.to_string());
    match pattern.split_once("*.") {
        None => assert_eq!(allowed, pattern),
        Some((scheme, base)) => {
            let labels = allowed.strip_prefix(scheme).and_then(|it| it.strip_suffix(base));
            let labels = labels.and_then(|it| it.strip_suffix('.'));
            assert!(labels.is_some_and(|it| !it.is_empty()), "{pattern} allows {allowed}");
        }
    }
}

/// Nothing of it ends its directive or begins another source.
fn require_one_source(text: &str) {
    let breaks = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ';' | ',');
    assert!(!text.contains(breaks) && text.is_ascii(), "{text:?} is more than one source");
}
