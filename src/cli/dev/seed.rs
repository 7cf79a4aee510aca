//! Writes the demo tenants into the store, so that it agrees with their credentials.
//!
//! Run at every start in `--dev`. What is there and agrees is left alone, so a demo key that was
//! paused or revoked stays so; a changed credential replaces the old one under the same id.

use secrecy::{ExposeSecret as _, SecretString};

use super::{DemoData, DevCredentials, TenantCredentials, demo_data};
use crate::domain::api_key::KeyHash;
use crate::domain::audit::Subject;
use crate::domain::key::{Ceilings, Identity, Key, KeySettings, KeyState, Mode, Scope};
use crate::domain::signing_key::SigningAlgorithm;
use crate::domain::tenant::{Directory, Tenant};
use crate::error::Result;
use crate::provision::{Provision, open_identity_secret, open_key_secret};
use crate::store::DirectoryKind;

/// Makes both demo tenants what their credentials say. `base_url` is the service's own origin,
/// which may frame and call like the customer's.
///
/// # Errors
/// `Unavailable` when the database does not answer, `Internal` when a key belongs to another
/// tenant.
pub async fn seed(at: Provision<'_>, credentials: &DevCredentials, base_url: &str) -> Result<()> {
    for (stem, name, tenant) in
        [("demo", "Demo shop", &credentials.demo), ("other", "Other shop", &credentials.other)]
    {
        Seeding { at, stem, name, credentials: tenant, base_url }.run().await?;
    }
    Ok(())
}

/// Services on this machine, besides this one, whose pages a demo key lets in.
const MOST_BESIDE: usize = 4;

struct Seeding<'a> {
    at: Provision<'a>,
    stem: &'static str,
    name: &'static str,
    credentials: &'a TenantCredentials,
    base_url: &'a str,
}

/// A demo key as it should be; the secret only where it signs.
struct Wanted<'a> {
    stem: &'static str,
    label: &'static str,
    lookup: String,
    secret: Option<&'a str>,
    mode: Mode,
    settings: KeySettings,
}

impl Seeding<'_> {
    async fn run(&self) -> Result<()> {
        let data = demo_data(self.credentials);
        let tenant = self.id("ten_", "");
        if !self.put_tenant(&tenant).await? {
            tracing::warn!(%tenant, "the demo tenant is revoked; remove the data directory to start over");
            return Ok(());
        }
        for wanted in self.wanted_keys(&data) {
            self.put_key(&tenant, wanted).await?;
        }
        self.put_offers(&tenant, &data).await?;
        self.put_rest(&tenant, &data).await
    }

    /// Whether the tenant is alive.
    async fn put_tenant(&self, id: &str) -> Result<bool> {
        let secret = SecretString::from(self.credentials.chat.identity_secret.as_str());
        let there = self.at.store.tenant(id).await?;
        if let Some(there) = &there {
            let is_same = open_identity_secret(self.at.keys, there)
                .is_ok_and(|old| old.expose_secret() == secret.expose_secret());
            if is_same || there.revoked_at.is_some() {
                return Ok(there.revoked_at.is_none());
            }
        }
        let now = self.at.clock.now_ms();
        let tenant = Tenant {
            id: id.to_owned(),
            name: self.name.to_owned(),
            directory: Directory::Open,
            signing: SigningAlgorithm::Hs256,
            identity_secret: self.at.seal_identity_secret(id, &secret),
            created_at: there.map_or(now, |there| there.created_at),
            revoked_at: None,
            erased_at: None,
        };
        self.at.store.put_tenant(tenant, self.at.audit(id, "tenant.put", id)).await?;
        Ok(true)
    }

    fn wanted_keys(&self, data: &DemoData) -> [Wanted<'_>; 6] {
        let TenantCredentials { embed, chat, iframe } = self.credentials;
        let chat_settings = |allowed_intents| KeySettings::Chat {
            allowed_intents,
            allow_no_origin: false,
            identity: Identity::Optional,
        };
        let embed_settings = |scope| KeySettings::Embed { scope };
        let wanted = |stem, label, lookup: &str, settings| {
            let lookup = lookup.to_owned();
            Wanted { stem, label, lookup, secret: None, mode: Mode::Live, settings }
        };
        let full = wanted("embed", "Demo CRM", &embed.key, embed_settings(Scope::ReadWrite));
        let read = "Demo CRM, read only";
        let read = wanted("embedread", read, &embed.read_key, embed_settings(Scope::Read));
        let test = embed_settings(Scope::ReadWrite);
        let test = wanted("embedtest", "Demo CRM, for trying out", &embed.test_key, test);
        let restricted = "Demo widget with two intents";
        let allowed = chat_settings(Some(data.restricted_to.clone()));
        let hash = KeyHash::of(&iframe.api_key).lookup();
        [
            Wanted { secret: Some(&embed.secret), ..full },
            Wanted { secret: Some(&embed.read_secret), ..read },
            Wanted { secret: Some(&embed.test_secret), mode: Mode::Test, ..test },
            wanted("chat", "Demo widget", &chat.public_key, chat_settings(None)),
            wanted("chatrestricted", restricted, &chat.restricted_public_key, allowed),
            wanted("iframe", "Demo analytics", &hash, KeySettings::Iframe { max_redemptions: 10 }),
        ]
    }

    async fn put_key(&self, tenant: &str, wanted: Wanted<'_>) -> Result<()> {
        let id = self.id("key_", wanted.stem);
        let there = self.at.store.key_by_id(&id).await?;
        let mut key = Key {
            tenant: tenant.to_owned(),
            lookup: wanted.lookup,
            mode: wanted.mode,
            label: wanted.label.to_owned(),
            state: KeyState::Active,
            allowed_origins: self.own_origins().map(str::to_owned).into(),
            idle_timeout_s: None,
            max_lifetime_s: None,
            ceilings: Ceilings::default(),
            settings: wanted.settings,
            secrets: Vec::new(),
            created_at: self.at.clock.now_ms(),
            id,
        };
        let secret = wanted.secret.map(SecretString::from);
        if let Some(there) = &there {
            key.created_at = there.created_at;
            if there.lookup == key.lookup {
                key.state = there.state;
            }
            key.allowed_origins = self.origins(&there.allowed_origins);
            if self.agrees(there, &key, secret.as_ref()) {
                return Ok(());
            }
        }
        key.secrets = vec![match &secret {
            Some(secret) => self.at.seal_key_secret(&key, 1, secret),
            None => self.at.found_by(1, &key.lookup),
        }];
        let audit = self.at.audit(tenant, "key.put", &key.id);
        self.at.store.put_key(key, audit).await
    }

    /// Those of the customer's page and of this service.
    fn own_origins(&self) -> [&str; 2] {
        [&self.credentials.chat.origin, self.base_url]
    }

    /// Its own and those of others on the same data directory, whose pages must go on working: the
    /// newest of them, lest every start add one.
    fn origins(&self, there: &[String]) -> Vec<String> {
        let own = self.own_origins();
        let others = there.iter().map(String::as_str);
        let others = others.filter(|it| !own.contains(it) && is_of_this_machine(it));
        own.into_iter().chain(others.take(MOST_BESIDE)).map(str::to_owned).collect()
    }

    fn agrees(&self, there: &Key, wanted: &Key, secret: Option<&SecretString>) -> bool {
        let old = there.secrets.first().map(|old| open_key_secret(self.at.keys, there, old));
        let same_secret = match (old, secret) {
            (Some(Ok(old)), Some(new)) => old.expose_secret() == new.expose_secret(),
            // What finds it is compared below.
            (Some(_), None) => true,
            (None, _) | (Some(Err(_)), Some(_)) => false,
        };
        same_secret
            && there.lookup == wanted.lookup
            && there.settings == wanted.settings
            && self.own_origins().iter().all(|own| there.allowed_origins.iter().any(|it| it == own))
    }

    async fn put_offers(&self, tenant: &str, data: &DemoData) -> Result<()> {
        let store = self.at.store;
        let there = store.catalogue(tenant).await?;
        for flow in data.flows.iter().filter(|flow| !there.flows.contains(flow)) {
            store.put_flow(tenant, flow, self.at.audit(tenant, "flow.put", &flow.id)).await?;
        }
        if there.questions == data.quick_questions {
            return Ok(());
        }
        for (rank, question) in (1..).zip(&data.quick_questions) {
            let id = format!("qq_{rank}");
            let audit = self.at.audit(tenant, "quick_question.put", &id);
            store.put_quick_question(tenant, &id, rank, question, audit).await?;
        }
        Ok(())
    }

    async fn put_rest(&self, tenant: &str, data: &DemoData) -> Result<()> {
        let store = self.at.store;
        let sources = store.sources(tenant).await?;
        for source in data.sources.iter().filter(|source| !sources.contains(source)) {
            store.put_source(tenant, source, self.at.audit(tenant, "source.put", source)).await?;
        }
        for (index, (id, theme)) in data.themes.iter().enumerate() {
            if store.theme(tenant, *id).await?.is_none_or(|there| *there != *theme) {
                let audit = self.at.audit(tenant, "theme.put", &id.to_string());
                store.put_theme(tenant, *id, index == 0, theme, audit).await?;
            }
        }
        let embed = &self.credentials.embed;
        for (kind, id) in
            [(DirectoryKind::Employee, &embed.employee_id), (DirectoryKind::Chat, &embed.chat_id)]
        {
            if !store.directory_has(tenant, kind, id).await? {
                let (target, subject) = match kind {
                    DirectoryKind::Employee => ("employee", Some(Subject::Employee(id.clone()))),
                    DirectoryKind::Chat => (id.as_str(), None),
                };
                let audit = self.at.audit(tenant, "directory.put", target).about(subject);
                store.put_directory(tenant, kind, id, audit).await?;
            }
        }
        Ok(())
    }

    /// The same at every start: the prefix, then the stems, filled up to 26 letters.
    fn id(&self, prefix: &str, stem: &str) -> String {
        format!("{prefix}{:a<26}", format!("{}{stem}", self.stem))
    }
}

fn is_of_this_machine(origin: &str) -> bool {
    let host = url::Url::parse(origin).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests;
