//! `.gitmodules`: which repositories lie in a repository, and where they come from.
//!
//! The file is anybody's text. Nothing in it is ever given to a program: an address becomes a canonical one or is refused,
//! a path or name that leads anywhere else is refused for the whole tree.

use std::path::Path;

use git2::{Config, ConfigLevel};
use maven_layout::{CanonicalRepository, scm};

/// Bytes of the file.
pub(crate) const MAX_FILE: u64 = 256 * 1024;
const MAX_TEXT: usize = 1024;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) name: String,
    /// From the root of the repository that declares it.
    pub(crate) path: String,
    pub(crate) url: String,
}

/// Reads the file; `scratch` is a folder of the caller's in which a copy may lie for a moment.
pub(crate) fn read(content: &[u8], scratch: &Path) -> Result<Vec<Declared>, String> {
    let text = std::str::from_utf8(content).map_err(|_| "it is not UTF-8".to_owned())?;
    // libgit2 would read the files of this machine that such a section names.
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if squeezed.to_ascii_lowercase().contains("[include") {
        return Err("it includes other files".to_owned());
    }
    let copy = scratch.join("gitmodules");
    std::fs::write(&copy, content).map_err(|error| error.to_string())?;
    let parsed = parse(&copy).map_err(|error| error.message().to_owned());
    let removed = std::fs::remove_file(&copy).map_err(|error| error.to_string());
    let mut declared: Vec<Declared> = Vec::new();
    let mut open: std::collections::BTreeMap<String, (Option<String>, Option<String>)> = Default::default();
    for (key, value) in parsed? {
        let Some((name, variable)) = key.strip_prefix("submodule.").and_then(|rest| rest.rsplit_once('.')) else {
            continue;
        };
        let known = open.entry(name.to_owned()).or_default();
        let place = match variable {
            "path" => &mut known.0,
            "url" => &mut known.1,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(format!("{:?} has two values of {variable}", shown(name)));
        }
    }
    removed?;
    for (name, (path, url)) in open {
        let (Some(path), Some(url)) = (path, url) else {
            return Err(format!("{:?} has no path or no url", shown(&name)));
        };
        if !is_inner_path(&name) {
            return Err(format!("{:?} is no name of a submodule", shown(&name)));
        }
        let path = path.trim_end_matches('/').to_owned();
        if !is_inner_path(&path) {
            return Err(format!("{:?} is no path of a submodule", shown(&path)));
        }
        if declared.iter().any(|other| other.path == path) {
            return Err(format!("{path} is named twice"));
        }
        declared.push(Declared { name, path, url });
    }
    Ok(declared)
}

fn parse(file: &Path) -> Result<Vec<(String, String)>, git2::Error> {
    let mut config = Config::new()?;
    config.add_file(file, ConfigLevel::Local, true)?;
    let mut found = Vec::new();
    let mut entries = config.entries(None)?;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let value = if entry.has_value() { text(entry.value_bytes()) } else { String::new() };
        found.push((text(entry.name_bytes()), value));
    }
    Ok(found)
}

/// Whether a path stays where it begins, and steps into no `.git`.
fn is_inner_path(path: &str) -> bool {
    let part_is_plain = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && !part.eq_ignore_ascii_case(".git") && part.len() <= 255
    };
    path.len() <= MAX_TEXT
        && !path.starts_with('-')
        && !path.chars().any(|c| c.is_control() || c == '\\')
        && path.split('/').all(part_is_plain)
}

/// The canonical address that an `url` means in the `.gitmodules` of a repository.
pub(crate) fn address(url: &str, of: &CanonicalRepository) -> Result<CanonicalRepository, String> {
    let refused = |problem: &str| Err(format!("{:?} is no address of a submodule: {problem}", shown(url)));
    if url.len() > MAX_TEXT || url.chars().any(char::is_control) {
        return refused("it is too long or holds control characters");
    }
    if url.starts_with('-') {
        return refused("it begins with a dash");
    }
    let full = if url.starts_with("./") || url.starts_with("../") {
        match relative(url, of) {
            Some(full) => full,
            None => return refused("it leads above its host"),
        }
    } else if let Some((scheme, _)) = url.split_once("://") {
        if !["https", "http", "git", "ssh", "git+ssh", "ssh+git"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return refused("only https, http, git and ssh lead to a public repository");
        }
        url.to_owned()
    } else {
        // `user@host:path`, and neither a path of this machine nor a program to start (`ext::sh`).
        match url.split_once(':') {
            Some((host, path)) if host.contains('@') && !host.contains('/') && !path.starts_with(':') => url.to_owned(),
            _ => return refused("it is a path or a transport of the machine that it was written for"),
        }
    };
    scm::canonical(&full).or_else(|error| refused(&error.to_string()))
}

/// `../other` goes up from the repository, not from the folder that it lies in.
fn relative(url: &str, of: &CanonicalRepository) -> Option<String> {
    let base = of.to_string();
    let mut parts: Vec<&str> = of.path().split('/').collect();
    let mut rest = url;
    loop {
        if let Some(more) = rest.strip_prefix("../") {
            parts.pop()?;
            rest = more;
        } else if let Some(more) = rest.strip_prefix("./") {
            rest = more;
        } else {
            break;
        }
    }
    let root = base.strip_suffix(of.path())?;
    parts.push(rest);
    Some(format!("{root}{}", parts.join("/")))
}

/// Enough of a text to recognise it.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Declared>, String> {
        let folder = tempfile::tempdir().unwrap();
        let found = read(text.as_bytes(), folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
        found
    }

    #[test]
    fn entries_are_read_as_git_reads_them() {
        let text = "# comment\n[submodule \"a b\"]\n\tpath = lib/a b/\n\turl = \"https://h/x/a.git\" ; more\n\tbranch = main\n\
                    [core]\n\teditor = x\n[submodule \"c\"]\n\turl=../c\n\tpath=c\n";
        let declared = read_text(text).unwrap();
        let shown: Vec<_> = declared.iter().map(|entry| (&*entry.name, &*entry.path, &*entry.url)).collect();
        assert_eq!(shown, [("a b", "lib/a b", "https://h/x/a.git"), ("c", "c", "../c")]);
        assert_eq!(read_text("").unwrap(), []);
    }

    #[test]
    fn hostile_files_are_refused_by_name() {
        let entry =
            |name: &str, path: &str| format!("[submodule \"{name}\"]\n\tpath = {path}\n\turl = https://h/x/y\n");
        for (text, word) in [
            (entry("a", "../a"), "no path"),
            (entry("a", "/etc"), "no path"),
            (entry("a", "x/.GIT/hooks"), "no path"),
            (entry("a", "-x"), "no path"),
            (entry("a", "x//y"), "no path"),
            (entry("../../hooks", "a"), "no name"),
            (entry("x/.git", "a"), "no name"),
            (entry("a", "x") + &entry("b", "x"), "twice"),
            ("[submodule \"a\"]\n\tpath = a\n".to_owned(), "no url"),
            ("[ include ]\n\tpath = /etc/passwd\n".to_owned(), "includes"),
            ("[a][includeIf \"x\"]\n\tpath = /etc/passwd\n".to_owned(), "includes"),
            ("[submodule \"a\n".to_owned(), ""),
        ] {
            let error = read_text(&text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn addresses_become_canonical_or_are_refused() {
        let of = scm::canonical("https://git.example:8443/group/sub/repo").unwrap();
        for (url, expected) in [
            ("../other.git", "https://git.example:8443/group/sub/other"),
            ("./../../other", "https://git.example:8443/group/other"),
            ("../../../x/y", "https://git.example:8443/x/y"),
            ("https://h.example/a/b.git", "https://h.example/a/b"),
            ("http://user:secret@h.example/a/b", "https://h.example/a/b"),
            ("git@h.example:a/b.git", "https://h.example/a/b"),
            ("ssh://git@h.example:22/a/b", "https://h.example/a/b"),
            ("git://h.example/a/b", "https://h.example/a/b"),
        ] {
            assert_eq!(address(url, &of).map(|found| found.to_string()).as_deref(), Ok(expected), "{url}");
        }
        for url in [
            "",
            "file:///etc",
            "/srv/git/a",
            "../../../../x/y/z",
            "a/b",
            "host.example/a/b",
            "ext::sh -c id",
            "fd::17",
            "-upload-pack=id",
            "ssh://-oProxyCommand=id/a/b",
            "git@-oProxyCommand=id:a/b",
            "https://h.example/a/../b",
            "C:/x",
            "https://h.example/a\nb/c",
            "ftp://h.example/a/b",
        ] {
            let refused = address(url, &of);
            assert!(refused.as_ref().is_err_and(|text| text.contains("no address")), "{url}: {refused:?}");
        }
    }
}
