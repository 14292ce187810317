//! Signed notes, as far as checkpoints need them ([C2SP signed-note](https://c2sp.org/signed-note)).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pyrsia_digest::Sha256;

use crate::PublicKey;

/// Type byte of `cosignature/v1` in key ids.
const COSIGNATURE_V1: u8 = 4;
/// Begins a signature line: an em dash and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// First four bytes of SHA-256 over `name || "\n" || type || public key`.
pub(crate) fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(b'\n');
    bytes.push(COSIGNATURE_V1);
    bytes.extend_from_slice(key.as_bytes());
    let hash = Sha256::of(&bytes);
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Strict: padded, no stray bits, nothing around it.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// One signature line, with its newline.
pub(crate) fn signature_line(name: &str, blob: &[u8]) -> String {
    format!("{SIGNATURE_PREFIX}{name} {}\n", base64(blob))
}

/// Name and bytes of a signature line (without its newline).
pub(crate) fn parse_signature_line(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, blob) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    Some((name, from_base64(blob)?))
}
