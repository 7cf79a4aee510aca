//! What a second core is worth. There is no third one: the client shares the machine's last core
//! with the server that has two, so what the ratio could be at most is printed beside it.

use clap::Args;

use crate::door::{Door, Holder};
use crate::server::Service;
use crate::turns::{ROUNDS, Turn, take_turns};
use crate::{CLIENT_CORE, CONNECTIONS, SERVER_CORE, cores, data_dir, is_pinned};

/// Throughput of the service on two cores beside that on one
#[derive(Args)]
pub struct SecondCore {}

impl SecondCore {
    pub async fn measure(&self) {
        assert!(is_pinned(), "this needs two cores and `taskset`");
        let places = [data_dir(), data_dir()];
        let both = format!("{SERVER_CORE},{CLIENT_CORE}");
        let one = Service::at(places[0].path()).start();
        let two = Service::at(places[1].path()).on(&both).start();
        let holder_of_one = Holder::open(&one, CONNECTIONS).await;
        let holder_of_two = Holder::open(&two, CONNECTIONS).await;
        let servers = [(&one, &holder_of_one), (&two, &holder_of_two)];
        print_table(&take_turns(&Door::ALL, servers).await);
    }
}

fn aim(door: Door) -> f64 {
    match door {
        Door::Embed | Door::Chat | Door::Iframe => 1.3,
        Door::Read => 1.6,
    }
}

fn print_table(turns: &[Turn<2>]) {
    println!("{CONNECTIONS} connections, median of {ROUNDS} rounds, {}", cores());
    println!("with two cores the server shares the second one with the client\n");
    println!(
        "{:<24}{:>12}{:>7}{:>12}{:>8}{:>8}{:>12}{:>8}{:>7}{:>10}",
        "door",
        "one core/s",
        "us",
        "two cores/s",
        "busy",
        "us",
        "client us",
        "ratio",
        "aim",
        "at most"
    );
    for turn in turns {
        println!(
            "{:<24}{:>12.0}{:>7.0}{:>12.0}{:>7.0}%{:>8.0}{:>12.0}{:>8.2}{:>7}{:>10.2}",
            turn.door.name(),
            turn.median(|[one, _]| one.rps),
            turn.median(|[one, _]| one.cost_us),
            turn.median(|[_, two]| two.rps),
            turn.median(|[_, two]| 100.0 * two.busy),
            turn.median(|[_, two]| two.cost_us),
            turn.median(|[_, two]| two.client_us),
            turn.median(|[one, two]| two.rps / one.rps),
            aim(turn.door),
            // Both cores full, with the server's cost as on one core.
            turn.median(|[one, two]| 2.0 * one.cost_us / (one.cost_us + two.client_us)),
        );
    }
}
