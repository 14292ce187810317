//! Media types by file name.

use maven_layout::RepoPath;

/// The media type of the file at a path.
///
/// By its name alone, never by its content, and never a type that a browser would run: what a project calls `.html` is
/// delivered as plain text.
pub fn content_type(path: &RepoPath) -> &'static str {
    let name = path.file_name();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "jar" | "war" | "ear" | "aar" | "klib" => "application/java-archive",
        "pom" | "xml" => "text/xml",
        "module" | "json" => "application/json",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "asc" => "application/pgp-signature",
        "md5" | "sha1" | "sha256" | "sha512" | "txt" | "html" | "htm" | "md" | "properties" | "toml" => {
            "text/plain; charset=utf-8"
        }
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_and_nothing_active_is_among_them() {
        for (path, expected) in [
            ("a/b/1/b-1.jar", "application/java-archive"),
            ("a/b/1/b-1.JAR", "application/java-archive"),
            ("a/b/1/b-1.pom", "text/xml"),
            ("a/b/1/b-1.jar.sha1", "text/plain; charset=utf-8"),
            ("a/b/1/b-1.html", "text/plain; charset=utf-8"),
            ("a/b/1/b-1.svg", "application/octet-stream"),
            ("a/b/1/b-1.js", "application/octet-stream"),
            ("a/b/1/b-1.tar.gz", "application/gzip"),
            ("plain", "application/octet-stream"),
        ] {
            assert_eq!(content_type(&path.parse().unwrap()), expected, "{path}");
        }
    }
}
