//! Preconditions and ranges ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110), sections 13 and 14), as pure functions.

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderName, Method, header};

/// What identifies the present version of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version<'a> {
    /// The strong tag, with its quotes.
    pub(crate) etag: &'a str,
    /// Seconds since 1970.
    pub(crate) last_modified: Option<u64>,
    /// Size in bytes.
    pub(crate) size: u64,
    /// The path never has other bytes. Of one that may, an earlier date can belong to later bytes: a document that follows
    /// the ledger has the date of upstream's part of it.
    pub(crate) immutable: bool,
}

/// Ranges of one request that are answered; of more, the whole file is.
const MAX_RANGES: usize = 16;

/// Which answer the conditions ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// 200 with everything.
    All,
    /// 206 with `length` bytes from `start`; both lie inside the file and `length` is not 0.
    Part {
        /// First byte.
        start: u64,
        /// How many.
        length: u64,
    },
    /// 206 with several parts, each as above, in the order of the request; none of them overlaps another one.
    Parts(Vec<(u64, u64)>),
    /// 304.
    NotModified,
    /// 412.
    Failed,
    /// 416.
    Unsatisfiable,
}

/// Reads the conditions of a GET or HEAD.
pub(crate) fn select(method: &Method, headers: &HeaderMap, version: Version<'_>) -> Selection {
    // In the order of section 13.2.2.
    if !unchanged(headers, version) {
        return Selection::Failed;
    }
    if !modified(headers, version) {
        return Selection::NotModified;
    }
    // Ranges are defined for GET alone.
    if *method != Method::GET || !range_applies(headers, version) {
        return Selection::All;
    }
    let mut values = headers.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Selection::All;
    };
    value.to_str().map_or(Selection::All, |range| ranges(range, version.size))
}

/// Whether the bytes are still those that the client has a part of, if it says which.
fn unchanged(headers: &HeaderMap, version: Version<'_>) -> bool {
    if headers.contains_key(header::IF_MATCH) {
        return headers.get_all(header::IF_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
            // Compared strongly: a weak tag never matches.
            list.split(',').map(str::trim).any(|tag| tag == "*" || tag == version.etag)
        });
    }
    let since = date(headers, header::IF_UNMODIFIED_SINCE);
    match (since, version.last_modified) {
        (Some(since), Some(last_modified)) if version.immutable => last_modified <= since,
        (Some(since), Some(last_modified)) => last_modified == since,
        // What has no date may have changed at any time.
        (Some(_), None) => false,
        (None, _) => true,
    }
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    headers.get(name).and_then(|value| value.to_str().ok()).and_then(parse_date)
}

fn modified(headers: &HeaderMap, version: Version<'_>) -> bool {
    if headers.contains_key(header::IF_NONE_MATCH) {
        // The date is not looked at then, whatever it says.
        return !headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
            list.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == version.etag)
        });
    }
    match (date(headers, header::IF_MODIFIED_SINCE), version.last_modified) {
        (Some(since), Some(last_modified)) if version.immutable => last_modified > since,
        (Some(since), Some(last_modified)) => last_modified != since,
        _ => true,
    }
}

fn range_applies(headers: &HeaderMap, version: Version<'_>) -> bool {
    match headers.get(header::IF_RANGE).map(|value| value.to_str()) {
        None => true,
        Some(Ok(tag)) if tag.starts_with('"') => tag == version.etag,
        // A date is a strong validator here: bytes of a path change together with their date.
        Some(Ok(date)) => parse_date(date).is_some_and(|date| version.last_modified == Some(date)),
        Some(Err(_)) => false,
    }
}

fn ranges(range: &str, size: u64) -> Selection {
    // Names of units have no case (section 14.1).
    let Some((_, list)) = range.split_once('=').filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes")) else {
        return Selection::All;
    };
    if !list.contains(',') {
        return part(list, size);
    }
    let mut parts = Vec::new();
    for spec in list.split(',') {
        match part(spec, size) {
            Selection::Part { start, length } if parts.len() < MAX_RANGES => parts.push((start, length)),
            Selection::Unsatisfiable => {}
            _ => return Selection::All,
        }
    }
    // Overlapping ranges serve nobody but who wants a small request to make much work (section 14.2).
    let mut sorted = parts.clone();
    sorted.sort_unstable();
    let overlap = sorted.windows(2).any(|pair| pair[0].0 + pair[0].1 > pair[1].0);
    match parts[..] {
        [] => Selection::Unsatisfiable,
        [(start, length)] => Selection::Part { start, length },
        _ if overlap => Selection::All,
        _ => Selection::Parts(parts),
    }
}

fn part(spec: &str, size: u64) -> Selection {
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Selection::All;
    };
    let number = |text: &str| {
        // Digits only: `parse` alone would take a plus sign.
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (start, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if last < first => return Selection::All,
        (Some(first), Some(last)) => (first, last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => (first, size),
        (None, Some(last)) if first.is_empty() => {
            if last == 0 {
                return Selection::Unsatisfiable;
            }
            (size.saturating_sub(last), size)
        }
        _ => return Selection::All,
    };
    if start >= size {
        return Selection::Unsatisfiable;
    }
    Selection::Part { start, length: end - start }
}

/// Seconds since 1970 of an HTTP date; `None` for anything else, which is then ignored.
fn parse_date(text: &str) -> Option<u64> {
    let time = httpdate::parse_http_date(text).ok()?;
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// The HTTP date of a time; `None` for times that HTTP dates cannot express (after the year 9999).
pub(crate) fn http_date(seconds: u64) -> Option<String> {
    const END_OF_9999: u64 = 253_402_300_800;
    (seconds < END_OF_9999).then(|| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn ask(method: &Method, pairs: &[(header::HeaderName, &str)], size: u64) -> Selection {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        select(method, &headers, Version { etag: "\"aa\"", last_modified: Some(NOW), size, immutable: true })
    }

    #[test]
    fn ranges_of_a_get() {
        use Selection::{All, Part, Parts, Unsatisfiable};
        for (range, expected) in [
            ("bytes=0-0", Part { start: 0, length: 1 }),
            ("Bytes=0-0", Part { start: 0, length: 1 }),
            ("bytes=0-9", Part { start: 0, length: 10 }),
            ("bytes=0-99", Part { start: 0, length: 10 }),
            ("bytes=4-", Part { start: 4, length: 6 }),
            ("bytes=9-18446744073709551615", Part { start: 9, length: 1 }),
            ("bytes=9-99999999999999999999999", Part { start: 9, length: 1 }),
            ("bytes=-3", Part { start: 7, length: 3 }),
            ("bytes=-30", Part { start: 0, length: 10 }),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-12", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-4", All),
            ("bytes=0-1,3-4", Parts(vec![(0, 2), (3, 2)])),
            ("bytes=8-,0-1, 5-5", Parts(vec![(8, 2), (0, 2), (5, 1)])),
            ("bytes=0-1,99-100", Part { start: 0, length: 2 }),
            ("bytes=98-99,99-100", Unsatisfiable),
            ("bytes=0-4,3-6", All),
            ("bytes=0-0,0-0", All),
            ("bytes=0-1,x", All),
            ("bytes=0-1,", All),
            (
                "bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,-0,-0,-0,-0,-0,-0,-0,-0",
                Parts((0..10).map(|at| (at, 1)).collect()),
            ),
            ("bytes=-", All),
            ("bytes=", All),
            ("bytes=+1-2", All),
            ("bytes=a-b", All),
            ("bytes=--1", All),
            ("lines=0-1", All),
        ] {
            assert_eq!(ask(&Method::GET, &[(header::RANGE, range)], 10), expected, "{range}");
            assert_eq!(ask(&Method::HEAD, &[(header::RANGE, range)], 10), All, "HEAD {range}");
        }
        assert_eq!(ask(&Method::GET, &[(header::RANGE, "bytes=0-")], 0), Unsatisfiable);
        assert_eq!(ask(&Method::GET, &[(header::RANGE, "bytes=-1")], 0), Unsatisfiable);
    }

    #[test]
    fn if_range() {
        let part = Selection::Part { start: 0, length: 1 };
        let date = http_date(NOW).unwrap();
        let other = http_date(NOW - 1).unwrap();
        for (validator, expected) in [
            ("\"aa\"", part.clone()),
            ("\"bb\"", Selection::All),
            ("W/\"aa\"", Selection::All),
            (date.as_str(), part.clone()),
            (other.as_str(), Selection::All),
            ("yesterday", Selection::All),
        ] {
            let headers = [(header::RANGE, "bytes=0-0"), (header::IF_RANGE, validator)];
            assert_eq!(ask(&Method::GET, &headers, 10), expected, "{validator}");
        }
    }

    #[test]
    fn conditions() {
        use Selection::{All, NotModified};
        let (same, older, newer) = (http_date(NOW), http_date(NOW - 1), http_date(NOW + 1));
        let (same, older, newer) = (same.unwrap(), older.unwrap(), newer.unwrap());
        for (headers, expected) in [
            (vec![(header::IF_NONE_MATCH, "\"aa\"")], NotModified),
            (vec![(header::IF_NONE_MATCH, "W/\"aa\"")], NotModified),
            (vec![(header::IF_NONE_MATCH, "\"x\", \"aa\"")], NotModified),
            (vec![(header::IF_NONE_MATCH, "*")], NotModified),
            (vec![(header::IF_NONE_MATCH, "aa")], All),
            (vec![(header::IF_NONE_MATCH, "\"x\""), (header::IF_MODIFIED_SINCE, same.as_str())], All),
            (vec![(header::IF_MODIFIED_SINCE, same.as_str())], NotModified),
            (vec![(header::IF_MODIFIED_SINCE, newer.as_str())], NotModified),
            (vec![(header::IF_MODIFIED_SINCE, older.as_str())], All),
            (vec![(header::IF_MODIFIED_SINCE, "garbage")], All),
        ] {
            assert_eq!(ask(&Method::GET, &headers, 10), expected, "{headers:?}");
            assert_eq!(ask(&Method::HEAD, &headers, 10), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_part_of_other_bytes_is_never_continued() {
        use Selection::{All, Failed};
        let (same, older, newer) = (http_date(NOW), http_date(NOW - 1), http_date(NOW + 1));
        let (same, older, newer) = (same.unwrap(), older.unwrap(), newer.unwrap());
        for (headers, expected) in [
            (vec![(header::IF_MATCH, "\"aa\"")], All),
            (vec![(header::IF_MATCH, "*")], All),
            (vec![(header::IF_MATCH, "\"x\", \"aa\"")], All),
            (vec![(header::IF_MATCH, "W/\"aa\"")], Failed),
            (vec![(header::IF_MATCH, "\"x\"")], Failed),
            (vec![(header::IF_MATCH, "\"x\""), (header::IF_NONE_MATCH, "\"aa\"")], Failed),
            (vec![(header::IF_MATCH, "\"aa\""), (header::IF_UNMODIFIED_SINCE, older.as_str())], All),
            (vec![(header::IF_UNMODIFIED_SINCE, same.as_str())], All),
            (vec![(header::IF_UNMODIFIED_SINCE, newer.as_str())], All),
            (vec![(header::IF_UNMODIFIED_SINCE, older.as_str())], Failed),
            (vec![(header::IF_UNMODIFIED_SINCE, "garbage")], All),
            (vec![(header::RANGE, "bytes=1-"), (header::IF_UNMODIFIED_SINCE, older.as_str())], Failed),
        ] {
            assert_eq!(ask(&Method::GET, &headers, 10), expected, "{headers:?}");
            assert_eq!(ask(&Method::HEAD, &headers, 10), expected, "{headers:?}");
        }
    }

    #[test]
    fn of_what_may_change_a_date_says_something_only_if_it_is_the_same() {
        let version = |last_modified| Version { etag: "\"aa\"", last_modified, size: 10, immutable: false };
        let ask = |name: header::HeaderName, date: u64, last_modified| {
            let headers = [(name, http_date(date).unwrap().parse().unwrap())].into_iter().collect();
            select(&Method::GET, &headers, version(last_modified))
        };
        for (date, last_modified, since, unmodified) in [
            (NOW, Some(NOW), Selection::NotModified, Selection::All),
            (NOW + 1, Some(NOW), Selection::All, Selection::Failed),
            (NOW - 1, Some(NOW), Selection::All, Selection::Failed),
            (NOW, None, Selection::All, Selection::Failed),
        ] {
            assert_eq!(ask(header::IF_MODIFIED_SINCE, date, last_modified), since, "{date} {last_modified:?}");
            assert_eq!(ask(header::IF_UNMODIFIED_SINCE, date, last_modified), unmodified, "{date} {last_modified:?}");
        }
    }

    #[test]
    fn dates_beyond_http_are_left_out() {
        assert_eq!(http_date(0).as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(http_date(u64::MAX), None);
    }

    proptest::proptest! {
        #[test]
        fn parts_lie_inside_the_file(range in "(bytes=)?([0-9]{0,21}-?[0-9]{0,21}.{0,3},?){1,3}", size: u64) {
            let parts = match ranges(&range, size) {
                Selection::Part { start, length } => vec![(start, length)],
                Selection::Parts(parts) => parts,
                _ => vec![],
            };
            for (start, length) in parts {
                proptest::prop_assert!(length > 0 && start.checked_add(length).is_some_and(|end| end <= size));
            }
        }
    }
}
