//! From [`Metadata`] to bytes.

use super::Metadata;

/// Writes the document: UTF-8, two spaces a level, line feeds, elements in the order of Maven's own writer, versions
/// and all lists sorted. Equal values give equal bytes.
pub fn write(metadata: &Metadata) -> String {
    let mut out = Writer { text: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), depth: 0 };
    out.group("metadata", |out| {
        out.value("groupId", metadata.group.as_ref());
        out.value("artifactId", metadata.artifact.as_ref());
        out.value("version", metadata.version.as_ref());
        if has_versioning(metadata) {
            out.group("versioning", |out| versioning(out, metadata));
        }
        if !metadata.plugins.is_empty() {
            out.group("plugins", |out| {
                for (prefix, plugin) in &metadata.plugins {
                    out.group("plugin", |out| {
                        out.value("name", plugin.name.as_ref());
                        out.value("prefix", Some(prefix));
                        out.value("artifactId", Some(&plugin.artifact));
                    });
                }
            });
        }
    });
    out.text
}

fn has_versioning(metadata: &Metadata) -> bool {
    metadata.latest.is_some()
        || metadata.release.is_some()
        || metadata.last_updated.is_some()
        || metadata.snapshot.is_some()
        || !metadata.versions.is_empty()
        || !metadata.snapshot_versions.is_empty()
}

fn versioning(out: &mut Writer, metadata: &Metadata) {
    out.value("latest", metadata.latest.as_ref());
    out.value("release", metadata.release.as_ref());
    if let Some(snapshot) = &metadata.snapshot {
        out.group("snapshot", |out| {
            out.value("timestamp", Some(&snapshot.timestamp));
            out.value("buildNumber", Some(&snapshot.build_number));
        });
    }
    if !metadata.versions.is_empty() {
        out.group("versions", |out| {
            for version in &metadata.versions {
                out.value("version", Some(version));
            }
        });
    }
    out.value("lastUpdated", metadata.last_updated.as_ref());
    if !metadata.snapshot_versions.is_empty() {
        out.group("snapshotVersions", |out| {
            for ((extension, classifier), file) in &metadata.snapshot_versions {
                out.group("snapshotVersion", |out| {
                    out.value("classifier", classifier.as_ref());
                    out.value("extension", Some(extension));
                    out.value("value", Some(&file.value));
                    out.value("updated", file.updated.as_ref());
                });
            }
        });
    }
}

struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    fn group(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.indent();
        self.text.push_str(&format!("<{name}>\n"));
        self.depth += 1;
        content(self);
        self.depth -= 1;
        self.indent();
        self.text.push_str(&format!("</{name}>\n"));
    }

    fn value<T: std::fmt::Display>(&mut self, name: &str, value: Option<&T>) {
        let Some(value) = value else { return };
        self.indent();
        self.text.push_str(&format!("<{name}>"));
        for c in value.to_string().chars() {
            match c {
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '&' => self.text.push_str("&amp;"),
                // A bare carriage return would be read back as a line feed.
                '\r' => self.text.push_str("&#13;"),
                c => self.text.push(c),
            }
        }
        self.text.push_str(&format!("</{name}>\n"));
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
    }
}
