//! The second listener, with TLS and for known readers: how a node serves other machines.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, bail};
use pyrsia_http::{GuardConfig, Reader, Tls, Token};
use pyrsia_repository::GroupPattern;
use tokio::net::TcpListener;

use crate::config::{Config, ReaderConfig};
use crate::data_dir::{DataDir, write_atomically, write_secret};

/// Names that every generated certificate is for.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A listener that is ready to serve.
pub struct Secure {
    /// Where it listens.
    pub address: SocketAddr,
    pub(super) listener: TcpListener,
    pub(super) tls: Tls,
}

/// The listener, if the configuration has one, and what its guards compare with.
pub async fn secure(config: &Config, data: &DataDir, token: &Token) -> anyhow::Result<Option<(Secure, GuardConfig)>> {
    let Some(listen) = config.tls.listen else {
        anyhow::ensure!(
            config.readers.is_empty(),
            "there are [[readers]], and no `listen` in [tls] that asks for them"
        );
        return Ok(None);
    };
    let readers = config.readers.iter().map(reader).collect::<anyhow::Result<Vec<_>>>()?;
    // Those of a hosted repository are known to it and to nobody else: they get in, and no further than there.
    let of_hosted = config.hosted.iter().any(|hosted| !(hosted.writers.is_empty() && hosted.readers.is_empty()));
    pyrsia_http::check_bind(listen, true, of_hosted || !readers.is_empty())?;
    let tls = certificate(config, data).context("[tls]")?;
    let listener = pyrsia_http::listen(listen).with_context(|| format!("cannot listen at {listen}, named in [tls]"))?;
    let hosts = config.node.allowed_hosts.iter().chain(&config.tls.names).cloned().collect();
    // Beyond loopback nothing is for everybody: without [[readers]] there are none.
    let open = readers.is_empty() && listen.ip().to_canonical().is_loopback();
    let readers = (!open).then_some(readers);
    let guard = GuardConfig { hosts, token: token.clone(), readers };
    Ok(Some((Secure { address: listener.local_addr()?, listener, tls }, guard)))
}

fn reader(config: &ReaderConfig) -> anyhow::Result<Reader> {
    let ReaderConfig { name, token_file, groups } = config;
    let groups = groups.iter().map(|group| group.parse::<GroupPattern>()).collect::<Result<Vec<_>, _>>();
    Ok(Reader {
        name: name.clone(),
        token: token("[[readers]]", name, token_file)?,
        groups: groups.with_context(|| format!("[[readers]] {name}"))?,
    })
}

/// The token in a file, for somebody of this name in this section.
pub(super) fn token(section: &str, name: &str, file: &Path) -> anyhow::Result<Token> {
    let about = || format!("{section} {name}: {}", file.display());
    let text = std::fs::read_to_string(file).with_context(about)?;
    anyhow::ensure!(
        !name.is_empty() && !name.contains(':'),
        "{section} {name:?}: a user name is not empty and has no colon"
    );
    Token::new(&text).with_context(about)
}

pub(super) fn certificate(config: &Config, data: &DataDir) -> anyhow::Result<Tls> {
    match (&config.tls.certificate, &config.tls.key) {
        (Some(certificate), Some(key)) => {
            let files = || format!("{} and {}", certificate.display(), key.display());
            Tls::from_files(certificate, key).with_context(files)
        }
        (None, None) => generated(config, data),
        _ => bail!("`certificate` and `key` are there together or not at all"),
    }
}

/// The certificate that was made at an earlier start, or a new one when there is none or other names are wanted.
fn generated(config: &Config, data: &DataDir) -> anyhow::Result<Tls> {
    let folder = data.join("tls");
    let [certificate, key, of] = ["certificate.pem", "key.pem", "names"].map(|name| folder.join(name));
    let mut names = LOCAL.map(str::to_owned).to_vec();
    names.extend(config.tls.names.iter().cloned());
    let wanted = names.join("\n");
    let usable = || {
        let known = std::fs::read_to_string(&of).ok()?;
        (known == wanted).then_some(())?;
        Tls::new(&std::fs::read(&certificate).ok()?, &std::fs::read(&key).ok()?).ok()
    };
    if let Some(tls) = usable() {
        return Ok(tls);
    }
    let made = Tls::generate(&names)?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // The names last: without them a half-written pair is made again.
    if of.exists() {
        std::fs::remove_file(&of).with_context(|| format!("cannot remove {}", of.display()))?;
    }
    write_secret(&key, &made.key)?;
    write_atomically(&certificate, made.certificate.as_bytes())?;
    write_atomically(&of, wanted.as_bytes())?;
    Ok(Tls::new(made.certificate.as_bytes(), made.key.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn a_made_certificate_stays_until_other_names_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        let token = Token::new(&"t".repeat(32)).unwrap();
        let file = || std::fs::read(folder.path().join("tls/certificate.pem")).unwrap();
        let one = "[tls]\nlisten = \"127.0.0.1:0\"\n";
        let (_, guard) = secure(&config(one), &data, &token).await.unwrap().unwrap();
        assert!(guard.readers.is_none() && guard.hosts.is_empty());
        let first = file();
        secure(&config(one), &data, &token).await.unwrap().unwrap();
        assert_eq!(file(), first);
        let other = format!("{one}names = [\"maven.example\"]\n");
        let (_, guard) = secure(&config(&other), &data, &token).await.unwrap().unwrap();
        assert_eq!(guard.hosts, ["maven.example"]);
        assert_ne!(file(), first);
        std::fs::write(folder.path().join("tls/key.pem"), "torn").unwrap();
        secure(&config(&other), &data, &token).await.unwrap().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(folder.path().join("tls/key.pem")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn what_would_leave_it_open_or_makes_no_sense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        let short = folder.path().join("short");
        std::fs::write(&short, "too short").unwrap();
        let token = Token::new(&"t".repeat(32)).unwrap();
        let reader = format!("[[readers]]\nname = \"ci\"\ntoken_file = {short:?}\n");
        for (text, wanted) in [
            ("[tls]\nlisten = \"0.0.0.0:0\"\n".to_owned(), "authentication. Name who may read in [[readers]]"),
            // A repository without anybody of its own is for those who read the node.
            (
                "[tls]\nlisten = \"0.0.0.0:0\"\n[[hosted]]\nid = \"a\"\naccept = \"both\"\n".to_owned(),
                "or in a [[hosted]] repository",
            ),
            (reader.clone(), "[tls]"),
            (format!("[tls]\nlisten = \"127.0.0.1:0\"\n{reader}"), "32"),
            ("[tls]\nlisten = \"127.0.0.1:0\"\nkey = \"/none\"\n".to_owned(), "together"),
            ("[tls]\nlisten = \"127.0.0.1:0\"\nkey = \"/none\"\ncertificate = \"/nothing\"\n".to_owned(), "/nothing"),
            ("[tls]\nlisten = \"127.0.0.1:0\"\nnames = [\"näme\"]\n".to_owned(), "no certificate"),
        ] {
            let error = secure(&config(&text), &data, &token).await.err().expect(&text);
            assert!(format!("{error:#}").contains(wanted), "{wanted}: {error:#}");
        }
    }

    #[tokio::test]
    async fn a_listener_for_a_hosted_repository_alone_is_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        let token = Token::new(&"t".repeat(32)).unwrap();
        let hosted =
            "[[hosted]]\nid = \"a\"\naccept = \"both\"\n[[hosted.writers]]\nname = \"ci\"\ntoken_file = \"/t\"\n";
        let beyond = format!("[tls]\nlisten = \"0.0.0.0:0\"\n{hosted}");
        let (_, guard) = secure(&config(&beyond), &data, &token).await.unwrap().unwrap();
        assert!(guard.readers.is_some_and(|readers| readers.is_empty()), "known ones only, and there are none");
        let (_, guard) =
            secure(&config(&beyond.replace("0.0.0.0", "127.0.0.1")), &data, &token).await.unwrap().unwrap();
        assert!(guard.readers.is_none());
    }
}
