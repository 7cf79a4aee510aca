//! Answers to "why not": which rule decides over a session, and what is wrong with a signature.
//!
//! Runs the doors' own code up to the point where they would write.

use vestibule_api::diagnostics::{
    Diagnostics, SessionExplainRequest, SessionExplainResponse, SignatureDebugRequest,
    SignatureDebugResponse,
};
use vestibule_api::{authenticate::windows, models};
use vestibule_runtime::Refusal;

use super::backends::Backend;
use super::explain::Explained;
use super::refusal::SECONDS_HINT;
use crate::context::Context;
use crate::domain::key::{Key, KeyKind, Mode};
use crate::domain::signature::{self, Skew};
use crate::domain::signature_diagnosis::{self, Attempt, Diagnosis, Difference, Mistake};
use crate::error::{Error, Result, Thing};

impl Diagnostics for Context {
    async fn session_explain(
        &self,
        caller: Backend,
        request: SessionExplainRequest,
    ) -> Result<SessionExplainResponse, Refusal> {
        let body = request.body;
        let key = self.store.key_by_id(&body.key_id).await?;
        let caller = self.reader(caller).await?;
        let explained = match key.filter(|key| caller.sees(&key.tenant)) {
            None => Explained::unknown_key(),
            Some(key) => {
                let origin = body.origin.as_ref().map(|origin| origin.as_str());
                let text = body.request.as_ref().map(|text| text.as_str());
                self.explain(&key, origin, text).await?
            }
        };
        Ok(SessionExplainResponse::Ok { body: explained.shown() })
    }

    async fn signature_debug(
        &self,
        caller: Backend,
        request: SignatureDebugRequest,
    ) -> Result<SignatureDebugResponse, Refusal> {
        let body = request.body;
        let key = self.store.key_by_lookup(&body.key).await?;
        let caller = self.reader(caller).await?;
        let key = key.filter(|key| caller.sees(&key.tenant) && is_for_trying(key));
        let key = key.ok_or(Error::NotFound(Thing::Key))?;
        let body = self.diagnosed(&key, &body)?;
        Ok(SignatureDebugResponse::Ok { body })
    }
}

fn is_for_trying(key: &Key) -> bool {
    key.kind() == KeyKind::Embed && key.mode == Mode::Test
}

impl Context {
    fn diagnosed(
        &self,
        key: &Key,
        sent: &models::SignatureDebug,
    ) -> Result<models::SignatureDiagnosis, Refusal> {
        let now = self.clock.now_ms();
        let live = self.live_secrets(key, now)?;
        let secrets: Vec<_> = live.into_iter().map(|(_, secret)| secret).collect();
        let attempt = Attempt {
            timestamp: &sent.timestamp,
            body: sent.body.as_bytes(),
            signature: &sent.signature,
        };
        let diagnosis = signature_diagnosis::diagnose(&attempt, &secrets);
        let skew = signature::skew(sent.timestamp.as_bytes(), now, windows::EMBED_TIMESTAMP_MS);
        let signed = signature_diagnosis::string_to_sign(&attempt);
        let difference = sent
            .string_to_sign
            .as_ref()
            .and_then(|text| signature_diagnosis::first_difference(&signed, text.as_bytes()));
        Ok(models::SignatureDiagnosis {
            matches: diagnosis == Diagnosis::Matches,
            finding: finding(&diagnosis, &skew),
            string_to_sign: String::from_utf8_lossy(&signed).into_owned(),
            first_difference: difference.map(shown),
            server_time_ms: now,
            skew_ms: skew.skew_ms,
            within_window: Some(skew.is_within),
        })
    }
}

fn shown(difference: Difference) -> models::SigningDifference {
    let Difference { offset, expected, actual } = difference;
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    models::SigningDifference { offset, expected, actual }
}

/// One or two sentences: the signature first, then the clock.
fn finding(diagnosis: &Diagnosis, skew: &Skew) -> String {
    let signature = match diagnosis {
        Diagnosis::Matches => "The signature is right.".to_owned(),
        Diagnosis::Mistaken(mistake) => told(mistake),
        Diagnosis::Unknown => "No live secret of the key made this signature over this text: \
                               compare your text with string_to_sign, byte for byte, and the \
                               secret with the one that was shown when the key was made."
            .to_owned(),
    };
    let clock = match (skew.is_within, skew.looks_like_seconds) {
        (true, _) => return signature,
        (false, true) => SECONDS_HINT,
        (false, false) if skew.skew_ms.is_none() => {
            "The timestamp is not 13 digits of milliseconds."
        }
        (false, false) => "The timestamp is outside the window: set your clock by NTP.",
    };
    format!("{signature} {clock}")
}

fn told(mistake: &Mistake) -> String {
    let Mistake { text, secret, encoding } = mistake;
    let parts = [
        text.map(|text| format!("made over {text}")),
        secret.map(|secret| format!("keyed with {secret}")),
        encoding.map(|encoding| format!("written {encoding}")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    format!("The signature was {}.", parts.join(" and "))
}
