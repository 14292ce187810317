//! Which addresses are cloned from at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use build_spec::SourceError;
use url::{Host, Url};

use crate::config::JavaBuilderConfig;
use crate::source::CloneAddress;
use crate::source::mirror::mapped;
use crate::source::tunnel::Way;

/// Where a single file is got from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAddress {
    /// The address to be asked; without a rule of the source map the file's own.
    pub url: String,
    /// Whether a rule of the source map made it. Such an address may also be `file://` or `http://`.
    pub mirrored: bool,
    /// The host, and the only addresses of it that may be connected to. None for what is not https.
    pub way: Option<Way>,
}

/// Checks the address of a single file as that of a source.
///
/// # Errors
/// [`SourceError::Refused`]; [`SourceError::Clone`] for a host that cannot be resolved.
pub async fn file_address(config: &JavaBuilderConfig, url: &str) -> Result<FileAddress, SourceError> {
    // A rule of the source map puts a folder or server of the operator's in front, and nothing may lead out of it again.
    let leads_out = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if url.split(['/', '\\', '?', '#']).any(leads_out) {
        let problem = "it has a part `.` or `..`".to_owned();
        return Err(SourceError::Refused { repository: url.to_owned(), problem });
    }
    let address = mapped(url, &config.source_mirrors);
    let way = check(&address, config.private_sources).await?;
    Ok(FileAddress { url: address.url, mirrored: address.mirrored, way })
}

const NO_SSH: &str = "this program has no SSH: use https, http, git or file";

/// Refuses everything but https without user info to a host of the public internet. An address that the operator's
/// source map made is the operator's business.
///
/// Gives the addresses that were looked at, so that no other is connected to: a name server may answer differently the
/// second time. None for what is not https.
///
/// # Errors
/// [`SourceError::Refused`]; [`SourceError::Clone`] if the host cannot be looked up.
pub async fn check(address: &CloneAddress, private_allowed: bool) -> Result<Option<Way>, SourceError> {
    let refuse = |problem: String| SourceError::Refused { repository: address.url.clone(), problem };
    if address.mirrored && !address.url.starts_with("https://") {
        return match address.url.split_once("://") {
            Some(("file" | "http" | "git", _)) => Ok(None),
            Some(("ssh" | "git+ssh" | "ssh+git", _)) => Err(refuse(NO_SSH.to_owned())),
            Some((scheme, _)) => Err(refuse(format!("a source mirror cannot lead to {scheme}://"))),
            // `user@host:path`, among others.
            None => Err(refuse(format!("a source mirror leads to a scheme and `://`; {NO_SSH}"))),
        };
    }
    let url = Url::parse(&address.url).map_err(|error| refuse(error.to_string()))?;
    if url.scheme() != "https" {
        return Err(refuse(format!("only https is allowed, not {}", url.scheme())));
    }
    if !address.mirrored && (!url.username().is_empty() || url.password().is_some()) {
        return Err(refuse("it holds a user name or password".to_owned()));
    }
    let port = url.port_or_known_default().unwrap_or(443);
    let addresses: Vec<SocketAddr> = match url.host() {
        Some(Host::Ipv4(ip)) => vec![(ip, port).into()],
        Some(Host::Ipv6(ip)) => vec![(ip, port).into()],
        Some(Host::Domain(name)) => match tokio::net::lookup_host((name, port)).await {
            Ok(found) => found.collect(),
            Err(error) => {
                return Err(SourceError::Clone {
                    repository: address.url.clone(),
                    problem: format!("{name} cannot be resolved: {error}"),
                });
            }
        },
        None => return Err(refuse("it names no host".to_owned())),
    };
    let any_will_do = address.mirrored || private_allowed;
    match addresses.iter().find(|found| !any_will_do && !is_public(found.ip())) {
        Some(found) => Err(refuse(format!("its host has the address {}, which is not public", found.ip()))),
        None if addresses.is_empty() => Err(refuse("its host has no address".to_owned())),
        None => Ok(Some(Way { host: url.host_str().unwrap_or_default().to_owned(), port, addresses })),
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match embedded_v4(ip) {
            Some(inner) => is_public_v4(inner),
            // Global unicast is 2000::/3; 2001:db8::/32 is for documentation.
            None => ip.segments()[0] & 0xe000 == 0x2000 && ip.segments()[..2] != [0x2001, 0x0db8],
        },
    }
}

/// IPv4 addresses in IPv6 clothes: mapped, NAT64, 6to4.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let part = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match part {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (18..20).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || shared
        || benchmark
        || protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(url: &str) -> CloneAddress {
        CloneAddress { url: url.to_owned(), mirrored: false }
    }

    #[tokio::test]
    async fn only_plain_https_to_public_addresses() {
        for url in [
            "http://8.8.8.8/a",
            "file:///etc",
            "ssh://8.8.8.8/a",
            "https://user@8.8.8.8/a",
            "https://127.0.0.1/a",
            "https://10.1.2.3/a",
            "https://169.254.169.254/a",
            "https://100.64.0.1/a",
            "https://[::1]/a",
            "https://[::ffff:127.0.0.1]/a",
            "https://[64:ff9b::a00:1]/a",
            "https://[fd00::1]/a",
            "https://[fe80::1]/a",
            "not a url",
        ] {
            assert!(matches!(check(&own(url), false).await, Err(SourceError::Refused { .. })), "{url}");
        }
        assert!(check(&own("https://8.8.8.8/a"), false).await.is_ok());
        assert!(check(&own("https://[2606:4700::1111]/a"), false).await.is_ok());
        assert!(check(&own("https://127.0.0.1/a"), true).await.is_ok());
        let mapped = |url: &str| CloneAddress { url: url.to_owned(), mirrored: true };
        for url in ["file:///srv/git/a", "http://127.0.0.1/a", "git://127.0.0.1/a", "https://127.0.0.1/a"] {
            assert!(check(&mapped(url), false).await.is_ok(), "{url}");
        }
        for url in ["ssh://git@127.0.0.1/a", "git@127.0.0.1:a", "git+ssh://127.0.0.1/a"] {
            let refused = check(&mapped(url), false).await;
            let named = |error: &SourceError| error.to_string().contains("no SSH");
            assert!(refused.as_ref().is_err_and(named), "{url}: {refused:?}");
        }
        assert!(check(&mapped("ext://sh"), false).await.is_err());
    }
}
