//! `facts.json`: what generated Rust says of every operation, for a program that is not compiled
//! from the documents, the mock.

use serde_json::{Value, json};

use super::api::{Api, Operation};
use super::{Files, Ungenerable};

/// Where the documents lie, bundled, and this file beside them.
pub const FOLDER: &str = "generated/server/documents";
/// Its path below the repository's root.
pub const FILE: &str = "generated/server/facts.json";

/// The file.
pub fn files(api: &Api) -> Result<Files, Ungenerable> {
    let codes = api.codes.iter().map(|(name, message)| json!({ "name": name, "message": message }));
    let facts = json!({
        "codes": codes.collect::<Vec<_>>(),
        "operations": api.operations.iter().map(operation).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&facts)
        .map_err(|bad| Ungenerable(format!("{FILE}: {bad}")))?;
    Ok(Files::from([(FILE.to_owned(), text + "\n")]))
}

fn operation(it: &Operation) -> Value {
    let body = it.body.as_ref().map(
        |body| json!({ "schema": body.schema, "max_bytes": body.max_bytes, "refused": body.code }),
    );
    let credentials = it.credentials.iter().map(|credential| {
        json!({
            "caller": credential.caller,
            "headers": credential.headers.iter().map(|it| it.to_lowercase()).collect::<Vec<_>>(),
            "browser_refused": credential.browser_refused,
        })
    });
    let idempotency = it.idempotency.as_ref().map(|it| {
        let (header, replayed) = (it.header.to_lowercase(), it.replayed.to_lowercase());
        json!({ "header": header, "replayed": replayed, "kept_ms": it.kept_ms })
    });
    let test_clock = it.test_clock.as_ref().map(|it| {
        let header = it.header.to_lowercase();
        json!({ "header": header, "ahead_ms": it.ahead_ms, "refused": it.refused })
    });
    let answers =
        it.answers.iter().map(|answer| json!({ "status": answer.status, "codes": answer.codes }));
    json!({
        "document": it.document,
        "id": it.id,
        "method": it.method,
        "path": it.path,
        "parts": it.parts,
        "body": body,
        "parameters_refused": it.parameters_code,
        "credentials": credentials.collect::<Vec<_>>(),
        "challenge": it.challenge,
        "cors": it.cors,
        "exposed": it.exposed,
        "idempotency": idempotency,
        "test_clock": test_clock,
        "answers": answers.collect::<Vec<_>>(),
    })
}
