//! `vestibule keys update`: changes what is given of a key, as the admin operation does.

use clap::Args;
use serde_json::{Map, Value, json};
use vestibule_api::schemas;
use vestibule_runtime::Part;

use super::setting::{Bound, FLAGS, IdentityChoice, RedemptionChoice, ScopeChoice, broken};
use super::{list, working};
use crate::cli::workplace::Workplace;
use crate::cli::{Failure, print_json, print_line};
use crate::domain::key_settings::KindMembers;
use crate::domain::key_update::{self, CeilingsChange, KeyChange};

/// Change a key; what is not given stays
#[derive(Debug, Args)]
pub(in crate::cli) struct Update {
    /// key_…
    #[arg(value_name = "KEY")]
    id: String,
    /// Its name, for people; a chat widget shows it as its title
    #[arg(long)]
    label: Option<String>,
    /// An origin that may call or frame; may be repeated; all others are removed
    #[arg(long = "origin", value_name = "ORIGIN", conflicts_with = "no_origins")]
    origins: Vec<String>,
    /// No origin may call or frame
    #[arg(long)]
    no_origins: bool,
    /// Embed keys: what it may grant
    #[arg(long, value_enum)]
    scope: Option<ScopeChoice>,
    /// Chat keys: an intent it may trigger; may be repeated; all others are removed
    #[arg(long = "intent", value_name = "NAME", conflicts_with = "no_intents")]
    intents: Vec<String>,
    /// Chat keys: it may trigger no intent
    #[arg(long, conflicts_with = "all_intents")]
    no_intents: bool,
    /// Chat keys: it may trigger every published intent
    #[arg(long)]
    all_intents: bool,
    /// Chat keys: whether to take requests without an origin, as native apps send them
    #[arg(long, value_name = "BOOL")]
    allow_no_origin: Option<bool>,
    /// Chat keys: whether customers prove who they are
    #[arg(long, value_enum)]
    identity: Option<IdentityChoice>,
    /// Iframe keys: whether a cache key may be redeemed more than once
    #[arg(long, value_enum)]
    redemption_mode: Option<RedemptionChoice>,
    /// Iframe keys: how often a cache key may be redeemed
    #[arg(long, value_name = "N")]
    max_redemptions: Option<u32>,
    /// Seconds without a request after which its sessions end, or none
    #[arg(long, value_name = "S|none")]
    idle_timeout: Option<Bound>,
    /// Seconds after which its sessions end, however often they are renewed, or none
    #[arg(long, value_name = "S|none")]
    max_lifetime: Option<Bound>,
    /// The most sessions that it opens in a day of UTC, or none
    #[arg(long, value_name = "N|none")]
    sessions_per_day: Option<Bound>,
    /// The most sessions of it that are alive at the same time, or none
    #[arg(long, value_name = "N|none")]
    live_sessions: Option<Bound>,
    /// The most requests a minute of it and of the tokens of its sessions, or none
    #[arg(long, value_name = "N|none")]
    requests_per_minute: Option<Bound>,
    #[command(flatten)]
    workplace: Workplace,
    /// Print the key as it then is
    #[arg(long)]
    json: bool,
}

impl Update {
    pub(super) fn run(self) -> Result<(), Failure> {
        let violations = schemas::admin::key_update().check(Part::Body, &self.body());
        if !violations.is_empty() {
            return Err(Failure::broken(&violations, &FLAGS));
        }
        let change = self.change();
        let Self { id, workplace, json, .. } = self;
        let (before, after, shown) = workplace.work(async |desk| {
            let before = working(desk, &id).await?;
            let after = desk.provision().update_key(&id, change).await.map_err(broken)?;
            let shown = list::shown(desk, &after).await?;
            Ok((before, after, shown))
        })?;
        if json {
            return print_json(&shown);
        }
        let changed: Vec<_> = key_update::difference(&before, &after).into_iter().collect();
        if changed.is_empty() {
            return print_line(&format!("{id} is as it was"));
        }
        let names: Vec<_> = changed.iter().map(|(name, _)| name.as_str()).collect();
        print_line(&format!("{id} has changed: {}", names.join(", ")))
    }

    /// The members that the document bounds.
    fn body(&self) -> Value {
        let number = |bound: &Option<Bound>| match bound {
            Some(Bound::Of(n)) => Some(Value::from(*n)),
            Some(Bound::None) | None => None,
        };
        let ceilings = [
            ("sessionsPerDay", number(&self.sessions_per_day)),
            ("liveSessions", number(&self.live_sessions)),
            ("requestsPerMinute", number(&self.requests_per_minute)),
        ];
        let ceilings: Map<_, _> =
            ceilings.into_iter().filter_map(|(name, n)| Some((name.to_owned(), n?))).collect();
        let members = [
            ("label", self.label.as_deref().map(Value::from)),
            ("allowedOrigins", Some(json!(self.origins))),
            ("allowedIntents", (!self.intents.is_empty()).then(|| json!(self.intents))),
            ("maxRedemptions", self.max_redemptions.map(Value::from)),
            ("idleTimeoutSeconds", number(&self.idle_timeout)),
            ("maxLifetimeSeconds", number(&self.max_lifetime)),
            ("ceilings", Some(ceilings.into())),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    fn change(&self) -> KeyChange {
        let listed = |all: &[String], none: bool| (none || !all.is_empty()).then(|| all.to_vec());
        KeyChange {
            label: self.label.clone(),
            allowed_origins: listed(&self.origins, self.no_origins),
            idle_timeout_s: Bound::change(self.idle_timeout),
            max_lifetime_s: Bound::change(self.max_lifetime),
            ceilings: CeilingsChange {
                sessions_per_day: Bound::change(self.sessions_per_day),
                live_sessions: Bound::change(self.live_sessions),
                requests_per_minute: Bound::change(self.requests_per_minute),
            },
            members: KindMembers {
                scope: self.scope.map(ScopeChoice::scope),
                allowed_intents: listed(&self.intents, self.no_intents),
                allows_all_intents: self.all_intents.then_some(true),
                allow_no_origin: self.allow_no_origin,
                identity: self.identity.map(IdentityChoice::identity),
                redemption_mode: self.redemption_mode.map(RedemptionChoice::mode),
                max_redemptions: self.max_redemptions,
            },
        }
    }
}
