//! What `verify` says about one file, as a function of the proven verdict and the file's digest.

use maven_layout::Coordinates;
use pyrsia_api_types::FileReport;
use pyrsia_digest::Sha256;
use pyrsia_ledger::{Genesis, Outcome, PublicKey, Verdict, VerdictState};

use crate::exit::Exit;

/// What is said of a release that no longer stands.
pub const WITHDRAWN: &str = "WITHDRAWN or blocked: do not use this release";

/// What the user accepts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accept {
    /// A verdict of a network that tolerates no liar.
    pub self_verified: bool,
    /// `equivalent`.
    pub equivalent: bool,
}

/// One file's judgement.
#[derive(Debug)]
pub struct Judged {
    /// The code for this file alone.
    pub exit: Exit,
    /// Its line in the report.
    pub report: FileReport,
    /// One sentence for a person.
    pub sentence: String,
}

/// The file to judge.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Name in the release's folder.
    pub name: String,
    /// Where it was read from.
    pub path: Option<String>,
    /// SHA-256 of its bytes; none if there are none to be had.
    pub sha256: Option<Sha256>,
}

/// Judges a file by a verdict that has been proven.
pub fn judge(verdict: &Verdict, candidate: &Candidate, genesis: &Genesis, withdrawn: bool, accept: Accept) -> Judged {
    let Some(file) = verdict.file(&candidate.name) else {
        let mut judged = unknown(candidate, verdict.threshold, "the verdict on this release does not name this file");
        if withdrawn {
            judged.exit = Exit::Withdrawn;
            judged.report.verdict = "withdrawn".to_owned();
            judged.sentence = WITHDRAWN.to_owned();
        } else if verdict.state == VerdictState::Failed {
            judged.exit = Exit::BuildFailed;
            judged.report.verdict = verdict.state.to_string();
            judged.sentence = "FAILED: a quorum of builders saw the build of this release fail".to_owned();
        }
        return judged;
    };
    let mut report = FileReport {
        name: candidate.name.clone(),
        path: candidate.path.clone(),
        sha256: candidate.sha256.map(|digest| digest.to_string()),
        verdict: file.state.to_string(),
        comparison: file.outcome.map(|outcome| comparison(outcome).to_owned()),
        agreed_by: file.agreed_by.iter().map(|key| name_of(genesis, key)).collect(),
        threshold: verdict.threshold,
    };
    let done = |exit, report, sentence: String| Judged { exit, report, sentence };
    // Altered bytes are the worst news, whatever else is known of the release.
    if let (Some(expected), Some(actual)) = (file.sha256, candidate.sha256)
        && expected != actual
    {
        let sentence = format!("MISMATCH: the file has SHA-256 {actual}, the ledger says {expected}");
        return done(Exit::Mismatch, report, sentence);
    }
    if withdrawn {
        report.verdict = "withdrawn".to_owned();
        return done(Exit::Withdrawn, report, WITHDRAWN.to_owned());
    }
    let who = agreed(verdict, report.agreed_by.len());
    match (file.state, file.sha256, candidate.sha256) {
        (VerdictState::Disputed, ..) => {
            done(Exit::Disputed, report, "DISPUTED: the builders did not agree; see `inspect`".to_owned())
        }
        (VerdictState::Failed, ..) => {
            done(Exit::BuildFailed, report, "FAILED: the source could not be built".to_owned())
        }
        (VerdictState::Different, ..) if file.outcome == Some(Outcome::NotBuilt) => {
            done(Exit::Unknown, report, "unknown: the build does not make this file".to_owned())
        }
        (_, _, None) => done(Exit::Unknown, report, "unknown: there is no such file to verify".to_owned()),
        (_, None, Some(_)) => done(Exit::Mismatch, report, "MISMATCH: the ledger knows no such file".to_owned()),
        (VerdictState::Different, ..) => {
            done(Exit::Different, report, format!("DIFFERENT: upstream's file is not what the source makes, {who}"))
        }
        (state, ..) => {
            let mut codes = Vec::new();
            if state == VerdictState::Equivalent && !accept.equivalent {
                codes.push(Exit::Equivalent);
            }
            if verdict.is_self_verified() && !accept.self_verified {
                codes.push(Exit::SelfVerified);
            }
            let word = match state {
                VerdictState::Equivalent => format!("equivalent after {}", file.normalisers.join(", ")),
                _ => "bit for bit what the source makes".to_owned(),
            };
            done(Exit::worst(codes), report, format!("{word}, {who}"))
        }
    }
}

/// A file that the ledger says nothing about.
pub fn unknown(candidate: &Candidate, threshold: u32, why: &str) -> Judged {
    Judged {
        exit: Exit::Unknown,
        report: FileReport {
            name: candidate.name.clone(),
            path: candidate.path.clone(),
            sha256: candidate.sha256.map(|digest| digest.to_string()),
            verdict: "unknown".to_owned(),
            comparison: None,
            agreed_by: Vec::new(),
            threshold,
        },
        sentence: format!("unknown: {why}"),
    }
}

/// What to do about an unknown release.
pub fn hint(release: &Coordinates) -> String {
    format!("to have it rebuilt: pyrsia-maven build {release} --wait")
}

fn agreed(verdict: &Verdict, by: usize) -> String {
    let size = verdict.committee_size;
    match (verdict.is_self_verified(), size) {
        (true, 1) => "agreed by 1 of 1 (this machine); no Byzantine tolerance".to_owned(),
        (true, _) => format!("agreed by {by} of {size}; no Byzantine tolerance"),
        (false, _) => format!("agreed by {by} of {size} authorities ({} needed)", verdict.threshold),
    }
}

const fn comparison(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Identical => "identical",
        Outcome::Equivalent => "equivalent",
        Outcome::Different => "different",
        Outcome::NotBuilt => "not-built",
        Outcome::Extra => "extra",
        Outcome::Native => "native",
    }
}

/// The name that the genesis gives to a key.
pub fn name_of(genesis: &Genesis, key: &PublicKey) -> String {
    genesis
        .authorities
        .iter()
        .find(|authority| authority.authority_key == *key)
        .map_or_else(|| key.to_string(), |authority| authority.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrsia_ledger::{Authority, AuthorityKey, ConsensusKey, Constants, FileVerdict, Mode, RoundKey};

    fn genesis() -> Genesis {
        Genesis {
            name: "test".to_owned(),
            nonce: [0; 32],
            authorities: vec![Authority {
                name: "one".to_owned(),
                authority_key: AuthorityKey::from_seed(&[1; 32]).public(),
                consensus_key: ConsensusKey::from_seed(&[2; 32]).public(),
            }],
            constants: Constants::default(),
        }
    }

    fn verdict(state: VerdictState, size: u32) -> Verdict {
        Verdict {
            coordinates: "org.acme:lib:1".parse().unwrap(),
            round: RoundKey(Sha256::of(b"round")),
            index: 3,
            mode: Mode::Upstream,
            state,
            files: vec![FileVerdict {
                name: "lib-1.jar".to_owned(),
                state,
                sha256: Some(Sha256::of(b"jar")),
                outcome: None,
                normalisers: vec![],
                normalised: None,
                rebuilt: None,
                agreed_by: vec![AuthorityKey::from_seed(&[1; 32]).public()],
                dissent: vec![],
            }],
            repository: "https://git.example/acme/lib".parse().unwrap(),
            commit: "0123456789012345678901234567890123456789".parse().unwrap(),
            tag: None,
            specification: Sha256::of(b"s"),
            image: Sha256::of(b"i"),
            inputs_root: None,
            outputs_root: Sha256::of(b"o"),
            source_tree: None,
            threshold: size - (size - 1) / 3,
            committee_size: size,
        }
    }

    fn code(state: VerdictState, size: u32, bytes: &[u8], accept: Accept) -> Exit {
        let candidate = Candidate { name: "lib-1.jar".to_owned(), path: None, sha256: Some(Sha256::of(bytes)) };
        judge(&verdict(state, size), &candidate, &genesis(), false, accept).exit
    }

    #[test]
    fn the_table_of_the_contract() {
        use VerdictState::{Different, Disputed, Equivalent, Failed, Identical, Published};
        let none = Accept::default();
        let own = Accept { self_verified: true, equivalent: false };
        let eq = Accept { self_verified: false, equivalent: true };
        for (state, size, bytes, accept, expected) in [
            (Published, 4, &b"jar"[..], none, Exit::Done),
            (Identical, 4, b"jar", none, Exit::Done),
            (Published, 1, b"jar", none, Exit::SelfVerified),
            (Published, 3, b"jar", none, Exit::SelfVerified),
            (Published, 1, b"jar", own, Exit::Done),
            (Published, 1, b"other", own, Exit::Mismatch),
            (Identical, 4, b"other", none, Exit::Mismatch),
            (Equivalent, 4, b"jar", none, Exit::Equivalent),
            (Equivalent, 4, b"jar", eq, Exit::Done),
            (Equivalent, 1, b"jar", none, Exit::Equivalent),
            (Equivalent, 1, b"jar", eq, Exit::SelfVerified),
            (Different, 4, b"jar", none, Exit::Different),
            (Different, 4, b"other", none, Exit::Mismatch),
            (Disputed, 4, b"jar", own, Exit::Disputed),
            (Failed, 4, b"jar", own, Exit::BuildFailed),
            (Disputed, 4, b"other", own, Exit::Mismatch),
        ] {
            assert_eq!(code(state, size, bytes, accept), expected, "{state} of {size}");
        }
    }

    #[test]
    fn a_withdrawn_release_is_never_good() {
        let candidate = Candidate { name: "lib-1.jar".to_owned(), path: None, sha256: Some(Sha256::of(b"jar")) };
        let judged = judge(&verdict(VerdictState::Identical, 4), &candidate, &genesis(), true, Accept::default());
        assert_eq!(judged.exit, Exit::Withdrawn);
    }

    #[test]
    fn another_file_of_the_release_is_unknown() {
        let candidate = Candidate { name: "lib-1-x.jar".to_owned(), path: None, sha256: Some(Sha256::of(b"jar")) };
        let judged = judge(&verdict(VerdictState::Identical, 4), &candidate, &genesis(), false, Accept::default());
        assert_eq!(judged.exit, Exit::Unknown);
    }
}
