//! Requests a second of each door beside a bare dropshot endpoint of the same shapes.

use clap::Args;

use crate::door::{Door, Holder};
use crate::server::{Server, Service};
use crate::turns::{ROUNDS, Turn, take_turns};
use crate::{CONNECTIONS, cores, data_dir};

/// Requests a second of each door, and their ratio to a bare dropshot endpoint
#[derive(Args)]
pub struct Ratios {
    /// Only doors with this in their name
    #[arg(value_name = "DOOR")]
    parts: Vec<String>,
}

impl Ratios {
    pub async fn measure(&self) {
        let data = data_dir();
        let service = Service::at(data.path()).start();
        let holder = Holder::open(&service, CONNECTIONS).await;
        let answers = data.path().join("answers.json");
        std::fs::write(&answers, holder.answers.to_string()).expect("the directory is ours");
        let bare = Server::bare(&answers);
        let doors = Door::ALL.into_iter().filter(|door| self.wants(*door)).collect::<Vec<_>>();
        let turns = take_turns(&doors, [(&service, &holder), (&bare, &holder)]).await;
        print_table(&turns);
    }

    fn wants(&self, door: Door) -> bool {
        self.parts.iter().all(|part| door.name().contains(part))
    }
}

fn print_table(turns: &[Turn<2>]) {
    println!("{CONNECTIONS} connections, median of {ROUNDS} rounds, {}\n", cores());
    println!(
        "{:<24}{:>11}{:>7}{:>7}{:>12}{:>7}{:>7}{:>8}{:>7}",
        "door", "service/s", "busy", "us", "bare/s", "busy", "us", "ratio", "aim"
    );
    for turn in turns {
        println!(
            "{:<24}{:>11.0}{:>6.0}%{:>7.0}{:>12.0}{:>6.0}%{:>7.0}{:>8.3}{:>7}",
            turn.door.name(),
            turn.median(|[service, _]| service.rps),
            turn.median(|[service, _]| 100.0 * service.busy),
            turn.median(|[service, _]| service.cost_us),
            turn.median(|[_, bare]| bare.rps),
            turn.median(|[_, bare]| 100.0 * bare.busy),
            turn.median(|[_, bare]| bare.cost_us),
            turn.median(|[service, bare]| service.rps / bare.rps),
            turn.door.aim(),
        );
    }
}
