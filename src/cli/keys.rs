//! `vestibule keys`: list, create, pause, resume and revoke keys in the store of a data directory.

use clap::{Args, Subcommand, ValueEnum};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use vestibule_api::schemas;
use vestibule_runtime::Part;

use super::listing::{ceilings_json, columns, credential_json, key_json};
use super::workplace::{Desk, Workplace};
use super::{Failure, print_json, print_line};
use crate::domain::admin::KeyRequest;
use crate::domain::key::{Ceilings, Identity, Key, KeyKind, KeyState, Mode, Scope};
use crate::error::{Error, Thing};

const PAGE: u32 = 200;

/// The flag of each member of the admin document's `KeyCreate`.
const FLAGS: [(&str, &str); 15] = [
    ("/tenantId", "--tenant"),
    ("/label", "--label"),
    ("/allowedOrigins", "--origin"),
    ("/scope", "--scope"),
    ("/allowedIntents", "--intent or --all-intents"),
    ("/allowsAllIntents", "--all-intents"),
    ("/allowNoOrigin", "--allow-no-origin"),
    ("/identity", "--identity"),
    ("/maxRedemptions", "--max-redemptions"),
    ("/mode", "--mode"),
    ("/idleTimeoutSeconds", "--idle-timeout"),
    ("/maxLifetimeSeconds", "--max-lifetime"),
    ("/ceilings/sessionsPerDay", "--sessions-per-day"),
    ("/ceilings/liveSessions", "--live-sessions"),
    ("/ceilings/requestsPerMinute", "--requests-per-minute"),
];

/// Keys of the data directory, whether the service runs or not; it notices within a second.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  vestibule keys create --tenant ten_… --kind embed --label CRM --scope read-write --origin https://crm.acme.com
  vestibule keys create --tenant ten_… --kind chat --label Shop --origin 'https://*.acme.com' --all-intents
  vestibule keys list --kind chat --json | jq -r '.items[].publicId'
  vestibule keys pause key_…

Exit codes: 0 done, 1 refused or not found, 2 unusable input or configuration")]
pub(super) enum Keys {
    List(List),
    Create(Create),
    /// Stop a key and its sessions until it is resumed
    Pause(One),
    /// Let a paused key work again
    Resume(One),
    /// End a key for good, with its sessions
    Revoke(One),
}

/// List keys, without their secrets
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of one tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Only those of one kind
    #[arg(long, value_enum)]
    kind: Option<KindChoice>,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"items":[…]}
    #[arg(long)]
    json: bool,
}

/// Create a key; its secret is shown once
#[derive(Debug, Args)]
pub(super) struct Create {
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

/// One key.
#[derive(Debug, Args)]
pub(super) struct One {
    /// key_…
    #[arg(value_name = "KEY")]
    id: String,
    #[command(flatten)]
    workplace: Workplace,
    /// Print the key as it then is
    #[arg(long)]
    json: bool,
}

/// [`KeyKind`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindChoice {
    /// Signs requests of the agent inbox
    Embed,
    /// Publishable key of a website widget
    Chat,
    /// Bearer key of the assistant
    Iframe,
}

/// [`Mode`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeChoice {
    /// For real users
    Live,
    /// For tests; may move its own clock
    Test,
}

/// [`Scope`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScopeChoice {
    /// showChatsList and showChatPage alone
    Read,
    /// Every capability
    ReadWrite,
}

/// [`Identity`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum IdentityChoice {
    /// Customer tokens are ignored
    Off,
    /// A customer token is checked when it is given
    Optional,
    /// A customer id without a valid token is refused
    Required,
}

impl Keys {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Create(create) => create.run(),
            Self::Pause(one) => one.set(KeyState::Paused, "key.pause"),
            Self::Resume(one) => one.set(KeyState::Active, "key.resume"),
            Self::Revoke(one) => one.set(KeyState::Revoked, "key.revoke"),
        }
    }
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let (tenant, kind) = (self.tenant, self.kind.map(KindChoice::kind));
        let keys = self.workplace.work(async |desk| all(desk, tenant.as_deref(), kind).await)?;
        if self.json {
            let items: Vec<_> = keys.iter().map(key_json).collect();
            return print_json(&json!({"items": items}));
        }
        let rows: Vec<_> = keys.iter().map(row).collect();
        print_line(&columns(["KEY", "TENANT", "KIND", "STATE", "LABEL", "PUBLIC ID"], &rows))
    }
}

impl Create {
    fn run(self) -> Result<(), Failure> {
        // What the document says of a key holds here too, and nowhere is it written twice.
        let violations = schemas::admin::key_create().check(Part::Body, &self.body());
        if !violations.is_empty() {
            return Err(Failure::broken(&violations, &FLAGS));
        }
        let request = self.request();
        let Self { tenant, label, workplace, json, .. } = self;
        let (key, credential) = workplace.work(async |desk| {
            let made = desk.provision().key(&tenant, &label, request).await;
            made.map_err(|error| match error {
                Error::Rules(violations) => Failure::broken(&violations, &FLAGS),
                other => other.into(),
            })
        })?;
        if json {
            let credential = credential_json(&credential);
            return print_json(&json!({"key": key_json(&key), "credential": credential}));
        }
        print_line(&format!("key        {}", key.id))?;
        if let Some(public) = &credential.public {
            print_line(&format!("public id  {public}"))?;
        }
        if let Some(secret) = &credential.secret {
            print_line(&format!("secret     {}  (shown once)", secret.expose_secret()))?;
        }
        Ok(())
    }

    /// The members that the document bounds.
    fn body(&self) -> Value {
        let mut body = json!({
            "tenantId": self.tenant,
            "kind": self.kind.kind().name(),
            "label": self.label,
            "allowedOrigins": self.origins,
        });
        if !self.intents.is_empty() {
            body["allowedIntents"] = json!(self.intents);
        }
        if let Some(count) = self.max_redemptions {
            body["maxRedemptions"] = count.into();
        }
        for (name, seconds) in
            [("idleTimeoutSeconds", self.idle_timeout), ("maxLifetimeSeconds", self.max_lifetime)]
        {
            if let Some(seconds) = seconds {
                body[name] = seconds.into();
            }
        }
        body["ceilings"] = ceilings_json(self.ceilings());
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
            mode: match self.mode {
                Some(ModeChoice::Test) => Mode::Test,
                Some(ModeChoice::Live) | None => Mode::Live,
            },
            scope: self.scope.map(|scope| match scope {
                ScopeChoice::Read => Scope::Read,
                ScopeChoice::ReadWrite => Scope::ReadWrite,
            }),
            allowed_intents: (!self.intents.is_empty()).then(|| self.intents.clone()),
            allows_all_intents: self.all_intents.then_some(true),
            allow_no_origin: self.allow_no_origin.then_some(true),
            identity: self.identity.map(|identity| match identity {
                IdentityChoice::Off => Identity::Off,
                IdentityChoice::Optional => Identity::Optional,
                IdentityChoice::Required => Identity::Required,
            }),
            max_redemptions: self.max_redemptions,
            allowed_origins: self.origins.clone(),
            idle_timeout_s: self.idle_timeout,
            max_lifetime_s: self.max_lifetime,
            ceilings: self.ceilings(),
        }
    }
}

impl One {
    fn set(self, state: KeyState, action: &str) -> Result<(), Failure> {
        let Self { id, workplace, json } = self;
        let key = workplace.work(async |desk| set_state(desk, &id, state, action).await)?;
        if json {
            return print_json(&key_json(&key));
        }
        print_line(&format!("{id} is {}", key.state.name()))
    }
}

impl KindChoice {
    fn kind(self) -> KeyKind {
        match self {
            Self::Embed => KeyKind::Embed,
            Self::Chat => KeyKind::Chat,
            Self::Iframe => KeyKind::Iframe,
        }
    }
}

async fn set_state(desk: &Desk, id: &str, state: KeyState, action: &str) -> Result<Key, Failure> {
    let key = desk.store.key_by_id(id).await?.ok_or(Error::NotFound(Thing::Key))?;
    if key.state == KeyState::Revoked && state != KeyState::Revoked {
        let help = "make another one with `vestibule keys create`";
        return Err(Failure::refused(format!("{id} is revoked for good"), help));
    }
    let audit = desk.provision().audit(&key.tenant, action, id);
    Ok(desk.store.set_key_state(&key.tenant, id, state, audit).await?)
}

async fn all(
    desk: &Desk,
    tenant: Option<&str>,
    kind: Option<KeyKind>,
) -> Result<Vec<Key>, Failure> {
    let mut keys: Vec<Key> = Vec::new();
    loop {
        let after = keys.last().map(|key| key.id.clone());
        let page = desk.store.list_keys(tenant, kind, after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        keys.extend(page);
        if is_last {
            return Ok(keys);
        }
    }
}

fn row(key: &Key) -> [String; 6] {
    let public = match key.kind() {
        KeyKind::Embed | KeyKind::Chat => key.lookup.clone(),
        // What finds an iframe key is the hash of its secret, of no use to anybody.
        KeyKind::Iframe => String::new(),
    };
    [
        key.id.clone(),
        key.tenant.clone(),
        key.kind().name().to_owned(),
        key.state.name().to_owned(),
        key.label.clone(),
        public,
    ]
}
