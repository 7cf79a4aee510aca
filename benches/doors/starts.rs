//! How long the service takes from its start to its first answer, and how much memory it holds.
//!
//! Not in `--dev`, which fills a demo tenant at each start: as an operator runs it, on a database
//! and with the keys that an earlier start left.

use std::time::{Duration, Instant};

use clap::Args;

use crate::door::{Door, Holder};
use crate::load::{self, Connection};
use crate::server::{Server, Service};
use crate::turns::{median, milliseconds, run};
use crate::{CONNECTIONS, cores, data_dir};

/// Start to first answer on an existing database, and resident memory idle and after many creates
#[derive(Args)]
pub struct Starts {
    /// How often it is started; the median counts
    #[arg(long, value_name = "N", default_value_t = 20)]
    starts: usize,
    /// How many sessions are opened before the last look at the memory
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    creates: usize,
}

/// Sessions at each door before the first start.
const STORED: usize = 10_000;
/// Requests at each door between two looks at the progress.
const SLICE: usize = 10_000;
/// Rows of the table of memory.
const LOOKS: usize = 10;
/// After which memory that is only in use for a moment is given back.
const QUIET: Duration = Duration::from_secs(3);

impl Starts {
    pub async fn measure(&self) {
        let data = data_dir();
        let service = Service::at(data.path()).start();
        let holder = Holder::open(&service, CONNECTIONS).await;
        for door in Door::CREATES {
            run(&service, &holder, door, STORED).await;
        }
        service.stop();
        println!("not in --dev, on a database of {} sessions, {}\n", 3 * STORED, cores());
        let mut took_ms = Vec::with_capacity(self.starts);
        let mut processor_s = 0.0;
        for at in 0..self.starts {
            let (took, server) = first_answer(&Service::at(data.path()), &holder, at).await;
            took_ms.push(milliseconds(took));
            processor_s += server.cpu_s();
            server.stop();
        }
        let longest = took_ms.iter().copied().fold(0.0, f64::max);
        println!(
            "start to the answer to a create: median {:.1} ms, longest {longest:.1} ms of {} starts, \
             processor time {:.0} ms; aim 50 ms\n",
            median(took_ms),
            self.starts,
            1e3 * processor_s / self.starts as f64
        );
        let (_, server) = first_answer(&Service::at(data.path()), &holder, self.starts).await;
        self.watch_memory(&server, &holder).await;
    }

    async fn watch_memory(&self, server: &Server, holder: &Holder) {
        println!("{:>12}{:>14}{:>18}{:>8}", "creates", "resident MiB", "without files MiB", "aim");
        let print = |creates: usize, aim: &str| {
            let memory = server.memory();
            println!("{creates:>12}{:>14.1}{:>18.1}{aim:>8}", memory.resident, memory.own);
        };
        tokio::time::sleep(QUIET).await;
        print(0, "24");
        let (mut done, mut shown) = (0, 0);
        while done < self.creates {
            for door in Door::CREATES {
                let count = SLICE.min(self.creates - done);
                let requests = (done..done + count).map(|at| door.request(holder, at)).collect();
                load::run(server.address, CONNECTIONS, door.status(), requests).await;
                done += count;
            }
            if done < self.creates && done * LOOKS / self.creates > shown {
                shown = done * LOOKS / self.creates;
                print(done, "");
            }
        }
        tokio::time::sleep(QUIET).await;
        print(done, "64");
    }
}

/// Starts the service and asks for a session as soon as somebody listens.
async fn first_answer(service: &Service<'_>, holder: &Holder, at: usize) -> (Duration, Server) {
    let request = Door::Embed.request(holder, at);
    let started = Instant::now();
    let server = service.launch(&holder.demo);
    let mut connection = loop {
        if let Some(connection) = Connection::attempt(server.address).await {
            break connection;
        }
        let is_patient = started.elapsed() < Duration::from_secs(30);
        assert!(is_patient, "the service does not listen: {}", service.said());
    };
    let answer = connection.exchange(&request).await;
    assert_eq!(answer.status, Door::Embed.status(), "{}", String::from_utf8_lossy(answer.body));
    (started.elapsed(), server)
}
