//! Lines come back as they were written, in bounded files that only their owner reads, across
//! rotation.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use proptest::prelude::*;
use vestibule_runtime::{Asked, KnownCaller, TokenPrefix};

use super::files::path;
use super::*;

fn numbered(number: u64) -> RequestRecord<'static> {
    let asked = Asked {
        operation: None,
        method: "GET",
        route: Some("/v1/things/{thing}"),
        request_id: "b7ad6b71-6920-3331-0000-000000000000",
        trace: None,
    };
    RequestRecord {
        asked,
        status: http::StatusCode::OK,
        code: None,
        caller: None,
        token: None,
        test_clock: None,
        took: Duration::from_micros(number),
        received_bytes: 0,
        sent_bytes: Some(2),
    }
}

/// The numbers of the lines that are read.
fn numbers(reader: &mut Reader) -> Vec<u64> {
    let news = reader.read_on().expect("our files");
    assert_eq!((news.unreadable, news.has_gap), (0, false));
    news.lines.iter().map(|line| line.took_us).collect()
}

fn line(number: u64) -> Vec<u8> {
    Line::of(&numbered(number), 1_700_000_000_123).to_json()
}

#[test]
fn what_is_known_of_a_request_comes_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bounds = RequestLogBounds { max_bytes: 1 << 20, files: 2 };
    let (log, writer) = RequestLog::start(dir.path(), bounds).expect("our directory");
    let caller = KnownCaller {
        tenant: Some("ten_a".into()),
        key: Some("key_a".into()),
        generation: Some(2),
        session: Some("ses_a".into()),
    };
    let token = Some(TokenPrefix([1, 2, 3, 255]));
    let record = RequestRecord { caller: Some(&caller), token, test_clock: Some(5), ..numbered(7) };
    log.take(&record, 1_700_000_000_123);
    drop(writer);
    let mode = path(dir.path(), 0).metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let news = Reader::new(dir.path()).read_on().expect("our files");
    let [line] = news.lines.try_into().expect("one line");
    assert_eq!(line, Line::of(&record, 1_700_000_000_123));
    assert_eq!((line.token.as_deref(), line.generation), (Some("010203ff"), Some(2)));
    assert_eq!(line.test_clock_ms, Some(5));
}

#[test]
fn lines_that_cannot_be_written_are_counted_as_lost() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bounds = RequestLogBounds { max_bytes: 1, files: 1 };
    let (log, writer) = RequestLog::start(dir.path(), bounds).expect("our directory");
    drop(dir);
    for number in 0..3 {
        log.take(&numbered(number), 0);
    }
    drop(writer);
    assert_eq!(log.lost(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever looks before every file is gone reads every line once and in order.
    #[test]
    fn following_survives_rotation(
        files in 2u32..5,
        lines_per_file in 1u64..4,
        looks in proptest::collection::vec(0u64..3, 1..40),
    ) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let max_bytes = lines_per_file * line(0).len() as u64 - 1;
        let bounds = RequestLogBounds { max_bytes, files };
        let mut log = Files::open(dir.path(), bounds).expect("our directory");
        let mut reader = Reader::new(dir.path());
        let (mut written, mut read) = (0, Vec::new());
        for added in looks {
            // Fewer lines than would push an unread file out.
            for _ in 0..added.min(lines_per_file * u64::from(files - 1)) {
                log.append(&line(written)).expect("our file");
                written += 1;
            }
            read.extend(numbers(&mut reader));
        }
        prop_assert_eq!(read, (0..written).collect::<Vec<_>>());
    }

    /// No file grows beyond its bound by more than one write, and there are never more files.
    #[test]
    fn size_and_number_of_files_are_bounded(
        files in 1u32..4,
        max_bytes in 1u64..2000,
        count in 0u64..60,
    ) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut log = Files::open(dir.path(), RequestLogBounds { max_bytes, files }).expect("our directory");
        for number in 0..count {
            log.append(&line(number)).expect("our file");
        }
        let all: Vec<_> = std::fs::read_dir(dir.path()).expect("our directory").collect();
        prop_assert!(all.len() <= files as usize, "{all:?}");
        for entry in all {
            let size = entry.expect("an entry").metadata().expect("a file").len();
            prop_assert!(size < max_bytes + line(count).len() as u64, "{size}");
        }
    }
}

#[test]
fn a_line_without_its_end_waits_for_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let whole = line(1);
    let (begin, end) = whole.split_at(20);
    std::fs::write(path(dir.path(), 0), begin).expect("our file");
    let mut reader = Reader::new(dir.path());
    assert!(numbers(&mut reader).is_empty());
    let mut file = std::fs::OpenOptions::new().append(true).open(path(dir.path(), 0));
    let file = file.as_mut().expect("our file");
    std::io::Write::write_all(file, end).expect("our file");
    assert_eq!(numbers(&mut reader), [1]);
}

#[test]
fn a_log_that_outran_its_reader_says_so() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut log =
        Files::open(dir.path(), RequestLogBounds { max_bytes: 1, files: 2 }).expect("ours");
    let mut reader = Reader::new(dir.path());
    log.append(&line(0)).expect("our file");
    assert_eq!(numbers(&mut reader), [0]);
    for number in 1..6 {
        log.append(&line(number)).expect("our file");
    }
    let news = reader.read_on().expect("our files");
    assert!(news.has_gap);
    assert_eq!(news.lines.iter().map(|line| line.took_us).collect::<Vec<_>>(), [4, 5]);
}
