//! What becomes of a commit whose answer is lost.

use super::lossy_link::{Loss, LossyLink};
use super::tests::{audit, count, embed_session, furnished, open_embed};
use super::*;
use crate::domain::idempotency::Claim;
use crate::domain::session::Session;
use crate::error::Error;
use crate::store::Receipt;

/// A furnished database, and an instance that reaches it by a link that may lose something.
async fn linked() -> (Place, Store, LossyLink, Store) {
    let (place, store) = furnished().await;
    let link = LossyLink::to(&place.url()).await;
    let database = Database::at(link.url(place.url()).as_str()).expect("an address");
    let by_link = Store::open(&database).await.expect("opens by the link");
    (place, store, link, by_link)
}

fn is_unknown<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::Unavailable(why)) if why.contains("is unknown"))
}

/// Opens sessions while `loss` befalls each commit, until the database could be asked about one in
/// time; its id, which is its signature too, and what was answered. A slow machine takes a few.
async fn until_known(store: &Store, link: &LossyLink, loss: Loss) -> (String, Result<Session>) {
    for n in 0..60 {
        let id = format!("ses_{n}");
        link.lose(loss);
        let answer = open_embed(store, &id, &id).await;
        if !is_unknown(&answer) {
            return (id, answer);
        }
    }
    panic!("nothing was known of 60 commits");
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_known_to_have_taken_place() {
    let (_place, store, link, by_link) = linked().await;
    let (id, answer) = until_known(&by_link, &link, Loss::Answer).await;
    answer.expect("the database was asked");
    assert!(store.session("ten_a", &id).await.expect("reads").is_some());
}

#[tokio::test]
async fn a_commit_that_is_lost_leaves_nothing_behind_and_may_be_repeated() {
    let (_place, store, link, by_link) = linked().await;
    let (id, lost) = until_known(&by_link, &link, Loss::Commit).await;
    assert!(
        matches!(&lost, Err(Error::Unavailable(why)) if why.contains("did not take place")),
        "{lost:?}"
    );
    assert!(store.session("ten_a", &id).await.expect("reads").is_none());
    open_embed(&store, &id, &id).await.expect("its signature is not used up");
}

#[tokio::test]
async fn a_commit_that_nobody_can_tell_of_is_unknown_and_its_repetition_resolves_it() {
    let (_place, store, link, by_link) = linked().await;
    let receipt = || Receipt {
        tenant: "ten_a".into(),
        claim: Claim([1; 32]),
        now: 1_700_000_000_000,
        until: 1_700_000_100_000,
        answer: Box::new(|session: &Session| Ok(session.id.clone().into_bytes())),
    };
    link.lose(Loss::Everything);
    let open = async |id: &str, mac: &str| {
        let session = embed_session(id);
        let entry = audit("ten_a");
        let until = 1_700_000_360_000;
        let receipt = Some(receipt());
        by_link.open_embed_session(session, mac.as_bytes(), until, entry, receipt).await
    };
    let lost = open("ses_1", "mac_1").await;
    assert!(is_unknown(&lost), "{lost:?}");
    let meanwhile = open("ses_2", "mac_2").await;
    assert!(matches!(meanwhile, Err(Error::Unavailable(_))), "{meanwhile:?}");
    link.lose(Loss::None);
    let mut repeated = open("ses_3", "mac_3").await;
    for _ in 0..60 {
        if !matches!(repeated, Err(Error::Unavailable(_))) {
            break;
        }
        repeated = open("ses_3", "mac_3").await;
    }
    assert!(matches!(&repeated, Err(Error::Answered(told)) if told == b"ses_1"), "{repeated:?}");
    let replayed = open_embed(&store, "ses_4", "mac_1").await;
    assert!(matches!(replayed, Err(Error::SignatureReplayed)), "{replayed:?}");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, 1);
}
