//! The upstreams: Maven Central, named by the user or found as the user's Maven finds it, and others that the configuration lists.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use pyrsia_fetch::{FindConfig, FindError, FoundUpstream, HttpOrigin, find_central};
use pyrsia_repository::{GroupPattern, Route};

use crate::config::{Config, PolicyName, UpstreamConfig};

/// The word that switches Maven Central off.
pub const NONE: &str = "none";
const CONFIGURATION: &str = "configuration";

/// The id of Maven Central. Builds of a network ask it and no other, so that all authorities see the same repository.
const CENTRAL: &str = "central";

/// An upstream and how it was found.
pub struct Upstream {
    /// Its name.
    pub id: String,
    /// Whom to ask, and for what.
    pub asked: pyrsia_repository::Upstream,
    /// Its address without credentials.
    pub url: String,
    /// `configuration`, or the file of Maven's that names it.
    pub found: String,
    /// Its own policy.
    pub policy: Option<PolicyName>,
}

impl Upstream {
    /// Whether it is Maven Central, or stands for it.
    pub fn is_central(&self) -> bool {
        self.id == CENTRAL
    }
}

/// The upstreams in the order in which they are asked: the configured ones, and Maven Central where it is listed, else at the
/// end.
///
/// A user who has pasted the node's mirror line into settings.xml must not make the node its own upstream, so such a mirror is
/// passed over, and what Maven would use without it is used.
pub async fn find_all(config: &Config) -> anyhow::Result<Vec<Upstream>> {
    let mut listed = config.upstreams.clone();
    if !listed.iter().any(|upstream| upstream.id == CENTRAL) && config.node.upstream.as_deref() != Some(NONE) {
        listed.push(UpstreamConfig { id: CENTRAL.to_owned(), ..UpstreamConfig::default() });
    }
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for upstream in &listed {
        let id = &upstream.id;
        anyhow::ensure!(names.insert(id), "[[upstreams]] {id} is there twice");
        let found = of(upstream, config).await.with_context(|| format!("[[upstreams]] {id}"))?;
        all.extend(found);
    }
    Ok(all)
}

async fn of(upstream: &UpstreamConfig, config: &Config) -> anyhow::Result<Option<Upstream>> {
    check_id(&upstream.id)?;
    let (url, found) = match (&upstream.url, config.node.upstream.as_deref()) {
        (Some(_), _) if upstream.id == CENTRAL => bail!("its address is set by `upstream` in [node]"),
        (Some(url), _) => (url.clone(), CONFIGURATION.to_owned()),
        (None, _) if upstream.id != CENTRAL => bail!("it has no url"),
        (None, Some(NONE)) => bail!("`upstream` in [node] says `{NONE}`"),
        (None, Some(url)) => (url.to_owned(), CONFIGURATION.to_owned()),
        (None, None) => match of_maven(Own::of(config)).await? {
            Some(found) => (found.url, found.how),
            None => return Ok(None),
        },
    };
    let origin = HttpOrigin::new(&upstream.id, &with_credentials(&url, upstream)?, upstream.http.clone())?;
    let patterns = |texts: &[String]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<GroupPattern>, _>>();
    let route = Route::new(patterns(&upstream.include)?, patterns(&upstream.exclude)?);
    let url = origin.base_url();
    let asked = pyrsia_repository::Upstream { origin: Arc::new(origin), route };
    Ok(Some(Upstream { id: upstream.id.clone(), asked, url, found, policy: upstream.policy }))
}

/// Names that the node itself writes into records.
const OWN: [&str; 5] = [pyrsia_repository::IMPORT, "input", "offline", "peers", "store"];

/// Ids stand in records beside the names that the node itself gives.
fn check_id(id: &str) -> anyhow::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let right = (1..=64).contains(&id.len()) && id.chars().all(plain) && !OWN.contains(&id);
    anyhow::ensure!(
        right,
        "an id has 1 to 64 letters, digits, dots, dashes and underscores, and is none of {}",
        OWN.join(", ")
    );
    Ok(())
}

fn with_credentials(url: &str, upstream: &UpstreamConfig) -> anyhow::Result<String> {
    let password = match (&upstream.password_env, &upstream.password_file) {
        (Some(_), Some(_)) => bail!("`password_env` and `password_file` exclude each other"),
        (Some(name), None) => {
            Some(std::env::var(name).with_context(|| format!("the variable {name}, named by `password_env`"))?)
        }
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
        (None, None) => None,
    };
    let Some(username) = &upstream.username else {
        anyhow::ensure!(password.is_none(), "there is a password and no `username`");
        return Ok(url.to_owned());
    };
    // Not in the error: what does not parse may hold a password.
    let mut url = reqwest::Url::parse(url).map_err(|error| anyhow::anyhow!("the url is not valid: {error}"))?;
    let set = url.set_username(username).and_then(|()| url.set_password(password.as_deref()));
    set.map_err(|()| anyhow::anyhow!("an address of this kind takes no user name"))?;
    Ok(url.into())
}

/// The address that Maven would use on this machine, whoever is to use it; `own` is passed over, as by [`find_all`].
pub async fn address(own: Own) -> anyhow::Result<Option<String>> {
    Ok(of_maven(own).await?.map(|found| found.url))
}

async fn of_maven(own: Own) -> anyhow::Result<Option<FoundUpstream>> {
    match tokio::task::spawn_blocking(move || search(&own)).await? {
        Ok(found) => Ok(Some(found)),
        Err(error @ FindError::NotFound { .. }) => {
            tracing::warn!("{error}; serving without an upstream");
            Ok(None)
        }
        Err(error) => Err(error).context("Maven's own configuration names no usable upstream"),
    }
}

fn search(own: &Own) -> Result<FoundUpstream, FindError> {
    let mut config = FindConfig::from_variables(|name| std::env::var_os(name));
    loop {
        let found = find_central(&config)?;
        // One that was passed over and is found again is no mirror.
        if !own.is_at(&found.url) || config.not.contains(&found.url) {
            return Ok(found);
        }
        config.not.push(found.url);
    }
}

/// Where this node itself is reached.
#[derive(Debug, Clone, Default)]
pub struct Own {
    listeners: Vec<SocketAddr>,
    /// Names that a configuration gives it.
    names: Vec<String>,
}

impl Own {
    /// The node that listens here.
    pub fn at(address: SocketAddr) -> Self {
        Self { listeners: vec![address], names: Vec::new() }
    }

    /// The node of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            listeners: std::iter::once(config.node.listen).chain(config.tls.listen).collect(),
            names: config.node.allowed_hosts.iter().chain(&config.tls.names).cloned().collect(),
        }
    }

    /// Whether an address leads to this node: loopback, by any of its names, or a name of the node's, and a port of it.
    fn is_at(&self, url: &str) -> bool {
        let Ok(url) = reqwest::Url::parse(url) else { return false };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let address = host.parse::<IpAddr>().ok();
        let named = host == "localhost"
            || address.is_some_and(|address| address.is_loopback())
            || self.names.iter().any(|name| name.eq_ignore_ascii_case(host));
        self.listeners
            .iter()
            .any(|own| (named || address == Some(own.ip())) && url.port_or_known_default() == Some(own.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    async fn refusal(text: &str) -> String {
        match find_all(&config(text)).await {
            Ok(_) => panic!("accepted: {text}"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn a_node_knows_its_own_address_by_every_name() {
        let text =
            "[node]\nlisten = \"127.0.0.1:7888\"\n[tls]\nlisten = \"192.0.2.7:7843\"\nnames = [\"maven.example\"]\n";
        let own = Own::of(&config(text));
        for url in [
            "http://127.0.0.1:7888/maven2/",
            "http://localhost:7888/maven2",
            "http://[::1]:7888/x",
            "https://localhost:7843/maven2/",
            "https://192.0.2.7:7843/maven2/",
            "https://Maven.example:7843/maven2/",
        ] {
            assert!(own.is_at(url), "{url}");
        }
        for url in [
            "http://127.0.0.1:7889/maven2/",
            "https://maven.example/maven2/",
            "https://repository.example:7843/maven2/",
            "not an address",
        ] {
            assert!(!own.is_at(url), "{url}");
        }
    }

    #[tokio::test]
    async fn central_is_the_last_unless_it_is_listed() {
        let two = "[[upstreams]]\nid = \"a\"\nurl = \"https://a.example/m\"\n[[upstreams]]\nid = \"central\"\nexclude = [\"com.acme\"]\n\
                   [[upstreams]]\nid = \"b\"\nurl = \"https://b.example/m\"\n";
        let central = "[node]\nupstream = \"https://c.example/m\"\n";
        let ids = |all: Vec<Upstream>| all.into_iter().map(|found| (found.id, found.url)).collect::<Vec<_>>();
        let found = ids(find_all(&config(&format!("{central}{two}"))).await.unwrap());
        let (a, b, c) = ("https://a.example/m/", "https://b.example/m/", "https://c.example/m/");
        assert_eq!(found, [("a", a), ("central", c), ("b", b)].map(|(id, url)| (id.to_owned(), url.to_owned())));
        let one = "[[upstreams]]\nid = \"a\"\nurl = \"https://a.example/m\"\n";
        let found = ids(find_all(&config(&format!("{central}{one}"))).await.unwrap());
        assert_eq!(found, [("a", a), ("central", c)].map(|(id, url)| (id.to_owned(), url.to_owned())));
        let found = ids(find_all(&config(&format!("[node]\nupstream = \"none\"\n{one}"))).await.unwrap());
        assert_eq!(found, [("a".to_owned(), a.to_owned())]);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_by_name_and_without_passwords() {
        let upstream = |more: &str| format!("[node]\nupstream = \"none\"\n[[upstreams]]\nid = \"a\"\n{more}");
        let url = "url = \"https://a.example/\"\n";
        for (text, wanted) in [
            (upstream(""), "it has no url"),
            (upstream("url = \"http://user:secret@a.example/\"\n"), "plain http"),
            (upstream(&format!("{url}include = [\"com..acme\"]\n")), "com..acme"),
            (upstream(&format!("{url}password_file = \"/none/secret\"\n")), "/none/secret"),
            (
                upstream(&format!("{url}username = \"u\"\npassword_env = \"PYRSIA_TEST_NO_SUCH_VARIABLE\"\n")),
                "PYRSIA_TEST",
            ),
            (upstream(&format!("{url}username = \"u\"\npassword_env = \"A\"\npassword_file = \"B\"\n")), "exclude"),
            (upstream(&format!("{url}[[upstreams]]\nid = \"a\"\n{url}")), "twice"),
            ("[node]\nupstream = \"none\"\n[[upstreams]]\nid = \"central\"\n".to_owned(), "none"),
            (format!("[[upstreams]]\nid = \"central\"\n{url}"), "[node]"),
            (format!("[node]\nupstream = \"none\"\n[[upstreams]]\nid = \"peers\"\n{url}"), "an id has"),
        ] {
            let refusal = refusal(&text).await;
            assert!(refusal.contains(wanted), "{wanted}: {refusal}");
            assert!(!refusal.contains("secret@") && !refusal.contains("user:"), "{refusal}");
        }
        let unknown = toml::from_str::<Config>(&upstream("pasword_env = \"X\"\n")).unwrap_err().to_string();
        assert!(unknown.contains("pasword_env"), "{unknown}");
    }

    #[tokio::test]
    async fn a_password_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "p@ss:word\nnot this\n").unwrap();
        let upstream = UpstreamConfig {
            username: Some("us/er".to_owned()),
            password_file: Some(file),
            ..UpstreamConfig::default()
        };
        let url = with_credentials("https://a.example/m/", &upstream).unwrap();
        assert_eq!(url, "https://us%2Fer:p%40ss%3Aword@a.example/m/");
    }
}
