//! Cases of origins (Fetch, CORS protocol): allowed ones may read every answer, errors too, others
//! none; preflights are answered.

use http::Method;
use vestibule_schema::Part;

use super::Cases;
use crate::document::Source;
use crate::judge::{Ending, Expect, Is};
use crate::outcome::Check;
use crate::recipe::{Form, Given, Proof, Recipe};

const ALLOW: &str = "Access-Control-Allow-Origin";
const CREDENTIALS: &str = "Access-Control-Allow-Credentials";
const METHODS: &str = "Access-Control-Allow-Methods";
const HEADERS: &str = "Access-Control-Allow-Headers";
const STRANGER: &str = "https://stranger.example";

impl Cases<'_> {
    /// Everything that an origin decides.
    pub fn origins(&mut self) {
        self.other_pages();
        if !self.subject.operation.cors {
            return self.closed();
        }
        self.strangers();
        let Some(origin) = self.allowed() else {
            let why = "the credentials name no origin that may read the answers";
            return self.skip(Check::Cors, why);
        };
        self.readers(&origin);
        self.neighbours(&origin);
        self.preflights(&origin);
    }

    /// The origin that the credentials file names for this operation.
    fn allowed(&self) -> Option<String> {
        let parameters = self.subject.operation.parameters.iter();
        let mut headers = parameters.filter(|it| it.part == Part::Header);
        let origin = headers.find(|it| it.name.eq_ignore_ascii_case("origin"))?;
        let Some(Source::Credential(path)) = &origin.source else { return None };
        self.credentials.text(path)
    }

    /// Where the document says which origin belongs to the caller, it is a credential like any
    /// other, whether or not its page could read the answer.
    fn other_pages(&mut self) {
        if self.allowed().is_none() {
            return;
        }
        for (label, origin) in [("another origin", STRANGER), ("the origin of no page", "null")] {
            let recipe = from(self.subject.plain(), origin).fresh();
            let expect = Expect::refused(&self.statuses(&[403]));
            self.once(Check::Credential, label, recipe, expect);
        }
    }

    /// No page may read an operation without CORS.
    fn closed(&mut self) {
        let recipe = from(self.subject.plain(), STRANGER);
        let expect = Expect::new(Ending::Documented).header(ALLOW, Is::Absent);
        self.once(Check::Cors, "a page reads nothing", recipe, expect);
        let asks = self.preflight(STRANGER);
        let expect = Expect::new(Ending::Unasked).header(ALLOW, Is::Absent);
        self.once(Check::Cors, "a preflight permits nothing", asks, expect);
    }

    fn readers(&mut self, origin: &str) {
        let read = |expect: Expect| {
            expect
                .header(ALLOW, Is::Exactly(origin.to_owned()))
                .header(CREDENTIALS, Is::Absent)
                .header("Vary", Is::Listing("Origin".to_owned()))
        };
        let plain = from(self.subject.plain(), origin);
        let accepted = read(Expect::accepted());
        self.once(Check::Cors, "an allowed origin reads", plain.clone().fresh(), accepted);
        let refused = || read(Expect::refused(&[]));
        let mut unknown = plain.clone();
        unknown.more_query.push(("conformanceUnknown".to_owned(), "1".to_owned()));
        self.once(Check::Cors, "an allowed origin reads a broken parameter", unknown, refused());
        if !self.subject.operation.security.is_empty() {
            let recipe = plain.clone().proof(Proof::Nothing);
            self.once(Check::Cors, "an allowed origin reads a 401", recipe, refused());
        }
        if self.subject.operation.body.is_some() {
            let recipe = plain.clone().form(Form::Truncated);
            self.once(Check::Cors, "an allowed origin reads a malformed body", recipe, refused());
            let types = Some(vec!["text/plain".to_owned()]);
            let recipe = Recipe { media_types: types, ..plain };
            self.once(Check::Cors, "an allowed origin reads a 415", recipe, refused());
        }
    }

    fn strangers(&mut self) {
        let none = || {
            Expect::new(Ending::Documented)
                .header(ALLOW, Is::Absent)
                .header("Vary", Is::Listing("Origin".to_owned()))
        };
        for (label, origin) in
            [("a strange origin reads nothing", STRANGER), ("null reads nothing", "null")]
        {
            let recipe = from(self.subject.plain(), origin);
            self.once(Check::Cors, label, recipe, none());
        }
        let recipe = without_origin(self.subject.plain());
        self.once(Check::Cors, "no origin, nothing echoed", recipe, none());
    }

    /// Origins that look like the allowed one.
    fn neighbours(&mut self, origin: &str) {
        let (scheme, host) = origin.split_once("://").unwrap_or(("https", origin));
        let other = if scheme == "https" { "http" } else { "https" };
        let neighbours = [
            ("the origin as a prefix", format!("{origin}.stranger.example")),
            ("another scheme", format!("{other}://{host}")),
            ("another port", format!("{origin}:4431")),
            ("a slash behind it", format!("{origin}/")),
            ("the origin as a suffix", format!("{scheme}://x{host}")),
        ];
        for (label, neighbour) in neighbours {
            let recipe = from(self.subject.plain(), &neighbour);
            let expect = Expect::new(Ending::Documented).header(ALLOW, Is::Absent);
            self.once(Check::Cors, label, recipe, expect);
        }
    }

    fn preflights(&mut self, origin: &str) {
        let method = self.subject.operation.method.to_string();
        let mut permitted = Expect::new(Ending::Preflight)
            .header(ALLOW, Is::Exactly(origin.to_owned()))
            .header(METHODS, Is::Listing(method))
            .header(CREDENTIALS, Is::Absent)
            .header("Vary", Is::Listing("Origin".to_owned()));
        for name in self.asked() {
            permitted = permitted.header(HEADERS, Is::Listing(name));
        }
        let allowed = self.preflight(origin);
        self.once(Check::Cors, "a preflight of an allowed origin", allowed, permitted);
        let expect = Expect::new(Ending::Unasked).header(ALLOW, Is::Absent);
        let strange = self.preflight(STRANGER);
        self.once(Check::Cors, "a preflight of a strange origin", strange, expect);
    }

    /// The headers that a page has to ask for.
    fn asked(&self) -> Vec<String> {
        let operation = &self.subject.operation;
        let mut names = Vec::new();
        if operation.body.is_some() {
            names.push("Content-Type".to_owned());
        }
        if !operation.security.is_empty() {
            names.push("Authorization".to_owned());
        }
        names
    }

    fn preflight(&self, origin: &str) -> Recipe {
        let mut recipe = from(self.subject.plain(), origin).proof(Proof::Nothing);
        recipe.method = Some(Method::OPTIONS);
        recipe.content = None;
        recipe
            .header("Access-Control-Request-Method", self.subject.operation.method.as_str())
            .header("Access-Control-Request-Headers", &self.asked().join(", ").to_lowercase())
    }
}

/// The request with this origin and no other.
fn from(recipe: Recipe, origin: &str) -> Recipe {
    without_origin(recipe).header("Origin", origin)
}

fn without_origin(recipe: Recipe) -> Recipe {
    recipe.given("Origin", Given::Omitted)
}
