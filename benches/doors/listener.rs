//! What the public listener costs: the service with it and without, as behind a proxy.

use clap::Args;

use crate::door::{Door, Holder};
use crate::server::Service;
use crate::turns::{ROUNDS, Turn, take_turns};
use crate::{CONNECTIONS, cores, data_dir};

/// Throughput of each door with and without the public listener
#[derive(Args)]
pub struct Listener {}

/// The most of the throughput that it should cost, percent.
const AIM: f64 = 15.0;

impl Listener {
    pub async fn measure(&self) {
        let places = [data_dir(), data_dir()];
        let guarded = Service::at(places[0].path()).start();
        let open = Service::at(places[1].path()).set("VESTIBULE__LISTENER__GUARD", "off").start();
        let holder_of_guarded = Holder::open(&guarded, CONNECTIONS).await;
        let holder_of_open = Holder::open(&open, CONNECTIONS).await;
        let servers = [(&guarded, &holder_of_guarded), (&open, &holder_of_open)];
        print_table(&take_turns(&Door::ALL, servers).await);
    }
}

fn print_table(turns: &[Turn<2>]) {
    println!("{CONNECTIONS} connections, median of {ROUNDS} rounds, {}\n", cores());
    println!(
        "{:<24}{:>8}{:>7}{:>11}{:>7}{:>13}{:>12}{:>7}",
        "door", "on/s", "us", "off/s", "us", "costs of /s", "of the us", "aim"
    );
    for turn in turns {
        println!(
            "{:<24}{:>8.0}{:>7.0}{:>11.0}{:>7.0}{:>12.1}%{:>11.1}%{:>6}%",
            turn.door.name(),
            turn.median(|[on, _]| on.rps),
            turn.median(|[on, _]| on.cost_us),
            turn.median(|[_, off]| off.rps),
            turn.median(|[_, off]| off.cost_us),
            turn.median(|[on, off]| 100.0 * (1.0 - on.rps / off.rps)),
            turn.median(|[on, off]| 100.0 * (1.0 - off.cost_us / on.cost_us)),
            AIM,
        );
    }
}
