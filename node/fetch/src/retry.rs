//! `Retry-After` and the dates of HTTP, without a clock.

use std::time::Duration;

/// Longest wait that is believed. One answer, or one wrong clock, must not silence an upstream for longer: it is asked
/// again then, and says again what it wants.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Reads a `Retry-After` header ([RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)): seconds,
/// or a date, which is compared with `now` (seconds since 1970).
pub(crate) fn parse_retry_after(text: &str, now: u64) -> Option<Duration> {
    let text = text.trim();
    let seconds = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // Digits only: what does not fit is a very long time.
        text.parse().unwrap_or(u64::MAX)
    } else {
        parse_http_date(text)?.saturating_sub(now)
    };
    Some(Duration::from_secs(seconds).min(LIMIT))
}

/// Reads a date such as `Sun, 06 Nov 1994 08:49:37 GMT` as seconds since 1970; dates before that are nothing.
pub(crate) fn parse_http_date(text: &str) -> Option<u64> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    u64::try_from(date.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AT: u64 = 784_111_777;

    #[test]
    fn seconds_dates_and_nonsense() {
        assert_eq!(parse_http_date(DATE), Some(AT));
        assert_eq!(parse_retry_after("0", 0), Some(Duration::ZERO));
        assert_eq!(parse_retry_after(" 120 ", 0), Some(Duration::from_secs(120)));
        assert_eq!(parse_retry_after("99999999999999999999999", 0), Some(LIMIT));
        assert_eq!(parse_retry_after(DATE, AT - 30), Some(Duration::from_secs(30)));
        assert_eq!(parse_retry_after(DATE, AT + 30), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("86400", 0), Some(LIMIT), "nobody silences an upstream for a day");
        assert_eq!(parse_retry_after(DATE, 0), Some(LIMIT), "nor does a clock that is wrong");
        for nonsense in ["", "-1", "1.5", "soon", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse_retry_after(nonsense, 0), None, "{nonsense}");
        }
        assert_eq!(parse_http_date("Wed, 31 Dec 1969 23:59:59 GMT"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String, now: u64) {
            let _ = parse_retry_after(&text, now);
        }
    }
}
