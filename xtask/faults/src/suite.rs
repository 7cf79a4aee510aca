//! The conformance suite against the proxy: first without a fault, then with each.
//!
//! One plan with one seed serves all runs, bounded by the suite's own limits. A run with a fault
//! tries the operation that the fault is in and nothing else.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use vestibule_conformance::outcome::{Check, Run};
use vestibule_conformance::{Credentials, Document, Expected, Limits, Options, Plan, plan, run};

use crate::documents::Documents;
use crate::fault::Fault;
use crate::proxy::{Proxy, listen};
use crate::server::Server;
use crate::world::World;

/// Token exchanges a minute: more than any run makes, so that none has to wait.
const EXCHANGES: u32 = 100_000;
/// Loopback answers faster than any deployment that others use too.
const RATE: u32 = 2_000;

/// The server, the proxy before it, and what the suite needs.
pub struct Suite {
    proxy: Proxy,
    base_url: String,
    plan: Plan,
}

/// What the suite said to one fault.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The fault's name.
    pub fault: &'static str,
    /// What kind of mistake it looks like.
    pub imitates: &'static str,
    /// The document it is planted in.
    pub document: &'static str,
    /// The operation it is planted in.
    pub operation: &'static str,
    /// The check that must find it.
    pub by: Check,
    /// How many cases were tried.
    pub cases: usize,
    /// How many of them failed, those of other checks too.
    pub failed: usize,
    /// The cases of that check that failed; none when the suite missed the fault.
    pub found: Vec<Found>,
    /// How long the run took, milliseconds.
    pub took_ms: u64,
}

/// One case that failed because of a fault.
#[derive(Debug, Serialize)]
pub struct Found {
    /// What it is about.
    pub check: Check,
    /// Its name.
    pub case: String,
    /// What the document asks for.
    pub expectation: String,
    /// What came instead.
    pub observed: String,
}

impl Suite {
    /// Starts the server at `binary` and the proxy before it; `root` is the repository.
    ///
    /// # Errors
    /// In words, when something does not start.
    pub async fn start(
        root: &Path,
        binary: &Path,
        cases: usize,
        seed: u64,
    ) -> Result<Self, String> {
        let documents = Documents::read(root)?;
        let (listener, address) = listen().await?;
        let base_url = format!("http://{address}");
        let server = Server::start(binary, &base_url, EXCHANGES)?;
        let proxy = Proxy::start(listener, World::new(documents, server));
        let options = Options { cases, seed, operations: vec![] };
        let plan = planned(&proxy, &options)?;
        Ok(Self { proxy, base_url, plan })
    }

    /// A run over all documents without any fault.
    ///
    /// # Errors
    /// In words, when the suite cannot run.
    pub async fn control(&self) -> Result<Run, String> {
        self.run(None, self.plan.clone()).await
    }

    /// A run over one operation without any fault.
    ///
    /// # Errors
    /// In words, when the suite cannot run.
    pub async fn without(&self, operation: &str) -> Result<Run, String> {
        self.run(None, self.plan.only(operation)).await
    }

    /// A run with a fault.
    ///
    /// # Errors
    /// In words, when the suite cannot run.
    pub async fn against(&self, fault: Fault) -> Result<Finding, String> {
        let began = Instant::now();
        let Fault { name, imitates, operation, by, .. } = fault;
        let run = self.run(Some(fault), self.plan.only(operation)).await?;
        let counts = run.counts();
        Ok(Finding {
            fault: name,
            imitates,
            document: self.proxy.world().documents.operation(operation).document,
            operation,
            by,
            cases: counts.total() - counts.skipped,
            failed: counts.failed,
            found: found(&run).into_iter().filter(|it| it.check == by).collect(),
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn run(&self, fault: Option<Fault>, plan: Plan) -> Result<Run, String> {
        self.proxy.plant(fault.map(Arc::new));
        let limits = Limits { rate: RATE, ..Limits::default() };
        run(plan, &self.base_url, &limits, &Expected::default(), &()).await
    }
}

/// Every case of every document.
fn planned(proxy: &Proxy, options: &Options) -> Result<Plan, String> {
    let world = proxy.world();
    let documents = world.documents.all().map(|(name, document)| {
        Document::read(name, &document.to_string()).map_err(|bad| format!("{name}: {bad}"))
    });
    let documents = documents.collect::<Result<Vec<_>, _>>()?;
    let credentials = Credentials::new(world.server().credentials.clone());
    plan(&documents, credentials, options)
}

/// What failed in a run.
pub fn found(run: &Run) -> Vec<Found> {
    let failures = run.failures().map(|(case, failure)| Found {
        check: case.check,
        case: case.name.clone(),
        expectation: failure.expectation.clone(),
        observed: failure.observed.clone(),
    });
    failures.collect()
}
