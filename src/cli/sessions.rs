//! `vestibule sessions`: list, show and revoke sessions in the store of a data directory.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use vestibule_api::schemas;
use vestibule_runtime::Part;

use super::listing::{columns, session_json, time};
use super::workplace::{Desk, Workplace};
use super::{Failure, print_json, print_line};
use crate::domain::session::{Overview, State, Surface};
use crate::domain::session_filter::Filter;
use crate::domain::target::Target;
use crate::error::{Error, Thing};
use crate::provision::Ending;
use crate::store::{Judged, Swept};

const PAGE: usize = 200;

/// The flag of each member of the document's `SessionRevocation`.
const FLAGS: [(&str, &str); 3] =
    [("/tenant_id", "--tenant"), ("/targets", "TARGET"), ("/reauth_margin_s", "--margin")];

/// Sessions of the data directory, whether the service runs or not; it notices within a second.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  vestibule sessions list --tenant ten_… --state live
  vestibule sessions list --target uid:user-1842 --tenant ten_… --json | jq -r '.items[].sid'
  vestibule sessions show ses_…
  vestibule sessions revoke --tenant ten_… --margin 30 uid:user-1842 employee:64f000000000000000000001

Exit codes: 0 done, 1 refused or not found, 2 unusable input or configuration")]
pub(super) enum Sessions {
    List(List),
    Show(Show),
    Revoke(Revoke),
}

/// List sessions, the latest first
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of one tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Only those of one surface
    #[arg(long, value_enum)]
    surface: Option<SurfaceChoice>,
    /// Only those in one state
    #[arg(long, value_enum)]
    state: Option<StateChoice>,
    /// Only those that a target names: uid:…, customer:…, employee:…, chat:…, key:… or session:…;
    /// of several, all must name them
    #[arg(long = "target", value_name = "TARGET", value_parser = parse_target)]
    targets: Vec<Target>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"items":[…]}
    #[arg(long)]
    json: bool,
}

/// Show one session
#[derive(Debug, Args)]
pub(super) struct Show {
    /// ses_…
    #[arg(value_name = "SESSION")]
    id: String,
    #[command(flatten)]
    workplace: Workplace,
    /// Print it as the API shows it, but for the seconds that are left
    #[arg(long)]
    json: bool,
}

/// End all sessions of a tenant that some targets name
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// uid:…, customer:…, employee:…, chat:…, key:… or session:…
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// The tenant whose sessions they are, ten_…
    #[arg(long, value_name = "TENANT")]
    tenant: String,
    /// How many seconds from now they end, so that their pages can open new ones
    #[arg(long, value_name = "S", default_value_t = 0)]
    margin: i64,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"revoked","not_revocable"}
    #[arg(long)]
    json: bool,
}

/// [`Surface`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SurfaceChoice {
    /// The agent inbox
    Embed,
    /// The website widget
    Chat,
    /// The assistant
    Iframe,
}

/// [`State`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum StateChoice {
    /// It has not ended
    Live,
    /// Its time is over
    Expired,
    /// It was ended before its time
    Revoked,
}

impl Sessions {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
            Self::Revoke(revoke) => revoke.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let filter = Filter {
            tenant: self.tenant,
            surface: self.surface.map(SurfaceChoice::surface),
            state: self.state.map(StateChoice::state),
            targets: self.targets,
            ..Filter::default()
        };
        let (found, now) = self.workplace.work(async |desk| {
            let now = desk.clock.now_ms();
            Ok((passing(desk, &filter, self.limit, now).await?, now))
        })?;
        if self.json {
            let shown = |(it, judged): &(_, _)| session_json(it, *judged, now);
            let items: Vec<_> = found.iter().map(shown).collect();
            return print_json(&json!({"items": items}));
        }
        let rows: Vec<_> = found.iter().map(|(it, judged)| row(it, judged.state)).collect();
        let head = ["SESSION", "SURFACE", "STATE", "FOR", "KEY", "OPENED", "EXPIRES"];
        print_line(&columns(head, &rows))?;
        let count = counted(found.len() as u64);
        if found.len() == self.limit {
            return print_line(&format!("{count}; --limit shows more."));
        }
        print_line(&format!("{count}, and no more."))
    }
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let (session, judged, now) = self.workplace.work(async |desk| {
            let found = desk.store.session_by_id(&self.id).await?;
            let session = found.ok_or(Error::NotFound(Thing::Session))?.overview();
            let now = desk.clock.now_ms();
            let judged = desk.store.judged(&session, now).await?;
            Ok((session, judged, now))
        })?;
        if self.json {
            return print_json(&session_json(&session, judged, now));
        }
        let (times, Judged { state, mode }) = (session.times, judged);
        let lines = [
            ("session", Some(session.id)),
            ("tenant", Some(session.tenant)),
            ("surface", Some(session.surface.name().to_owned())),
            ("state", Some(state.name().to_owned())),
            ("for", session.subject.as_ref().map(ToString::to_string)),
            ("chat", session.chat),
            ("key", Some(session.key_id)),
            ("mode", mode.map(|mode| mode.name().to_owned())),
            ("opened", Some(time(times.issued_at))),
            ("renewed", times.renewed_at.map(time)),
            ("used", times.last_used_at.map(time)),
            ("expires", Some(time(times.expires_at))),
            ("revoked", times.revoked_at.map(time)),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                print_line(&format!("{name:<9}{value}"))?;
            }
        }
        print_line(match state {
            State::Live => "It lives; `vestibule sessions revoke` ends it.",
            State::Expired | State::Revoked => "It is over; a new one must be opened.",
        })
    }
}

impl Revoke {
    fn run(self) -> Result<(), Failure> {
        // What the document says of a revocation holds here too.
        let violations = schemas::lifecycle::session_revocation().check(Part::Body, &self.body());
        if !violations.is_empty() {
            return Err(Failure::broken(&violations, &FLAGS));
        }
        let Self { targets, tenant, margin, workplace, json } = self;
        let targets: Vec<_> = targets.iter().filter_map(|text| Target::parse(text)).collect();
        let ending = Ending { tests_alone: false, targets, issued_before: None, margin_s: margin };
        let total = workplace.work(async |desk| {
            desk.store.tenant(&tenant).await?.ok_or(Error::NotFound(Thing::Tenant))?;
            Ok(desk.provision().end_sessions(&tenant, ending).await?)
        })?;
        let Swept { revoked, not_revocable } = total;
        if json {
            return print_json(&json!({"revoked": revoked, "not_revocable": not_revocable}));
        }
        let when = if margin == 0 { String::new() } else { format!(" in {margin} s") };
        let others = match not_revocable {
            0 => String::new(),
            count => format!("; {count} more were over or ending already"),
        };
        let end = if revoked == 1 { "ends" } else { "end" };
        print_line(&format!("{} {end}{when}{others}.", counted(revoked)))
    }

    fn body(&self) -> Value {
        let Self { targets, tenant, margin, .. } = self;
        json!({ "tenant_id": tenant, "targets": targets, "reauth_margin_s": margin })
    }
}

impl SurfaceChoice {
    fn surface(self) -> Surface {
        match self {
            Self::Embed => Surface::Embed,
            Self::Chat => Surface::Chat,
            Self::Iframe => Surface::Iframe,
        }
    }
}

impl StateChoice {
    fn state(self) -> State {
        match self {
            Self::Live => State::Live,
            Self::Expired => State::Expired,
            Self::Revoked => State::Revoked,
        }
    }
}

fn counted(sessions: u64) -> String {
    if sessions == 1 { "1 session".to_owned() } else { format!("{sessions} sessions") }
}

fn parse_target(text: &str) -> Result<Target, String> {
    let kinds = "uid:, customer:, employee:, chat:, key: or session:";
    Target::parse(text).ok_or_else(|| format!("a target begins with {kinds} and names an id"))
}

async fn passing(
    desk: &Desk,
    filter: &Filter,
    limit: usize,
    now: i64,
) -> Result<Vec<(Overview, Judged)>, Failure> {
    let (mut after, mut passing) = (None, Vec::new());
    loop {
        let most = limit.saturating_sub(passing.len()).min(PAGE);
        let page = desk.store.session_page(filter, after, most, now).await?;
        passing.extend(page.items);
        after = page.next;
        if after.is_none() || passing.len() >= limit {
            return Ok(passing);
        }
    }
}

fn row(session: &Overview, state: State) -> [String; 7] {
    [
        session.id.clone(),
        session.surface.name().to_owned(),
        state.name().to_owned(),
        session.subject.as_ref().map(ToString::to_string).unwrap_or_default(),
        session.key_id.clone(),
        time(session.times.issued_at),
        time(session.times.expires_at),
    ]
}
