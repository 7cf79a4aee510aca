//! What the limits at the edge cost in memory, and how rarely sharing cells refuses a subject that
//! kept to its limit.
//!
//! `cargo bench --bench limiter`. No server, no store and no clock: times are simulated, so the
//! refusals are the same on every machine. Fails when the limits take more memory than they say,
//! or any more for ten times the subjects.

use std::net::{IpAddr, Ipv4Addr};

use vestibule::limiter::{Cells, Edge, EdgeRates, Mode, Rate, SHARDS};

const NOW: i64 = 1_700_000_000_000;
const SECRET: [u8; 32] = [7; 32];
const SUBJECTS: u32 = 1_000_000;

const RATES: EdgeRates = EdgeRates::DEFAULT;
/// What measuring itself may take, and what the allocator rounds up.
const SLACK_KIB: u64 = 512;

/// Longer than the longest burst lasts, so that debts have grown as far as they will.
const SECONDS: i64 = 20;
/// Each limit with what is asked of it: one subject in so many asks at half its limit, the others
/// once a second. The last ones are more than a process can answer; they show where it begins.
const LOADS: [(&str, Rate, usize); 5] = [
    ("key", RATES.key, 100),
    ("key", RATES.key, 10),
    ("session", RATES.session, 100),
    ("session", RATES.session, 10),
    ("session", RATES.session, 1),
];

fn main() {
    memory();
    println!("limit     one busy in  subjects  requests   refused      rate");
    for (name, rate, one_in) in LOADS {
        for subjects in [10_000, 100_000, 1_000_000] {
            let Falsely { refused, asked } = refusals(subjects, rate, one_in);
            let share = f64::from(refused) / f64::from(asked);
            println!("{name:<10}{one_in:>11}{subjects:>10}{asked:>10}{refused:>10}{share:>10.1e}");
        }
    }
    println!("Every refusal above is false: each subject kept to its own limit.");
}

fn memory() {
    let before = resident_kib();
    let edge = Edge::new(Mode::Enforce, RATES, || SECRET);
    let count = |from: u32, to: u32| {
        for n in from..to {
            edge.address(IpAddr::V4(Ipv4Addr::from(n)), NOW).ok();
            edge.key(&format!("key_{n:026}"), None, NOW).ok();
        }
    };
    // Pages are there once they are written.
    count(0, SUBJECTS / 10);
    let tenth = resident_kib();
    count(SUBJECTS / 10, SUBJECTS);
    let (Some(before), Some(tenth), Some(all)) = (before, tenth, resident_kib()) else {
        println!("Memory is measured on Linux only.\n");
        return;
    };
    println!("addresses  keys       resident KiB");
    for (each, resident) in [(0, before), (SUBJECTS / 10, tenth), (SUBJECTS, all)] {
        println!("{each:<11}{each:<11}{resident:>12}");
    }
    println!();
    let most = Edge::BYTES as u64 / 1024 + SLACK_KIB;
    assert!(all - before <= most, "{} KiB instead of {most} at most", all - before);
    assert!(all - tenth <= SLACK_KIB, "{} KiB more for ten times the subjects", all - tenth);
}

/// `None` where there is no such file.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

struct Falsely {
    refused: u32,
    asked: u32,
}

/// Lets subjects ask as evenly as they can, each from an instant of its own.
fn refusals(subjects: usize, rate: Rate, one_in: usize) -> Falsely {
    let cells = Cells::new(SHARDS, SECRET);
    let half = 2 * 60_000 / i64::from(rate.per_minute);
    let (busy, calm): (Vec<_>, Vec<_>) = (0..subjects).partition(|n| n % one_in == 0);
    let groups = [by_instant(&busy, half), by_instant(&calm, 1000)];
    let mut falsely = Falsely { refused: 0, asked: 0 };
    for ms in 0..SECONDS * 1000 {
        for group in &groups {
            let turn = usize::try_from(ms).expect("it is positive") % group.len();
            for subject in &group[turn] {
                let charged = cells.charge(&subject.to_be_bytes(), rate, NOW + ms);
                falsely.asked += 1;
                falsely.refused += u32::from(charged.wait_ms.is_some());
            }
        }
    }
    falsely
}

/// Who asks in each millisecond of a period.
fn by_instant(subjects: &[usize], period_ms: i64) -> Vec<Vec<usize>> {
    let mut instants = vec![Vec::new(); usize::try_from(period_ms).expect("it is positive")];
    for (at, subject) in subjects.iter().enumerate() {
        // A stride without a common factor, so that neighbours do not ask together.
        let instant = at * 617 % instants.len();
        instants[instant].push(*subject);
    }
    instants
}
