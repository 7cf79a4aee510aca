//! What a create costs when few and when very many sessions are stored.

use clap::Args;

use crate::door::{Door, Holder};
use crate::filling;
use crate::server::Service;
use crate::turns::{ROUNDS, Turn, take_turns};
use crate::{CONNECTIONS, cores, data_dir};

/// Cost of a create with few and with many stored sessions
#[derive(Args)]
pub struct Stored {
    /// Sessions that one service has stored
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    few: u64,
    /// Sessions that the other one has; ten million take 10 GB below target/ until the end
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    many: u64,
}

/// The most that is aimed at of the ratio of costs.
const AIM: f64 = 1.2;

impl Stored {
    pub async fn measure(&self) {
        let places = [data_dir(), data_dir()];
        for (place, sessions) in places.iter().zip([self.few, self.many]) {
            let service = Service::at(place.path()).start();
            Holder::open(&service, CONNECTIONS).await;
            service.stop();
            let bytes = filling::fill(&place.path().join("vestibule.db"), sessions).await;
            println!("{sessions} sessions: a database of {} MiB", bytes >> 20);
        }
        let [few, many] = places.each_ref().map(|place| Service::at(place.path()).start());
        let holder = Holder::open(&few, CONNECTIONS).await;
        let holder_of_many = Holder::open(&many, CONNECTIONS).await;
        let turns = take_turns(&Door::CREATES, [(&few, &holder), (&many, &holder_of_many)]).await;
        self.print_table(&turns);
    }

    fn print_table(&self, turns: &[Turn<2>]) {
        println!("\n{CONNECTIONS} connections, median of {ROUNDS} rounds, {}\n", cores());
        let [few, many] = [self.few, self.many].map(|sessions| format!("with {sessions}/s"));
        println!(
            "{:<24}{few:>18}{:>7}{many:>18}{:>7}{:>12}{:>7}{:>14}",
            "door", "us", "us", "ratio of us", "aim", "ratio of /s"
        );
        for turn in turns {
            println!(
                "{:<24}{:>18.0}{:>7.0}{:>18.0}{:>7.0}{:>12.2}{:>7}{:>14.2}",
                turn.door.name(),
                turn.median(|[few, _]| few.rps),
                turn.median(|[few, _]| few.cost_us),
                turn.median(|[_, many]| many.rps),
                turn.median(|[_, many]| many.cost_us),
                turn.median(|[few, many]| many.cost_us / few.cost_us),
                AIM,
                turn.median(|[few, many]| few.rps / many.rps),
            );
        }
    }
}
