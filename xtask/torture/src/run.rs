//! The whole: start, load, kill, start, repeat, read, check, and again.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use vestibule_cluster::{Cluster, Ending};

use crate::client::{Client, now_ms};
use crate::history::{self, Event, Fault, Heard};
use crate::load::{Draws, Load};
use crate::observe;
use crate::server::{Place, Server};

/// Far more than the requests of one round take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How much the clock of the server may lie behind ours: what is opened is read from so much before.
const MARGIN_MS: i64 = 1_000;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The service's binary.
    pub binary: PathBuf,
    /// Where the service remembers.
    pub database: Database,
    /// Clients at once.
    pub clients: usize,
    /// Where what clients do comes from, and when they are cut.
    pub seed: u64,
    /// Answers before a kill: drawn anew each time.
    pub answers: RangeInclusive<u64>,
    /// At least so many kills, however long they take.
    pub kills: usize,
    /// Goes on for so long.
    pub lasting: Duration,
}

/// Where the service remembers.
#[derive(Clone, Debug)]
pub enum Database {
    /// In its data directory.
    Embedded,
    /// On PostgreSQL at this address, which is left alone.
    At(String),
    /// On a throw-away cluster made by this `initdb`, whose server is killed as well.
    Cluster(PathBuf),
}

/// Who is killed in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Service,
    Database,
    Both,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How often something was killed.
    pub kills: usize,
    /// How often the database's server was among it.
    pub database_kills: usize,
    /// Requests that took effect and were answered.
    pub acknowledged: u64,
    /// Requests without an answer.
    pub unknown: u64,
    /// Requests that were refused, as they should be.
    pub refused: u64,
    /// What must not be, each with the kill after which it was seen.
    pub faults: Vec<(usize, Fault)>,
    /// How long each start took.
    pub starts: Vec<Duration>,
    /// How long a service took to answer when its database was back.
    pub recoveries: Vec<Duration>,
}

/// Hears how far it is.
pub trait Watch {
    /// After each kill and what was read after it.
    fn killed(&self, so_far: &Summary);

    /// While the server is down, before each start but the first. What is changed here in its data
    /// directory is a planted fault.
    fn is_down(&self, data: &Path, kill: usize);
}

impl Summary {
    /// What was acknowledged and is gone.
    pub fn lost(&self) -> usize {
        self.faults.iter().filter(|(_, fault)| fault.is_loss()).count()
    }

    /// What is there and must not be.
    pub fn surplus(&self) -> usize {
        self.faults.len() - self.lost()
    }

    fn note(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Opened { heard, .. } => self.tally(heard),
                Event::Renewed { heard, .. } => self.tally(heard),
                Event::Ended { heard, .. }
                | Event::Used { heard, .. }
                | Event::Counted { heard, .. } => self.tally(heard),
            }
        }
    }

    fn tally<T>(&mut self, heard: &Heard<T>) {
        match heard {
            Heard::Acknowledged(_) => self.acknowledged += 1,
            Heard::Refused => self.refused += 1,
            Heard::Unknown => self.unknown += 1,
        }
    }
}

/// Kills a server on temporary data until the plan is done.
///
/// # Errors
/// In words: the server does not start, ends by itself, or answers what it may not.
pub async fn torture(plan: &Plan, watch: &impl Watch) -> Result<Summary, String> {
    let data = tempfile::tempdir().map_err(|bad| format!("no temporary directory: {bad}"))?;
    let (url, mut cluster) = match &plan.database {
        Database::Embedded => (None, None),
        Database::At(url) => (Some(url.clone()), None),
        Database::Cluster(initdb) => {
            let cluster = Cluster::start(initdb).map_err(|bad| format!("no cluster: {bad}"))?;
            (Some(cluster.url("postgres")), Some(cluster))
        }
    };
    let place = Place::new(&plan.binary, data.path(), url)?;
    let mut server = place.start()?;
    let mut summary = Summary { starts: vec![server.took], ..Summary::default() };
    let (begun, since, mut all) = (Instant::now(), now_ms() - MARGIN_MS, Vec::new());
    let mut draws = Draws(plan.seed);
    while summary.kills < plan.kills || begun.elapsed() < plan.lasting {
        let (kill, round_since) = (summary.kills + 1, now_ms() - MARGIN_MS);
        let client = Client::new(place.address, &place.credentials()?)?;
        let (mut loads, answered) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for number in 0..plan.clients {
            let name = format!("{}{number:04x}", prefix(kill));
            let load = Load::new(client.clone(), name, plan.seed ^ draws.below(u64::MAX));
            loads.spawn(until_unanswered(load, answered.clone()));
        }
        let (least, most) = (plan.answers.start(), plan.answers.end());
        let enough = least + draws.below(most - least + 1);
        until(&answered, enough).await?;
        let victim = cluster.as_ref().map_or(Victim::Service, |_| drawn(&mut draws));
        if let Some(cluster) = cluster.as_mut().filter(|_| victim != Victim::Service) {
            cluster.stop(Ending::Killed).map_err(|bad| format!("the database lives: {bad}"))?;
            summary.database_kills += 1;
        }
        let survivor = match victim {
            Victim::Database => Some(server),
            Victim::Service | Victim::Both => {
                server.kill()?;
                None
            }
        };
        summary.kills = kill;
        let mut loads = joined(loads).await?;
        watch.is_down(data.path(), kill);
        if let Some(cluster) = cluster.as_mut().filter(|_| victim != Victim::Service) {
            cluster.resume().map_err(|bad| format!("the database does not start: {bad}"))?;
        }
        server = match survivor {
            Some(server) => recovered(server, &client, &mut summary).await?,
            None => {
                let server = place.start()?;
                summary.starts.push(server.took);
                server
            }
        };
        for load in &mut loads {
            load.repeat().await?;
        }
        let events: Vec<_> = loads.into_iter().flat_map(|load| load.events).collect();
        let seen = observe::seen(&client, round_since, &events).await?;
        let of_round = history::check(&events, &restricted(seen, kill));
        summary.faults.extend(of_round.into_iter().map(|fault| (kill, fault)));
        summary.note(&events);
        all.extend(events);
        watch.killed(&summary);
    }
    // What was acknowledged before the first kill survived all the others, too.
    let client = Client::new(place.address, &place.credentials()?)?;
    let seen = observe::seen(&client, since, &all).await?;
    for fault in history::check(&all, &seen) {
        if !summary.faults.iter().any(|(_, known)| *known == fault) {
            summary.faults.push((summary.kills, fault));
        }
    }
    Ok(summary)
}

/// The service dies by itself, the database now and then.
fn drawn(draws: &mut Draws) -> Victim {
    match draws.below(4) {
        0 | 1 => Victim::Service,
        2 => Victim::Database,
        _ => Victim::Both,
    }
}

/// Waits until a service that lived through the death of its database answers again.
async fn recovered(
    server: Server,
    client: &Client,
    summary: &mut Summary,
) -> Result<Server, String> {
    let begun = Instant::now();
    while let Err(bad) = client.read("/readyz").await {
        if begun.elapsed() > PATIENCE {
            return Err(format!("the service does not recover: {bad}"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    summary.recoveries.push(begun.elapsed());
    Ok(server)
}

/// The sessions of one round: the margin may let those of the one before in.
fn restricted(mut seen: history::Seen, kill: usize) -> history::Seen {
    let own = prefix(kill);
    seen.sessions.retain(|session| session.subject.starts_with(&own));
    seen
}

/// What the subjects of a round begin with.
fn prefix(kill: usize) -> String {
    format!("{kill:08x}")
}

async fn until_unanswered(mut load: Load, answered: Arc<AtomicU64>) -> Result<Load, String> {
    load.until_unanswered(&answered).await.map(|()| load)
}

async fn until(answered: &AtomicU64, enough: u64) -> Result<(), String> {
    let begun = Instant::now();
    while answered.load(Ordering::Relaxed) < enough {
        if begun.elapsed() > PATIENCE {
            let came = answered.load(Ordering::Relaxed);
            return Err(format!("{came} of {enough} answers came within {PATIENCE:?}"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn joined(mut loads: JoinSet<Result<Load, String>>) -> Result<Vec<Load>, String> {
    let mut ended = Vec::new();
    while let Some(load) = loads.join_next().await {
        ended.push(load.map_err(|bad| format!("a client ended: {bad}"))??);
    }
    Ok(ended)
}
