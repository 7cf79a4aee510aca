//! Carries a plan out: a bounded number of cases at once, each judged, a failing one made simpler
//! and told so that it can be sent again.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use serde_json::Value;

use crate::build::{unique, upper_hex};
use crate::clock;
use crate::document::{Operation, Parameter};
use crate::expected::Expected;
use crate::judge::{self, Ending, Expect, Refusal, Verdict};
use crate::outcome::{Case, Failure, Outcome, Response, Run};
use crate::plan::{Act, Plan, Planned};
use crate::recipe::{Flaw, Given, Proof, Recipe};
use crate::request::{Request, curl};
use crate::subject::{Drawn, Shot};
use crate::transport::Reply;
use crate::world::{Bounds, Built, Exchange, Trouble, World};

/// Name and version of this program.
pub const TOOL: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// Requests that may be sent to make one failing case simpler.
const SHRINKS: usize = 24;
/// An answer that took longer says nothing about the edge of a window.
const PROMPT: Duration = Duration::from_millis(250);
/// How often the edge of a window is tried for a prompt answer.
const TURNS: usize = 8;
/// How often the run looks whether it waits.
const GLANCE: Duration = Duration::from_millis(200);
/// Bytes of an answer's body that a report keeps.
const KEPT: usize = 16 * 1024;

/// What bounds a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests in a second at most.
    pub rate: u32,
    /// Requests at most.
    pub max_requests: u64,
    /// Cases at once.
    pub at_once: usize,
    /// How long one answer may take.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rate: 200, max_requests: 50_000, at_once: 8, timeout: Duration::from_secs(30) }
    }
}

/// Who watches a run.
pub trait Watch: Sync {
    /// A case ended.
    fn ended(&self, case: &Case);
    /// The deployment asked to wait; `None` when the run goes on.
    fn waits(&self, why: Option<&str>);
}

/// Nobody.
impl Watch for () {
    fn ended(&self, _: &Case) {}
    fn waits(&self, _: Option<&str>) {}
}

/// Carries out a plan against a deployment.
///
/// # Errors
/// One line, when the deployment does not answer at all.
pub async fn run(
    plan: Plan,
    base_url: &str,
    limits: &Limits,
    expected: &Expected,
    watch: &dyn Watch,
) -> Result<Run, String> {
    let bounds =
        Bounds { rate: limits.rate, requests: limits.max_requests, timeout: limits.timeout };
    let world = World::new(base_url, plan.credentials, plan.plain, plan.revealed, bounds)?;
    world.reach().await?;
    let (started, began) = (clock::rfc3339(clock::now_ms()), Instant::now());
    let trials = stream::iter(plan.cases.iter().enumerate()).map(|(place, planned)| {
        let world = &world;
        async move {
            let outcome = act(world, planned).await;
            let case = Case {
                operation: planned.operation.id.clone(),
                check: planned.check,
                name: planned.name.clone(),
                expected: expected.names(&planned.name),
                outcome,
            };
            watch.ended(&case);
            (place, case)
        }
    });
    let trials = trials.buffer_unordered(limits.at_once.max(1)).collect::<Vec<_>>();
    let mut cases = tokio::select! {
        cases = trials => cases,
        () = tell_waits(&world, watch) => unreachable!("waits are told for ever"),
    };
    // In the order of the plan, so that two reports can be compared line by line.
    cases.sort_by_key(|(place, _)| *place);
    Ok(Run {
        tool: TOOL.to_owned(),
        base_url: world.base_url.clone(),
        documents: plan.documents,
        seed: plan.seed,
        started,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        requests: world.requests(),
        untried: world.untried.load(Ordering::Relaxed),
        refused_credentials: world.tried.refused(),
        operations: plan.operations,
        cases: cases.into_iter().map(|(_, case)| case).collect(),
    })
}

/// Tells when the deployment asks to wait, and when it goes on.
async fn tell_waits(world: &World, watch: &dyn Watch) {
    let mut told = None;
    loop {
        tokio::time::sleep(GLANCE).await;
        let now = world.waiting();
        if now != told {
            watch.waits(now.as_deref());
            told = now;
        }
    }
}

async fn act(world: &World, planned: &Planned) -> Outcome {
    let operation = &planned.operation;
    match &planned.act {
        Act::Skip(reason) => Outcome::Skipped { reason: reason.clone() },
        Act::Once(shot) => told(world, operation, try_shot(world, operation, shot).await),
        Act::Replay { shot, respelt } => {
            told(world, operation, replay(world, operation, shot, respelt.as_deref()).await)
        }
        Act::Repeat { key, first, other } => {
            let repeated = repeat(world, operation, key, first, other.as_deref());
            told(world, operation, world.together(repeated).await)
        }
        Act::Drawn(drawn) => {
            let shot = drawn.shot();
            let tried = try_shot(world, operation, &shot).await;
            let Err(End::Wrong(first)) = tried else { return told(world, operation, tried) };
            let simplest = simpler(world, operation, drawn, shot, first).await;
            told(world, operation, Err(End::Wrong(simplest)))
        }
    }
}

/// Why a case did not pass.
enum End {
    Missing(String),
    Spent(u64),
    Wrong(Box<Wrong>),
}

/// A request, its answer, and what is wrong with that.
struct Wrong {
    verdict: Verdict,
    request: Option<Request>,
    reply: Option<Reply>,
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Missing(reason) => Self::Missing(reason),
            Trouble::Spent(most) => Self::Spent(most),
            Trouble::NoReply(why) => {
                let verdict = Verdict::new("an answer", format!("none: {why}"));
                Self::Wrong(Box::new(Wrong { verdict, request: None, reply: None }))
            }
        }
    }
}

async fn try_shot(world: &World, operation: &Operation, shot: &Shot) -> Result<(), End> {
    let Shot { recipe, expect } = shot;
    let is_timed = matches!(recipe.proof, Proof::Signed(Flaw::Skewed(_)));
    let mut turn = 0;
    loop {
        let exchange = exchange(world, operation, recipe).await?;
        if recipe.proof == Proof::Right && matches!(expect.ending, Ending::Accepted) {
            world.tried.learn((operation, recipe.way), &world.credentials, &exchange.reply);
        }
        turn += 1;
        if is_timed && exchange.reply.took > PROMPT && turn < TURNS {
            continue;
        }
        return judged(world, operation, expect, exchange);
    }
}

/// Sends the request of a recipe; a request that gets no answer is part of what is wrong.
async fn exchange(world: &World, operation: &Operation, recipe: &Recipe) -> Result<Exchange, End> {
    match world.attempt(operation, recipe).await {
        Err(Trouble::NoReply(why)) => {
            let request = world.build(operation, recipe).await?.request;
            let verdict = Verdict::new("an answer", format!("none: {why}"));
            let wrong = Wrong { verdict, request: Some(request), reply: None };
            Err(End::Wrong(Box::new(wrong)))
        }
        other => Ok(other?),
    }
}

fn judged(
    world: &World,
    operation: &Operation,
    expect: &Expect,
    exchange: Exchange,
) -> Result<(), End> {
    let Exchange { built, reply } = exchange;
    operation.judgeable(reply.status).map_err(End::Missing)?;
    let verdict = expect.judge(operation, &built, &reply).and_then(|()| no_echo(world, &reply));
    verdict.map_err(|verdict| {
        let (request, reply) = (Some(built.request), Some(reply));
        End::Wrong(Box::new(Wrong { verdict, request, reply }))
    })
}

/// A refusal never repeats a secret that was sent.
fn no_echo(world: &World, reply: &Reply) -> Result<(), Verdict> {
    let body = String::from_utf8_lossy(&reply.body);
    let secrets = world.secrets.lock().unwrap_or_else(PoisonError::into_inner);
    if reply.status < 400 || !secrets.are_in(&body) {
        return Ok(());
    }
    Err(Verdict::new("a refusal that repeats no secret", secrets.masked(&body)))
}

/// The same request twice: the second time it is refused and gives nothing.
async fn replay(
    world: &World,
    operation: &Operation,
    shot: &Shot,
    respelt: Option<&str>,
) -> Result<(), End> {
    let first = exchange(world, operation, &shot.recipe).await?;
    let mut request = first.built.request.clone();
    let again = Built { request: request.clone(), value: None, is_unknown: false };
    judged(world, operation, &Expect::accepted(), first)?;
    for (name, value) in &mut request.headers {
        if respelt.is_some_and(|it| it.eq_ignore_ascii_case(name)) {
            upper_hex(value);
        }
    }
    let reply = world.send(&request).await?;
    let built = Built { request, ..again };
    judged(world, operation, &shot.expect, Exchange { built, reply })
}

/// The same request twice under one key, then another body under it. Each is proved anew.
async fn repeat(
    world: &World,
    operation: &Operation,
    key: &Parameter,
    first: &Recipe,
    other: Option<&Recipe>,
) -> Result<(), End> {
    let Some(idempotency) = &key.idempotency else { return Ok(()) };
    let fresh = Given::Text(unique("____________________________________"));
    let under_it = |recipe: &Recipe| recipe.clone().given(&key.name, fresh.clone());
    let once = exchange(world, operation, &under_it(first)).await?;
    let answer = once.reply.clone();
    judged(world, operation, &Expect::accepted(), once)?;
    if !(200..300).contains(&answer.status) {
        let why = format!("a plain request is answered {}, which is not kept", answer.status);
        return Err(End::Missing(why));
    }
    let again = exchange(world, operation, &under_it(first)).await?;
    let is_told = again.reply.header(&idempotency.replayed).is_some();
    let is_same = (again.reply.status, &again.reply.body) == (answer.status, &answer.body);
    let verdict = match (answer.header(&idempotency.replayed), is_told, is_same) {
        (Some(_), ..) => Some(("a first answer", "one that says it was given before")),
        (None, true, true) => None,
        (None, true, false) => Some(("the bytes of the first answer", "other bytes")),
        (None, false, _) => Some(("the first answer, told as such", "an answer of its own")),
    };
    if let Some((wanted, observed)) = verdict {
        let expectation = format!("{wanted} ({})", idempotency.replayed);
        let verdict = Verdict::new(expectation, format!("{} with {observed}", again.reply.status));
        let (request, reply) = (Some(again.built.request), Some(again.reply));
        return Err(End::Wrong(Box::new(Wrong { verdict, request, reply })));
    }
    judged(world, operation, &Expect::accepted(), again)?;
    let Some(other) = other else { return Ok(()) };
    let expect = Expect::new(Ending::Refused(Refusal {
        code: Some(idempotency.reused.clone()),
        ..Refusal::default()
    }));
    let changed = exchange(world, operation, &under_it(other)).await?;
    // A rule may refuse the other body before anybody looks at its key, as it may any plain one.
    let is_excused = judge::is_excused(operation, &changed.built, &changed.reply);
    let expect = if is_excused { Expect::accepted() } else { expect };
    judged(world, operation, &expect, changed)
}

/// The simplest form of a drawn request that is still wrong.
async fn simpler(
    world: &World,
    operation: &Operation,
    drawn: &Drawn,
    first: Shot,
    wrong: Box<Wrong>,
) -> Box<Wrong> {
    let (mut best, mut found, mut left) = (first, wrong, SHRINKS);
    for shot in drawn.shots() {
        left -= 1;
        if let Err(End::Wrong(wrong)) = try_shot(world, operation, &shot).await {
            (best, found) = (shot, wrong);
            break;
        }
    }
    while left > 0 {
        let mut is_smaller = false;
        for shot in lesser(drawn, &best) {
            if left == 0 {
                break;
            }
            left -= 1;
            if let Err(End::Wrong(wrong)) = try_shot(world, operation, &shot).await {
                (best, found, is_smaller) = (shot, wrong, true);
                break;
            }
        }
        if !is_smaller {
            break;
        }
    }
    found
}

/// The same request with one member or parameter less, where that is still what was drawn.
fn lesser(drawn: &Drawn, shot: &Shot) -> Vec<Shot> {
    let mut all = Vec::new();
    for name in shot.recipe.given.keys().filter(|name| !drawn.needs(name)) {
        let mut recipe = shot.recipe.clone();
        recipe.given.remove(name);
        if recipe.content.is_none() {
            all.push(Shot { recipe, expect: shot.expect.clone() });
        }
    }
    let Some(content) = &shot.recipe.content else { return all };
    let members = content.value.as_object().into_iter().flatten();
    for (name, _) in members {
        let mut less = content.value.clone();
        if let Value::Object(members) = &mut less {
            members.remove(name);
        }
        if drawn.is_still(shot, &less) {
            let mut shot = shot.clone();
            if let Some(content) = &mut shot.recipe.content {
                content.value = less;
            }
            all.push(shot);
        }
    }
    all
}

fn told(world: &World, operation: &Operation, tried: Result<(), End>) -> Outcome {
    let wrong = match tried {
        Ok(()) => return Outcome::Passed,
        Err(End::Missing(reason)) => return Outcome::Skipped { reason },
        Err(End::Spent(most)) => {
            world.untried.fetch_add(1, Ordering::Relaxed);
            return Outcome::Skipped { reason: format!("the bound of {most} requests is reached") };
        }
        Err(End::Wrong(wrong)) => wrong,
    };
    if let Some(body) = wrong.reply.as_ref().and_then(Reply::json) {
        world.hide(&operation.id, &body);
    }
    let secrets = world.secrets.lock().unwrap_or_else(PoisonError::into_inner);
    let masked = |text: &str| secrets.masked(text);
    let body = wrong.request.as_ref().and_then(|it| it.body.as_ref());
    let nothing = || format!("# {} {}{}", operation.method, world.base_url, operation.path);
    Outcome::Failed(Box::new(Failure {
        expectation: masked(&wrong.verdict.expectation),
        observed: masked(&wrong.verdict.observed),
        curl: wrong.request.as_ref().map_or_else(nothing, |it| curl(it, &secrets)),
        body: body.map(|body| masked(&String::from_utf8_lossy(body))),
        response: wrong.reply.map(|reply| Response {
            status: reply.status,
            headers: reply.headers.into_iter().map(|(n, v)| (n, masked(&v))).collect(),
            body: cut(&masked(&String::from_utf8_lossy(&reply.body))),
        }),
    }))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(KEPT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::document::{Document, operations};
    use crate::subject::Subject;

    #[test]
    fn required_parameters_stay_when_a_failing_request_is_made_simpler() {
        let parameter = |name: &str, part: &str, required: bool| {
            json!({ "name": name, "in": part, "required": required,
                "schema": { "type": "string", "minLength": 1 } })
        };
        let parameters = [("id", "path", true), ("sort", "query", true), ("page", "query", false)]
            .map(|(name, part, required)| parameter(name, part, required));
        let text = json!({ "openapi": "3.0.3", "paths": { "/pets/{id}": { "get": {
            "operationId": "petRead", "parameters": parameters, "responses": {} } } } });
        let document = Document::read("pets", &text.to_string()).unwrap();
        let operation = operations(&[document]).unwrap().remove(0);
        let drawn = Arc::new(Subject::new(operation)).random(u64::MAX);
        let shot = drawn.shot();
        let names = |shot: &Shot| shot.recipe.given.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&shot), ["id", "page", "sort"]);
        let left: Vec<_> = lesser(&drawn, &shot).iter().map(names).collect();
        assert_eq!(left, [["id", "sort"]]);
    }
}
