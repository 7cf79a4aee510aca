//! Goes through a door without opening it: one function per surface, each the door's own steps up
//! to the write, and what came of them as the document shows it.

use serde::de::DeserializeOwned;
use vestibule_api::chat_sessions::ChatSessionCreate;
use vestibule_api::embed_sessions::EmbedSessionCreate;
use vestibule_api::iframe_sessions::IframeSessionCreate;
use vestibule_api::{codes, models, schemas};
use vestibule_runtime::{
    Code, MAX_VIOLATIONS, Operation, Part, Refusal, Schema, Standing, Violation, read_body,
};

use super::embed_sessions;
use crate::context::Context;
use crate::domain::chat_session;
use crate::domain::explanation::{self, Rule};
use crate::domain::key::{Key, KeyKind, KeyState};
use crate::domain::origin::Origin;
use crate::error::{Error, Exceeded, Result};

/// What a door would say.
pub(super) struct Explained {
    kind: Option<KeyKind>,
    stop: Option<Stop>,
    /// Rules that need a body, and there was none.
    is_bodiless: bool,
    framing: Option<models::RuleFinding>,
}

/// The rule that refuses, and what the caller would be told.
struct Stop {
    rule: Rule,
    code: Code,
    finding: String,
    violations: Vec<Violation>,
}

/// Why a door was not gone through to its end.
enum Halt {
    /// A rule refuses.
    Refused(Box<Stop>),
    /// Something does not work, whatever the request.
    Failed(Error),
}

impl Explained {
    /// A key that is nobody's, or another tenant's.
    pub(super) fn unknown_key() -> Self {
        let stop = Stop {
            rule: Rule::Key,
            code: codes::KEY_NOT_FOUND,
            finding: "The tenant has no such key.".to_owned(),
            violations: Vec::new(),
        };
        Self { kind: None, stop: Some(stop), is_bodiless: false, framing: None }
    }

    /// The answer of the document.
    pub(super) fn shown(self) -> models::SessionExplanation {
        let Self { kind, stop, is_bodiless, framing } = self;
        let order = kind.map_or(&[Rule::Key][..], explanation::rules);
        let at = stop.as_ref().and_then(|it| order.iter().position(|rule| *rule == it.rule));
        let decided_by = stop.as_ref().map(|it| shown_rule(it.rule));
        let mut rules: Vec<_> = order
            .iter()
            .enumerate()
            .map(|(index, rule)| match &stop {
                Some(stop) if Some(index) == at => stop.shown(),
                Some(_) if at.is_none_or(|at| index > at) => {
                    skipped(*rule, "A rule before it decides.")
                }
                None if is_bodiless && needs_body(*rule) => {
                    skipped(*rule, "Give the body as `request` to have it looked at.")
                }
                Some(_) | None => passed(*rule),
            })
            .collect();
        rules.extend(framing);
        models::SessionExplanation {
            surface: kind.map(|kind| match kind {
                KeyKind::Embed => models::Surface::Embed,
                KeyKind::Chat => models::Surface::Chat,
                KeyKind::Iframe => models::Surface::Iframe,
            }),
            decision: match decided_by {
                Some(_) => models::SessionExplanationDecision::Refused,
                None => models::SessionExplanationDecision::Granted,
            },
            decided_by,
            rules,
        }
    }
}

impl Context {
    /// What the door of the key's surface would say to a body that came from a page of `origin`.
    ///
    /// # Errors
    /// What would be a failure at the door too.
    pub(super) async fn explain(
        &self,
        key: &Key,
        origin: Option<&str>,
        body: Option<&str>,
    ) -> Result<Explained> {
        let gone = match key.kind() {
            KeyKind::Embed => self.through_embed(key, body).await,
            KeyKind::Chat => self.through_chat(key, origin, body).await,
            KeyKind::Iframe => self.through_iframe(key, body).await,
        };
        let stop = match gone {
            Ok(()) => None,
            Err(Halt::Refused(stop)) => Some(*stop),
            Err(Halt::Failed(error)) => return Err(error),
        };
        let framing = match key.kind() {
            KeyKind::Chat => None,
            KeyKind::Embed | KeyKind::Iframe => origin.map(|origin| framing(key, origin)),
        };
        Ok(Explained { kind: Some(key.kind()), stop, is_bodiless: body.is_none(), framing })
    }

    async fn through_embed(&self, key: &Key, body: Option<&str>) -> Result<(), Halt> {
        let refused = code_of_bodies::<EmbedSessionCreate>();
        require_active(key, codes::INVALID_SIGNATURE)?;
        let Some(body) = body else { return self.require_room(key, refused).await };
        let body = read(body, schemas::embed::create_embed_session(), refused)?;
        let drawn = self.draw_embed(key, 0, embed_sessions::asked(body)).await;
        drawn.map_err(|error| halt(error, refused))?;
        self.require_room(key, refused).await
    }

    async fn through_chat(
        &self,
        key: &Key,
        origin: Option<&str>,
        body: Option<&str>,
    ) -> Result<(), Halt> {
        let refused = code_of_bodies::<ChatSessionCreate>();
        let schema = schemas::chat::create_chat_session();
        let body = body.map(|text| read::<models::CreateChatSession>(text, schema, refused));
        let body = body.transpose()?;
        let now = self.clock.now_ms();
        let is_named =
            |body: &models::CreateChatSession| key.generation_of(&body.public_key, now).is_some();
        if body.as_ref().is_some_and(|body| !is_named(body)) {
            return Err(Halt::Refused(Box::new(Stop {
                rule: Rule::Key,
                code: codes::WIDGET_DISABLED,
                finding: "The body names another publicKey than the key in question.".to_owned(),
                violations: Vec::new(),
            })));
        }
        require_active(key, codes::WIDGET_DISABLED)?;
        let admitted = chat_session::admit(Some(key), origin);
        let admitted = admitted.map_err(|error| halt(error, refused))?;
        let Some(body) = body else { return self.require_room(key, refused).await };
        let (id, token) = (body.customer_id.as_ref(), body.customer_token.as_ref());
        let (id, token) = (id.map(|it| it.as_str()), token.map(|it| it.as_str()));
        let customer = self.customer(&admitted, id, token).await;
        customer.map_err(|error| halt(error, refused))?;
        self.require_room(key, refused).await
    }

    async fn through_iframe(&self, key: &Key, body: Option<&str>) -> Result<(), Halt> {
        let refused = code_of_bodies::<IframeSessionCreate>();
        require_active(key, codes::INVALID_API_KEY)?;
        let Some(body) = body else { return self.require_room(key, refused).await };
        let body = read(body, schemas::iframe::create_iframe_session(), refused)?;
        let asked = self.asked(&key.tenant, body).await.map_err(|error| halt(error, refused))?;
        let drawn = self.draw_iframe(key, 0, asked).await;
        drawn.map_err(|error| halt(error, refused))?;
        self.require_room(key, refused).await
    }

    /// Looks at what the key has opened and sent, and counts nothing.
    async fn require_room(&self, key: &Key, refused: Code) -> Result<(), Halt> {
        let (now, ceilings) = (self.clock.now_ms(), key.ceilings);
        let mut standings = self.store.standings(key, now).await.map_err(Halt::Failed)?;
        let room = standings.admit(ceilings, now);
        // Limits at the edge go by the service's own time, whatever clock a request has moved.
        let own = self.clock.own_now_ms();
        let passes =
            room.and_then(|()| self.edge.look_at_key(&key.id, ceilings.requests_per_minute, own));
        passes.map_err(|error| halt(error, refused))
    }
}

/// What the operation answers a body with that breaks a constraint.
fn code_of_bodies<O: Operation>() -> Code {
    let body = O::INFO.body.as_ref().map(|body| body.refused);
    body.unwrap_or(O::INFO.parameters_refused)
}

/// The body as the door reads it.
fn read<T: DeserializeOwned>(
    text: &str,
    schema: &'static Schema,
    refused: Code,
) -> Result<T, Halt> {
    let broken = |code, finding: String, violations| {
        Halt::Refused(Box::new(Stop { rule: Rule::Request, code, finding, violations }))
    };
    let (value, violations) = read_body(text.as_bytes(), schema)
        .map_err(|bad| broken(codes::INVALID_JSON, format!("The body: {bad}."), Vec::new()))?;
    if !violations.is_empty() {
        return Err(broken(refused, "The body breaks constraints.".to_owned(), violations));
    }
    serde_json::from_value(value).map_err(|bad| {
        Halt::Failed(Error::Internal(format!("a model refuses what its schema accepts: {bad}")))
    })
}

/// A door tells a key that does not work as one that it does not know.
fn require_active(key: &Key, code: Code) -> Result<(), Halt> {
    if key.state == KeyState::Active {
        return Ok(());
    }
    let finding = format!("The key is {}.", key.state.name());
    let stop = Stop { rule: Rule::KeyState, code, finding, violations: Vec::new() };
    Err(Halt::Refused(Box::new(stop)))
}

fn halt(error: Error, refused: Code) -> Halt {
    let Some(rule) = explanation::rule_of(&error) else { return Halt::Failed(error) };
    let finding = finding(&error);
    let stop = match error {
        Error::Rules(violations) => Stop { rule, code: refused, finding, violations },
        other => {
            let code = Refusal::from(other).code().unwrap_or(refused);
            Stop { rule, code, finding, violations: Vec::new() }
        }
    };
    Halt::Refused(Box::new(stop))
}

/// The error as a sentence, with what it is about.
fn finding(error: &Error) -> String {
    let about = match error {
        Error::InsufficientScope { scope, missing } => {
            format!(": {scope} does not grant {}", missing.join(", "))
        }
        Error::UnknownSource { unknown } => format!(": {}", unknown.join(", ")),
        Error::OriginNotAllowed { origin: Some(origin) } => format!(": {origin}"),
        Error::OriginNotAllowed { origin: None } => ": there is none".to_owned(),
        Error::LimitExceeded { exceeded, .. } => {
            let told: Vec<_> = exceeded.iter().map(used_up).collect();
            format!(": {}", told.join(", "))
        }
        Error::RateLimited { standing, retry_after_s } => {
            let Standing { policy, quota, .. } = standing;
            format!(": {policy} has used up {quota} requests, the next in {retry_after_s} s")
        }
        _ => String::new(),
    };
    let mut sentence = format!("{error}{about}.");
    sentence[..1].make_ascii_uppercase();
    sentence.chars().take(MOST_CHARACTERS).collect()
}

fn used_up(Exceeded { standing, used, .. }: &Exceeded) -> String {
    let Standing { policy, quota, whole_in_s, .. } = standing;
    format!("{policy} has used {used} of {quota}, room again in at most {whole_in_s} s")
}

/// What the document takes for a finding.
const MOST_CHARACTERS: usize = 1024;

/// Whether the page may show the iframe; decides nothing at the opening.
fn framing(key: &Key, origin: &str) -> models::RuleFinding {
    let may = Origin::parse(origin).is_some_and(|it| it.is_allowed_by(&key.allowed_origins));
    let (verdict, finding, remedy) = match may {
        true => (models::RuleFindingVerdict::Passed, "The page may show the iframe.", None),
        false => (
            models::RuleFindingVerdict::Failed,
            "The session would be opened, but browsers would not show its iframe on this page.",
            Some("Add the origin to the key's allowed origins.".to_owned()),
        ),
    };
    models::RuleFinding {
        rule: models::SessionRule::Framing,
        verdict,
        finding: finding.to_owned(),
        code: None,
        remedy,
        violations: Vec::new(),
    }
}

impl Stop {
    fn shown(&self) -> models::RuleFinding {
        models::RuleFinding {
            rule: shown_rule(self.rule),
            verdict: models::RuleFindingVerdict::Failed,
            finding: self.finding.clone(),
            code: Some(self.code.name.to_owned()),
            remedy: Some(explanation::remedy(self.rule).to_owned()),
            violations: self.violations.iter().take(MAX_VIOLATIONS).map(shown_violation).collect(),
        }
    }
}

fn passed(rule: Rule) -> models::RuleFinding {
    looked_at(rule, models::RuleFindingVerdict::Passed, explanation::kept(rule))
}

fn skipped(rule: Rule, why: &str) -> models::RuleFinding {
    looked_at(rule, models::RuleFindingVerdict::Skipped, why)
}

fn looked_at(
    rule: Rule,
    verdict: models::RuleFindingVerdict,
    finding: &str,
) -> models::RuleFinding {
    models::RuleFinding {
        rule: shown_rule(rule),
        verdict,
        finding: finding.to_owned(),
        code: None,
        remedy: None,
        violations: Vec::new(),
    }
}

fn shown_violation(violation: &Violation) -> models::Violation {
    let Violation { part, pointer, keyword, limit, actual } = violation.clone();
    models::Violation {
        in_: match part {
            Part::Path => models::ViolationPart::Path,
            Part::Query => models::ViolationPart::Query,
            Part::Header => models::ViolationPart::Header,
            Part::Body => models::ViolationPart::Body,
        },
        pointer,
        keyword,
        limit,
        actual,
    }
}

fn needs_body(rule: Rule) -> bool {
    match rule {
        Rule::Request
        | Rule::Scope
        | Rule::Customer
        | Rule::Directory
        | Rule::Sources
        | Rule::Theme => true,
        Rule::Key | Rule::KeyState | Rule::Origin | Rule::Ceilings => false,
    }
}

fn shown_rule(rule: Rule) -> models::SessionRule {
    match rule {
        Rule::Key => models::SessionRule::Key,
        Rule::KeyState => models::SessionRule::KeyState,
        Rule::Origin => models::SessionRule::Origin,
        Rule::Request => models::SessionRule::Request,
        Rule::Scope => models::SessionRule::Scope,
        Rule::Customer => models::SessionRule::Customer,
        Rule::Directory => models::SessionRule::Directory,
        Rule::Sources => models::SessionRule::Sources,
        Rule::Theme => models::SessionRule::Theme,
        Rule::Ceilings => models::SessionRule::Ceilings,
    }
}
