//! What `serve --dev` says when it is ready: where it is, what opens it, what to try first.
//!
//! Styles are part of the text; whoever prints it takes them out where nobody can see colours.

use std::fmt::Write as _;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use secrecy::SecretString;

use super::dev::DevCredentials;
use super::sign::{Signed, curl, quoted};

const TITLE: Style = Style::new().bold();
const NAME: Style = Style::new().dimmed();
const LINK: Style = AnsiColor::Cyan.on_default().underline();

/// What the banner tells.
pub(super) struct Banner<'a> {
    /// With the address under which the service is reached.
    pub(super) credentials: &'a DevCredentials,
    /// Where the credentials are kept.
    pub(super) file: &'a Path,
    /// How this program was called, for the lines that call it again.
    pub(super) program: &'a str,
    /// Milliseconds since 1970; signs the first line.
    pub(super) now_ms: i64,
}

impl Banner<'_> {
    /// The banner, with a line break at its end.
    pub(super) fn text(&self) -> String {
        let DevCredentials { base_url, demo, admin, .. } = self.credentials;
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!("\n{TITLE}Vestibule {version}, development mode{TITLE:#}\n\n");
        let file = self.file.display().to_string();
        let rows = [
            ("address", format!("{LINK}{base_url}{LINK:#}")),
            ("demo page", format!("{LINK}{base_url}/demo{LINK:#}")),
            ("reference", format!("{LINK}{base_url}/docs/api{LINK:#}")),
            ("for models", format!("{LINK}{base_url}/llms.txt{LINK:#}")),
            ("embed key", demo.embed.key.clone()),
            ("embed secret", demo.embed.secret.clone()),
            ("chat key", demo.chat.public_key.clone()),
            ("chat origin", demo.chat.origin.clone()),
            ("iframe key", demo.iframe.api_key.clone()),
            ("admin token", admin.token.clone()),
            ("all of them", file),
        ];
        for (name, value) in rows {
            line(&mut text, &format!("  {NAME}{name:<13}{NAME:#} {value}"));
        }
        let commands = [
            ("Embed session. This signature is good once, within five minutes:", self.embed()),
            ("The same with a new signature; prints the line to run:", self.embed_again()),
            ("Chat session:", self.chat()),
            ("Iframe session:", self.iframe()),
        ];
        for (title, command) in commands {
            line(&mut text, &format!("\n{TITLE}{title}{TITLE:#}\n{command}"));
        }
        text.push('\n');
        text
    }

    fn embed(&self) -> String {
        let embed = &self.credentials.demo.embed;
        let (body, secret) = (self.embed_body(), SecretString::from(embed.secret.as_str()));
        let signed = Signed::new(&embed.key, &secret, self.now_ms, body.as_bytes());
        signed.curl(&self.embed_url(), &body)
    }

    fn embed_again(&self) -> String {
        let embed = &self.credentials.demo.embed;
        format!(
            "VESTIBULE_SIGN_SECRET={} {} sign --key {} --url {} -d {} --curl",
            quoted(&embed.secret),
            quoted(self.program),
            quoted(&embed.key),
            quoted(&self.embed_url()),
            quoted(&self.embed_body()),
        )
    }

    fn embed_url(&self) -> String {
        format!("{}/v1/embed/sessions", self.credentials.base_url)
    }

    fn embed_body(&self) -> String {
        self.credentials.demo.first_embed().to_string()
    }

    fn chat(&self) -> String {
        let DevCredentials { base_url, demo, .. } = self.credentials;
        let body = demo.first_chat();
        let headers =
            ["Content-Type: application/json".to_owned(), format!("Origin: {}", demo.chat.origin)];
        let url = format!("{base_url}/api/public/v1/chat/sessions");
        curl(&url, &headers, Some(&body.to_string()))
    }

    fn iframe(&self) -> String {
        let DevCredentials { base_url, demo, .. } = self.credentials;
        let body = demo.first_iframe();
        let headers = [
            "Content-Type: application/json".to_owned(),
            format!("Authorization: Bearer {}", demo.iframe.api_key),
        ];
        let url = format!("{base_url}/api/v1/iframe/create");
        curl(&url, &headers, Some(&body.to_string()))
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}
