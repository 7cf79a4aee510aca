//! The demo tenants in a real store: as described, the same after a restart, never revived.

use std::path::Path;

use super::*;
use crate::context::{Clock, Ids};
use crate::domain::sealing::MasterKeys;
use crate::store::Store;

const KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
const BASE_URL: &str = "http://127.0.0.1:8080";

struct World {
    store: Store,
    keys: MasterKeys,
    clock: Clock,
    ids: Ids,
}

impl World {
    async fn open(dir: &Path) -> Self {
        let store = Store::open(&dir.into()).await.expect("a store");
        let keys = MasterKeys::parse([KEY]).expect("a random key");
        Self { store, keys, clock: Clock::default(), ids: Ids::default() }
    }

    fn provision(&self) -> Provision<'_> {
        let Self { store, keys, clock, ids } = self;
        Provision { store, keys, clock, ids, actor: "dev" }
    }

    async fn seed(&self, credentials: &DevCredentials) {
        seed(self.provision(), credentials, BASE_URL).await.expect("seeded");
    }
}

fn credentials(dir: &Path) -> DevCredentials {
    DevCredentials::load(dir, None, &Ids::default()).expect("random ones")
}

#[tokio::test]
async fn demo_tenant_is_what_its_credentials_say() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (world, all) = (World::open(dir.path()).await, credentials(dir.path()));
    world.seed(&all).await;
    let find = async |lookup: String| {
        world.store.key_by_lookup(&lookup).await.expect("answers").expect("there")
    };
    let embed = find(all.demo.embed.key.clone()).await;
    assert_eq!(embed.settings, KeySettings::Embed { scope: Scope::ReadWrite });
    assert_eq!(embed.allowed_origins, [all.demo.chat.origin.as_str(), BASE_URL]);
    let secret = open_key_secret(&world.keys, &embed, &embed.secrets[0]).expect("opens");
    assert_eq!(secret.expose_secret(), all.demo.embed.secret);
    let restricted = find(all.demo.chat.restricted_public_key.clone()).await;
    let KeySettings::Chat { allowed_intents: Some(allowed), .. } = &restricted.settings else {
        panic!("a restricted chat key, not {restricted:?}");
    };
    assert_eq!(allowed.len(), 2);
    let iframe = find(KeyHash::of(&all.demo.iframe.api_key).lookup()).await;
    assert_eq!(iframe.tenant, embed.tenant);
    let other = find(all.other.embed.key.clone()).await;
    assert_ne!(other.tenant, embed.tenant);
    assert_eq!(world.store.sources(&embed.tenant).await.expect("answers").len(), 2);
    assert!(world.store.default_theme(&embed.tenant).await.expect("answers").is_some());
    let employee = (DirectoryKind::Employee, all.demo.embed.employee_id.as_str());
    assert!(world.store.directory_has(&embed.tenant, employee.0, employee.1).await.expect("asks"));
}

#[tokio::test]
async fn second_start_writes_nothing_and_revives_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (world, all) = (World::open(dir.path()).await, credentials(dir.path()));
    world.seed(&all).await;
    let key = world.store.key_by_lookup(&all.demo.chat.public_key).await.expect("asks");
    let key = key.expect("there");
    let audit = world.provision().audit(&key.tenant, "key.revoke", &key.id);
    let revoked = world.store.set_key_state(&key.tenant, &key.id, KeyState::Revoked, audit);
    revoked.await.expect("revoked");
    world.store.close().await;
    let world = World::open(dir.path()).await;
    world.seed(&all).await;
    assert_eq!(world.store.counts().writes, 0, "everything agreed already");
    let key = world.store.key_by_id(&key.id).await.expect("asks").expect("there");
    assert_eq!(key.state, KeyState::Revoked);
}

#[tokio::test]
async fn new_credentials_replace_the_old_ones() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = World::open(dir.path()).await;
    let (old, new) = (credentials(dir.path()), credentials(dir.path()));
    world.seed(&old).await;
    world.seed(&new).await;
    let find = async |lookup: &str| world.store.key_by_lookup(lookup).await.expect("answers");
    assert!(find(&old.demo.embed.key).await.is_none());
    let key = find(&new.demo.embed.key).await.expect("there");
    let secret = open_key_secret(&world.keys, &key, &key.secrets[0]).expect("opens");
    assert_eq!(secret.expose_secret(), new.demo.embed.secret);
}

#[tokio::test]
async fn ids_have_the_documented_form() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (world, all) = (World::open(dir.path()).await, credentials(dir.path()));
    world.seed(&all).await;
    let keys = world.store.list_keys(None, None, None, 200).await.expect("answers");
    assert_eq!(keys.len(), 12);
    for key in keys {
        for (id, prefix) in [(&key.id, "key_"), (&key.tenant, "ten_")] {
            let rest = id.strip_prefix(prefix).expect("the prefix");
            let base32 = |b: u8| matches!(b, b'a'..=b'z' | b'2'..=b'7');
            assert!(rest.len() == 26 && rest.bytes().all(base32), "{id}");
        }
    }
}

#[tokio::test]
async fn a_second_service_on_the_same_data_leaves_the_first_one_in() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (world, all) = (World::open(dir.path()).await, credentials(dir.path()));
    let origins = async || {
        let key = world.store.key_by_lookup(&all.demo.embed.key).await.expect("answers");
        key.expect("there").allowed_origins.clone()
    };
    let mut last = Vec::new();
    for port in 8080..8090 {
        let own = format!("http://127.0.0.1:{port}");
        seed(world.provision(), &all, &own).await.expect("seeded");
        last.insert(0, own);
        last.truncate(1 + MOST_BESIDE);
        let expected: Vec<_> = [&all.demo.chat.origin].into_iter().chain(&last).cloned().collect();
        assert_eq!(origins().await, expected, "the newest ones");
    }
    // Who is let in already changes nothing.
    seed(world.provision(), &all, &last[3]).await.expect("seeded");
    assert_eq!(origins().await[1], last[0]);
    // An origin that the credentials do not name any more is of nobody.
    let mut moved = all.clone();
    moved.demo.chat.origin = "https://elsewhere.example".into();
    seed(world.provision(), &moved, &last[0]).await.expect("seeded");
    assert!(!origins().await.contains(&all.demo.chat.origin), "{:?}", origins().await);
}
