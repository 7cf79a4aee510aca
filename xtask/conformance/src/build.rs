//! From a recipe to a request: parameters, body, proof of the caller, in this order, since a
//! proof may cover the body.

use std::sync::PoisonError;

use bytes::BufMut as _;
use http::Method;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;
use vestibule_schema::Part;

use crate::clock;
use crate::credentials::text;
use crate::document::{Body, Carrier, Covers, Operation, Parameter, Role, Scheme, Source};
use crate::place;
use crate::recipe::{Content, Flaw, Form, Given, Other, Proof, Recipe};
use crate::request::{ESCAPED, Request, Signed};
use crate::sign::{Covered, sign, sign_whole};
use crate::subject::can_travel;
use crate::world::{self, Built, Trouble, World};

/// Stands for the deployment's own origin in a header.
pub const OWN_ORIGIN: &str = "{own origin}";

impl World {
    /// Makes the request of a recipe.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn build(&self, operation: &Operation, recipe: &Recipe) -> Result<Built, Trouble> {
        if self.is_kept_together() {
            return self.made(operation, recipe).await;
        }
        self.together(self.made(operation, recipe)).await
    }

    async fn made(&self, operation: &Operation, recipe: &Recipe) -> Result<Built, Trouble> {
        let mut is_unknown = false;
        let target = self.target(operation, recipe, &mut is_unknown).await?;
        let (value, body) = match (&operation.body, &recipe.content) {
            (Some(body), Some(content)) => {
                let value = self.filled(body, content, recipe.fresh, &mut is_unknown).await?;
                let bytes = formed(&value, content.form);
                (Some(value), Some(bytes))
            }
            _ => (None, None),
        };
        let mut headers = target.headers;
        let method = recipe.method.clone().unwrap_or_else(|| operation.method.clone());
        let url = format!("{}{}", self.base_url, target.path);
        let sent = Sent { method: &method, url: &url, body: body.as_deref() };
        let proof = self.prove(operation, recipe, &sent).await?;
        headers.extend(proof.headers);
        if let Some(spec) = operation.body.as_ref().filter(|_| body.is_some()) {
            let usual = || vec![spec.media_type.clone()];
            let types = recipe.media_types.clone().unwrap_or_else(usual);
            headers.extend(types.into_iter().map(|it| ("Content-Type".to_owned(), it)));
        }
        let more = recipe.more_headers.iter().cloned();
        headers.extend(more.map(|(name, value)| (name, value.replace(OWN_ORIGIN, &self.base_url))));
        let request =
            Request { method, url, headers, body: proof.body.or(body), signed: proof.signed };
        let value = value.filter(|_| recipe.content.as_ref().is_some_and(|it| is_value(it.form)));
        Ok(Built { request, value, is_unknown })
    }

    async fn target(
        &self,
        operation: &Operation,
        recipe: &Recipe,
        is_unknown: &mut bool,
    ) -> Result<Target, Trouble> {
        let mut path = operation.path.clone();
        let mut query: Vec<(String, String)> = Vec::new();
        let mut headers = Vec::new();
        for parameter in &operation.parameters {
            let texts = self.given(parameter, recipe, is_unknown).await?;
            for text in texts {
                match parameter.part {
                    Part::Path => {
                        let escaped = utf8_percent_encode(&text, ESCAPED).to_string();
                        path = path.replace(&format!("{{{}}}", parameter.name), &escaped);
                    }
                    Part::Query => query.push((parameter.name.clone(), text)),
                    Part::Header => headers.push((parameter.name.clone(), text)),
                    Part::Body => {}
                }
            }
        }
        // A value's own braces are escaped by now.
        if let Some((_, name)) = path.split_once('{') {
            let name = name.split('}').next().unwrap_or(name);
            let why = format!("nothing says what stands for {{{name}}} in the path");
            return Err(Trouble::Missing(why));
        }
        query.extend(recipe.more_query.iter().cloned());
        let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let pairs: Vec<_> = query
            .iter()
            .map(|(name, text)| format!("{}={}", escaped(name), escaped(text)))
            .collect();
        if !pairs.is_empty() {
            path = format!("{path}?{}", pairs.join("&"));
        }
        Ok(Target { path, headers })
    }

    /// The texts of one parameter: none, one, or two when it is to be doubled.
    async fn given(
        &self,
        parameter: &Parameter,
        recipe: &Recipe,
        is_unknown: &mut bool,
    ) -> Result<Vec<String>, Trouble> {
        let given = recipe.given.get(&parameter.name);
        match given {
            Some(Given::Omitted) => return Ok(vec![]),
            Some(Given::Unique(text)) => return Ok(vec![unique(text)]),
            Some(Given::Text(text)) if parameter.source.is_none() || !text.is_empty() => {
                *is_unknown |= parameter.source.is_some();
                return Ok(vec![text.clone()]);
            }
            Some(Given::Text(_) | Given::Known | Given::Twice) | None => {}
        }
        let Some(source) = &parameter.source else { return Ok(vec![]) };
        let is_needed = parameter.required || given == Some(&Given::Twice);
        // Another operation is not asked for what nobody wants.
        if !is_needed && given.is_none() && matches!(source, Source::Answer { .. }) {
            return Ok(vec![]);
        }
        let known = match self.values(source, recipe.fresh).await {
            Err(Trouble::Missing(_)) if !is_needed => vec![],
            known => known?,
        };
        let Some(value) = known.first().map(text) else {
            if is_needed {
                let why = format!("nothing says which {} exists here", parameter.name);
                return Err(Trouble::Missing(why));
            }
            return Ok(vec![]);
        };
        Ok(if given == Some(&Given::Twice) { vec![value.clone(), value] } else { vec![value] })
    }

    /// The body's value with everything in it that this deployment knows.
    async fn filled(
        &self,
        body: &Body,
        content: &Content,
        fresh: bool,
        is_unknown: &mut bool,
    ) -> Result<Value, Trouble> {
        let mut value = content.value.clone();
        for known in &body.known {
            let there = place::places(&value, &known.pointer);
            if there.is_empty() {
                continue;
            }
            let held = known.pointer.strip_suffix("/*").unwrap_or(&known.pointer);
            let is_pinned =
                content.pinned.as_ref().is_some_and(|pinned| place::overlap(pinned, held));
            let values = match is_pinned {
                true => vec![],
                false => self.values(&known.source, fresh).await?,
            };
            *is_unknown |= values.is_empty();
            place::put(&mut value, &known.pointer, &values);
        }
        Ok(value)
    }

    async fn prove(
        &self,
        operation: &Operation,
        recipe: &Recipe,
        sent: &Sent<'_>,
    ) -> Result<Proved, Trouble> {
        if operation.security.is_empty()
            || operation.security.iter().any(Vec::is_empty)
            || recipe.proof == Proof::Nothing
        {
            return Ok(Proved::default());
        }
        let mut missing = String::new();
        for group in operation.ways(recipe.way) {
            match self.held(group, recipe.fresh).await {
                Ok(values) if group.iter().any(|it| it.role.covers().is_some()) => {
                    return self.signed(operation, group, &values, recipe, sent).await;
                }
                Ok(values) => return self.carried(group, &values, recipe).await,
                Err(Trouble::Missing(why)) => missing = why,
                Err(other) => return Err(other),
            }
        }
        Err(Trouble::Missing(missing))
    }

    /// The credential of every scheme of a group.
    async fn held(&self, group: &[Scheme], fresh: bool) -> Result<Vec<String>, Trouble> {
        let mut values = Vec::new();
        for scheme in group {
            values.push(match scheme.role {
                Role::Timestamp { .. } | Role::Nonce => String::new(),
                Role::Credential => self.carriable(&scheme.source, &scheme.name, fresh).await?,
                Role::Signature { .. } => {
                    self.credential(&scheme.source, &scheme.name, fresh).await?
                }
            });
        }
        Ok(values)
    }

    /// A credential that travels in a header.
    async fn carriable(&self, source: &Source, name: &str, fresh: bool) -> Result<String, Trouble> {
        let value = self.credential(source, name, fresh).await?;
        if can_travel(Part::Header, &value) {
            return Ok(value);
        }
        let origin = world::origin(source);
        Err(Trouble::Missing(format!("a header cannot carry {origin}: it is not plain ASCII")))
    }

    /// A credential; `fresh` makes a new one where another operation gives it, since a request may
    /// end what it proves itself with.
    async fn credential(
        &self,
        source: &Source,
        name: &str,
        fresh: bool,
    ) -> Result<String, Trouble> {
        let values = self.values(source, fresh).await?;
        let Some(value) = values.first() else {
            let why = match source {
                Source::Credential(path) => format!("the credentials have no `{path}`"),
                Source::Answer { operation, .. } => format!("{operation} gave nothing"),
            };
            return Err(Trouble::Missing(why));
        };
        Ok(self.secret(value, name, source))
    }

    /// Headers that carry the credentials themselves.
    async fn carried(
        &self,
        group: &[Scheme],
        values: &[String],
        recipe: &Recipe,
    ) -> Result<Proved, Trouble> {
        let mut proved = Proved::default();
        for (scheme, value) in group.iter().zip(values) {
            let all = self.tweaked(scheme, value, &recipe.proof).await?;
            proved.headers.extend(all);
        }
        Ok(proved)
    }

    async fn signed(
        &self,
        operation: &Operation,
        group: &[Scheme],
        values: &[String],
        recipe: &Recipe,
        sent: &Sent<'_>,
    ) -> Result<Proved, Trouble> {
        let flaw = match &recipe.proof {
            Proof::Signed(flaw) => Some(flaw),
            _ => None,
        };
        let skew_ms = match flaw {
            Some(Flaw::Skewed(by)) => {
                let probe = recipe.clone().proof(Proof::Signed(Flaw::LongAgo));
                by + self.skew(operation, &probe).await?
            }
            Some(Flaw::LongAgo) => LONG_AGO_MS - clock::now_ms(),
            _ => 0,
        };
        let now = clock::unique_ms() + skew_ms;
        let timestamp = if flaw == Some(&Flaw::Seconds) { now / 1000 } else { now }.to_string();
        let signature = group.iter().zip(values);
        let signature =
            signature.filter_map(|(it, value)| Some((it.role.covers()?, value.clone()))).next();
        let (covers, mut secret) = signature.unwrap_or((Covers::Body, String::new()));
        if let Some(Flaw::Secret(source)) = flaw {
            secret = self.credential(source, "other secret", false).await?;
        }
        // A timestamp of the run's own is never given twice.
        let nonce = format!("conformance-{timestamp}");
        let body = sent.body.unwrap_or_default();
        let mut signature = match covers {
            Covers::Body => sign(&secret, &timestamp, body),
            Covers::Request => sent.signed_whole(flaw, &secret, (&timestamp, &nonce)),
        };
        if flaw == Some(&Flaw::UpperCase) {
            upper_hex(&mut signature);
        }
        let mut proved = Proved::default();
        let mut key = String::new();
        for (scheme, value) in group.iter().zip(values) {
            let value = match scheme.role {
                Role::Timestamp { .. } => &timestamp,
                Role::Nonce => &nonce,
                Role::Signature { .. } => &signature,
                Role::Credential => {
                    key.clone_from(value);
                    value
                }
            };
            let all = self.tweaked(scheme, value, &recipe.proof).await?;
            proved.headers.extend(all);
        }
        let is_resignable = matches!(
            recipe.proof,
            Proof::Right | Proof::Signed(Flaw::AlteredBody | Flaw::Skewed(_) | Flaw::Secret(_))
        );
        let is_altered = flaw == Some(&Flaw::AlteredBody);
        proved.body = is_altered.then(|| [body, b" "].concat());
        proved.signed = is_resignable.then(|| Signed {
            key,
            secret,
            skew_ms,
            headers: proved.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect(),
            other_body: is_altered.then(|| body.to_vec()),
            is_whole: covers == Covers::Request,
        });
        Ok(proved)
    }

    /// The headers of one scheme, with what the recipe does to them.
    async fn tweaked(
        &self,
        scheme: &Scheme,
        right: &str,
        proof: &Proof,
    ) -> Result<Vec<(String, String)>, Trouble> {
        let header = |value: &str| match &scheme.carrier {
            Carrier::Bearer => ("Authorization".to_owned(), format!("Bearer {value}")),
            Carrier::Header(name) => (name.clone(), value.to_owned()),
        };
        Ok(match proof {
            Proof::Without(name) if *name == scheme.name => vec![],
            Proof::Doubled(name) if *name == scheme.name => vec![header(right), header(right)],
            Proof::Other(name, other) if *name == scheme.name => match other {
                Other::Empty if scheme.carrier == Carrier::Bearer => {
                    vec![("Authorization".to_owned(), "Bearer".to_owned())]
                }
                Other::Empty => vec![header("")],
                Other::Scheme(kind) => {
                    vec![("Authorization".to_owned(), format!("{kind} {right}"))]
                }
                // Nearly the right one, and as secret.
                Other::OneOff => vec![header(&self.spoilt(&one_off(right), scheme, "one_off"))],
                Other::Short => {
                    let short = right.char_indices().next_back().map_or("", |(at, _)| &right[..at]);
                    vec![header(&self.spoilt(short, scheme, "short"))]
                }
                Other::Text(text) => vec![header(text)],
                Other::From(source) => {
                    vec![header(&self.carriable(source, &scheme.name, false).await?)]
                }
            },
            _ => vec![header(right)],
        })
    }

    /// A value with something changed, remembered as the secret that it nearly is.
    fn spoilt(&self, value: &str, scheme: &Scheme, how: &str) -> String {
        // A timestamp is no secret, and a signature proves one request alone.
        if scheme.role == Role::Credential {
            let name = format!("{}_{how}", scheme.name);
            let origin = format!("the {} with one character changed or left out", scheme.name);
            let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            secrets.add(value, &name, &origin);
        }
        value.to_owned()
    }
}

/// The milliseconds since 1970 in hex, of which no two are the same.
pub fn unique(text: &str) -> String {
    let own = format!("{:x}", clock::unique_ms());
    format!("{own}{}", text.get(own.len()..).unwrap_or_default())
}

/// Where a request goes, and the header parameters it has.
struct Target {
    path: String,
    headers: Vec<(String, String)>,
}

/// What is about to be sent, as far as a signature covers it.
struct Sent<'a> {
    method: &'a Method,
    url: &'a str,
    body: Option<&'a [u8]>,
}

impl Sent<'_> {
    fn signed_whole(
        &self,
        flaw: Option<&Flaw>,
        secret: &str,
        (timestamp, nonce): (&str, &str),
    ) -> String {
        let (_, behind) = self.url.split_once("://").unwrap_or(("", self.url));
        let mut target = behind[behind.find('/').unwrap_or(behind.len())..].to_owned();
        if flaw == Some(&Flaw::OtherTarget) {
            target.push(if target.contains('?') { '&' } else { '?' });
        }
        let other = if *self.method == Method::GET { Method::POST } else { Method::GET };
        let method = if flaw == Some(&Flaw::OtherMethod) { &other } else { self.method };
        let (method, body) = (method.as_str(), self.body.unwrap_or_default());
        sign_whole(secret, &Covered { method, target: &target, timestamp, nonce, body })
    }
}

/// The hex of a signature in upper case, behind the mark of its version.
pub(crate) fn upper_hex(signature: &mut str) {
    let mark = if signature.starts_with("v2=") { 3 } else { 0 };
    signature[mark..].make_ascii_uppercase();
}

/// The proof of a caller.
#[derive(Default)]
struct Proved {
    headers: Vec<(String, String)>,
    /// What is sent instead of what was signed.
    body: Option<Vec<u8>>,
    signed: Option<Signed>,
}

/// The first moment whose milliseconds have thirteen digits: 2001.
const LONG_AGO_MS: i64 = 1_000_000_000_000;

/// The same with one letter or digit changed to its neighbour. Not the last one: of that the
/// base64 of a token may ignore some bits.
fn one_off(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let upto = bytes.len().saturating_sub(4).max(1).min(bytes.len());
    if let Some(last) = bytes[..upto].iter_mut().rfind(|b| b.is_ascii_alphanumeric()) {
        *last = match *last {
            b'9' | b'f' | b'z' => *last - 1,
            b'Z' => b'Y',
            other => other + 1,
        };
    }
    String::from_utf8(bytes).unwrap_or_default()
}

fn is_value(form: Form) -> bool {
    matches!(form, Form::Compact | Form::Padded(_))
}

/// The bytes of a body.
fn formed(value: &Value, form: Form) -> Vec<u8> {
    let mut bytes = value.to_string().into_bytes();
    match form {
        Form::Compact => {}
        Form::Padded(most) => bytes.resize(most.max(bytes.len()), b' '),
        Form::Empty => bytes.clear(),
        Form::Truncated => {
            bytes.pop();
        }
        Form::Trailing => bytes.put_slice(b" {}"),
        Form::TrailingComma => {
            bytes.pop();
            bytes.put_slice(b",}");
        }
        Form::DoubledMember => bytes = doubled(value),
        Form::Marked => {
            bytes.splice(..0, *b"\xef\xbb\xbf");
        }
        Form::Nested(depth) => bytes = ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes(),
        Form::Many(values) => {
            let items = vec!["0"; values.saturating_sub(1)].join(",");
            bytes = format!("[{items}]").into_bytes();
        }
        Form::Nul => return in_first_string(&bytes, b"\\u0000"),
        Form::NotUtf8 => return in_first_string(&bytes, b"\xff"),
    }
    bytes
}

/// The first member once more at the end.
fn doubled(value: &Value) -> Vec<u8> {
    let first = value.as_object().and_then(|members| members.iter().next());
    let (name, inner) = first.map_or((String::from("a"), "0".to_owned()), |(name, inner)| {
        (name.clone(), inner.to_string())
    });
    let name = Value::from(name);
    let mut text = value.to_string();
    text.pop();
    if first.is_none() {
        return format!("{{{name}:{inner},{name}:{inner}}}").into_bytes();
    }
    format!("{text},{name}:{inner}}}").into_bytes()
}

/// Puts bytes behind the first quotation mark that opens a string value, or a member's name.
fn in_first_string(json: &[u8], what: &[u8]) -> Vec<u8> {
    let of_value = json.windows(2).position(|pair| pair == b":\"").map(|at| at + 2);
    let of_any = json.iter().position(|b| *b == b'"').map(|at| at + 1);
    let at = of_value.or(of_any).unwrap_or(json.len());
    [&json[..at], what, &json[at..]].concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vestibule_schema::json::read;

    use super::*;
    use crate::document::{Document, operations};
    use crate::world::Bounds;

    #[test]
    fn every_malformed_form_is_refused_by_a_strict_reader_and_the_others_are_not() {
        for value in [json!({ "a": "x", "b": [1] }), json!({})] {
            for form in [Form::Compact, Form::Padded(40)] {
                assert!(read(&formed(&value, form)).is_ok(), "{form:?}");
            }
            let forms = [
                Form::Empty,
                Form::Truncated,
                Form::Trailing,
                Form::TrailingComma,
                Form::DoubledMember,
                Form::Marked,
                Form::Nested(vestibule_schema::json::MAX_DEPTH + 1),
                Form::Many(vestibule_schema::json::MAX_VALUES + 1),
            ];
            for form in forms {
                assert!(read(&formed(&value, form)).is_err(), "{form:?} {value}");
            }
        }
        for form in [Form::Nul, Form::NotUtf8] {
            assert!(read(&formed(&json!({ "a": "x" }), form)).is_err(), "{form:?}");
        }
        assert_eq!(formed(&json!({}), Form::Padded(40)).len(), 40);
    }

    #[tokio::test]
    async fn path_with_a_variable_left_is_no_target() {
        let text = json!({ "openapi": "3.0.3", "paths": { "/pets/{id}": { "get": {
            "operationId": "petRead", "responses": {}, "parameters": [
                { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
            ] } } } });
        let document = Document::read("pets", &text.to_string()).unwrap();
        let operation = operations(&[document]).unwrap().remove(0);
        let bounds = Bounds { rate: 1, requests: 1, timeout: std::time::Duration::from_secs(1) };
        let base_url = "http://127.0.0.1:1";
        let (none, plain) = (crate::Credentials::default(), world::Plain::new());
        let world = World::new(base_url, none, plain, Default::default(), bounds).unwrap();
        let given = Recipe::default().given("id", Given::Text("{a}".into()));
        let built = world.build(&operation, &given).await.unwrap();
        assert_eq!(built.request.url, format!("{base_url}/pets/%7Ba%7D"));
        let Err(Trouble::Missing(why)) = world.build(&operation, &Recipe::default()).await else {
            panic!("it was built");
        };
        assert!(why.contains("{id}"), "{why}");
    }

    #[test]
    fn one_off_differs_in_one_character() {
        for text in ["abc9", "abcf1234", "a.b-", "Z", "zzzzzzzzzzzz"] {
            let other = one_off(text);
            let changed = text.chars().zip(other.chars()).filter(|(a, b)| a != b).count();
            assert_eq!((changed, other.len()), (1, text.len()), "{text}");
        }
    }
}
