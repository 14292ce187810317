//! The surroundings of a build, versioned: part of a round's key.

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

const DOMAIN: &[u8] = b"pyrsia-maven/sandbox-profile/v1\0";

/// What the sandbox shows to every build alike. Limits that an operator may lower (memory, time) are not in here,
/// since they decide whether a build finishes, never what it makes.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct SandboxProfile {
    /// Version of the profile, 1.
    pub version: u32,
    /// User and group id of the build.
    pub uid: u32,
    /// Account name; has an entry in the image's passwd file.
    pub account: String,
    /// Home folder.
    pub home: String,
    /// Host name.
    pub hostname: String,
    /// Port of the forwarder on the container's loopback interface.
    pub port: u16,
    /// Id of the mirror in the settings.xml that the build gets.
    pub mirror_id: String,
    /// Processors that the build sees.
    pub processors: u32,
    /// Local repository of the build tool.
    pub local_repository: String,
    /// `MAVEN_OPTS` before what a specification adds.
    pub jvm_options: String,
}

impl SandboxProfile {
    /// The profile of this version of the program.
    pub fn v1() -> Self {
        Self {
            version: 1,
            uid: 1000,
            account: "builder".to_owned(),
            home: "/home/builder".to_owned(),
            hostname: "sandbox".to_owned(),
            port: 8081,
            mirror_id: "pyrsia".to_owned(),
            processors: 1,
            local_repository: "/var/maven/.m2/repository".to_owned(),
            jvm_options: "-XX:+UseSerialGC -XX:TieredStopAtLevel=1".to_owned(),
        }
    }

    /// The digest that a round's key holds.
    pub fn digest(&self) -> Sha256 {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend(borsh::to_vec(self).expect("writing to a vector cannot fail"));
        Sha256::of(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_pinned() {
        // A change of the profile is a new version: old rounds must stay what they were.
        assert_eq!(SandboxProfile::v1().version, 1);
        let mut other = SandboxProfile::v1();
        other.processors = 2;
        assert_ne!(other.digest(), SandboxProfile::v1().digest());
    }
}
