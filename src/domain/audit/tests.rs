//! What the hash covers, and what a pseudonym tells.

use proptest::prelude::*;

use super::*;

fn record() -> Record {
    Record {
        tenant: "ten_a".into(),
        sequence: 7,
        id: "aud_1".into(),
        at: 1_700_000_000_000,
        actor: "admin".into(),
        action: "key.pause".into(),
        target: "key_1".into(),
        subject: None,
        detail: r#"{"a":"é"}"#.into(),
        previous: Hash::NONE,
    }
}

/// The text is written out here, so that whoever checks an export elsewhere can copy it.
#[test]
fn the_canonical_form_is_the_documented_one() {
    let text = format!(
        "vestibule-audit-1\n5:ten_a\n1:7\n5:aud_1\n13:1700000000000\n5:admin\n9:key.pause\n\
         5:key_1\n0:\n10:{{\"a\":\"é\"}}\n64:{}\n",
        "0".repeat(64)
    );
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    assert_eq!(Hash::from_bytes(digest.as_ref()), Some(record().hash()));
}

#[test]
fn a_destroyed_key_gives_no_pseudonym() {
    assert!(SubjectKey::new(&[]).is_none());
    let key = SubjectKey::new(&[7; 32]).expect("a key");
    let one = key.pseudonym(&Subject::Uid("u-1".into()));
    assert_eq!(one, key.pseudonym(&Subject::Uid("u-1".into())));
    assert_eq!(one.len(), 36);
    assert_ne!(one, key.pseudonym(&Subject::Customer("u-1".into())));
    let other = SubjectKey::new(&[8; 32]).expect("a key");
    assert_ne!(one, other.pseudonym(&Subject::Uid("u-1".into())));
}

proptest! {
    /// Whoever a tenant knows is read as they were written, an empty id and colons included.
    #[test]
    fn people_are_read_as_they_were_written(kind in 0usize..3, id in "[a:]{0,3}") {
        let make = [Subject::Uid, Subject::Customer, Subject::Employee][kind];
        let subject = make(id);
        prop_assert_eq!(Subject::parse(&subject.to_string()), Some(subject));
    }

    /// Text that moves from one member of an entry into the next one changes the hash.
    #[test]
    fn members_do_not_run_into_each_other(
        left in "[a:1\n]{0,4}",
        moved in "[a:1\n]{1,4}",
        right in "[a:1\n]{0,4}",
    ) {
        let one = Record {
            actor: format!("{left}{moved}"), action: right.clone(), ..record()
        };
        let other = Record { actor: left, action: format!("{moved}{right}"), ..record() };
        prop_assert_ne!(one.hash(), other.hash());
    }
}
