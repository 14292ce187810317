//! Addresses of origins: which are usable, how they are shown, where a redirect may lead.

use reqwest::redirect;
use url::Url;

use crate::FetchError;

const MAX_REDIRECTS: usize = 5;

/// The redirect policy.
pub(crate) fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let from = attempt.previous().last().map_or("", |url| url.scheme());
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error(format!("more than {MAX_REDIRECTS} redirects"))
    } else if downgrades(from, attempt.url().scheme()) {
        attempt.error("redirected from https to plain http, which is not followed")
    } else {
        attempt.follow()
    }
}

/// Whether a redirect between these schemes gives up TLS.
fn downgrades(from: &str, to: &str) -> bool {
    from == "https" && to != "https"
}

/// Takes the address of a repository; the result ends in a slash.
pub(crate) fn base_address(text: &str, allow_plain_http: bool) -> Result<Url, FetchError> {
    let refused = |url: String, reason: &str| FetchError::Address { url, reason: reason.to_owned() };
    // What does not parse may hold a password where we cannot find it.
    let mut url = Url::parse(text.trim()).map_err(|e| refused("...".to_owned(), &e.to_string()))?;
    let host_is_local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => {
            return Err(refused(shown(&url), "it names no host; an address such as https://host/path is needed"));
        }
    };
    match url.scheme() {
        "https" => {}
        "http" if host_is_local || allow_plain_http => {}
        "http" => {
            let reason =
                "it is plain http, where anybody on the way can change files; use https, or set `allow_plain_http`";
            return Err(refused(shown(&url), reason));
        }
        _ => return Err(refused(shown(&url), "only http and https are spoken")),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused(shown(&url), "it has a query or a fragment"));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// Without user name and password.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail only for addresses that cannot have credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.query().is_some() {
        url.set_query(Some("..."));
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::downgrades;

    #[test]
    fn a_redirect_to_plain_http_is_refused() {
        // The policy itself cannot be called without a connection; what it decides on can.
        assert!(downgrades("https", "http"));
        assert!(downgrades("https", "ftp"));
        assert!(!downgrades("https", "https"));
        assert!(!downgrades("http", "http"));
        assert!(!downgrades("http", "https"));
    }
}
