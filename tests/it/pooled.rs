//! The service behind PgBouncer in transaction mode: two instances share a few connections of the
//! server, and neither leaves anything on them that the other would trip over.

use std::time::Instant;

use secrecy::SecretString;
use serde_json::json;
use vestibule::domain::database::{Database, Postgres};
use vestibule_cluster::{Cluster, Ending, Pooler};

use crate::engine::at_address;
use crate::instances::{ELSEWHERE, last_let_in, reads};
use crate::lifecycle::{Backend, SURFACES};
use crate::outages::{cluster, recovery, wait_until_heard};
use crate::service::Service;
use crate::tools::pgbouncer;

/// Fewer than one instance would have of its own.
const CONNECTIONS: u32 = 3;

/// Two instances behind one pooler.
struct Pooled {
    here: Service,
    there: Service,
    pooler: Pooler,
    cluster: Cluster,
}

impl Pooled {
    /// With `hears`, both listen to the server past the pooler.
    fn start(hears: bool) -> Self {
        let cluster = cluster();
        let pooler = Pooler::start(&pgbouncer(), &cluster, CONNECTIONS).expect("it starts");
        let database = Database::Postgres(Postgres {
            url: SecretString::from(pooler.url("postgres")),
            is_pooled: true,
            listen_url: hears.then(|| SecretString::from(cluster.url("postgres"))),
        });
        let given = database.clone();
        let here = Service::start(|config| {
            config.database = given;
            config.limits.redeem_per_minute = 1 << 20;
        });
        let there = Service::beside_at(&here, database);
        Self { here, there, pooler, cluster }
    }

    /// Nothing is left on any of the server's connections: no prepared statement, no setting.
    fn require_clean(&self) {
        let left = "SELECT (SELECT count(*) FROM pg_prepared_statements), \
                    current_setting('statement_timeout'), current_setting('lock_timeout'), \
                    current_setting('default_transaction_read_only')";
        for _ in 0..10 {
            assert_eq!(at_address(&self.pooler.url("postgres"), left).trim(), "0|0|0|off");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_behind_a_pooler_share_few_connections_and_leave_nothing_on_them() {
    let mut pooled = Pooled::start(false);
    let (here, there) = (&pooled.here, &pooled.there);
    for (name, service) in [("here", here), ("there", there)] {
        let backend = Backend::demo(service);
        for surface in SURFACES {
            let opened = backend.open(surface).await;
            assert_eq!(backend.renew(&opened.sid).await.status, 200, "{surface}");
            assert_eq!(backend.end(&opened.sid).await.status, 204, "{surface}");
        }
        let users = (0..40).map(|at| {
            let backend = Backend::demo(service);
            async move { backend.open_iframe(&format!("{name}-{at}"), 900).await }
        });
        let opened = futures::future::join_all(users).await;
        assert_eq!(backend.end_all(json!({ "targets": [format!("uid:{name}-7")] })).await, (1, 0));
        assert_eq!(backend.read(&opened[8].sid).await.status, 200);
    }
    let held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vestibule'";
    let held: u32 =
        at_address(&pooled.cluster.url("postgres"), held).trim().parse().expect("a number");
    assert!((1..=CONNECTIONS).contains(&held), "{held} connections");
    pooled.require_clean();
    pooled.cluster.stop(Ending::Fast).expect("it is ours");
    pooled.cluster.resume().expect("it starts again");
    let (took, refused) = recovery(&Backend::demo(&pooled.here)).await;
    println!("pooled: answered {took:.0?} after it was back, {} refused", refused.len());
    pooled.require_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_instances_hear_each_other_past_it_and_within_a_second_without() {
    let pooled = Pooled::start(true);
    wait_until_heard(&pooled.here, &pooled.there).await;
    drop(pooled);
    let deaf = Pooled::start(false);
    let backend = Backend::demo(&deaf.here);
    let opened = backend.open("embed").await;
    assert_eq!(reads(&deaf.there, &opened.token).await, 200);
    assert_eq!(backend.end(&opened.sid).await.status, 204);
    let done = Instant::now();
    println!("deaf: {:.0?}", last_let_in(&deaf.there, &opened.token, done, ELSEWHERE).await);
}
