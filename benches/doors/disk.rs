//! What the disk does when nothing else is done: the bytes of a commit appended and synced, alone and
//! while pages of another file are synced, as the log's pages are when they move into the database.
//!
//! No create answers sooner than this. Knows nothing of the service but how much it writes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use vestibule::context::Ids;

use crate::data_dir;
use crate::turns::{milliseconds, percentile};

/// How long the bytes of a commit take on this disk, alone and beside those that move out of the log
#[derive(Args)]
pub struct Disk {
    /// Pages of a commit, of 4 KiB
    #[arg(long, value_name = "N", default_value_t = 50)]
    pages: usize,
    /// Commits a second
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = value_parser!(u32).range(1..))]
    rate: u32,
    /// How long each of the two is measured, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u32).range(1..))]
    seconds: u32,
    /// Pages of the other file that are written and synced at a time
    #[arg(long, value_name = "N", default_value_t = 2048)]
    moved: u64,
    /// How often they are, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500)]
    every: u64,
}

const PAGE: usize = 4096;
/// Pages of each file: it begins anew where it ends, as the log does.
const FILE: u64 = 32_768;
/// Of the pages that move, one in so many is not the next one of the file.
const SCATTERED: u64 = 8;

impl Disk {
    pub fn measure(&self) {
        let Self { pages, rate, seconds, moved, every } = self;
        println!("{pages} pages a commit, {rate} commits a second, {seconds} s each\n");
        println!("{:<36}{:>9}{:>9}{:>9}{:>9}", "beside", "commits", "p50 ms", "p99 ms", "max ms");
        let data = data_dir();
        let (log, other) = (filled(&data.path().join("log")), filled(&data.path().join("other")));
        print_row("nothing", self.commit(&log));
        let is_over = AtomicBool::new(false);
        let latencies = std::thread::scope(|scope| {
            scope.spawn(|| self.move_pages(&other, &is_over));
            let latencies = self.commit(&log);
            is_over.store(true, Ordering::Relaxed);
            latencies
        });
        print_row(&format!("{moved} pages synced every {every} ms"), latencies);
    }

    /// From the instant at which each commit was due: a late one delays those behind it.
    fn commit(&self, log: &File) -> Vec<Duration> {
        let bytes = page().repeat(self.pages);
        let (start, gap) = (Instant::now(), Duration::from_secs(1) / self.rate);
        let mut at = 0;
        let commit = |number: u32| {
            let due = start + gap * number;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if at + self.pages as u64 > FILE {
                at = 0;
            }
            log.write_all_at(&bytes, at * PAGE as u64).expect("the disk has room");
            log.sync_data().expect("the disk works");
            at += self.pages as u64;
            due.elapsed()
        };
        (0..self.rate * self.seconds).map(commit).collect()
    }

    fn move_pages(&self, other: &File, is_over: &AtomicBool) {
        let (page, mut next) = (page(), 0_u64);
        while !is_over.load(Ordering::Relaxed) {
            let start = Instant::now();
            for number in next..next + self.moved {
                let stride = if number.is_multiple_of(SCATTERED) { 7919 } else { 1 };
                let at = number * stride % FILE * PAGE as u64;
                other.write_all_at(&page, at).expect("the disk has room");
            }
            next += self.moved;
            other.sync_data().expect("the disk works");
            std::thread::sleep(Duration::from_millis(self.every).saturating_sub(start.elapsed()));
        }
    }
}

/// A file whose pages are there, so that nothing but them is written later.
fn filled(path: &Path) -> File {
    let file = File::create_new(path).expect("a new file");
    let page = page();
    for number in 0..FILE {
        file.write_all_at(&page, number * PAGE as u64).expect("the disk has room");
    }
    file.sync_all().expect("the disk works");
    file
}

fn page() -> [u8; PAGE] {
    Ids::default().bytes()
}

fn print_row(beside: &str, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let latency = |share: f64| milliseconds(percentile(&latencies, share));
    println!(
        "{beside:<36}{:>9}{:>9.2}{:>9.2}{:>9.2}",
        latencies.len(),
        latency(0.5),
        latency(0.99),
        latency(1.0)
    );
}
