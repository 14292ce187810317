//! The digest of a specification, and what version 2 of the format has added to it.

use borsh::BorshSerialize;
use pyrsia_digest::Sha256;

use crate::specification::{Newline, SourceDistribution, Specification};

const DOMAIN: &[u8] = b"pyrsia-maven/specification/v1\0";
const DOMAIN_2: &[u8] = b"pyrsia-maven/specification/v2\0";

/// The fields of version 2, in the order in which they are hashed.
#[derive(BorshSerialize)]
struct Additions<'a> {
    commands: &'a [String],
    exec_before: &'a [String],
    exec_after: &'a [String],
    maven_opts: &'a Option<String>,
    toolchains: &'a [u32],
    newline_git: &'a Option<Newline>,
    os: &'a Option<String>,
    arch: &'a Option<String>,
    source_distribution: &'a Option<SourceDistribution>,
}

impl Specification {
    /// The digest that the ledger knows the specification by: SHA-256 over a domain and the canonical (borsh) form. That
    /// of version 2 is another domain, the fields of version 1 and those of version 2.
    pub fn digest(&self) -> Sha256 {
        let additions = (self.version != 1 || self.addition().is_some()).then(|| self.additions());
        let mut bytes = if additions.is_some() { DOMAIN_2 } else { DOMAIN }.to_vec();
        bytes.extend(borsh::to_vec(self).expect("writing to a vector cannot fail"));
        if let Some(additions) = additions {
            bytes.extend(borsh::to_vec(&additions).expect("writing to a vector cannot fail"));
        }
        Sha256::of(&bytes)
    }

    fn additions(&self) -> Additions<'_> {
        Additions {
            commands: &self.commands,
            exec_before: &self.exec_before,
            exec_after: &self.exec_after,
            maven_opts: &self.maven_opts,
            toolchains: &self.toolchains,
            newline_git: &self.newline_git,
            os: &self.os,
            arch: &self.arch,
            source_distribution: &self.source_distribution,
        }
    }

    /// The first field of version 2 that is used.
    pub fn addition(&self) -> Option<&'static str> {
        let Additions {
            commands,
            exec_before,
            exec_after,
            maven_opts,
            toolchains,
            newline_git,
            os,
            arch,
            source_distribution,
        } = self.additions();
        let used = [
            ("commands", !commands.is_empty()),
            ("exec_before", !exec_before.is_empty()),
            ("exec_after", !exec_after.is_empty()),
            ("maven_opts", maven_opts.is_some()),
            ("toolchains", !toolchains.is_empty()),
            ("newline_git", newline_git.is_some()),
            ("os", os.is_some()),
            ("arch", arch.is_some()),
            ("source_distribution", source_distribution.is_some()),
        ];
        used.into_iter().find(|(_, used)| *used).map(|(name, _)| name)
    }

    /// Line ends of the checked-out sources.
    pub fn checkout_newline(&self) -> Newline {
        self.newline_git.unwrap_or(self.newline)
    }
}
