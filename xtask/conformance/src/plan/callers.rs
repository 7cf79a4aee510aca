//! Cases of callers: missing, malformed and foreign credentials for each scheme, signatures, other
//! tenants' objects, and browsers that hold a backend's secret.

use super::{Act, Cases};
use crate::credentials::Credentials;
use crate::document::{Carrier, Role, Rule, Scheme, Source};
use crate::judge::{Ending, Expect, Refusal};
use crate::outcome::Check;
use crate::place;
use crate::recipe::{Flaw, Form, Other, Proof};
use crate::subject::Shot;

/// How far from the edge of a window it is tried, milliseconds: more than an answer on its way
/// needs, less than any window that is wrong by a second.
const MARGIN_MS: i64 = 500;

impl Cases<'_> {
    /// Everything that can be done to what proves the caller.
    pub fn callers(&mut self) {
        let operation = self.subject.operation.clone();
        let is_open = operation.security.iter().any(Vec::is_empty);
        let Some(group) = operation.security.first().filter(|_| !is_open) else {
            self.skip(Check::Credential, "the operation asks for no credential");
            return self.foreign();
        };
        let refused = Expect::refused(&self.statuses(&[401]));
        let mut push = |label: &str, proof: Proof, expect: &Expect| {
            let recipe = self.subject.plain().proof(proof);
            self.once(Check::Credential, label, recipe, expect.clone());
        };
        push("none", Proof::Nothing, &refused);
        for scheme in group {
            let name = &scheme.name;
            push(&format!("{name} missing"), Proof::Without(name.clone()), &refused);
            push(&format!("{name} twice"), Proof::Doubled(name.clone()), &refused);
            for (label, other) in others(scheme) {
                push(&format!("{name} {label}"), Proof::Other(name.clone(), other), &refused);
            }
        }
        self.other_schemes(group, &refused);
        self.unproved_body(&refused);
        if group.iter().any(|it| it.role == Role::Signature) {
            self.signatures(group, &refused);
        }
        self.foreign();
        self.browsers(group);
    }

    /// Every other bearer token of the run, in the place of the right one; and the right one under
    /// the scheme's name in another case of letters, which is the same (RFC 9110, section 11.1).
    fn other_schemes(&mut self, group: &[Scheme], refused: &Expect) {
        let bearers = group.iter().filter(|it| it.carrier == Carrier::Bearer);
        let bearers: Vec<_> = bearers.map(|it| (it.name.clone(), it.source.clone())).collect();
        for (name, source) in bearers {
            let others: Vec<_> = self.tokens.iter().filter(|(_, it)| *it != source).collect();
            for (other, from) in others {
                let proof = Proof::Other(name.clone(), Other::From(from.clone()));
                let recipe = self.subject.plain().proof(proof);
                let label = format!("{name} of {other}");
                self.once(Check::Credential, &label, recipe, refused.clone());
            }
            let proof = Proof::Other(name, Other::Scheme("bEARER"));
            let recipe = self.subject.plain().proof(proof).fresh();
            self.once(Check::Credential, "Bearer in other letters", recipe, Expect::accepted());
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

    fn signatures(&mut self, group: &[Scheme], refused: &Expect) {
        let push = |this: &mut Self, label: &str, flaw: Flaw, expect: &Expect| {
            let recipe = this.subject.plain().proof(Proof::Signed(flaw)).fresh();
            this.once(Check::Signature, label, recipe, expect.clone());
        };
        let accepted = Expect::accepted();
        push(self, "the body altered after it was signed", Flaw::AlteredBody, refused);
        push(self, "hex in upper case", Flaw::UpperCase, &accepted);
        push(self, "a timestamp in seconds", Flaw::Seconds, refused);
        push(self, "long ago", Flaw::LongAgo, refused);
        for scheme in group {
            let Role::Timestamp { window_ms } = scheme.role else { continue };
            let (inside, outside) = (window_ms - MARGIN_MS, window_ms + MARGIN_MS);
            push(self, "at the old edge of the window", Flaw::Skewed(-inside), &accepted);
            push(self, "at the new edge of the window", Flaw::Skewed(inside), &accepted);
            push(self, "beyond the old edge of the window", Flaw::Skewed(-outside), refused);
            push(self, "beyond the new edge of the window", Flaw::Skewed(outside), refused);
        }
        let header = group.iter().find_map(|it| match (&it.carrier, it.role) {
            (Carrier::Header(name), Role::Signature) => Some(name.clone()),
            _ => None,
        });
        let replays = [
            ("replayed", None, Flaw::Skewed(0)),
            ("replayed in upper case", header, Flaw::Skewed(1000)),
            ("replayed at the new edge", None, Flaw::Skewed(MARGIN_MS * 20)),
        ];
        for (label, respelt, flaw) in replays {
            let recipe = self.subject.plain().proof(Proof::Signed(flaw)).fresh();
            let shot = Box::new(Shot { recipe, expect: refused.clone() });
            self.push(Check::Signature, label, Act::Replay { shot, respelt });
        }
        self.other_tenant(group, refused);
    }

    /// Our key with another tenant's secret, and the other way round.
    fn other_tenant(&mut self, group: &[Scheme], refused: &Expect) {
        for scheme in group {
            let Source::Credential(path) = &scheme.source else { continue };
            let other = Source::Credential(Credentials::other(path));
            let proof = match scheme.role {
                Role::Signature => Proof::Signed(Flaw::Secret(other)),
                Role::Credential => Proof::Other(scheme.name.clone(), Other::From(other)),
                Role::Timestamp { .. } => continue,
            };
            let label = format!("{} of another tenant", scheme.name);
            let recipe = self.subject.plain().proof(proof);
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

    fn browsers(&mut self, group: &[Scheme]) {
        if !group.iter().any(|it| it.refuses_browsers) {
            return;
        }
        let expect = Expect::refused(&self.statuses(&[403]));
        let pages =
            [("a page", "https://page.example"), ("an opaque page", "null"), ("our own page", "")];
        for (label, origin) in pages {
            let origin = if origin.is_empty() { crate::build::OWN_ORIGIN } else { origin };
            let recipe = self.subject.plain().header("Origin", origin);
            self.once(Check::Browser, label, recipe, expect.clone());
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
