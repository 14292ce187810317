//! DSSE envelopes.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use pyrsia_ledger::{AuthorityKey, PublicKey, Signature};
use serde::{Deserialize, Serialize};

use crate::key::key_id;
use crate::statement::{Statement, StatementError};

/// Media type of the payload: an in-toto statement in JSON.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Largest envelope that is read, in bytes of its JSON. A manifest of 50,000 inputs makes about a quarter of it.
pub const MAX_ENVELOPE_BYTES: usize = 64 << 20;
/// Most signatures that are read.
pub const MAX_SIGNATURES: usize = 64;

/// Signed bytes of a statement. How many signatures there are says nothing: see [`Envelope::verified`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    signatures: Vec<Signed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signed {
    key_id: Option<String>,
    signature: Vec<u8>,
}

/// The JSON form. Members that are not known are allowed by the format and ignored.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, rename = "payloadType")]
    payload_type: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    payload: std::borrow::Cow<'a, str>,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
struct WireSignature {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    sig: String,
}

/// Why bytes are no envelope of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// More than [`MAX_ENVELOPE_BYTES`].
    #[error("the envelope has {0} bytes, at most {MAX_ENVELOPE_BYTES} are read")]
    TooLarge(usize),
    /// It is not the JSON of an envelope.
    #[error("no DSSE envelope: {0}")]
    Json(String),
    /// The payload is something else than an in-toto statement.
    #[error("the payload is '{0}', not {PAYLOAD_TYPE}")]
    PayloadType(String),
    /// A member is not base64.
    #[error("{0} is not base64")]
    Base64(&'static str),
    /// There is no signature, or there are more than [`MAX_SIGNATURES`].
    #[error("{0} signatures; 1 to {MAX_SIGNATURES} are read")]
    Signatures(usize),
}

/// Why an envelope is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too few of the keys signed it.
    #[error("{valid} of the {asked} keys signed it, {needed} have to")]
    Signatures {
        /// Different keys with a valid signature.
        valid: usize,
        /// Different keys that were asked about.
        asked: usize,
        /// How many have to.
        needed: usize,
    },
    /// It is signed, and its payload is no statement of ours.
    #[error("signed, but no provenance: {0}")]
    Statement(#[from] StatementError),
}

/// The bytes that are signed
/// ([pre-authentication encoding](https://github.com/secure-systems-lab/dsse/blob/master/protocol.md)).
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs a statement with each of the keys.
    pub fn sign(statement: &Statement, keys: &[&AuthorityKey]) -> Self {
        let payload = statement.to_json();
        let message = pae(PAYLOAD_TYPE, &payload);
        let signatures = keys.iter().map(|key| Signed {
            key_id: Some(key_id(&key.public())),
            signature: key.sign(&message).as_bytes().to_vec(),
        });
        Self { signatures: signatures.collect(), payload }
    }

    /// One line of JSON, without a newline at its end.
    pub fn to_json(&self) -> String {
        let signatures = self
            .signatures
            .iter()
            .map(|signed| WireSignature { keyid: signed.key_id.clone(), sig: STANDARD.encode(&signed.signature) });
        let wire = Wire {
            payload_type: PAYLOAD_TYPE.into(),
            payload: STANDARD.encode(&self.payload).into(),
            signatures: signatures.collect(),
        };
        // Strings and lists of strings always serialise.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads an envelope; believes nothing of it.
    pub fn from_json(json: &[u8]) -> Result<Self, EnvelopeError> {
        if json.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLarge(json.len()));
        }
        let wire: Wire<'_> = serde_json::from_slice(json).map_err(|error| EnvelopeError::Json(error.to_string()))?;
        if wire.payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::PayloadType(wire.payload_type.chars().take(100).collect()));
        }
        if !(1..=MAX_SIGNATURES).contains(&wire.signatures.len()) {
            return Err(EnvelopeError::Signatures(wire.signatures.len()));
        }
        let payload = decode(&wire.payload).ok_or(EnvelopeError::Base64("the payload"))?;
        let signatures = wire.signatures.into_iter().map(|signed| {
            let signature = decode(&signed.sig).ok_or(EnvelopeError::Base64("a signature"))?;
            Ok(Signed { key_id: signed.keyid.filter(|id| !id.is_empty()), signature })
        });
        Ok(Self { signatures: signatures.collect::<Result<_, _>>()?, payload })
    }

    /// The statement, if at least `threshold` different ones of these keys signed it. The key id of a signature only says
    /// which key to try: one that names another key counts for none, and one without an id is tried with all.
    pub fn verified(&self, keys: &[PublicKey], threshold: NonZeroUsize) -> Result<Statement, Refused> {
        let message = pae(PAYLOAD_TYPE, &self.payload);
        let asked: BTreeSet<PublicKey> = keys.iter().copied().collect();
        let signed = |key: &&PublicKey| {
            let id = key_id(key);
            let candidates = self.signatures.iter().filter(|one| one.key_id.as_ref().is_none_or(|named| *named == id));
            candidates
                .filter_map(|one| Some(Signature(one.signature.as_slice().try_into().ok()?)))
                .any(|signature| key.verify(&message, &signature))
        };
        let valid = asked.iter().filter(signed).count();
        if valid < threshold.get() {
            return Err(Refused::Signatures { valid, asked: asked.len(), needed: threshold.get() });
        }
        Ok(Statement::from_json(&self.payload)?)
    }
}

/// Standard or URL-safe alphabet, as verifiers have to accept; padding may be left out.
fn decode(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::tests::statement;
    use base64::engine::general_purpose::URL_SAFE;

    const ONE: NonZeroUsize = NonZeroUsize::MIN;
    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    fn key(seed: u8) -> AuthorityKey {
        AuthorityKey::from_seed(&[seed; 32])
    }

    fn public(seeds: &[u8]) -> Vec<PublicKey> {
        seeds.iter().map(|seed| key(*seed).public()).collect()
    }

    /// The example of the protocol's text.
    #[test]
    fn what_is_signed_is_that_of_the_protocol() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
    }

    #[test]
    fn an_envelope_is_read_as_it_was_written_and_is_the_same_each_time() {
        let envelope = Envelope::sign(&statement(), &[&key(1)]);
        let json = envelope.to_json();
        assert!(!json.contains('\n'));
        assert_eq!(json, Envelope::sign(&statement(), &[&key(1)]).to_json());
        let read = Envelope::from_json(json.as_bytes()).unwrap();
        assert_eq!(read, envelope);
        assert_eq!(read.verified(&public(&[1]), ONE), Ok(statement()));
        // The other alphabet, without padding.
        let mut wire: serde_json::Value = serde_json::from_str(&json).unwrap();
        wire["payload"] = URL_SAFE.encode(statement().to_json()).trim_end_matches('=').into();
        wire["more"] = "is ignored".into();
        wire["signatures"][0].as_object_mut().unwrap().remove("keyid");
        let read = Envelope::from_json(wire.to_string().as_bytes()).unwrap();
        assert_eq!(read.verified(&public(&[2, 1]), ONE), Ok(statement()));
    }

    #[test]
    fn as_many_different_keys_as_were_asked_for_have_to_sign() {
        let both = Envelope::sign(&statement(), &[&key(1), &key(2)]);
        assert!(both.verified(&public(&[1, 2, 3]), TWO).is_ok());
        let refused = Refused::Signatures { valid: 1, asked: 2, needed: 2 };
        assert_eq!(both.verified(&public(&[1, 3]), TWO), Err(refused));
        assert!(both.verified(&public(&[3]), ONE).is_err());
        assert!(both.verified(&[], ONE).is_err());
        // One key twice is one key, on either side.
        let twice = Envelope::sign(&statement(), &[&key(1), &key(1)]);
        assert!(twice.verified(&public(&[1, 1]), TWO).is_err());
    }

    #[test]
    fn a_key_id_of_another_key_is_no_signature() {
        let json = Envelope::sign(&statement(), &[&key(1)]).to_json();
        let renamed = json.replace(&key_id(&key(1).public()), &key_id(&key(2).public()));
        let envelope = Envelope::from_json(renamed.as_bytes()).unwrap();
        assert!(envelope.verified(&public(&[1, 2]), ONE).is_err());
    }

    #[test]
    fn a_signed_payload_that_is_no_statement_is_refused_as_such() {
        let payload = b"{}".to_vec();
        let signature = key(1).sign(&pae(PAYLOAD_TYPE, &payload)).as_bytes().to_vec();
        let envelope = Envelope { payload, signatures: vec![Signed { key_id: None, signature }] };
        assert!(matches!(envelope.verified(&public(&[1]), ONE), Err(Refused::Statement(_))));
    }

    #[test]
    fn what_is_no_envelope_is_refused_by_name() {
        let good = Envelope::sign(&statement(), &[&key(1)]).to_json();
        let with = |change: fn(&mut serde_json::Value)| {
            let mut wire: serde_json::Value = serde_json::from_str(&good).unwrap();
            change(&mut wire);
            Envelope::from_json(wire.to_string().as_bytes()).unwrap_err()
        };
        assert!(matches!(with(|wire| wire["payloadType"] = "text/plain".into()), EnvelopeError::PayloadType(_)));
        assert_eq!(with(|wire| wire["payload"] = "a".into()), EnvelopeError::Base64("the payload"));
        assert_eq!(with(|wire| wire["signatures"][0]["sig"] = "*".into()), EnvelopeError::Base64("a signature"));
        assert_eq!(with(|wire| wire["signatures"] = serde_json::json!([])), EnvelopeError::Signatures(0));
        let many = |wire: &mut serde_json::Value| {
            wire["signatures"] = vec![wire["signatures"][0].clone(); MAX_SIGNATURES + 1].into();
        };
        assert_eq!(with(many), EnvelopeError::Signatures(MAX_SIGNATURES + 1));
        assert!(matches!(with(|wire| wire["payload"] = 1.into()), EnvelopeError::Json(_)));
        assert!(matches!(Envelope::from_json(b""), Err(EnvelopeError::Json(_))));
    }

    proptest::proptest! {
        /// Whatever is changed in the payload or the signature: it is not believed any more, or it is the same statement.
        #[test]
        fn a_changed_byte_is_found(at: proptest::sample::Index, with: u8) {
            let mut json = Envelope::sign(&statement(), &[&key(1)]).to_json().into_bytes();
            let at = at.index(json.len());
            json[at] = with;
            if let Ok(envelope) = Envelope::from_json(&json)
                && let Ok(read) = envelope.verified(&public(&[1]), ONE)
            {
                proptest::prop_assert_eq!(read, statement());
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Envelope::from_json(&bytes);
        }
    }
}
