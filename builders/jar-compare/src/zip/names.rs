//! Which entry names are allowed.

use crate::error::ArchiveError;
use crate::text::escape;

/// Checks a name and returns it as text.
pub(crate) fn check(raw: &[u8]) -> Result<&str, ArchiveError> {
    let bad = |why| ArchiveError::BadName { entry: escape(&String::from_utf8_lossy(raw)), why };
    let name = std::str::from_utf8(raw).map_err(|_| bad("it is not UTF-8"))?;
    if name.is_empty() {
        return Err(bad("it is empty"));
    }
    if name.chars().any(char::is_control) {
        return Err(bad("it holds a NUL or another control character"));
    }
    if name.contains('\\') {
        return Err(bad("it holds a backslash"));
    }
    if name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') {
        return Err(bad("it is absolute"));
    }
    let path = name.strip_suffix('/').unwrap_or(name);
    for segment in path.split('/') {
        match segment {
            "" => return Err(bad("it has an empty segment")),
            "." | ".." => return Err(bad("it has a '.' or '..' segment")),
            _ => {}
        }
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names() {
        for good in ["a", "a/", "META-INF/MANIFEST.MF", "a/..b", "ä/…", "a$1.class", "a:b"] {
            if good == "a:b" {
                assert!(check(good.as_bytes()).is_err(), "drive letters are absolute");
            } else {
                assert_eq!(check(good.as_bytes()), Ok(good));
            }
        }
        for bad in ["", "/", "/a", "a//b", "a/../b", "..", "../a", "./a", "a/.", "a\\b", "a\0b", "a\nb", "C:/x", "//"] {
            assert!(check(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(check(b"\xff").is_err());
    }
}
