//! Downloading a source archive, from addresses that a git source could be cloned from as well.
//!
//! What a specification names is an address of somebody else's choice: it must not make this machine ask its own network. So
//! each address is looked at before it is connected to, those too that an answer leads on to, and a name means what it meant
//! when it was looked at.

use std::path::Path;

use anyhow::{Context as _, bail};
use java_builder::source::{CloneAddress, check_address};
use reqwest::Url;
use reqwest::header::LOCATION;

use crate::checked_download;

/// How often an address may lead on to another one.
const REDIRECTS: usize = 5;

/// Writes what is at the address into a file, within so many seconds for each answer and at most so many bytes.
///
/// # Errors
/// The address or one that it leads on to is refused, does not answer with a file, or has more bytes.
pub async fn download(
    first: CloneAddress,
    private_allowed: bool,
    (seconds, most): (u64, u64),
    into: &Path,
) -> anyhow::Result<()> {
    let mut address = first;
    for _ in 0..=REDIRECTS {
        let checked = check_address(&address, private_allowed).await?;
        let way = checked.with_context(|| format!("an archive is fetched over https, and not from {}", address.url))?;
        let client = checked_download::client(Some(way), seconds)?;
        let answer = client.get(&address.url).send().await?;
        if !answer.status().is_redirection() {
            return Ok(checked_download::write(answer.error_for_status()?, most, into).await?);
        }
        let to = answer.headers().get(LOCATION).context("its answer leads on to nowhere")?;
        address = onward(&address, to.to_str().context("its answer leads on to no address")?)?;
    }
    bail!("its answers lead on more than {REDIRECTS} times")
}

/// Where an answer leads on to. What the operator's source map allows is the server that it names, and no other.
fn onward(from: &CloneAddress, location: &str) -> anyhow::Result<CloneAddress> {
    let base = Url::parse(&from.url)?;
    let to =
        base.join(location).with_context(|| format!("its answer leads on to {location:?}, which is no address"))?;
    let server = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    Ok(CloneAddress { mirrored: from.mirrored && server(&base) == server(&to), url: to.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(url: &str) -> CloneAddress {
        CloneAddress { url: url.to_owned(), mirrored: false }
    }

    #[tokio::test]
    async fn nothing_is_asked_of_this_machine_s_own_network() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("archive");
        for url in [
            "https://127.0.0.1:1/a.tar.gz",
            "https://[::1]:1/a.tar.gz",
            "https://10.0.0.1/a.tar.gz",
            "https://169.254.169.254/latest/a.tar.gz",
            "https://user:secret@192.0.2.1/a.tar.gz",
            "http://8.8.8.8/a.tar.gz",
            "file:///etc/passwd",
        ] {
            let error = download(own(url), false, (5, 10), &into).await.unwrap_err();
            assert!(error.is::<build_spec::SourceError>(), "{url}: {error:#}");
            assert!(error.to_string().contains("cannot be used as a source"), "{url}: {error:#}");
        }
        // Of the operator's own map: it may lead to this machine, over https all the same.
        let mapped = CloneAddress { mirrored: true, ..own("http://127.0.0.1:1/a.tar.gz") };
        let error = download(mapped, false, (5, 10), &into).await.unwrap_err();
        assert!(error.to_string().contains("over https"), "{error:#}");
        assert!(!into.exists());
    }

    #[test]
    fn what_the_operator_s_map_allows_is_the_server_that_it_names() {
        let mapped = CloneAddress { mirrored: true, ..own("https://mirror.example:8443/x/a.zip") };
        for (location, url, mirrored) in [
            ("b.zip", "https://mirror.example:8443/x/b.zip", true),
            ("/y/b.zip", "https://mirror.example:8443/y/b.zip", true),
            ("https://MIRROR.example:8443/b.zip", "https://mirror.example:8443/b.zip", true),
            ("https://mirror.example/b.zip", "https://mirror.example/b.zip", false),
            ("https://10.0.0.1/b.zip", "https://10.0.0.1/b.zip", false),
            ("//127.0.0.1/b.zip", "https://127.0.0.1/b.zip", false),
            ("http://mirror.example:8443/b.zip", "http://mirror.example:8443/b.zip", false),
        ] {
            let expected = CloneAddress { url: url.to_owned(), mirrored };
            assert_eq!(onward(&mapped, location).unwrap(), expected, "{location}");
            assert!(!onward(&own(&mapped.url), location).unwrap().mirrored, "{location}");
        }
        assert!(onward(&mapped, "https://").is_err());
    }
}
