//! What a tag and a commit say about themselves, signatures included. Nothing here is checked against a key: it is kept,
//! so that somebody who has the key can.

use build_spec::{ObjectSignature, SourceError, TagObject};
use git2::{Commit, ErrorCode, Oid, Repository};

use crate::source::tree::size;
use crate::source::tree_error;

/// Bytes of a commit or tag object.
const MAX_OBJECT: u64 = 4 * 1024 * 1024;
/// Tags of tags of tags.
const MAX_CHAIN: usize = 8;
/// Bytes of a signature that is kept.
const MAX_SIGNATURE: usize = 16 * 1024;
/// How the armour of a signature begins.
const ARMOURS: [(&str, &str); 4] = [
    ("-----BEGIN PGP SIGNATURE-----", "openpgp"),
    ("-----BEGIN PGP MESSAGE-----", "openpgp"),
    ("-----BEGIN SSH SIGNATURE-----", "ssh"),
    ("-----BEGIN SIGNED MESSAGE-----", "x509"),
];

/// The object behind a tag; none for a tag that is only a name.
pub(crate) fn tag_object(repository: &Repository, id: Oid, commit: &str) -> Result<Option<TagObject>, SourceError> {
    let failed = |problem: &str| tree_error(commit, &format!("its tag {id} cannot be read: {problem}"));
    // Before anything is inflated.
    if size(repository, id).map_err(|error| failed(error.message()))? > MAX_OBJECT {
        return Err(failed("it is too large"));
    }
    let Ok(tag) = repository.find_tag(id) else { return Ok(None) };
    let message = String::from_utf8_lossy(tag.message_bytes().unwrap_or_default()).into_owned();
    let tagger = tag.tagger();
    Ok(Some(TagObject {
        id: id.to_string(),
        name: String::from_utf8_lossy(tag.name_bytes()).into_owned(),
        tagger: tagger.as_ref().map(|tagger| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!("{} <{}>", text(tagger.name_bytes()), text(tagger.email_bytes()))
        }),
        time: tagger.as_ref().map(|tagger| tagger.when().seconds()),
        signature: at_the_end(&message),
    }))
}

/// The signature of a commit.
pub(crate) fn commit_signature(commit: &Commit<'_>) -> Result<Option<ObjectSignature>, SourceError> {
    // Of the header alone: what libgit2 calls extracting a signature takes one out of the message as well.
    match commit.header_field_bytes("gpgsig") {
        Ok(signature) => Ok(signature_of(&String::from_utf8_lossy(&signature))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => {
            Err(tree_error(&commit.id().to_string(), &format!("its signature cannot be read: {}", error.message())))
        }
    }
}

/// Checks that an object is small enough to be read at all.
pub(crate) fn check_size(repository: &Repository, id: Oid) -> Result<(), SourceError> {
    match size(repository, id) {
        Ok(size) if size <= MAX_OBJECT => Ok(()),
        Ok(_) => Err(tree_error(&id.to_string(), "the commit object is too large")),
        Err(error) => Err(tree_error(&id.to_string(), error.message())),
    }
}

/// The tag objects that a tag leads through, and what the last of them is of. Each is looked at before it is inflated.
pub(crate) fn chain(repository: &Repository, tag: Oid) -> Result<(Vec<Oid>, Oid), SourceError> {
    let (mut objects, mut next) = (Vec::new(), tag);
    loop {
        check_size(repository, next)?;
        match repository.find_tag(next) {
            Ok(tag) if objects.len() < MAX_CHAIN => {
                objects.push(next);
                next = tag.target_id();
            }
            // One tag too many is no commit, which is what everybody asks for.
            _ => return Ok((objects, next)),
        }
    }
}

/// A tag's signature is the end of its message.
fn at_the_end(message: &str) -> Option<ObjectSignature> {
    let begins = |at: usize| at == 0 || message.as_bytes()[at - 1] == b'\n';
    let places = ARMOURS.iter().flat_map(|(armour, _)| message.rmatch_indices(armour));
    let last = places.map(|(at, _)| at).filter(|at| begins(*at)).max()?;
    signature_of(&message[last..])
}

fn signature_of(text: &str) -> Option<ObjectSignature> {
    let (_, kind) = ARMOURS.iter().find(|(armour, _)| text.starts_with(armour))?;
    let text = text.trim_end();
    Some(ObjectSignature { kind, text: (text.len() <= MAX_SIGNATURE).then(|| text.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_told_apart_and_cut_off() {
        let ssh = at_the_end("one\n-----BEGIN SSH SIGNATURE-----\nabc\n-----END SSH SIGNATURE-----\n").unwrap();
        assert_eq!(ssh.kind, "ssh");
        assert!(ssh.text.is_some_and(|text| text.starts_with("-----BEGIN") && text.ends_with("-----")));
        assert_eq!(at_the_end("it says -----BEGIN PGP SIGNATURE----- in the middle"), None);
        assert_eq!(at_the_end("no signature"), None);
        let long = format!("x\n-----BEGIN PGP SIGNATURE-----\n{}", "a".repeat(MAX_SIGNATURE));
        assert_eq!(at_the_end(&long), Some(ObjectSignature { kind: "openpgp", text: None }));
    }
}
