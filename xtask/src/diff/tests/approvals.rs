//! Approvals: used, used up, left over, malformed.

use super::repository::{EMBED, Repository};

pub const APPROVAL: &str = "\
[[approved]]
document = \"embed\"
pointer = \"/components/schemas/Thing/properties/name/maxLength\"
change = \"request-max-length-lowered\"
reason = \"nobody sends more\"
date = 2026-01-15

[[approved]]
document = \"embed\"
pointer = \"/components/schemas/Thing/properties/name/maxLength\"
change = \"answer-max-length-lowered\"
reason = \"nobody answers more\"
date = \"2026-01-15\"
";

#[test]
fn an_approved_break_passes_until_the_base_has_it() {
    let repository = Repository::new();
    repository.shorten();
    repository.write("approved-breaks.toml", APPROVAL);
    repository.commit();
    let (text, fails) = repository.report(&[]);
    assert!(text.contains("approved 2026-01-15: nobody sends more"), "{text}");
    assert!(text.contains("every break is approved.") && !fails, "{text}");

    // Main takes it in: told there, but no reason to fail before anybody goes on.
    repository.git(&["switch", "--quiet", "main"]);
    repository.git(&["merge", "--quiet", "--ff-only", "shorter"]);
    let (text, fails) = repository.report(&[]);
    assert_eq!(text.matches("the base has this change already").count(), 2, "{text}");
    assert!(text.contains("2 approvals are left over: remove them"), "{text}");
    assert!(!fails, "{text}");

    repository.git(&["switch", "--quiet", "--create", "next"]);
    repository
        .write("embed.yaml", &(EMBED.replace("maxLength: 64", "maxLength: 32") + "# later\n"));
    repository.commit();
    let (text, fails) = repository.report(&[]);
    assert!(text.contains("embed request-max-length-lowered /components"), "{text}");
    assert!(text.contains("openapi/approved-breaks.toml:8"), "{text}");
    assert!(fails, "{text}");
}

#[test]
fn an_approval_that_fits_no_break_fails() {
    let repository = Repository::new();
    repository.shorten();
    // One word off; the break itself stays unapproved.
    let approval = APPROVAL.replace("answer-max-length-lowered", "answer-max-length-raised");
    repository.write("approved-breaks.toml", &approval);
    let (text, fails) = repository.report(&[]);
    assert!(
        text.contains("no break in these documents is this one: embed answer-max-length-raised")
    );
    assert!(
        text.contains("1 of 2 breaks is not approved: take it back, or approve it with a reason"),
        "{text}"
    );
    assert!(fails);
    // Additive changes need none.
    repository.write("embed.yaml", &EMBED.replace("64}", "64, default: a}"));
    let unneeded =
        APPROVAL.replace("maxLength", "default").replace("max-length-lowered", "default-added");
    repository.write("approved-breaks.toml", &unneeded);
    let json = repository.json();
    assert_eq!(json["counts"]["additive"], 2);
    assert_eq!(json["leftover_approvals"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["fine"], false);
}

#[test]
fn malformed_approvals_are_one_line_with_the_place() {
    let repository = Repository::new();
    let cases = [
        ("reason = \"nobody sends more\"\n", "", ":1: missing field `reason`"),
        ("nobody sends more", " ", ":1: `reason` is empty"),
        ("date = 2026-01-15", "date = \"soon\"", ":6: `date` must be a day such as 2026-11-25"),
        ("date = 2026-01-15", "date = 2026-01-15T10:00:00", ":6: `date` must be a day"),
        ("reason = \"nobody sends", "reasons = \"nobody sends", ":5: unknown field `reasons`"),
        ("[[approved]]\ndocument", "[[approved\ndocument", ":1: "),
    ];
    for (find, put, expected) in cases {
        repository.write("approved-breaks.toml", &APPROVAL.replacen(find, put, 1));
        let complaint = repository.diff(&[]).expect_err(expected);
        let start = format!("openapi/approved-breaks.toml{expected}");
        assert!(complaint.starts_with(&start) && !complaint.contains('\n'), "{complaint}");
    }
}
