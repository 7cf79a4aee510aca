//! Whether an answer is what the document says: of the operation, and of the case at hand.
//!
//! Pure: an answer and a document in, a verdict in words out.

use serde_json::Value;
use vestibule_schema::{Part, Violation};

use crate::credentials::text;
use crate::document::{Answer, Header, Operation, Rule};
use crate::place;
use crate::transport::Reply;
use crate::world::Built;

/// What a case expects of its answer.
#[derive(Clone, Debug)]
pub struct Expect {
    /// How the request ends.
    pub ending: Ending,
    /// Headers of the answer that matter here.
    pub headers: Vec<(&'static str, Is)>,
}

/// How a request ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It is accepted. A value that this deployment need not know, and a rule between members,
    /// may refuse it with a code of their own.
    Accepted,
    /// It is refused.
    Refused(Refusal),
    /// Any documented answer.
    Documented,
    /// There is no such method.
    NotRouted,
    /// A preflight is answered; nobody documents how.
    Preflight,
    /// Nobody documents whether this is answered: anything but a failure.
    Unasked,
}

/// A refusal.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// Its status is one of these; without any, every 4xx will do.
    pub statuses: Vec<u16>,
    /// Its code.
    pub code: Option<String>,
    /// A code that it must not have.
    pub not_code: Option<String>,
    /// A violation that it must name.
    pub violation: Option<Wanted>,
}

/// A violation that must be named.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The part of the request.
    pub part: Part,
    /// Where.
    pub pointer: String,
    /// Which keyword, where the case knows it.
    pub keyword: Option<String>,
    /// Its limit, where the document has one number.
    pub limit: Option<Value>,
    /// Whether it must be the only one.
    pub exact: bool,
}

/// What a header is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    /// Exactly this.
    Exactly(String),
    /// A list with this entry, in any case of letters.
    Listing(String),
    /// Not there.
    Absent,
    /// There, whatever it says.
    Present,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the document asks for.
    pub expectation: String,
    /// What came.
    pub observed: String,
}

impl Verdict {
    /// Both in words.
    pub fn new(expectation: impl Into<String>, observed: impl Into<String>) -> Self {
        Self { expectation: expectation.into(), observed: observed.into() }
    }
}

impl Expect {
    /// An answer with this ending.
    pub fn new(ending: Ending) -> Self {
        Self { ending, headers: vec![] }
    }

    /// The request is accepted.
    pub fn accepted() -> Self {
        Self::new(Ending::Accepted)
    }

    /// The request is refused with one of these statuses.
    pub fn refused(statuses: &[u16]) -> Self {
        let refusal = Refusal { statuses: statuses.to_vec(), ..Refusal::default() };
        Self::new(Ending::Refused(refusal))
    }

    /// The same, with a header that matters.
    #[must_use]
    pub fn header(mut self, name: &'static str, is: Is) -> Self {
        self.headers.push((name, is));
        self
    }

    /// Judges an answer.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn judge(
        &self,
        operation: &Operation,
        built: &Built,
        reply: &Reply,
    ) -> Result<(), Verdict> {
        if reply.status >= 500 {
            let observed = format!("{}{}", reply.status, told(reply));
            return Err(Verdict::new("any answer but a failure of the server", observed));
        }
        match &self.ending {
            Ending::NotRouted => not_routed(reply)?,
            Ending::Preflight => preflight(reply)?,
            Ending::Accepted => accepted(operation, built, reply)?,
            Ending::Refused(refusal) => refusal.judge(reply)?,
            Ending::Documented | Ending::Unasked => {}
        }
        if !matches!(self.ending, Ending::NotRouted | Ending::Preflight | Ending::Unasked) {
            conforms(operation, reply)?;
        }
        self.headers.iter().try_for_each(|(name, is)| is.judge(name, reply))
    }
}

/// Whether an answer is one that the operation documents, in all its parts.
///
/// # Errors
/// The first thing that is not documented.
pub fn conforms(operation: &Operation, reply: &Reply) -> Result<(), Verdict> {
    let Some(answer) = operation.answer(reply.status) else {
        let statuses: Vec<_> = operation.answers.keys().map(String::as_str).collect();
        let expectation = format!("a documented status ({})", statuses.join(", "));
        return Err(Verdict::new(expectation, format!("{}{}", reply.status, told(reply))));
    };
    let code = code(reply);
    if !answer.codes.is_empty() && !code.as_ref().is_some_and(|it| answer.codes.contains(it)) {
        let expectation = format!("{} with a code of {:?}", reply.status, answer.codes);
        return Err(Verdict::new(expectation, format!("{code:?}")));
    }
    if reply.status == 401 {
        Is::Present.judge("WWW-Authenticate", reply)?;
    }
    answer.headers.iter().try_for_each(|header| header_conforms(header, reply))?;
    no_stray_cors(answer, reply)?;
    body_conforms(answer, reply)
}

fn header_conforms(header: &Header, reply: &Reply) -> Result<(), Verdict> {
    let Header { name, required, schema } = header;
    let values: Vec<_> = reply.all(name).collect();
    let Some(value) = values.first() else {
        if *required {
            let expectation = format!("{} with the header {name}", reply.status);
            return Err(Verdict::new(expectation, "no such header"));
        }
        return Ok(());
    };
    if values.len() > 1 && values.iter().any(|other| other != value) {
        return Err(Verdict::new(format!("one {name}"), format!("{values:?}")));
    }
    let typed = match schema.kind() {
        Some("integer" | "number" | "boolean") => serde_json::from_str(value).ok(),
        _ => None,
    };
    let typed = typed.unwrap_or_else(|| Value::from(*value));
    let broken = schema.get().check(Part::Header, &typed);
    let Some(first) = broken.first() else { return Ok(()) };
    let expectation = format!("{name} as documented ({})", constraint(first));
    Err(Verdict::new(expectation, format!("{value:?}")))
}

/// A page may not read what the document does not open to it.
fn no_stray_cors(answer: &Answer, reply: &Reply) -> Result<(), Verdict> {
    let documented =
        |name: &str| answer.headers.iter().any(|it| it.name.eq_ignore_ascii_case(name));
    let stray = reply.headers.iter().find(|(name, _)| {
        name.to_ascii_lowercase().starts_with("access-control-") && !documented(name)
    });
    let Some((name, value)) = stray else { return Ok(()) };
    Err(Verdict::new("no CORS header that is not documented", format!("{name}: {value}")))
}

fn body_conforms(answer: &Answer, reply: &Reply) -> Result<(), Verdict> {
    if answer.content.is_empty() {
        if reply.body.is_empty() {
            return Ok(());
        }
        let expectation = format!("{} without a body", reply.status);
        return Err(Verdict::new(expectation, format!("{} bytes", reply.body.len())));
    }
    let sent = reply.header("content-type").unwrap_or_default();
    let essence =
        |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let found = answer.content.iter().find(|(name, _)| essence(name) == essence(sent));
    let Some((media_type, content)) = found else {
        let documented: Vec<_> = answer.content.keys().map(String::as_str).collect();
        let expectation = format!("a body of {}", documented.join(" or "));
        return Err(Verdict::new(expectation, format!("Content-Type {sent:?}")));
    };
    let Some(schema) = content.schema.as_ref().filter(|_| media_type.contains("json")) else {
        return Ok(());
    };
    let Some(body) = reply.json() else {
        return Err(Verdict::new("a JSON body", String::from_utf8_lossy(&reply.body)));
    };
    let broken = schema.get().check(Part::Body, &body);
    if broken.is_empty() {
        return Ok(());
    }
    let listed: Vec<_> = broken.iter().take(4).map(constraint).collect();
    let expectation = format!("the documented body of {}", reply.status);
    Err(Verdict::new(expectation, format!("a body that breaks {}", listed.join(", "))))
}

fn accepted(operation: &Operation, built: &Built, reply: &Reply) -> Result<(), Verdict> {
    if (200..300).contains(&reply.status) || is_excused(operation, built, reply) {
        return Ok(());
    }
    let expectation = match built.is_unknown {
        true => "acceptance, or a refusal of a value that only the deployment knows",
        false => "acceptance (2xx)",
    };
    Err(Verdict::new(expectation, format!("{}{}", reply.status, told(reply))))
}

/// Statuses that say something of the caller, the method, the form or the time of a request, and
/// nothing of a value in it.
const NEVER_OF_VALUES: [u16; 7] = [401, 403, 405, 408, 413, 415, 429];

/// Whether a refusal of a valid request is one that the document announces.
pub(crate) fn is_excused(operation: &Operation, built: &Built, reply: &Reply) -> bool {
    if !(400..500).contains(&reply.status) {
        return false;
    }
    let code = code(reply);
    let is_validation = |code: &String| {
        let refusals = [&operation.body_refused, &operation.parameters_refused];
        refusals.into_iter().flatten().any(|it| it.code == *code)
    };
    let known = operation.body.iter().flat_map(|body| &body.known);
    let mut announced = known.flat_map(|it| [&it.foreign, &it.unknown]).flatten();
    let is_announced = code.as_ref().is_some_and(|code| announced.any(|it| it == code));
    let is_of_values = is_announced || !NEVER_OF_VALUES.contains(&reply.status);
    if built.is_unknown && is_of_values && !code.as_ref().is_some_and(is_validation) {
        return true;
    }
    let rules = operation.body.iter().flat_map(|body| &body.rules);
    let has = |name: &String| built.value.as_ref().is_some_and(|it| it.get(name).is_some());
    let by_code = rules.clone().any(|rule| match rule {
        Rule::Code { code: wanted, when } => code.as_ref() == Some(wanted) && when.iter().all(has),
        Rule::Violation { .. } => false,
    });
    let listed = violations(reply);
    let is_rule = |violation: &Violation| {
        rules.clone().any(|rule| match rule {
            Rule::Violation { pointer, keyword } => {
                // The validator tells what its keyword allows; a rule has nothing to tell.
                place::matches(pointer, &violation.pointer)
                    && *keyword == violation.keyword
                    && violation.limit.is_none()
            }
            Rule::Code { .. } => false,
        })
    };
    by_code || (!listed.is_empty() && listed.iter().all(is_rule))
}

impl Refusal {
    fn judge(&self, reply: &Reply) -> Result<(), Verdict> {
        let observed = || format!("{}{}", reply.status, told(reply));
        let is_asked = match self.statuses.is_empty() {
            true => (400..500).contains(&reply.status),
            false => self.statuses.contains(&reply.status),
        };
        let statuses: Vec<_> = self.statuses.iter().map(ToString::to_string).collect();
        let asked = match self.statuses.is_empty() {
            true => "a refusal (4xx)".to_owned(),
            false => format!("a refusal with {}", statuses.join(" or ")),
        };
        if !is_asked {
            return Err(Verdict::new(asked, observed()));
        }
        let code = code(reply);
        if let Some(wanted) = self.code.as_ref().filter(|wanted| Some(*wanted) != code.as_ref()) {
            return Err(Verdict::new(format!("{asked} and the code {wanted}"), observed()));
        }
        if let Some(wrong) = self.not_code.as_ref().filter(|wrong| Some(*wrong) == code.as_ref()) {
            return Err(Verdict::new(format!("{asked} and another code than {wrong}"), observed()));
        }
        self.violation.as_ref().map_or(Ok(()), |wanted| wanted.judge(reply))
    }
}

impl Wanted {
    fn judge(&self, reply: &Reply) -> Result<(), Verdict> {
        let Self { part, pointer, keyword, limit, exact } = self;
        let listed = violations(reply);
        let is_it = |it: &&Violation| {
            it.part == *part
                && it.pointer == *pointer
                && keyword.as_ref().is_none_or(|wanted| *wanted == it.keyword)
        };
        let place = format!("{part:?}").to_lowercase();
        let what = keyword.clone().unwrap_or("a violation".into());
        let shown: Vec<_> = listed.iter().take(4).map(constraint).collect();
        let Some(found) = listed.iter().find(is_it) else {
            let expectation = format!("{what} at {pointer:?} of the {place} among the violations");
            return Err(Verdict::new(expectation, format!("{shown:?}")));
        };
        if *exact && listed.len() > 1 {
            let expectation = format!("{what} at {pointer:?} as the only violation");
            return Err(Verdict::new(expectation, format!("{shown:?}")));
        }
        if limit.is_some() && *limit != found.limit {
            let expectation = format!("{what} at {pointer:?} with its limit {limit:?}");
            return Err(Verdict::new(expectation, format!("{:?}", found.limit)));
        }
        Ok(())
    }
}

impl Is {
    fn judge(&self, name: &str, reply: &Reply) -> Result<(), Verdict> {
        let values: Vec<_> = reply.all(name).collect();
        let listed = |wanted: &str| {
            let entries = values.iter().flat_map(|value| value.split(','));
            entries.map(str::trim).any(|entry| entry.eq_ignore_ascii_case(wanted))
        };
        let (fine, asked) = match self {
            Self::Exactly(wanted) => (values == [wanted.as_str()], format!("{name}: {wanted}")),
            Self::Listing(wanted) => (listed(wanted), format!("{name} with {wanted}")),
            Self::Absent => (values.is_empty(), format!("no {name}")),
            Self::Present => (!values.is_empty(), name.to_owned()),
        };
        if fine {
            return Ok(());
        }
        Err(Verdict::new(asked, format!("{} with {name} {values:?}", reply.status)))
    }
}

fn not_routed(reply: &Reply) -> Result<(), Verdict> {
    if matches!(reply.status, 404 | 405) {
        return Ok(());
    }
    let observed = format!("{}{}", reply.status, told(reply));
    Err(Verdict::new("404 or 405, since nobody documents this method", observed))
}

fn preflight(reply: &Reply) -> Result<(), Verdict> {
    if (200..300).contains(&reply.status) {
        return Ok(());
    }
    Err(Verdict::new("an answer to the preflight (2xx)", format!("{}", reply.status)))
}

/// The stable code of a refusal.
pub fn code(reply: &Reply) -> Option<String> {
    reply.json()?["error"].as_str().map(str::to_owned)
}

fn violations(reply: &Reply) -> Vec<Violation> {
    let body = reply.json().unwrap_or_default();
    serde_json::from_value(body["details"]["violations"].clone()).unwrap_or_default()
}

/// Code and violations of an answer, for people.
fn told(reply: &Reply) -> String {
    let code = code(reply).map(|code| format!(" {code}")).unwrap_or_default();
    let listed: Vec<_> = violations(reply).iter().take(4).map(constraint).collect();
    if listed.is_empty() { code } else { format!("{code} ({})", listed.join(", ")) }
}

fn constraint(it: &Violation) -> String {
    let limit = it.limit.as_ref().map(|limit| format!(" {}", text(limit))).unwrap_or_default();
    let actual = it.actual.as_ref().map(|actual| format!(": {actual}")).unwrap_or_default();
    format!("{}{limit} at {:?}{actual}", it.keyword, it.pointer)
}

#[cfg(test)]
mod tests;
