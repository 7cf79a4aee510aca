//! `vestibule keys create`: a new key, checked as the admin document and the domain check it.

use clap::Args;
use serde_json::{Value, json};
use vestibule_api::schemas;
use vestibule_runtime::Part;

use super::setting::{
    FLAGS, IdentityChoice, KindChoice, ModeChoice, RedemptionChoice, ScopeChoice, broken,
};
use crate::cli::listing::{credential_json, credential_lines, key_json};
use crate::cli::workplace::Workplace;
use crate::cli::{Failure, print_json, print_line};
use crate::domain::admin::KeyRequest;
use crate::domain::key::{Ceilings, KeyUse, Mode};
use crate::domain::key_settings::KindMembers;
use crate::domain::key_update;

/// Create a key; its secret is shown once
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// The tenant it belongs to, ten_…
    #[arg(long, value_name = "TENANT")]
    tenant: String,
    /// What it opens
    #[arg(long, value_enum)]
    kind: KindChoice,
    /// Its name, for people; a chat widget shows it as its title
    #[arg(long)]
    label: String,
    /// Whether it serves real users or is for trying things out [default: live]
    #[arg(long, value_enum)]
    mode: Option<ModeChoice>,
    /// An origin that may call (chat) or frame the pages (embed, iframe); may be repeated
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// Embed keys: what it may grant [default: read]
    #[arg(long, value_enum)]
    scope: Option<ScopeChoice>,
    /// Chat keys: an intent it may trigger; may be repeated
    #[arg(long = "intent", value_name = "NAME")]
    intents: Vec<String>,
    /// Chat keys: it may trigger every published intent
    #[arg(long)]
    all_intents: bool,
    /// Chat keys: take requests without an origin, as native apps send them
    #[arg(long)]
    allow_no_origin: bool,
    /// Chat keys: whether customers prove who they are [default: off]
    #[arg(long, value_enum)]
    identity: Option<IdentityChoice>,
    /// Iframe keys: whether a cache key may be redeemed more than once [default: multiple]
    #[arg(long, value_enum)]
    redemption_mode: Option<RedemptionChoice>,
    /// Iframe keys: how often a cache key may be redeemed [default: 10]
    #[arg(long, value_name = "N")]
    max_redemptions: Option<u32>,
    /// Seconds without a request after which its sessions end
    #[arg(long, value_name = "S")]
    idle_timeout: Option<u32>,
    /// Seconds after which its sessions end, however often they are renewed
    #[arg(long, value_name = "S")]
    max_lifetime: Option<u32>,
    /// The most sessions that it opens in a day of UTC
    #[arg(long, value_name = "N")]
    sessions_per_day: Option<u32>,
    /// The most sessions of it that are alive at the same time
    #[arg(long, value_name = "N")]
    live_sessions: Option<u32>,
    /// The most requests a minute of it and of the tokens of its sessions
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u32>,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"key","credential"}
    #[arg(long)]
    json: bool,
}

impl Create {
    pub(super) fn run(self) -> Result<(), Failure> {
        // What the document says of a key holds here too, and nowhere is it written twice.
        let violations = schemas::admin::key_create().check(Part::Body, &self.body());
        if !violations.is_empty() {
            return Err(Failure::broken(&violations, &FLAGS));
        }
        let request = self.request();
        let Self { tenant, label, workplace, json, .. } = self;
        let (key, credential) = workplace.work(async |desk| {
            desk.provision().key(&tenant, &label, request).await.map_err(broken)
        })?;
        if json {
            let credential = credential_json(&credential);
            let key = key_json(&key, &KeyUse::default(), key.created_at);
            return print_json(&json!({"key": key, "credential": credential}));
        }
        print_line(&credential_lines(&key, &credential))
    }

    /// The members that the document bounds.
    fn body(&self) -> Value {
        let mut body = json!({
            "tenantId": self.tenant,
            "kind": self.kind.kind().name(),
            "label": self.label,
            "allowedOrigins": self.origins,
            "ceilings": key_update::ceilings(self.ceilings()),
        });
        if !self.intents.is_empty() {
            body["allowedIntents"] = json!(self.intents);
        }
        for (name, bound) in [
            ("maxRedemptions", self.max_redemptions),
            ("idleTimeoutSeconds", self.idle_timeout),
            ("maxLifetimeSeconds", self.max_lifetime),
        ] {
            if let Some(bound) = bound {
                body[name] = bound.into();
            }
        }
        body
    }

    fn ceilings(&self) -> Ceilings {
        let Self { sessions_per_day, live_sessions, requests_per_minute, .. } = *self;
        Ceilings { sessions_per_day, live_sessions, requests_per_minute }
    }

    /// What was given and what was not; which flag fits which kind is the domain's to say.
    fn request(&self) -> KeyRequest {
        KeyRequest {
            kind: self.kind.kind(),
            mode: self.mode.map_or(Mode::Live, ModeChoice::mode),
            allowed_origins: self.origins.clone(),
            idle_timeout_s: self.idle_timeout,
            max_lifetime_s: self.max_lifetime,
            ceilings: self.ceilings(),
            members: KindMembers {
                scope: self.scope.map(ScopeChoice::scope),
                allowed_intents: (!self.intents.is_empty()).then(|| self.intents.clone()),
                allows_all_intents: self.all_intents.then_some(true),
                allow_no_origin: self.allow_no_origin.then_some(true),
                identity: self.identity.map(IdentityChoice::identity),
                redemption_mode: self.redemption_mode.map(RedemptionChoice::mode),
                max_redemptions: self.max_redemptions,
            },
        }
    }
}
