//! `provenance`: the signed provenance of a release, checked against its verdict before it is handed over.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use anyhow::{Context as _, ensure};
use pyrsia_api_types::{ProvenanceReport, SignedProvenance};
use pyrsia_ledger::{FileVerdict, PublicKey, Verdict};
use pyrsia_provenance::{Envelope, MAX_ENVELOPE_BYTES, Statement, key_id, public_key_pem};

use super::judge::hint;
use super::receipt;
use crate::cli::{Global, ProvenanceArgs};
use crate::client::Client;
use crate::context::Context;
use crate::data_dir::write_atomically;
use crate::exit::{CommandError, Exit};
use crate::terminal::{self, plain};

/// Most bytes that are taken from a node.
const MAX_ANSWER: usize = 2 * MAX_ENVELOPE_BYTES;

/// Runs the command.
pub async fn run(global: &Global, args: &ProvenanceArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let client = Client::new(&global.node, None)?;
    let release = &args.coordinates;
    // Whose signatures count is what a certified verdict says, not what the node says.
    let Some((_, proven)) = receipt::proven(&context, &client, global, release).await? else {
        let text = format!("the ledger has no verdict for {release}; {}", hint(release));
        return Err(CommandError::new(Exit::Unknown, text).into());
    };
    let mut address = reqwest::Url::parse(client.base()).context("the node's address")?;
    if let Some(name) = &args.authority {
        address.query_pairs_mut().append_pair("authority", name);
    }
    let query = address.query().map(|query| format!("?{query}")).unwrap_or_default();
    let (mut bytes, mut too_long) = (Vec::new(), false);
    let sink = |piece: &[u8]| {
        too_long = bytes.len() + piece.len() > MAX_ANSWER;
        if too_long {
            return ControlFlow::Break(());
        }
        bytes.extend_from_slice(piece);
        ControlFlow::Continue(())
    };
    let found = client.stream(&format!("/api/v1/provenance/{release}{query}"), sink).await?;
    ensure!(!too_long, "the node's answer is larger than {MAX_ANSWER} bytes; ask for one with --authority");
    let Some(()) = found else {
        let text = format!("the node has no provenance of {release}; ask an authority that built it (--node URL)");
        return Err(CommandError::new(Exit::Unknown, text).into());
    };
    let mut lines = String::new();
    let mut envelopes = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let wrong = |text: String| CommandError::new(Exit::BadProof, format!("the provenance of {release}: {text}"));
        let envelope = Envelope::from_json(line).map_err(|error| wrong(error.to_string()))?;
        match signed(&envelope, &proven.verdict) {
            Some(found) => {
                lines.push_str(&envelope.to_json());
                lines.push('\n');
                envelopes.push(found);
            }
            None => terminal::note("one is left out: nobody whose result is part of the verdict signed it"),
        }
    }
    if envelopes.is_empty() {
        let text = format!("no provenance of {release} is signed by an authority whose result is part of the verdict");
        return Err(CommandError::new(Exit::BadProof, text).into());
    }
    if let Some(path) = &args.output {
        write_atomically(path, lines.as_bytes())?;
    }
    if global.json {
        let verdict = proven.verdict.state.to_string();
        terminal::json(&ProvenanceReport { gav: release.to_string(), verdict, envelopes })?;
    } else if args.output.is_none() {
        terminal::line(lines.trim_end());
    } else {
        for one in &envelopes {
            let word = if one.agrees { "the verdict's files" } else { "files that the verdict does not name" };
            terminal::line(&format!("signed by {}: {} inputs, {word}", plain(&one.key), one.inputs));
        }
    }
    Ok(Exit::Done)
}

/// Who of those that a verdict names signed an envelope, and whether it is about what they agreed on.
fn signed(envelope: &Envelope, verdict: &Verdict) -> Option<SignedProvenance> {
    let named = |file: &FileVerdict| -> Vec<PublicKey> {
        file.agreed_by.iter().copied().chain(file.dissent.iter().map(|(key, _)| *key)).collect()
    };
    let keys: BTreeSet<PublicKey> = verdict.files.iter().flat_map(named).collect();
    let (key, statement) =
        keys.into_iter().find_map(|key| Some((key, envelope.verified(&[key], NonZeroUsize::MIN).ok()?)))?;
    Some(SignedProvenance {
        key: key.to_string(),
        key_id: key_id(&key),
        public_key: public_key_pem(&key),
        agrees: agrees(&key, &statement, &verdict.files),
        builder: statement.predicate.run_details.builder.id,
        inputs: statement.predicate.build_definition.resolved_dependencies.len() as u64,
    })
}

/// Whether a builder is among those who agree, on each file on which anybody does, and says that it made what they made.
fn agrees(key: &PublicKey, statement: &Statement, files: &[FileVerdict]) -> bool {
    // What was built stands in `rebuilt`; where builders agree that it differs from upstream's, also.
    let mut agreed = files.iter().filter(|file| !file.agreed_by.is_empty()).peekable();
    agreed.peek().is_some()
        && agreed.all(|file| {
            file.agreed_by.contains(key) && file.rebuilt.is_none_or(|sha256| statement.is_about(&file.name, &sha256))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrsia_digest::Sha256;
    use pyrsia_ledger::{AuthorityKey, VerdictState};
    use pyrsia_provenance::{
        BUILD_TYPE, BuildDefinition, BuilderIdentity, Predicate, ResourceDescriptor, RunDetails, local_builder,
    };

    fn statement() -> Statement {
        let build_definition = BuildDefinition {
            build_type: BUILD_TYPE.to_owned(),
            external_parameters: Default::default(),
            internal_parameters: Default::default(),
            resolved_dependencies: vec![],
        };
        let builder = BuilderIdentity { id: local_builder(), version: Default::default() };
        let run_details = RunDetails { builder, metadata: None, byproducts: vec![] };
        let subject = ResourceDescriptor::new("lib-1.jar", "sha256", Sha256::of(b"jar"));
        Statement::new(vec![subject], Predicate { build_definition, run_details })
    }

    fn file(rebuilt: Option<&[u8]>, agreed_by: &[PublicKey]) -> FileVerdict {
        FileVerdict {
            name: "lib-1.jar".to_owned(),
            state: VerdictState::Disputed,
            sha256: None,
            outcome: None,
            normalisers: vec![],
            normalised: None,
            rebuilt: rebuilt.map(Sha256::of),
            agreed_by: agreed_by.to_vec(),
            dissent: vec![],
        }
    }

    #[test]
    fn who_disagrees_or_agrees_with_nobody_does_not_agree() {
        let [own, other] = [1, 2].map(|seed| AuthorityKey::from_seed(&[seed; 32]).public());
        let says = |files: &[FileVerdict]| agrees(&own, &statement(), files);
        let built = file(Some(b"jar"), &[own, other]);
        assert!(says(std::slice::from_ref(&built)));
        // Upstream's file, made with other bytes by each.
        assert!(says(&[file(None, &[own, other])]));
        assert!(says(&[built.clone(), file(None, &[])]), "one file is disputed, the others are not");
        assert!(!says(&[file(Some(b"other"), &[own, other])]));
        assert!(!says(&[built, file(None, &[other])]));
        assert!(!says(&[file(None, &[])]), "nobody agrees with anybody");
        assert!(!says(&[]));
    }
}
