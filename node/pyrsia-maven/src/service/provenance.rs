//! Signed provenance: which there is for a release, and handing it on.

use std::num::NonZeroUsize;

use maven_layout::Coordinates;
use pyrsia_api_types::AttestedProvenance;
use pyrsia_digest::Sha256;
use pyrsia_http::ViewError;
use pyrsia_ledger::{BuiltResult, PublicKey, Round, RoundResult};
use pyrsia_provenance::{Envelope, MAX_ENVELOPE_BYTES, key_id};
use pyrsia_rebuilds::PeerBlobs as _;
use tokio::sync::Semaphore;

use super::story::name_of;
use super::{NodeService, internal};

/// Envelopes of one answer together, in bytes: they are in memory.
const MAX_ANSWER: usize = 2 * MAX_ENVELOPE_BYTES;
/// Answers at a time.
static PLACES: Semaphore = Semaphore::const_new(2);

/// What an authority has attested to have built, with the digest of its provenance.
struct Attested<'a> {
    key: PublicKey,
    built: &'a BuiltResult,
    sha256: Sha256,
}

fn attested(round: &Round) -> impl Iterator<Item = Attested<'_>> {
    round.attestations.iter().filter_map(|(key, shown)| match &*shown.result {
        RoundResult::Built(built) => Some(Attested { key: *key, built, sha256: built.provenance? }),
        RoundResult::Failed(_) | RoundResult::Void { .. } => None,
    })
}

/// The provenance that a round has left, by name of the authority.
pub(super) fn of_round(round: &Round) -> Vec<AttestedProvenance> {
    let mut all: Vec<_> = attested(round)
        .map(|one| AttestedProvenance {
            authority: name_of(&round.committee, &one.key),
            key: one.key.to_string(),
            key_id: key_id(&one.key),
            sha256: one.sha256.to_string(),
        })
        .collect();
    all.sort_by(|a, b| a.authority.cmp(&b.authority));
    all
}

/// An envelope is handed on only if the authority signed it and it is about the very files that the authority attested.
fn check(bytes: &[u8], one: &Attested<'_>) -> Result<String, String> {
    let envelope = Envelope::from_json(bytes).map_err(|error| error.to_string())?;
    let statement = envelope.verified(&[one.key], NonZeroUsize::MIN).map_err(|error| error.to_string())?;
    let missing =
        one.built.files.iter().find(|file| file.digest.is_some_and(|sha256| !statement.is_about(&file.name, &sha256)));
    match missing {
        Some(file) => Err(format!("it is not about {}, which was attested", file.name)),
        None => Ok(envelope.to_json()),
    }
}

impl NodeService {
    /// The envelopes of the round behind a release's verdict, one a line.
    pub(super) async fn envelopes(&self, release: &Coordinates, authority: Option<&str>) -> Result<String, ViewError> {
        let _place = PLACES.acquire().await.map_err(internal)?;
        let state = self.replica.state();
        let not_found = |detail: String, next: String| ViewError::NotFound { detail, next };
        let round = state.verdict(release).and_then(|verdict| state.round(&verdict.round)).ok_or_else(|| {
            let next = format!("pyrsia-maven build {release} --wait");
            not_found(format!("the ledger has no standing verdict for {release}"), next)
        })?;
        let wanted = |one: &Attested<'_>| {
            authority.is_none_or(|asked| asked == name_of(&round.committee, &one.key) || asked == one.key.to_string())
        };
        let mut all: Vec<_> = attested(round).filter(wanted).collect();
        all.sort_by_key(|one| name_of(&round.committee, &one.key));
        if all.is_empty() {
            let text = match authority {
                Some(_) => format!("no authority of that name has attested a build of {release}"),
                None => format!("nobody has attested a build of {release}: its verdict is about failed builds"),
            };
            return Err(not_found(text, format!("pyrsia-maven inspect {release}")));
        }
        let (mut lines, mut lacking) = (String::new(), Vec::new());
        for one in &all {
            let name = name_of(&round.committee, &one.key);
            match self.line_of(one).await {
                Ok(line) if lines.len() + line.len() < MAX_ANSWER => {
                    lines.push_str(&line);
                    lines.push('\n');
                }
                Ok(_) => {
                    return Err(ViewError::Invalid {
                        detail: format!("the provenance of all authorities has more than {MAX_ANSWER} bytes"),
                        next: format!("ask for one: ?authority={name}"),
                    });
                }
                Err(text) => {
                    tracing::info!(%release, authority = name, text, "a provenance is not handed on");
                    lacking.push(format!("{name}: {text}"));
                }
            }
        }
        if lines.is_empty() {
            return Err(not_found(
                format!("no provenance of {release} can be had: {}", lacking.join("; ")),
                "ask an authority that built it, or try again when it is connected".to_owned(),
            ));
        }
        Ok(lines)
    }

    /// An envelope that the ledger names, from the store or from peers, as one line.
    async fn line_of(&self, one: &Attested<'_>) -> Result<String, String> {
        let limit = MAX_ENVELOPE_BYTES as u64;
        if !self.blobs.has(&one.sha256) {
            let Some(fetcher) = &self.fetcher else { return Err("it is not in the store".to_owned()) };
            fetcher.ensure(&one.sha256, limit).await?;
        }
        let (blobs, sha256, key, built) = (self.blobs.clone(), one.sha256, one.key, one.built.clone());
        // Checking it hashes and parses as many bytes as reading it: nothing for a thread that others wait for.
        let checked = tokio::task::spawn_blocking(move || -> Result<String, String> {
            let bytes = match blobs.size(&sha256) {
                Some(size) if size <= limit => blobs.read_verified(&sha256).map_err(|error| error.to_string())?,
                Some(size) => return Err(format!("it has {size} bytes, at most {limit} are read")),
                None => return Err("it is no longer in the store".to_owned()),
            };
            check(&bytes, &Attested { key, built: &built, sha256 })
        });
        checked.await.map_err(|error| error.to_string())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrsia_ledger::{AuthorityKey, FileResult, Outcome};
    use pyrsia_provenance::{
        BUILD_TYPE, BuildDefinition, BuilderIdentity, Predicate, ResourceDescriptor, RunDetails, Statement,
        authority_builder,
    };

    fn statement(file: &[u8]) -> Statement {
        let key = AuthorityKey::from_seed(&[1; 32]).public();
        let build_definition = BuildDefinition {
            build_type: BUILD_TYPE.to_owned(),
            external_parameters: Default::default(),
            internal_parameters: Default::default(),
            resolved_dependencies: vec![],
        };
        let builder = BuilderIdentity { id: authority_builder(&key), version: Default::default() };
        let run_details = RunDetails { builder, metadata: None, byproducts: vec![] };
        let subject = ResourceDescriptor::new("lib-1.jar", "sha256", Sha256::of(file));
        Statement::new(vec![subject], Predicate { build_definition, run_details })
    }

    fn built() -> BuiltResult {
        let file = FileResult {
            coordinates: "org.acme:lib:1".parse().unwrap(),
            name: "lib-1.jar".to_owned(),
            reference: None,
            outcome: Outcome::Native,
            digest: Some(Sha256::of(b"jar")),
            normalised: None,
            normalisers: vec![],
        };
        BuiltResult {
            files: vec![file],
            outputs_root: Sha256::of(b""),
            source_tree: Sha256::of(b""),
            canonical_scm: None,
            pom_chain: vec![],
            byproducts: None,
            provenance: None,
            mirrored_source: false,
        }
    }

    #[test]
    fn only_what_the_authority_signed_about_what_it_attested_is_handed_on() {
        let (own, other) = (AuthorityKey::from_seed(&[1; 32]), AuthorityKey::from_seed(&[2; 32]));
        let built = built();
        let one = Attested { key: own.public(), built: &built, sha256: Sha256::of(b"") };
        let good = Envelope::sign(&statement(b"jar"), &[&own]).to_json();
        assert_eq!(check(good.as_bytes(), &one), Ok(good));
        for (bytes, expected) in [
            (Envelope::sign(&statement(b"jar"), &[&other]).to_json().into_bytes(), "0 of the 1 keys signed it"),
            (Envelope::sign(&statement(b"other"), &[&own]).to_json().into_bytes(), "not about lib-1.jar"),
            (statement(b"jar").to_json(), "no DSSE envelope"),
        ] {
            let refused = check(&bytes, &one).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
