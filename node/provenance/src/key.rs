//! Names of ed25519 keys outside the ledger.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pyrsia_digest::Sha256;
use pyrsia_ledger::PublicKey;

/// DER before the 32 bytes of a key: SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING }
/// ([RFC 8410, section 4](https://www.rfc-editor.org/rfc/rfc8410#section-4)).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The key id of an envelope's signature: SHA-256, in hexadecimal, over the canonical JSON of the key in
/// [TUF's form](https://theupdateframework.github.io/specification/latest/#key-objects). It is what verifiers make of the
/// public key by themselves, a hint and no proof.
pub fn key_id(key: &PublicKey) -> String {
    let canonical = format!("{{\"keytype\":\"ed25519\",\"keyval\":{{\"public\":\"{key}\"}},\"scheme\":\"ed25519\"}}");
    Sha256::of(canonical.as_bytes()).to_string()
}

/// The key as `-----BEGIN PUBLIC KEY-----` (SubjectPublicKeyInfo), with a newline at its end.
pub fn public_key_pem(key: &PublicKey) -> String {
    let der = [&SPKI_PREFIX[..], key.as_bytes()].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrsia_ledger::AuthorityKey;

    /// As securesystemslib 1.6 and OpenSSL name the key with the seed 07 07 ... 07.
    #[test]
    fn a_known_key_has_the_names_that_others_give_it() {
        let key = AuthorityKey::from_seed(&[7; 32]).public();
        assert_eq!(key.to_string(), "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c");
        assert_eq!(key_id(&key), "bfe1a83869e5bf574e3ff3acbb83f840de84a990d10059f3096f0bf4f2b90c10");
        assert_eq!(
            public_key_pem(&key),
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=\n\
             -----END PUBLIC KEY-----\n"
        );
    }
}
