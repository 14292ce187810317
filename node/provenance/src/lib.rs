//! What a build leaves behind for others to check: an
//! [in-toto Statement v1](https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md) with a
//! [SLSA provenance v1](https://slsa.dev/spec/v1.0/provenance) predicate, in a
//! [DSSE envelope](https://github.com/secure-systems-lab/dsse/blob/master/envelope.md) with ed25519 signatures.
//!
//! [`Statement`] is the content, [`Envelope`] the signed form, [`key_id`] and [`public_key_pem`] name a key in the ways
//! that other verifiers expect. What the fields mean for our builds stands in docs/PROVENANCE.md.
//!
//! Invariants:
//! - a signature covers the payload's type and its bytes as they are ([`pae`]); nothing is parsed before it is verified,
//!   and what is parsed are exactly the verified bytes ([`Envelope::verified`]);
//! - an ed25519 signature is a function of key and message: the same statement has the same envelope, byte for byte;
//! - no message of ours that is signed in another place begins like this one (`DSSEv1 `): those begin with the length of
//!   their domain, or with the first line of a note;
//! - no input panics; sizes and numbers are bounded.
//!
//! What is not here: building, files, clocks, and the question whose keys are to be trusted.

mod envelope;
mod key;
mod statement;

pub use envelope::{Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, MAX_SIGNATURES, PAYLOAD_TYPE, Refused, pae};
pub use key::{key_id, public_key_pem};
pub use statement::{
    BUILD_TYPE, BuildDefinition, BuildMetadata, BuilderIdentity, DigestSet, PREDICATE_TYPE, Predicate,
    ResourceDescriptor, RunDetails, STATEMENT_TYPE, Statement, StatementError, authority_builder, local_builder,
};
