//! `vestibule tenants`: list, create and revoke tenants in the store of a data directory.

use clap::{Args, Subcommand, ValueEnum};
use secrecy::ExposeSecret as _;
use serde_json::json;
use vestibule_api::public_keys::JWKS_READ_MAX_AGE_S;
use vestibule_api::{models, schemas};
use vestibule_runtime::Part;

use super::listing::{columns, directory_name, signing_key_json, tenant_json, time};
use super::workplace::{Desk, Workplace};
use super::{Failure, erasure, print_json, print_line};
use crate::domain::signing_key::{FIRST, Rotation, SigningAlgorithm, SigningKey};
use crate::domain::tenant::{Directory, Tenant};

const PAGE: u32 = 200;

/// Tenants of the data directory, whether the service runs or not.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  vestibule tenants create Acme --directory strict
  vestibule tenants create Acme --signing eddsa
  vestibule tenants rotate-signing-key ten_… --overlap 3600
  vestibule tenants list --json | jq -r '.items[].tenantId'
  vestibule tenants export ten_… --uid user-42 > user-42.jsonl
  vestibule tenants erase ten_… --uid user-42

Exit codes: 0 done, 1 refused or not found, 2 unusable input or configuration")]
pub(super) enum Tenants {
    /// List all tenants, revoked ones too
    List {
        #[command(flatten)]
        workplace: Workplace,
        /// Print {"items":[…]}
        #[arg(long)]
        json: bool,
    },
    Create(Create),
    Export(erasure::Export),
    Erase(erasure::Erase),
    /// Begin a new generation of the key that signs a tenant's session tokens
    ///
    /// Tokens of the old one stay valid for the overlap. A running service takes the new one up
    /// within three seconds; one that signs with EdDSA is published for a minute first, unless
    /// there is no overlap.
    RotateSigningKey {
        /// ten_…
        #[arg(value_name = "TENANT")]
        id: String,
        /// Seconds for which older tokens stay valid; 0 ends them all [default: twelve hours]
        #[arg(long, value_name = "S")]
        overlap: Option<u32>,
        /// How the new one signs [default: as the old one]
        #[arg(long, value_enum)]
        algorithm: Option<Algorithm>,
        #[command(flatten)]
        workplace: Workplace,
        /// Print {"items":[…]}, the generations
        #[arg(long)]
        json: bool,
    },
    /// End a tenant for good, with all its keys and sessions
    Revoke {
        /// ten_…
        #[arg(value_name = "TENANT")]
        id: String,
        #[command(flatten)]
        workplace: Workplace,
        /// Print {"tenantId","revokedAt"}
        #[arg(long)]
        json: bool,
    },
}

/// Create a tenant; its identity secret is shown once
///
/// The identity secret signs customerTokens (HS256) in the tenant's backend.
#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name, for people
    name: String,
    /// Whether employee and chat ids are looked up when a session is opened
    #[arg(long, value_enum, default_value = "open")]
    directory: DirectoryChoice,
    /// How the tokens of its embed and iframe sessions are signed
    #[arg(long, value_enum, default_value = "hs256")]
    signing: Algorithm,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"tenant","identitySecret"}
    #[arg(long)]
    json: bool,
}

/// [`Directory`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DirectoryChoice {
    /// Ids are the tenant's own; nothing is looked up
    Open,
    /// Unknown ids are refused
    Strict,
}

/// [`SigningAlgorithm`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Algorithm {
    /// HMAC-SHA256, which the service alone verifies
    Hs256,
    /// Ed25519, which everybody verifies who reads /.well-known/jwks.json
    Eddsa,
}

impl From<Algorithm> for SigningAlgorithm {
    fn from(it: Algorithm) -> Self {
        match it {
            Algorithm::Hs256 => Self::Hs256,
            Algorithm::Eddsa => Self::Eddsa,
        }
    }
}

impl Tenants {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { workplace, json } => list(workplace, json),
            Self::Create(create) => create.run(),
            Self::Export(export) => export.run(),
            Self::Erase(erase) => erase.run(),
            Self::RotateSigningKey { id, overlap, algorithm, workplace, json } => {
                rotate_signing_key(&id, overlap, algorithm, workplace, json)
            }
            Self::Revoke { id, workplace, json } => revoke(&id, workplace, json),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), Failure> {
        let Self { name, directory, signing, workplace, json } = self;
        let signing = SigningAlgorithm::from(signing);
        let directory = match directory {
            DirectoryChoice::Open => Directory::Open,
            DirectoryChoice::Strict => Directory::Strict,
        };
        let body = json!({
            "name": name, "directory": directory_name(directory), "signing": signing.name(),
        });
        let violations = schemas::admin::tenant_create().check(Part::Body, &body);
        if !violations.is_empty() {
            return Err(Failure::broken(&violations, &[("/name", "the name")]));
        }
        let made = workplace
            .work(async |desk| Ok(desk.provision().tenant(&name, directory, signing).await?));
        let (tenant, secret) = made?;
        let secret = secret.expose_secret();
        if json {
            return print_json(&json!({"tenant": tenant_json(&tenant), "identitySecret": secret}));
        }
        print_line(&format!("tenant           {}", tenant.id))?;
        print_line(&format!("identity secret  {secret}  (shown once)"))
    }
}

fn list(workplace: Workplace, json: bool) -> Result<(), Failure> {
    let tenants = workplace.work(all)?;
    if json {
        let items: Vec<_> = tenants.iter().map(tenant_json).collect();
        return print_json(&json!({"items": items}));
    }
    let rows: Vec<_> = tenants.iter().map(row).collect();
    print_line(&columns(["TENANT", "NAME", "DIRECTORY", "SIGNING", "CREATED", "REVOKED"], &rows))
}

fn rotate_signing_key(
    id: &str,
    overlap: Option<u32>,
    algorithm: Option<Algorithm>,
    workplace: Workplace,
    json: bool,
) -> Result<(), Failure> {
    let usual = models::SigningKeyRotate::default().overlap_seconds;
    let overlap = overlap.map_or(usual, i64::from);
    let body = json!({"overlapSeconds": overlap});
    let violations = schemas::admin::signing_key_rotate().check(Part::Body, &body);
    if !violations.is_empty() {
        return Err(Failure::broken(&violations, &[("/overlapSeconds", "--overlap")]));
    }
    let rotation = Rotation {
        overlap_s: u32::try_from(overlap).unwrap_or(u32::MAX),
        algorithm: algorithm.map(SigningAlgorithm::from),
        cached_s: JWKS_READ_MAX_AGE_S,
    };
    let (all, now) = workplace.work(async |desk| {
        let now = desk.clock.now_ms();
        let audit = desk.provision().audit(id, "signing_key.rotate", id);
        Ok((desk.store.rotate_signing_key(id, rotation, now, audit, None).await?, now))
    })?;
    if json {
        let items: Vec<_> = all.iter().map(|key| signing_key_json(key, now)).collect();
        return print_json(&json!({"items": items}));
    }
    let rows: Vec<_> = all.iter().map(|key| signing_key_row(key, now)).collect();
    print_line(&columns(
        ["GENERATION", "ALGORITHM", "STATE", "ACTIVE FROM", "ACCEPTED UNTIL"],
        &rows,
    ))?;
    let from = all.first().map(|newest| time(newest.active_from)).unwrap_or_default();
    print_line(&format!("{id} has a new signing key, which signs from {from} on"))
}

fn signing_key_row(key: &SigningKey, now_ms: i64) -> [String; 5] {
    [
        key.generation.to_string(),
        key.algorithm.name().to_owned(),
        key.state(now_ms).name().to_owned(),
        if key.generation > FIRST { time(key.active_from) } else { String::new() },
        key.accepted_until.map(time).unwrap_or_default(),
    ]
}

fn revoke(id: &str, workplace: Workplace, json: bool) -> Result<(), Failure> {
    let at = workplace.work(async |desk| {
        desk.provision().revoke_tenant(id).await?;
        let revoked = desk.store.tenant(id).await?.and_then(|tenant| tenant.revoked_at);
        Ok(revoked.unwrap_or_else(|| desk.clock.now_ms()))
    })?;
    if json {
        return print_json(&json!({"tenantId": id, "revokedAt": time(at)}));
    }
    print_line(&format!("{id} is revoked since {}", time(at)))
}

async fn all(desk: &Desk) -> Result<Vec<Tenant>, Failure> {
    let mut tenants: Vec<Tenant> = Vec::new();
    loop {
        let after = tenants.last().map(|tenant| tenant.id.clone());
        let page = desk.store.list_tenants(after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        tenants.extend(page);
        if is_last {
            return Ok(tenants);
        }
    }
}

fn row(tenant: &Tenant) -> [String; 6] {
    [
        tenant.id.clone(),
        tenant.name.clone(),
        directory_name(tenant.directory).to_owned(),
        tenant.signing.name().to_owned(),
        time(tenant.created_at),
        tenant.revoked_at.map(time).unwrap_or_default(),
    ]
}
