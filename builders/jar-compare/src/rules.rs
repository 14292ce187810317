//! Which entries have rules of their own, and the lists behind the rules.

use std::collections::HashSet;

use crate::manifest::Manifest;
use crate::properties::Properties;
use crate::text::unix_lines;
use crate::zip::Archive;

/// Attributes of a manifest's main section that say who built a JAR, when, where and with what tool, and that
/// nothing reads at run time.
pub const BUILD_METADATA_ATTRIBUTES: &[&str] = &[
    "Ant-Version",
    "Archiver-Version",
    "Bnd-LastModified",
    "Build-Date",
    "Build-Host",
    "Build-Java-Version",
    "Build-Jdk",
    "Build-Jdk-Spec",
    "Build-OS",
    "Build-Time",
    "Build-Timestamp",
    "Build-Tool",
    "Build-User",
    "Built-By",
    "Built-Date",
    "Built-Host",
    "Built-JDK",
    "Built-On",
    "Built-OS",
    "Created-By",
    "Gradle-Version",
    "Maven-Version",
    "Tool",
];

/// Manifest attributes whose comma-separated clauses form a set
/// ([OSGi Core, module layer](https://docs.osgi.org/specification/osgi.core/8.0.0/framework.module.html)).
pub const UNORDERED_VALUE_ATTRIBUTES: &[&str] =
    &["Export-Package", "Import-Package", "Private-Package", "Provide-Capability", "Require-Capability"];

/// Keys of `git.properties` that describe the build and not the source.
pub const GIT_BUILD_KEYS: &[&str] =
    &["git.build.host", "git.build.time", "git.build.user.email", "git.build.user.name"];

/// Name of the manifest, found by JVMs in any letter case.
pub(crate) const MANIFEST: &str = "META-INF/MANIFEST.MF";

/// Entries with rules of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Manifest,
    PomProperties,
    PomXml,
    GitProperties,
}

impl Rule {
    /// The rule for an entry of this name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case(MANIFEST) {
            return Some(Self::Manifest);
        }
        let segments: Vec<&str> = name.split('/').collect();
        match segments.as_slice() {
            ["META-INF", "maven", _, _, "pom.properties"] => Some(Self::PomProperties),
            ["META-INF", "maven", _, _, "pom.xml"] => Some(Self::PomXml),
            [.., "git.properties"] => Some(Self::GitProperties),
            _ => None,
        }
    }

    /// The content as the rule leaves it; `None` if the rule does not apply, and the bytes count as they are.
    /// `signed` says whether the archive is signed.
    pub(crate) fn canonical(self, content: &[u8], signed: bool) -> Option<Vec<u8>> {
        match self {
            Self::Manifest => {
                let manifest = Manifest::parse(content)?;
                let manifest = if signed { manifest.without_digests() } else { manifest };
                Some(manifest.canonical())
            }
            Self::PomProperties => Some(Properties::parse(content)?.canonical(&[])),
            Self::GitProperties => Some(Properties::parse(content)?.canonical(GIT_BUILD_KEYS)),
            Self::PomXml => Some(unix_lines(content)),
        }
    }
}

/// True if a file of its own (not in an archive) is XML, as a POM is.
pub(crate) fn is_xml(content: &[u8]) -> bool {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let content = content.trim_ascii_start();
    content.starts_with(b"<?xml") || content.starts_with(b"<project")
}

/// Whether the manifest is where
/// [`JarInputStream`](https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/jar/JarInputStream.html)
/// looks for it: the first entry of the data, or the second after `META-INF/`.
pub(crate) fn manifest_leads(archive: &Archive<'_>) -> bool {
    let is = |place: usize, name: &str| {
        archive.entries.iter().any(|entry| entry.local.position == place && entry.name.eq_ignore_ascii_case(name))
    };
    is(0, MANIFEST) || is(0, "META-INF/") && is(1, MANIFEST)
}

/// Signature files are what signers write, not whatever is called so: a list says which version of signatures it is, and a
/// block is a PKCS #7 `SignedData` from its first byte to its last.
fn is_signature(content: &[u8], block: bool) -> bool {
    if !block {
        let manifest = Manifest::parse(content);
        return manifest.is_some_and(|list| list.main.iter().any(|(name, _)| name == "Signature-Version"));
    }
    // SEQUENCE with a length in two or three bytes, then OBJECT IDENTIFIER 1.2.840.113549.1.7.2.
    let (len, rest) = match content {
        [0x30, len @ ..=0x7f, rest @ ..] => (usize::from(*len), rest),
        [0x30, 0x81, len, rest @ ..] => (usize::from(*len), rest),
        [0x30, 0x82, a, b, rest @ ..] => (usize::from(*a) << 8 | usize::from(*b), rest),
        [0x30, 0x83, a, b, c, rest @ ..] => (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c), rest),
        _ => return false,
    };
    len == rest.len() && rest.starts_with(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")
}

/// Positions of the signature files of an archive: `META-INF/X.SF` and its block files, if both exist and are what they
/// are called ([JAR specification](https://docs.oracle.com/en/java/javase/17/docs/specs/jar/jar.html#signed-jar-file)).
pub(crate) fn signature_files(archive: &Archive<'_>) -> HashSet<usize> {
    let mut files: Vec<(usize, String, bool)> = Vec::new();
    for (index, entry) in archive.entries.iter().enumerate() {
        let name = entry.name.to_ascii_uppercase();
        let Some(file) = name.strip_prefix("META-INF/").filter(|file| !file.contains('/')) else {
            continue;
        };
        match file.rsplit_once('.') {
            Some((base, "SF")) => files.push((index, base.to_owned(), false)),
            Some((base, "RSA" | "DSA" | "EC")) => files.push((index, base.to_owned(), true)),
            _ => {}
        }
    }
    files.retain(|(index, _, block)| archive.content(*index).is_ok_and(|content| is_signature(&content, *block)));
    let (mut lists, mut blocks) = (HashSet::new(), HashSet::new());
    for (_, base, block) in &files {
        if *block {
            blocks.insert(base.clone())
        } else {
            lists.insert(base.clone())
        };
    }
    let pairs = files.into_iter().filter(|(_, base, _)| lists.contains(base) && blocks.contains(base));
    pairs.map(|(index, _, _)| index).collect()
}
