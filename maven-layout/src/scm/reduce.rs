//! The reduction itself. The numbers refer to the rules in the parent module's documentation.

use super::ScmError;

const RAW_LIMIT: usize = 2048;
const CANONICAL_LIMIT: usize = 400;
const SHOWN: usize = 32;

/// Hosts where a repository is always `owner/name`.
const TWO_SEGMENT_FORGES: [&str; 3] = ["github.com", "bitbucket.org", "codeberg.org"];
/// Path segments after which a web page of a repository begins.
const WEB_SEGMENTS: [&str; 3] = ["tree", "blob", "raw"];

pub(super) fn reduce(raw: &str, module_suffixes: &[&str]) -> Result<String, ScmError> {
    let text = raw.trim();
    if text.is_empty() {
        return Err(ScmError::Empty);
    }
    if text.len() > RAW_LIMIT {
        return Err(ScmError::TooLong { actual: text.len(), limit: RAW_LIMIT });
    }
    if text.contains("${") {
        return Err(ScmError::Computed);
    }
    let address = strip_provider(text)?;
    let (scheme, rest) = split_scheme(address)?;
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    if rest.contains('?') {
        return Err(ScmError::Query);
    }
    let (authority, path) = split_authority(rest, scheme);
    let (host, port) = host_and_port(authority, scheme)?;
    let segments = segments(path)?;
    let repository = repository_segments(&segments, &host, module_suffixes)?;
    let mut out = format!("https://{host}");
    if let Some(port) = port {
        out.push_str(&format!(":{port}"));
    }
    for segment in repository {
        out.push('/');
        out.push_str(segment);
    }
    if out.len() > CANONICAL_LIMIT {
        return Err(ScmError::TooLong { actual: out.len(), limit: CANONICAL_LIMIT });
    }
    Ok(out)
}

/// Rules 2 and 3. Every turn of the loop makes the text shorter.
fn strip_provider(mut text: &str) -> Result<&str, ScmError> {
    loop {
        text = text.trim_start();
        if let Some(fetch) = strip_prefix_ignoring_case(text, "[fetch=]") {
            text = fetch.split_once("[push=]").map_or(fetch, |(fetch, _)| fetch).trim_end();
        } else if let Some(rest) =
            strip_prefix_ignoring_case(text, "scm:").or_else(|| strip_prefix_ignoring_case(text, "scm|"))
        {
            refuse_other_provider(rest)?;
            text = rest;
        } else if let Some(rest) = ["git", "jgit"].into_iter().find_map(|name| strip_provider_id(text, name)) {
            text = rest;
        } else {
            return if text.is_empty() { Err(ScmError::Empty) } else { Ok(text) };
        }
    }
}

/// What follows `git:` or `git|`, unless it is the scheme of `git://`.
fn strip_provider_id<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = strip_prefix_ignoring_case(text, name)?;
    match rest.strip_prefix(':') {
        Some(rest) if rest.starts_with("//") => None,
        Some(rest) => Some(rest),
        None => rest.strip_prefix('|'),
    }
}

/// After `scm:` stands a provider id, or, malformed, the address itself.
fn refuse_other_provider(rest: &str) -> Result<(), ScmError> {
    let Some(end) = rest.find([':', '|']) else {
        return Ok(());
    };
    let (name, after) = (&rest[..end], &rest[end + 1..]);
    let is_id = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let known = ["git", "jgit", "scm"].iter().any(|known| name.eq_ignore_ascii_case(known));
    let is_scheme = after.starts_with("//") && rest.as_bytes()[end] == b':';
    if is_id && !known && !is_scheme { Err(ScmError::Provider { name: shown(name) }) } else { Ok(()) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
    Ssh,
    Git,
    /// None is written: `host/path` or `user@host:path`.
    None,
}

/// Rule 4.
fn split_scheme(address: &str) -> Result<(Scheme, &str), ScmError> {
    let Some((name, rest)) = address.split_once("://") else {
        return Ok((Scheme::None, address.strip_prefix("//").unwrap_or(address)));
    };
    let lower = name.to_ascii_lowercase();
    match lower.strip_prefix("git+").unwrap_or(&lower) {
        "http" => Ok((Scheme::Http, rest)),
        "https" => Ok((Scheme::Https, rest)),
        "ssh" => Ok((Scheme::Ssh, rest)),
        "git" => Ok((Scheme::Git, rest)),
        "svn" | "svn+ssh" => Err(ScmError::Provider { name: "svn".to_owned() }),
        _ => Err(ScmError::Scheme { name: shown(&lower) }),
    }
}

/// Rule 4: where the host ends and the path begins.
fn split_authority(rest: &str, scheme: Scheme) -> (&str, &str) {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    let Some(colon) = authority[host_at..].find(':').map(|colon| host_at + colon) else {
        return (authority, path);
    };
    let after = &authority[colon + 1..];
    let is_port = scheme != Scheme::None && (after.is_empty() || after.bytes().all(|byte| byte.is_ascii_digit()));
    if is_port { (authority, path) } else { (&authority[..colon], &rest[colon + 1..]) }
}

/// Rule 5.
fn host_and_port(authority: &str, scheme: Scheme) -> Result<(String, Option<u16>), ScmError> {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.split_once(':') {
        Some((host, "")) => (host, None),
        Some((host, port)) => match port.parse::<u16>() {
            Ok(port) if port > 0 => (host, Some(port)),
            _ => return Err(ScmError::Port),
        },
        None => (authority, None),
    };
    let mut host = host.to_ascii_lowercase();
    if host.ends_with('.') {
        host.pop();
    }
    if let Some(bare) = host.strip_prefix("www.")
        && TWO_SEGMENT_FORGES.contains(&bare)
    {
        host = bare.to_owned();
    }
    let valid_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(valid_label) {
        return Err(ScmError::Host);
    }
    let port = port.filter(|port| match scheme {
        Scheme::Http => *port != 80 && *port != 443,
        Scheme::Https => *port != 443,
        Scheme::Ssh | Scheme::Git | Scheme::None => false,
    });
    Ok((host, port))
}

/// Rule 6.
fn segments(path: &str) -> Result<Vec<&str>, ScmError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '~' | '+');
    if let Some(character) = path.chars().find(|c| !allowed(*c)) {
        return Err(ScmError::Character { character });
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return Err(ScmError::DotSegment);
    }
    Ok(segments)
}

/// Rules 7 and 8, and the module suffixes.
fn repository_segments<'a>(
    segments: &[&'a str],
    host: &str,
    module_suffixes: &[&str],
) -> Result<Vec<&'a str>, ScmError> {
    let on_forge = TWO_SEGMENT_FORGES.contains(&host);
    let least = if on_forge { 2 } else { 1 };
    let missing = || ScmError::NoRepository { host: host.to_owned() };

    let mut repository = segments.to_vec();
    let mut end_is_known = on_forge;
    if let Some(at) = segments.iter().position(|segment| without_git(segment).is_some()) {
        repository.truncate(at);
        repository.extend(without_git(segments[at]));
        end_is_known = true;
    }
    let web = repository
        .iter()
        .enumerate()
        .position(|(at, segment)| (*segment == "-" && at >= 1) || (WEB_SEGMENTS.contains(segment) && at >= 2));
    if let Some(at) = web {
        repository.truncate(at);
        end_is_known = true;
    }
    if on_forge {
        repository.truncate(least);
    }
    if !end_is_known {
        let appended: Vec<&str> =
            module_suffixes.iter().flat_map(|suffix| suffix.split('/')).filter(|part| !part.is_empty()).collect();
        if repository.len() >= appended.len() + least && repository.ends_with(&appended) {
            repository.truncate(repository.len() - appended.len());
        }
    }
    if repository.len() < least { Err(missing()) } else { Ok(repository) }
}

/// The segment without `.git` at its end, however often repeated; `None` if it has none or is nothing else.
fn without_git(segment: &str) -> Option<&str> {
    let mut rest = segment;
    while let Some(shorter) = rest.strip_suffix(".git") {
        rest = shorter;
    }
    // What is left must not turn into a dot segment: `..git` would leave `.`.
    (rest.len() < segment.len() && !matches!(rest, "" | "." | "..")).then_some(rest)
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
