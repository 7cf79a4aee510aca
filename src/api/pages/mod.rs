//! The plain pages that the iframe URLs open, as bytes and headers.
//!
//! Hand-written HTML, one script, one stylesheet, all built into the binary; the real pages replace
//! them later. Knows nothing of routing: whoever serves a page asks for its bytes and its headers.

/// A header's name and value.
pub type Header = (&'static str, String);

/// The headers of every page; see [`page_headers`].
pub type PageHeaders = [Header; 6];

/// A page that opens a session, or the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/embed/chats` and `/embed/chats/{chatId}`, fragment `#token=`.
    Embed,
    /// `/widget/frame`, fragment `#token=`.
    Widget,
    /// `/iframe/{session_id}`, fragment `#key=`.
    Iframe,
    /// `/demo`, in `--dev` alone; needs `POST /dev/sessions`.
    Demo,
}

impl Page {
    /// The page's HTML, served as [`HTML`].
    pub fn html(self) -> &'static [u8] {
        match self {
            Self::Embed => include_bytes!("embed.html"),
            Self::Widget => include_bytes!("widget.html"),
            Self::Iframe => include_bytes!("iframe.html"),
            Self::Demo => include_bytes!("demo.html"),
        }
    }
}

/// A file that the pages load.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Where the pages expect it.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

/// The media type of [`Page::html`].
pub const HTML: &str = "text/html; charset=utf-8";

/// The script of all pages.
pub const SCRIPT: Asset = Asset {
    path: "/pages/session.js",
    content_type: "text/javascript; charset=utf-8",
    bytes: include_bytes!("session.js"),
};

/// The stylesheet of all pages.
pub const STYLE: Asset = Asset {
    path: "/pages/session.css",
    content_type: "text/css; charset=utf-8",
    bytes: include_bytes!("session.css"),
};

/// The headers of a session's page. `frame_ancestors` is the source list of that directive: the
/// origins of the session's key, separated by spaces, or `'none'`.
pub fn page_headers(frame_ancestors: &str) -> PageHeaders {
    headers(policy("", frame_ancestors))
}

/// The headers of the demo page, which shows the session pages in frames but is framed by nobody.
pub fn demo_headers() -> Vec<Header> {
    let mut all = Vec::from(headers(policy(" frame-src 'self';", "'none'")));
    all.push(("x-frame-options", "DENY".to_owned()));
    all
}

/// The headers of the reference, which shows nothing in frames and is framed by nobody.
pub fn reference_headers() -> Vec<Header> {
    let mut all = Vec::from(page_headers("'none'"));
    all.push(("x-frame-options", "DENY".to_owned()));
    all
}

/// The headers of [`SCRIPT`] and [`STYLE`]. Revalidated at each load: their names carry no hash.
pub fn asset_headers() -> [Header; 3] {
    [
        ("cache-control", "no-cache".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("cross-origin-resource-policy", "same-origin".to_owned()),
    ]
}

fn policy(frame_src: &str, frame_ancestors: &str) -> String {
    // An origin is checked when its key is made; a separator that slipped through would let it
    // write directives of its own, so nothing may frame the page then.
    let is_list = !frame_ancestors.trim().is_empty()
        && frame_ancestors.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        && !frame_ancestors.contains([';', ',']);
    let frame_ancestors = if is_list { frame_ancestors } else { "'none'" };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self';{frame_src} frame-ancestors {frame_ancestors}; \
         base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
}

fn headers(policy: String) -> PageHeaders {
    [
        ("content-type", HTML.to_owned()),
        ("content-security-policy", policy),
        ("referrer-policy", "no-referrer".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("cross-origin-resource-policy", "same-origin".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: [Page; 4] = [Page::Embed, Page::Widget, Page::Iframe, Page::Demo];

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("pages are UTF-8")
    }

    #[test]
    fn policy_is_the_one_of_the_security_page() {
        let [_, (_, policy), ..] = page_headers("https://crm.example https://*.acme.com");
        assert_eq!(
            policy,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             font-src 'self'; connect-src 'self'; frame-ancestors https://crm.example \
             https://*.acme.com; base-uri 'none'; form-action 'none'; \
             require-trusted-types-for 'script'"
        );
    }

    #[test]
    fn smuggled_directives_leave_the_page_unframed() {
        for bad in ["", " ", "*; script-src *", "https://a.example, https://b.example", "a\r\nb"] {
            let [_, (_, policy), ..] = page_headers(bad);
            assert!(policy.contains("frame-ancestors 'none';"), "{bad:?} gave {policy}");
        }
    }

    #[test]
    fn pages_run_under_their_own_policy() {
        for page in PAGES {
            let html = text(page.html());
            assert!(!html.contains("style=") && !html.contains("<style"), "{page:?}");
            assert_eq!(html.matches("<script").count(), 1, "{page:?} has one script");
            assert!(html.contains(SCRIPT.path) && html.contains(STYLE.path), "{page:?}");
            assert!(!html.contains("//"), "{page:?} loads from this host only");
        }
    }

    #[test]
    fn script_uses_no_sink_that_trusted_types_refuse() {
        let script = text(SCRIPT.bytes);
        for sink in [".innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!script.contains(sink), "{sink}");
        }
    }

    #[test]
    fn script_scrubs_the_fragment_first() {
        let script = text(SCRIPT.bytes);
        let first = script.split("(() => {").nth(1).and_then(|body| body.split(';').next());
        assert!(first.is_some_and(|statement| statement.contains("takeFragment()")));
    }
}
