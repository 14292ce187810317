//! `verify --json`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::inspect::SourceDocument;

/// What the ledger says about files of a release, and whether the files at hand are those.
///
/// The field names are a contract: `{gav, exit_code, files[], source{}, log{}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyReport {
    /// The release, or what the user asked about when it has no coordinates.
    pub gav: String,
    /// The exit code that this report alone would give.
    pub exit_code: i32,
    /// The files asked about.
    pub files: Vec<FileReport>,
    /// What was built.
    pub source: SourceDocument,
    /// Where in the log the verdict stands.
    pub log: LogPosition,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileReport {
    /// File name.
    pub name: String,
    /// Path of the file that was hashed; `null` when it was hashed on its way through the node.
    pub path: Option<String>,
    /// SHA-256 of the file that was hashed.
    pub sha256: Option<String>,
    /// `published`, `identical`, `equivalent`, `different`, `disputed`, `failed`, `mismatch`, `blocked`, `unknown`.
    pub verdict: String,
    /// The comparison's outcome, when the ledger holds one.
    pub comparison: Option<String>,
    /// Names of the authorities that agree.
    pub agreed_by: Vec<String>,
    /// How many had to.
    pub threshold: u32,
}

/// Position in the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct LogPosition {
    /// Index of the verdict's leaf.
    pub index: Option<u64>,
    /// Leaves in the log of the checkpoint.
    pub size: Option<u64>,
    /// Oldest time among the cosignatures of the checkpoint.
    pub checkpoint_time: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_names_are_the_contract() {
        let report = VerifyReport {
            gav: "a:b:1".into(),
            exit_code: 18,
            files: vec![FileReport {
                name: "b-1.jar".into(),
                path: None,
                sha256: Some("00".into()),
                verdict: "identical".into(),
                comparison: Some("identical".into()),
                agreed_by: vec!["one".into()],
                threshold: 1,
            }],
            source: SourceDocument { repository: Some("https://h/p".into()), commit: Some("c0".into()), tag: None },
            log: LogPosition { index: Some(4), size: Some(9), checkpoint_time: Some(1) },
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            concat!(
                r#"{"gav":"a:b:1","exit_code":18,"files":[{"name":"b-1.jar","path":null,"sha256":"00","#,
                r#""verdict":"identical","comparison":"identical","agreed_by":["one"],"threshold":1}],"#,
                r#""source":{"repository":"https://h/p","commit":"c0","tag":null},"#,
                r#""log":{"index":4,"size":9,"checkpoint_time":1}}"#
            )
        );
    }
}
