//! Cases of callers: missing, malformed and foreign credentials for each scheme, signatures, other
//! tenants' objects, and browsers that hold a backend's secret.

use super::{Act, Cases};
use crate::credentials::Credentials;
use crate::document::{Carrier, Covers, Operation, Role, Rule, Scheme, Source};
use crate::judge::{Ending, Expect, Refusal};
use crate::outcome::Check;
use crate::place;
use crate::recipe::{Flaw, Form, Other, Proof, Recipe};
use crate::subject::Shot;

/// How far from the edge of a window it is tried, milliseconds: more than an answer on its way
/// needs, less than any window that is wrong by a second.
const MARGIN_MS: i64 = 500;

impl Cases<'_> {
    /// Everything that can be done to what proves the caller, in each way that there is.
    pub fn callers(&mut self) {
        let operation = self.subject.operation.clone();
        if operation.security.is_empty() || operation.security.iter().any(Vec::is_empty) {
            self.skip(Check::Credential, "the operation asks for no credential");
            return self.foreign();
        }
        let refused = Expect::refused(&self.statuses(&[401]));
        let nothing = self.subject.plain().proof(Proof::Nothing);
        self.once(Check::Credential, "none", nothing, refused.clone());
        self.unproved_body(&refused);
        for at in 0..operation.security.len() {
            let way = Way::of(&operation, at);
            self.way(&way, &refused);
        }
        self.foreign();
    }

    fn way(&mut self, way: &Way<'_>, refused: &Expect) {
        if let Some(at) = way.at {
            let recipe = self.subject.plain().way(at).fresh();
            let label = way.label("accepted");
            self.once(Check::Credential, &label, recipe, Expect::accepted());
        }
        let mut push = |label: &str, proof: Proof| {
            let recipe = way.recipe(self.subject.plain()).proof(proof);
            self.once(Check::Credential, label, recipe, refused.clone());
        };
        for scheme in way.group {
            let name = &scheme.name;
            push(&format!("{name} missing"), Proof::Without(name.clone()));
            push(&format!("{name} twice"), Proof::Doubled(name.clone()));
            for (label, other) in others(scheme) {
                push(&format!("{name} {label}"), Proof::Other(name.clone(), other));
            }
        }
        self.other_schemes(way, refused);
        if let Some(covers) = way.group.iter().find_map(|it| it.role.covers()) {
            self.signatures(way, covers, refused);
        }
        self.browsers(way);
    }

    /// Every other bearer token of the run, in the place of the right one; and the right one under
    /// the scheme's name in another case of letters, which is the same (RFC 9110, section 11.1).
    fn other_schemes(&mut self, way: &Way<'_>, refused: &Expect) {
        let operation = self.subject.operation.clone();
        let is_bearer = |it: &&Scheme| it.carrier == Carrier::Bearer;
        let right = operation.security.iter().flatten().filter(is_bearer).map(|it| &it.source);
        let right: Vec<_> = right.collect();
        for scheme in way.group.iter().filter(is_bearer) {
            let name = &scheme.name;
            let others: Vec<_> =
                self.tokens.iter().filter(|(_, it)| !right.contains(&it)).collect();
            for (other, from) in others {
                let proof = Proof::Other(name.clone(), Other::From(from.clone()));
                let recipe = way.recipe(self.subject.plain()).proof(proof);
                let label = format!("{name} of {other}");
                self.once(Check::Credential, &label, recipe, refused.clone());
            }
            let proof = Proof::Other(name.clone(), Other::Scheme("bEARER"));
            let recipe = way.recipe(self.subject.plain()).proof(proof).fresh();
            let label = way.label("Bearer in other letters");
            self.once(Check::Credential, &label, recipe, Expect::accepted());
        }
    }

    /// Who is not known learns nothing about the body.
    fn unproved_body(&mut self, refused: &Expect) {
        if self.subject.operation.body.is_none() {
            return;
        }
        let recipe = self.subject.plain().form(Form::Truncated).proof(Proof::Nothing);
        self.once(Check::Credential, "none, with a malformed body", recipe, refused.clone());
    }

    fn signatures(&mut self, way: &Way<'_>, covers: Covers, refused: &Expect) {
        let push = |this: &mut Self, label: &str, flaw: Flaw, expect: &Expect| {
            let recipe = way.recipe(this.subject.plain()).proof(Proof::Signed(flaw)).fresh();
            this.once(Check::Signature, &way.label(label), recipe, expect.clone());
        };
        let accepted = Expect::accepted();
        if self.subject.operation.body.is_some() {
            push(self, "the body altered after it was signed", Flaw::AlteredBody, refused);
        }
        if covers == Covers::Request {
            push(self, "signed for another method", Flaw::OtherMethod, refused);
            push(self, "signed for another query", Flaw::OtherTarget, refused);
        }
        push(self, "hex in upper case", Flaw::UpperCase, &accepted);
        push(self, "a timestamp in seconds", Flaw::Seconds, refused);
        push(self, "long ago", Flaw::LongAgo, refused);
        for scheme in way.group {
            let Role::Timestamp { window_ms } = scheme.role else { continue };
            let (inside, outside) = (window_ms - MARGIN_MS, window_ms + MARGIN_MS);
            push(self, "at the old edge of the window", Flaw::Skewed(-inside), &accepted);
            push(self, "at the new edge of the window", Flaw::Skewed(inside), &accepted);
            push(self, "beyond the old edge of the window", Flaw::Skewed(-outside), refused);
            push(self, "beyond the new edge of the window", Flaw::Skewed(outside), refused);
        }
        let header = way.group.iter().find_map(|it| match (&it.carrier, it.role) {
            (Carrier::Header(name), Role::Signature { .. }) => Some(name.clone()),
            _ => None,
        });
        let replays = [
            ("replayed", None, Flaw::Skewed(0)),
            ("replayed in upper case", header, Flaw::Skewed(1000)),
            ("replayed at the new edge", None, Flaw::Skewed(MARGIN_MS * 20)),
        ];
        for (label, respelt, flaw) in replays {
            let recipe = way.recipe(self.subject.plain()).proof(Proof::Signed(flaw)).fresh();
            let shot = Box::new(Shot { recipe, expect: refused.clone() });
            self.push(Check::Signature, &way.label(label), Act::Replay { shot, respelt });
        }
        self.other_tenant(way, refused);
    }

    /// Our key with another tenant's secret, and the other way round.
    fn other_tenant(&mut self, way: &Way<'_>, refused: &Expect) {
        for scheme in way.group {
            let Source::Credential(path) = &scheme.source else { continue };
            let other = Source::Credential(Credentials::other(path));
            let proof = match scheme.role {
                Role::Signature { .. } => Proof::Signed(Flaw::Secret(other)),
                Role::Credential => Proof::Other(scheme.name.clone(), Other::From(other)),
                Role::Timestamp { .. } | Role::Nonce => continue,
            };
            let label = format!("{} of another tenant", scheme.name);
            let recipe = way.recipe(self.subject.plain()).proof(proof);
            self.once(Check::Credential, &label, recipe, refused.clone());
        }
    }

    /// Another tenant's objects in the body: not there, and not forbidden.
    fn foreign(&mut self) {
        let operation = self.subject.operation.clone();
        for known in operation.body.iter().flat_map(|body| &body.known) {
            let (Some(code), Source::Credential(path)) = (&known.foreign, &known.source) else {
                continue;
            };
            let others = self.credentials.all(&Credentials::other(path)).to_vec();
            let mut recipe = self.subject.plain();
            let Some(content) = recipe.content.as_mut().filter(|_| !others.is_empty()) else {
                let reason = format!("the credentials have no `{}`", Credentials::other(path));
                self.skip(Check::Foreign, &reason);
                continue;
            };
            // Nothing but this one member may be wrong.
            place::set(&mut content.value, &known.pointer, &others);
            for name in excluded(operation.body.iter().flat_map(|it| &it.rules), &known.pointer) {
                content.value.as_object_mut().and_then(|members| members.remove(name));
            }
            let held = known.pointer.strip_suffix("/*").unwrap_or(&known.pointer);
            content.pinned = Some(held.to_owned());
            let refusal = Refusal {
                statuses: operation.status_of(code).into_iter().collect(),
                code: Some(code.clone()),
                ..Refusal::default()
            };
            let expect = Expect::new(Ending::Refused(refusal));
            self.once(Check::Foreign, &known.pointer, recipe.fresh(), expect);
        }
    }

    fn browsers(&mut self, way: &Way<'_>) {
        if !way.group.iter().any(|it| it.refuses_browsers) {
            return;
        }
        let expect = Expect::refused(&self.statuses(&[403]));
        let pages =
            [("a page", "https://page.example"), ("an opaque page", "null"), ("our own page", "")];
        for (label, origin) in pages {
            let origin = if origin.is_empty() { crate::build::OWN_ORIGIN } else { origin };
            let recipe = way.recipe(self.subject.plain()).header("Origin", origin);
            self.once(Check::Browser, &way.label(label), recipe, expect.clone());
        }
    }
}

/// One of the ways to prove the caller.
struct Way<'o> {
    /// Its place; `None` where it is the only one.
    at: Option<usize>,
    group: &'o [Scheme],
}

impl<'o> Way<'o> {
    fn of(operation: &'o Operation, at: usize) -> Self {
        let is_one_of_many = operation.security.len() > 1;
        Self { at: is_one_of_many.then_some(at), group: &operation.security[at] }
    }

    fn recipe(&self, plain: Recipe) -> Recipe {
        Recipe { way: self.at, ..plain }
    }

    /// The same label, told apart from that of other ways.
    fn label(&self, label: &str) -> String {
        let signature = self.group.iter().find(|it| it.role.covers().is_some());
        match (self.at, signature.or(self.group.first())) {
            (Some(_), Some(scheme)) => format!("{} {label}", scheme.name),
            _ => label.to_owned(),
        }
    }
}

/// The members that may not stand beside the one at this pointer.
fn excluded<'r>(rules: impl Iterator<Item = &'r Rule>, pointer: &str) -> Vec<&'r String> {
    let name = pointer.trim_start_matches('/');
    let together = rules.filter_map(|rule| match rule {
        Rule::Code { when, .. } => Some(when),
        Rule::Violation { .. } => None,
    });
    let together = together.filter(|when| when.iter().any(|it| it == name));
    together.flatten().filter(|it| *it != name).collect()
}

/// Values that are not the right one.
fn others(scheme: &Scheme) -> Vec<(&'static str, Other)> {
    let mut all = vec![
        ("empty", Other::Empty),
        ("off by one character", Other::OneOff),
        ("without its end", Other::Short),
        ("of nobody", Other::Text("x".repeat(40))),
        ("very long", Other::Text("x".repeat(4096))),
    ];
    if scheme.carrier == Carrier::Bearer {
        all.push(("under Basic", Other::Scheme("Basic")));
        all.push(("under Token", Other::Scheme("Token")));
    }
    all
}
