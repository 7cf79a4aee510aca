//! A chain holds as it was written and in no other way.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::audit::AuditEntry;

fn chain(length: usize) -> Vec<Found> {
    let (mut end, mut entries) = ((0, Hash::NONE), Vec::new());
    for n in 0..length {
        let entry = AuditEntry {
            id: format!("aud_{n}"),
            tenant: "ten_a".into(),
            at: 1_700_000_000_000,
            actor: "admin".into(),
            action: "key.pause".into(),
            target: format!("key_{n}"),
            subject: None,
            detail: json!({ "n": n }).as_object().cloned().unwrap_or_default(),
        };
        let record = Record::behind(end, &entry, None);
        let hash = record.hash();
        end = (record.sequence, hash);
        entries.push(Found { record: Some(record), hash, position: end.0 * 3 });
    }
    entries
}

fn walk(chain: &[Found], end: Option<(i64, Hash)>, expected: &[Head]) -> Result<Head, Break> {
    let mut walk = Walk::new("ten_a", expected);
    chain.iter().try_for_each(|found| walk.step(found))?;
    walk.finish(end)?;
    Ok(walk.head().clone())
}

fn end(chain: &[Found]) -> Option<(i64, Hash)> {
    let last = chain.last()?;
    Some((chain.len() as i64, last.hash))
}

fn fault(found: Result<Head, Break>) -> (i64, Fault) {
    let broken = found.expect_err("it is broken");
    (broken.sequence, broken.fault)
}

fn record(found: &mut Found) -> &mut Record {
    found.record.as_mut().expect("a record")
}

#[test]
fn a_chain_holds_as_it_was_written_and_its_head_is_text() {
    let entries = chain(5);
    let head = walk(&entries, end(&entries), &[]).expect("holds");
    assert_eq!(head.to_string().parse(), Ok(head.clone()));
    assert!(walk(&entries, end(&entries), std::slice::from_ref(&head)).is_ok());
    let nobody = Head { tenant: String::new(), ..head };
    assert!(nobody.to_string().starts_with("-:5:"));
    assert_eq!(nobody.to_string().parse(), Ok(nobody));
    for text in ["", "ten_a:5", "ten_a:x:00", "ten_a:5:00", "a:5:00:1"] {
        assert!(text.parse::<Head>().is_err(), "{text}");
    }
}

#[test]
fn each_kind_of_fault_has_its_name() {
    let whole = chain(5);
    let recorded = end(&whole);
    let mut gap = whole.clone();
    gap.remove(1);
    assert_eq!(fault(walk(&gap, recorded, &[])), (2, Fault::Missing { next: 3 }));
    let short = &whole[..3];
    assert_eq!(fault(walk(short, recorded, &[])), (4, Fault::Truncated { had: 5 }));
    assert_eq!(fault(walk(&whole, end(short), &[])), (5, Fault::EndLost));
    assert_eq!(fault(walk(&whole, None, &[])), (5, Fault::EndLost));
    let mut exchanged = whole.clone();
    record(&mut exchanged[1]).sequence = 3;
    record(&mut exchanged[2]).sequence = 2;
    exchanged.swap(1, 2);
    assert_eq!(fault(walk(&exchanged, recorded, &[])), (2, Fault::Reordered { written: 3 }));
    let unreadable = Found { record: None, ..whole[0].clone() };
    assert_eq!(fault(walk(&[unreadable], recorded, &[])), (1, Fault::Altered));
}

/// Whoever rewrites a whole chain with its hashes is found by a head kept elsewhere alone.
#[test]
fn a_chain_that_was_written_anew_does_not_pass_a_kept_head() {
    let whole = chain(5);
    let head = walk(&whole, end(&whole), &[]).expect("holds");
    let short = &whole[..3];
    let cut = walk(short, end(short), std::slice::from_ref(&head));
    assert_eq!(fault(cut), (4, Fault::Truncated { had: 5 }));
    let mut anew = chain(5);
    record(&mut anew[4]).actor = "nobody".into();
    anew[4].hash = record(&mut anew[4]).hash();
    assert!(walk(&anew, end(&anew), &[]).is_ok());
    let kept = walk(&anew, end(&anew), &[head]);
    assert_eq!(fault(kept), (5, Fault::Exchanged));
}

proptest! {
    /// Whatever changes in one entry, the walk stops there, or behind it when its hash fits again.
    #[test]
    fn every_change_of_one_entry_is_found(
        length in 1usize..6,
        at in any::<prop::sample::Index>(),
        member in 0usize..10,
        text in "[a-z{}]{0,4}",
        number in 1i64..1000,
        rehashed: bool,
    ) {
        let mut entries = chain(length);
        let recorded = end(&entries);
        let at = at.index(length);
        let found = &mut entries[at];
        let before = found.clone();
        let it = record(found);
        match member {
            0 => it.tenant = text,
            1 => it.id = text,
            2 => it.actor = text,
            3 => it.action = text,
            4 => it.target = text,
            5 => it.subject = Some(text).filter(|text| !text.is_empty()),
            6 => it.detail = text,
            7 => it.at += number,
            8 => it.sequence += number,
            _ => it.previous = Hash([u8::try_from(number % 255).unwrap_or(0) + 1; 32]),
        }
        if rehashed {
            found.hash = record(found).hash();
        }
        prop_assume!(*found != before);
        let broken = walk(&entries, recorded, &[]).expect_err("it is broken");
        let place = at as i64 + 1;
        prop_assert!([place, place + 1].contains(&broken.sequence), "{broken:?}");
        prop_assert!(rehashed || broken.sequence == place, "{broken:?}");
    }
}
