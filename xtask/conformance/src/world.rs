//! The deployment as the run meets it: sends requests within rate and count, knows the values
//! that only it knows, and makes objects to act on.
//!
//! Turns a recipe into a request. Judges nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::clock;
use crate::credentials::{self, Credentials};
use crate::document::{Operation, Source};
use crate::judge;
use crate::recipe::Recipe;
use crate::refused::Tried;
use crate::request::{Request, Secrets};
use crate::revealed::Revealed;
use crate::transport::{NoReply, Reply, Transport};

/// How old a value may be that one operation gave and others use.
const KEEP: Duration = Duration::from_secs(240);
/// How often one request is sent again because the deployment asked to wait, and how long it
/// may ask for at most.
const WAITS: usize = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(90);

tokio::task_local! {
    /// The operations that are asked for a value at the moment, each on behalf of the one before.
    static OBTAINED: Vec<String>;
    /// What other operations answered for the request that is being built, so that two values of
    /// one answer belong together: an object's id and that of its owner.
    static GIVEN: RefCell<BTreeMap<String, Value>>;
}

/// A plain valid request of every operation.
pub type Plain = HashMap<String, (Arc<Operation>, Recipe)>;

/// A request that other requests are made for.
type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send + 'a>>;

/// Bounds of a run.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests in a second at most.
    pub rate: u32,
    /// Requests at most.
    pub requests: u64,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// Why a request could not be sent or brought nothing.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// Something is missing that the run needs: the case is skipped.
    Missing(String),
    /// As many requests were sent as may be: the case is not tried.
    Spent(u64),
    /// The deployment gave no answer.
    NoReply(String),
}

/// The deployment and what is known of it.
pub struct World {
    /// Where it is, without a slash at the end.
    pub base_url: String,
    /// What it accepts.
    pub credentials: Credentials,
    pub(crate) plain: Plain,
    /// Cases that were not tried because all requests were sent.
    pub(crate) untried: AtomicUsize,
    /// Which credentials valid requests were refused with.
    pub(crate) tried: Tried,
    revealed: Revealed,
    pub(crate) secrets: Mutex<Secrets>,
    transport: Transport,
    bounds: Bounds,
    sent: AtomicU64,
    next_slot: tokio::sync::Mutex<Instant>,
    /// Answers by operation.
    kept: Mutex<BTreeMap<String, (Instant, Value)>>,
    skew: OnceCell<i64>,
    waiting: Mutex<Option<String>>,
}

impl World {
    /// A deployment that nothing was sent to yet.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(
        base_url: &str,
        credentials: Credentials,
        plain: Plain,
        revealed: Revealed,
        bounds: Bounds,
    ) -> Result<Self, String> {
        Ok(Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            credentials,
            plain,
            untried: AtomicUsize::new(0),
            tried: Tried::default(),
            revealed,
            secrets: Mutex::default(),
            transport: Transport::new(base_url, bounds.timeout)?,
            bounds,
            sent: AtomicU64::new(0),
            next_slot: tokio::sync::Mutex::new(Instant::now()),
            kept: Mutex::default(),
            skew: OnceCell::new(),
            waiting: Mutex::default(),
        })
    }

    /// Requests sent so far.
    pub fn requests(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// What the run waits for at the moment, if the deployment asked it to wait.
    pub fn waiting(&self) -> Option<String> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether anything answers there at all.
    ///
    /// # Errors
    /// One line that says why not.
    pub async fn reach(&self) -> Result<(), String> {
        let request = Request::get(&format!("{}/", self.base_url));
        let answer = self.transport.send(&request).await.map(drop);
        answer.map_err(|NoReply(why)| format!("{} does not answer: {why}", self.base_url))
    }

    /// Makes the request of a recipe and sends it; waits and does so again when it is asked to.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn attempt(
        &self,
        operation: &Operation,
        recipe: &Recipe,
    ) -> Result<Exchange, Trouble> {
        for turn in 0.. {
            let built = self.build(operation, recipe).await?;
            let reply = self.send(&built.request).await?;
            // One that is not what the document says is for the case to judge.
            let is_limit = reply.status == 429
                && operation.judgeable(429).is_ok()
                && judge::conforms(operation, &reply).is_ok();
            let wait = (turn < WAITS && is_limit)
                .then(|| reply.header("retry-after")?.parse::<u64>().ok())
                .flatten()
                .map(Duration::from_secs)
                .filter(|wait| *wait <= LONGEST_WAIT);
            let Some(wait) = wait else { return Ok(Exchange { built, reply }) };
            self.pause(&operation.id, wait).await;
        }
        unreachable!("the loop ends with an answer")
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn send(&self, request: &Request) -> Result<Reply, Trouble> {
        let most = self.bounds.requests;
        let free = |sent| (sent < most).then_some(sent + 1);
        // Counted before it is sent, so that many at once keep within the bound.
        if self.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).is_err() {
            return Err(Trouble::Spent(most));
        }
        self.slot().await;
        // Once: a dropped connection is a finding, and a signed request counts once.
        self.transport.send(request).await.map_err(|NoReply(why)| Trouble::NoReply(why))
    }

    /// Waits for a place in the rate.
    async fn slot(&self) {
        let gap = Duration::from_secs(1) / self.bounds.rate.max(1);
        let mine = {
            let mut next = self.next_slot.lock().await;
            let mine = (*next).max(Instant::now());
            *next = mine + gap;
            mine
        };
        tokio::time::sleep_until(mine.into()).await;
    }

    async fn pause(&self, operation: &str, wait: Duration) {
        let tell = |text| *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = text;
        tell(Some(format!("{operation} asks to wait for {} s", wait.as_secs())));
        tokio::time::sleep(wait).await;
        tell(None);
    }

    /// All values of a source; `fresh` makes a new object where another operation gives it. None
    /// while that operation's own request is being made: links may go in a circle.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn values(&self, source: &Source, fresh: bool) -> Result<Vec<Value>, Trouble> {
        match source {
            Source::Credential(path) => Ok(self.credentials.all(path).to_vec()),
            Source::Answer { operation, pointer } => {
                let given = GIVEN.try_with(|all| all.borrow().get(operation).cloned());
                if let Some(body) = given.ok().flatten() {
                    return Ok(body.pointer(pointer).cloned().into_iter().collect());
                }
                // What was kept for another value may not have this one.
                let kept = self.kept(operation).filter(|_| !fresh);
                if let Some((body, value)) =
                    kept.and_then(|body| body.pointer(pointer).cloned().map(|value| (body, value)))
                {
                    keep_together(operation, &body);
                    return Ok(vec![value]);
                }
                let mut chain = OBTAINED.try_with(Vec::clone).unwrap_or_default();
                if chain.contains(operation) {
                    return Ok(vec![]);
                }
                chain.push(operation.clone());
                let body = OBTAINED.scope(chain, self.obtain(operation, pointer)).await?;
                let value = body.pointer(pointer).cloned();
                keep_together(operation, &body);
                if !fresh {
                    let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.insert(operation.clone(), (Instant::now(), body));
                }
                Ok(value.into_iter().collect())
            }
        }
    }

    /// Runs requests that are all about the same objects.
    pub async fn together<T>(&self, requests: impl Future<Output = T>) -> T {
        GIVEN.scope(RefCell::default(), requests).await
    }

    /// Whether the request that is built now belongs to others. What is asked for on its way does
    /// not.
    pub(crate) fn is_kept_together(&self) -> bool {
        GIVEN.try_with(|_| ()).is_ok() && OBTAINED.try_with(|_| ()).is_err()
    }

    /// What an operation gave not long ago.
    fn kept(&self, operation: &str) -> Option<Value> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, body) = kept.get(operation)?;
        (since.elapsed() < KEEP).then(|| body.clone())
    }

    /// Asks another operation for an answer that has a value at `pointer`.
    fn obtain<'a>(&'a self, operation: &'a str, pointer: &'a str) -> Later<'a, Value> {
        Box::pin(async move {
            let Some((operation, recipe)) = self.plain.get(operation) else {
                let why = format!("no document of this run describes {operation}");
                return Err(Trouble::Missing(why));
            };
            let exchange = self.attempt(operation, recipe).await?;
            let reply = &exchange.reply;
            let body = reply.json().inspect(|body| self.hide(&operation.id, body));
            let has = |body: &Value| body.pointer(pointer).is_some_and(|it| !it.is_null());
            let body = body.filter(|body| (200..300).contains(&reply.status) && has(body));
            body.ok_or_else(|| {
                let code = reply.json().and_then(|it| it["error"].as_str().map(str::to_owned));
                let told = code.map(|code| format!(" {code}")).unwrap_or_default();
                Trouble::Missing(format!(
                    "{} gave no {pointer}, but {}{told}",
                    operation.id, reply.status
                ))
            })
        })
    }

    /// The server's time minus ours, milliseconds: from an error that tells it, else from `Date`.
    ///
    /// # Errors
    /// [`Trouble`].
    pub(crate) fn skew<'a>(
        &'a self,
        operation: &'a Operation,
        recipe: &'a Recipe,
    ) -> Later<'a, i64> {
        let learn = async {
            let exchange = self.attempt(operation, recipe).await?;
            let reply = &exchange.reply;
            let half = i64::try_from(reply.took.as_millis() / 2).unwrap_or(0);
            let then = clock::now_ms() - half;
            let told = reply.json().and_then(|body| body["details"]["server_time_ms"].as_i64());
            let date = || chrono::DateTime::parse_from_rfc2822(reply.header("date")?).ok();
            let server = told.or_else(|| Some(date()?.timestamp_millis()));
            Ok(server.map_or(0, |server| server - then))
        };
        Box::pin(async move { self.skew.get_or_try_init(|| learn).await.copied() })
    }

    /// Remembers what an operation's answer gives away, so that no report holds it.
    pub(crate) fn hide(&self, operation: &str, body: &Value) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        for hidden in self.revealed.within(operation, body) {
            secrets.hide(&hidden, operation);
        }
    }

    /// A secret as text, remembered so that it is never printed.
    pub(crate) fn secret(&self, value: &Value, name: &str, source: &Source) -> String {
        let text = credentials::text(value);
        let name = match source {
            Source::Credential(path) => path,
            Source::Answer { .. } => name,
        };
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.add(&text, name, &origin(source));
        text
    }
}

/// Lets the request that is built now go on with what an operation gave. Outside of one there is
/// nothing to keep together.
fn keep_together(operation: &str, body: &Value) {
    let _ = GIVEN.try_with(|all| all.borrow_mut().insert(operation.to_owned(), body.clone()));
}

/// Where a person finds a value.
pub(crate) fn origin(source: &Source) -> String {
    match source {
        Source::Credential(path) => format!("{path} of the credentials file"),
        Source::Answer { operation, pointer } => format!("{pointer} of {operation}'s answer"),
    }
}

/// A request and its answer.
pub struct Exchange {
    /// What was sent.
    pub built: Built,
    /// What came.
    pub reply: Reply,
}

/// A request, ready to be sent.
pub struct Built {
    /// The request.
    pub request: Request,
    /// The body's value after known values were put in; `None` when it is not one.
    pub value: Option<Value>,
    /// Whether a value is in it that this deployment need not know.
    pub is_unknown: bool,
}

#[cfg(test)]
mod tests;
