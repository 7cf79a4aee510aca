//! A rotation of master keys: interrupted, shared, and complete.

use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::*;
use crate::domain::key::KeyKind;
use crate::domain::signing_key::SigningAlgorithm;
use crate::domain::tenant::Directory;
use crate::provision::{Provision, open_identity_secret, open_key_secret};

const OLD: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
const NEW: &str = "c81e93a05d7f4b26a1f0683ce52d97b44e0f7a1c6b39d285f71e0a94c3d86b27";

struct World {
    _dir: TempDir,
    store: Store,
    clock: Clock,
    ids: Ids,
    keys: MasterKeys,
}

impl World {
    /// A database sealed by the old key: two tenants with many embed keys.
    async fn sealed() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().into()).await.expect("opens");
        let keys = MasterKeys::parse([OLD]).expect("a key");
        let world = Self { _dir: dir, store, clock: Clock::default(), ids: Ids::default(), keys };
        assert!(world.provision().master_keys_fit().await.expect("asks"));
        for _ in 0..2 {
            let made =
                world.provision().tenant("A", Directory::Open, SigningAlgorithm::Hs256).await;
            let tenant = made.expect("a tenant").0.id;
            for _ in 0..60 {
                let request = crate::domain::admin::tests::request(KeyKind::Embed);
                world.provision().key(&tenant, "k", request).await.expect("a key");
            }
        }
        world
    }

    fn provision(&self) -> Provision<'_> {
        let Self { store, keys, clock, ids, .. } = self;
        Provision { store, keys, clock, ids, actor: "test" }
    }

    fn resealer(&self) -> Resealer<'_> {
        let Self { store, keys, clock, ids, .. } = self;
        Resealer { store, keys, clock, ids }
    }

    /// Opens every secret that there is.
    async fn opens_all(&self) -> bool {
        let tenants = self.store.list_tenants(None, 200).await.expect("lists");
        let keys = self.store.list_keys(None, None, None, 200).await.expect("lists");
        assert_eq!((tenants.len(), keys.len()), (2, 120));
        tenants.iter().all(|it| {
            open_identity_secret(&self.keys, it).is_ok_and(|it| !it.expose_secret().is_empty())
        }) && keys
            .iter()
            .all(|key| key.secrets.iter().all(|it| open_key_secret(&self.keys, key, it).is_ok()))
    }

    fn rotated(mut self) -> Self {
        self.keys = MasterKeys::parse([NEW, OLD]).expect("keys");
        self
    }
}

/// What is counted: 120 secrets of keys, 2 of tenants and the key-check row.
const ALL: u64 = 123;

#[tokio::test]
async fn everything_is_sealed_by_the_first_key_and_the_old_one_can_go() {
    let mut world = World::sealed().await.rotated();
    assert_eq!(world.resealer().census().await.expect("counts").by_key, [0, ALL]);
    world.resealer().run().await.expect("runs");
    let census = world.resealer().census().await.expect("counts");
    assert_eq!((census.by_key, census.unknown), (vec![ALL, 0], 0));
    let progress = world.store.resealing().await.expect("reads").expect("there");
    assert!(progress.is_done && progress.resealed == ALL - 1, "{progress:?}");
    world.keys = MasterKeys::parse([NEW]).expect("a key");
    assert!(world.provision().master_keys_fit().await.expect("asks"));
    assert!(world.opens_all().await);
    world.resealer().run().await.expect("again");
    let again = world.store.resealing().await.expect("reads").expect("there");
    assert_eq!(again, progress, "a second run does nothing");
}

#[tokio::test]
async fn a_run_goes_on_where_the_last_one_was_cut_off() {
    let world = World::sealed().await.rotated();
    let key = world.keys.fingerprints().swap_remove(0);
    let begun = Resealing::begin(key, 1);
    assert!(world.store.begin_resealing(None, &begun).await.expect("begins"));
    world.resealer().step(&begun).await.expect("one slice");
    let cut = world.store.resealing().await.expect("reads").expect("there");
    assert_eq!((cut.resealed, cut.is_done), (100, false));
    assert!(world.opens_all().await, "halfway everything opens");
    world.resealer().run().await.expect("goes on");
    let done = world.store.resealing().await.expect("reads").expect("there");
    assert_eq!((done.resealed, done.since, done.is_done), (ALL - 1, 1, true));
}

#[tokio::test]
async fn of_two_instances_each_slice_is_one_s() {
    let world = World::sealed().await.rotated();
    let elsewhere = Store::open(&world._dir.path().into()).await.expect("opens");
    let other = Resealer { store: &elsewhere, ..world.resealer() };
    let (one, two) = tokio::join!(world.resealer().run(), other.run());
    one.and(two).expect("both end");
    let done = world.store.resealing().await.expect("reads").expect("there");
    assert_eq!((done.resealed, done.is_done), (ALL - 1, true), "nothing is sealed twice");
    assert_eq!(world.resealer().census().await.expect("counts").by_key, [ALL, 0]);
}

#[tokio::test]
async fn a_value_that_no_key_opens_stops_the_run_and_stays() {
    let mut world = World::sealed().await;
    world.keys = MasterKeys::parse([NEW]).expect("a key");
    assert!(world.resealer().run().await.is_err());
    let census = world.resealer().census().await.expect("counts");
    assert_eq!((census.by_key, census.unknown), (vec![0], ALL));
}
