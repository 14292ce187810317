//! Where Maven Central is: named by the user, else found as the user's Maven finds it.

use std::sync::Arc;

use anyhow::Context as _;
use pyrsia_fetch::{FindConfig, FindError, HttpConfig, HttpOrigin, Origin, find_central};

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
pub async fn find(configured: Option<&str>) -> anyhow::Result<Option<Upstream>> {
    let found = match configured {
        Some(NONE) => return Ok(None),
        Some(url) => (url.to_owned(), "configuration".to_owned()),
        None => {
            let config = FindConfig::from_variables(|name| std::env::var_os(name));
            let searched = tokio::task::spawn_blocking(move || find_central(&config)).await?;
            match searched {
                Ok(found) => (found.url, found.how),
                Err(error @ FindError::NotFound { .. }) => {
                    tracing::warn!("{error}; serving without an upstream");
                    return Ok(None);
                }
                Err(error) => return Err(error).context("Maven's own configuration names no usable upstream"),
            }
        }
    };
    let (url, how) = found;
    let origin = HttpOrigin::new("central", &url, HttpConfig::default())?;
    Ok(Some(Upstream { url: origin.base_url(), origin: Arc::new(origin), found: how }))
}
