//! The laws of origins and of what a pattern reaches.

use proptest::prelude::*;

use super::*;

fn origin(text: &str) -> Origin {
    Origin::parse(text).unwrap_or_else(|| panic!("{text} is an origin"))
}

fn allows(pattern: &str, text: &str) -> bool {
    Origin::parse(text).is_some_and(|origin| origin.is_allowed_by(&[pattern.to_owned()]))
}

#[test]
fn origins_are_normalised() {
    for (text, canonical) in [
        ("https://acme.com", "https://acme.com"),
        ("HTTPS://Acme.COM:443", "https://acme.com"),
        ("http://acme.com:80", "http://acme.com"),
        ("http://acme.com:443", "http://acme.com:443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost", "http://localhost"),
        ("http://[0:0::1]:8080", "http://[::1]:8080"),
        ("https://[::1]", "https://[::1]"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ] {
        assert_eq!(origin(text).to_string(), canonical);
    }
}

#[test]
fn other_texts_are_no_origins() {
    for text in [
        "",
        "null",
        "NULL",
        "acme.com",
        "//acme.com",
        "https:acme.com",
        "https://",
        "https://:443",
        "https://acme.com/",
        "https://acme.com/a",
        "https://acme.com?q",
        "https://acme.com#f",
        "https://user@acme.com",
        "https://acme.com:",
        "https://acme.com:0",
        "https://acme.com:0443",
        "https://acme.com:65536",
        "https://acme.com:+443",
        "https://acme.com:443:443",
        "https://acme..com",
        "https://.acme.com",
        "https://acme.com.",
        "https://acme com",
        " https://acme.com",
        "https://acme.com ",
        "https://acme.com\0",
        "https://bücher.example",
        "https://*.acme.com",
        "ftp://acme.com",
        "file://",
        "chrome-extension://abcdef",
        "http://256.1.1.1",
        "http://1.2.3",
        "http://01.2.3.4",
        "http://[::1",
        "http://::1",
        "http://[::1%25eth0]",
        "http://[acme.com]",
        "https://acme.com, https://evil.com",
    ] {
        assert_eq!(Origin::parse(text), None, "{text:?}");
    }
    assert_eq!(Origin::parse(&format!("https://{}.com", "a".repeat(64))), None);
    assert_eq!(Origin::parse(&format!("https://{}com", "a.".repeat(126))), None);
}

#[test]
fn patterns_match_labels_below_and_nothing_else() {
    for (pattern, text, expected) in [
        ("https://acme.com", "https://ACME.com:443", true),
        ("https://Acme.com:443", "https://acme.com", true),
        ("https://acme.com", "http://acme.com", false),
        ("https://acme.com", "https://acme.com:8443", false),
        ("https://acme.com", "https://www.acme.com", false),
        ("https://*.acme.com", "https://www.acme.com", true),
        ("https://*.acme.com", "https://a.b.c.acme.com", true),
        ("https://*.acme.com", "https://acme.com", false),
        ("https://*.acme.com", "https://evilacme.com", false),
        ("https://*.acme.com", "https://acme.com.evil.com", false),
        ("https://*.acme.com", "https://www.acme.com.evil.com", false),
        ("https://*.acme.com", "http://www.acme.com", false),
        ("https://*.acme.com", "https://www.acme.com:8443", false),
        ("https://*.acme.com:8443", "https://www.acme.com:8443", true),
        ("https://*.acme.com", "https://www.acme.com.", false),
        ("https://*.acme.com", "null", false),
        ("https://*.shop.acme.co.uk", "https://a.shop.acme.co.uk", true),
        ("https://*.amazonaws.com", "https://console.amazonaws.com", true),
        ("https://*.amazonaws.com", "https://bucket.s3.amazonaws.com", false),
        ("http://*.app.localhost", "http://a.app.localhost", true),
        ("https://*.xn--bcher-kva.example", "https://a.xn--bcher-kva.example", true),
        ("*", "https://acme.com", false),
        ("null", "null", false),
    ] {
        assert_eq!(allows(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn bad_patterns_say_why() {
    use BadPattern::{NotAnOrigin, PublicSuffix, Star};
    for (text, why) in [
        ("", NotAnOrigin),
        ("null", NotAnOrigin),
        ("*", NotAnOrigin),
        ("*.acme.com", NotAnOrigin),
        ("https://acme.com/", NotAnOrigin),
        ("https://*.acme.com/", NotAnOrigin),
        ("https://*.", NotAnOrigin),
        ("https://*.bücher.example", NotAnOrigin),
        ("https://*", Star),
        ("https://*:443", Star),
        ("https://a.*.com", Star),
        ("https://*.*.acme.com", Star),
        ("https://*acme.com", Star),
        ("https://www*.acme.com", Star),
        ("http://*.127.0.0.1", Star),
        ("http://*.[::1]", Star),
        ("*://acme.com", NotAnOrigin),
        ("https://*.com", PublicSuffix),
        ("https://*.co.uk", PublicSuffix),
        ("https://*.CO.UK", PublicSuffix),
        ("https://*.github.io", PublicSuffix),
        ("https://*.localhost", PublicSuffix),
        ("https://*.kawasaki.jp", PublicSuffix),
        ("https://*.ck", PublicSuffix),
        ("https://*.anything.ck", PublicSuffix),
        ("https://*.xn--55qx5d.cn", PublicSuffix),
        ("https://*.s3.amazonaws.com", PublicSuffix),
    ] {
        assert_eq!(OriginPattern::parse(text), Err(why), "{text}");
    }
}

#[test]
fn frame_ancestors_lists_valid_patterns_or_none() {
    let patterns = ["https://*.Acme.com:443", "junk; script-src *", "http://localhost:3000"];
    let patterns = patterns.map(String::from);
    assert_eq!(frame_ancestors(&patterns), "https://*.acme.com http://localhost:3000");
    assert_eq!(frame_ancestors(&patterns[1..2]), "'none'");
    assert_eq!(frame_ancestors(&[]), "'none'");
}

fn any_origin() -> impl Strategy<Value = String> {
    ("https?", "[a-z]{1,5}(\\.[a-z]{1,5}){0,2}\\.(com|co\\.uk)", proptest::option::of(1u16..))
        .prop_map(|(scheme, host, port)| {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{scheme}://{host}{port}")
        })
}

proptest! {
    /// The canonical text of an origin or pattern reads back as the same.
    #[test]
    fn canonical_text_reads_back(text in any_origin()) {
        let parsed = origin(&text);
        prop_assert_eq!(&origin(&parsed.to_string()), &parsed);
        let starred = text.replacen("://", "://*.", 1);
        if let Ok(pattern) = OriginPattern::parse(&starred) {
            prop_assert_eq!(OriginPattern::parse(&pattern.to_string()), Ok(pattern));
        }
    }

    /// An origin as a pattern allows itself, in any case, and no other origin.
    #[test]
    fn an_exact_pattern_allows_itself_alone(a in any_origin(), b in any_origin()) {
        prop_assert!(allows(&a, &a.to_uppercase().replacen("HTTP", "http", 1)));
        prop_assert_eq!(allows(&a, &b), origin(&a) == origin(&b));
    }

    /// A starred pattern allows a host exactly when labels stand before its own.
    #[test]
    fn a_starred_pattern_allows_what_is_below(
        labels in "([a-z0-9-]{1,5}\\.){0,3}",
        // Short names under com are public suffixes now and then, gr.com for one.
        base in "shop-[a-z]{1,5}\\.(com|co\\.uk)",
    ) {
        let pattern = format!("https://*.{base}");
        let below = format!("https://{labels}{base}");
        prop_assert_eq!(allows(&pattern, &below), !labels.is_empty());
        let glued = format!("https://{labels}x{base}");
        prop_assert!(!allows(&pattern, &glued));
    }

    /// No text makes parsing panic, and what is rendered holds nothing that ends a directive.
    #[test]
    fn any_text_is_answered(text in "(https?://)?(\\*\\.)?.{0,40}") {
        let rendered = frame_ancestors(std::slice::from_ref(&text));
        prop_assert!(!rendered.contains([';', ',', '\n', '"']) && rendered.is_ascii());
        let _ = Origin::parse(&text);
    }
}
