//! Bodies of the calls between nodes that are not the replica's: requests for documents, builds on behalf of a peer.
//!
//! Builds travel as the documents of the local API, in JSON: they are for people, and their limits are those of the call.

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_api_types::{Build, BuildEvents, PublisherProof};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

/// Asks for a document by the digest that proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum DocumentRequest {
    /// A specification, as TOML.
    Specification(Sha256),
    /// What a builder image is made of, as JSON.
    Image(Sha256),
}

impl DocumentRequest {
    /// Canonical bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        borsh::to_vec(&self).expect("writing to a vector does not fail")
    }

    /// Reads the whole of `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        borsh::from_slice(bytes).ok()
    }
}

/// The document, if the peer has it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Document(pub Option<Vec<u8>>);

impl Document {
    /// Canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("writing to a vector does not fail")
    }

    /// Reads the whole of `bytes`; borsh takes no more memory than the bytes at hand give.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        borsh::from_slice(bytes).ok()
    }
}

/// The publisher's signature for a build that an authority has taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignRequest {
    /// The build, as the authority named it.
    pub id: String,
    /// The signature.
    pub proof: PublisherProof,
}

/// What goes on in a build that an authority has taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildRequest {
    /// The build, as the authority named it.
    pub id: String,
    /// Events after this sequence; none: only the build itself.
    pub after: Option<u64>,
    /// Seconds to wait for an event.
    pub wait_s: u64,
}

/// The answer to a [`BuildRequest`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuildAnswer {
    /// The build.
    pub build: Build,
    /// Its events, if they were asked for.
    pub events: Option<BuildEvents>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_round_trip_and_nothing_trails() {
        let request = DocumentRequest::Image(Sha256::of(b"image"));
        assert_eq!(DocumentRequest::from_bytes(&request.to_bytes()), Some(request));
        let mut long = request.to_bytes();
        long.push(0);
        assert_eq!(DocumentRequest::from_bytes(&long), None);
        let document = Document(Some(b"text".to_vec()));
        assert_eq!(Document::from_bytes(&document.to_bytes()), Some(document));
        assert_eq!(Document::from_bytes(&[1, 255, 255, 255, 255]), None, "a length without its bytes");
    }

    /// Fields and what they are: in their order they are the bytes, and together the stored vector. With `WRITE_VECTORS`
    /// in the environment it is written instead, for a new format.
    fn check(name: &str, about: &str, fields: &[(&str, &[u8])], actual: &[u8]) {
        let bytes: Vec<u8> = fields.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
        assert_eq!(bytes, actual, "the layout of {name}");
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let lines = fields.iter().map(|(what, bytes)| format!("{} # {what}\n", hex(bytes)));
        let text = format!("# {about}\n{}", lines.collect::<String>());
        let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
        if std::env::var_os("WRITE_VECTORS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, stored, "{name} has changed: that is a new version of the format");
    }

    #[test]
    fn vectors_of_documents() {
        let digest = Sha256::of(b"what names it");
        let named: (&str, &[u8]) = ("its digest", digest.as_bytes());
        for (name, kind, request) in [
            ("specification-request.txt", ("a specification", &[0][..]), DocumentRequest::Specification(digest)),
            ("image-request.txt", ("an image", &[1][..]), DocumentRequest::Image(digest)),
        ] {
            let bytes = request.to_bytes();
            check(name, "the body of a call of method 6", &[kind, named], &bytes);
            assert_eq!(DocumentRequest::from_bytes(&bytes), Some(request));
        }
        let found = Document(Some(b"spec = 1\n".to_vec())).to_bytes();
        let fields: [(&str, &[u8]); 3] =
            [("it is here", &[1]), ("its length, u32", &[9, 0, 0, 0]), ("its text", b"spec = 1\n")];
        check("document.txt", "the answer to a call of method 6", &fields, &found);
        let fields: [(&str, &[u8]); 1] = [("it is not here", &[0])];
        check("no-document.txt", "the answer to a call of method 6", &fields, &Document(None).to_bytes());
    }
}
