//! Where Maven Central is: named by the user, else found as the user's Maven finds it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use pyrsia_fetch::{FindConfig, FindError, FoundUpstream, HttpConfig, HttpOrigin, Origin, find_central};

/// The word that switches the upstream off.
pub const NONE: &str = "none";

/// An upstream and how it was found.
pub struct Upstream {
    /// The origin.
    pub origin: Arc<dyn Origin>,
    /// Its address without credentials.
    pub url: String,
    /// `configuration`, or the file of Maven's that names it.
    pub found: String,
}

/// The upstream that is configured, else the one that Maven would use. `None` only when it is switched off or when this
/// machine has no Maven; the reason is logged.
///
/// `own` is this node's address: a user who has pasted the node's mirror line into settings.xml must not make the node its
/// own upstream, so such a mirror is passed over, and what Maven would use without it is used.
pub async fn find(configured: Option<&str>, own: Option<SocketAddr>) -> anyhow::Result<Option<Upstream>> {
    let (url, found) = match configured {
        Some(NONE) => return Ok(None),
        Some(url) => (url.to_owned(), "configuration".to_owned()),
        None => match of_maven(own).await? {
            Some(found) => (found.url, found.how),
            None => return Ok(None),
        },
    };
    let origin = HttpOrigin::new("central", &url, HttpConfig::default())?;
    Ok(Some(Upstream { url: origin.base_url(), origin: Arc::new(origin), found }))
}

/// The address that Maven would use on this machine, whoever is to use it; `own` is passed over, as by [`find`].
pub async fn address(own: Option<SocketAddr>) -> anyhow::Result<Option<String>> {
    Ok(of_maven(own).await?.map(|found| found.url))
}

async fn of_maven(own: Option<SocketAddr>) -> anyhow::Result<Option<FoundUpstream>> {
    match tokio::task::spawn_blocking(move || search(own)).await? {
        Ok(found) => Ok(Some(found)),
        Err(error @ FindError::NotFound { .. }) => {
            tracing::warn!("{error}; serving without an upstream");
            Ok(None)
        }
        Err(error) => Err(error).context("Maven's own configuration names no usable upstream"),
    }
}

fn search(own: Option<SocketAddr>) -> Result<FoundUpstream, FindError> {
    let mut config = FindConfig::from_variables(|name| std::env::var_os(name));
    let found = find_central(&config)?;
    if !is_own(&found.url, own) {
        return Ok(found);
    }
    config.user_settings = None;
    find_central(&config)
}

/// Whether an address leads to this node: loopback, by any of its names, and the node's port.
fn is_own(url: &str, own: Option<SocketAddr>) -> bool {
    let (Some(own), Ok(url)) = (own, reqwest::Url::parse(url)) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let same = host.parse::<IpAddr>().is_ok_and(|address| address == own.ip());
    (loopback || same) && url.port_or_known_default() == Some(own.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_knows_its_own_address_by_every_name() {
        let own = Some(SocketAddr::from(([127, 0, 0, 1], 7888)));
        for url in ["http://127.0.0.1:7888/maven2/", "http://localhost:7888/maven2", "http://[::1]:7888/x"] {
            assert!(is_own(url, own), "{url}");
        }
        for url in ["http://127.0.0.1:7889/maven2/", "https://repository.example/maven2/", "not an address"] {
            assert!(!is_own(url, own), "{url}");
        }
    }
}
