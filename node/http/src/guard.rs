//! Who may talk to the face: the checks before any handler.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri, Version, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use maven_layout::RepoPath;
use pyrsia_api_types::Problem;
use pyrsia_digest::Sha256;
use pyrsia_repository::GroupPattern;

use crate::maven;
use crate::problem::problem_response;
use crate::router::BODY_LIMIT;

/// How long the rest of a refused request is waited for.
const DRAIN_TIME: Duration = Duration::from_secs(5);
/// Shortest token, in characters: 128 bits in hexadecimal.
const SHORTEST_TOKEN: usize = 32;

/// What clients that wait to be asked are told to send.
pub(crate) const CHALLENGE: &str = "Basic realm=\"pyrsia-maven\", charset=\"UTF-8\"";

/// The secret that calls which change something must show.
#[derive(Clone)]
pub struct Token(Sha256);

/// Why a text is not accepted as a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has at least {SHORTEST_TOKEN} visible ASCII characters")]
pub struct TokenError;

impl Token {
    /// Takes the secret, without surrounding white space.
    ///
    /// # Errors
    /// [`TokenError`] for a text that is too short or could not stand in a header.
    pub fn new(secret: &str) -> Result<Self, TokenError> {
        let secret = secret.trim();
        if secret.len() < SHORTEST_TOKEN || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError);
        }
        Ok(Self(Sha256::of(secret.as_bytes())))
    }

    /// Compares in time that depends neither on the secret nor on where a difference lies: digests are compared, all of
    /// their bytes.
    pub(crate) fn matches(&self, shown: &[u8]) -> bool {
        let shown = Sha256::of(shown);
        let difference = self.0.as_bytes().iter().zip(shown.as_bytes()).fold(0u8, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What the guards compare with.
#[derive(Debug, Clone)]
pub struct GuardConfig {
    /// Names for the `Host` header beside loopback's, without port, e.g. `maven.example.org`.
    pub hosts: Vec<String>,
    /// The node's token.
    pub token: Token,
    /// Who may read; none: everybody who reaches the listener.
    pub readers: Option<Vec<Reader>>,
}

/// Somebody who may read, with a name and a token as user name and password: what `<server>` in Maven's settings holds.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The user name.
    pub name: String,
    /// The password.
    pub token: Token,
    /// The folders of the repository that are all that this reader gets; none: everything.
    pub groups: Vec<GroupPattern>,
}

impl Reader {
    fn may_read(&self, method: &Method, uri: &Uri) -> bool {
        if self.groups.is_empty() {
            return true;
        }
        let path = uri.path().strip_prefix(maven::PREFIX).map(|path| path.strip_suffix('/').unwrap_or(path));
        // As the handler will decode it: what is not a path is nobody's.
        let path = path.and_then(|path| RepoPath::from_url_path(path).ok());
        is_read(method) && path.is_some_and(|path| self.groups.iter().any(|group| group.covers(&path)))
    }
}

/// Why a request reaches no handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No usable `Host`.
    NoHost,
    /// A `Host` that is not ours: a name that an attacker made resolve to this machine.
    ForeignHost,
    /// Another site's page asks.
    CrossSite,
    /// A call that changes something without the token.
    NoToken,
    /// A reader who does not say who it is.
    NoReader,
    /// A reader who asks for what others may read.
    NotForReader,
}

/// The checks, in order. `Ok` for requests that may reach a handler.
pub(crate) fn check(method: &Method, uri: &Uri, headers: &HeaderMap, config: &GuardConfig) -> Result<(), Refusal> {
    check_origin(method, uri, headers, config)?;
    let with_token = shows_token(headers, &config.token);
    if changes_something(method, uri) && !with_token {
        return Err(Refusal::NoToken);
    }
    let Some(readers) = config.readers.as_ref().filter(|_| !with_token) else { return Ok(()) };
    match reader(headers, readers) {
        None => Err(Refusal::NoReader),
        Some(reader) if !reader.may_read(method, uri) => Err(Refusal::NotForReader),
        Some(_) => Ok(()),
    }
}

/// Those of them that hold for everybody: where a request comes from and whom it is for.
pub(crate) fn check_origin(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    config: &GuardConfig,
) -> Result<(), Refusal> {
    let host = host(uri, headers)?;
    let name = host_name(host).ok_or(Refusal::NoHost)?;
    if !is_ours(name, config) {
        return Err(Refusal::ForeignHost);
    }
    if !same_origin(host, headers) || !fetch_site_is_fine(method, uri, headers) {
        return Err(Refusal::CrossSite);
    }
    Ok(())
}

/// The one authority that the request names. Two that differ would let a proxy and us see different hosts.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(header::HOST).iter();
    let host = values.next().and_then(|value| value.to_str().ok());
    if values.next().is_some() {
        return Err(Refusal::NoHost);
    }
    match (uri.authority().map(|authority| authority.as_str()), host) {
        (Some(uri), Some(host)) if !uri.eq_ignore_ascii_case(host) => Err(Refusal::NoHost),
        (_, Some(host)) => Ok(host),
        _ => Err(Refusal::NoHost),
    }
}

/// The name in `name[:port]`, without brackets and without the root's dot.
fn host_name(host: &str) -> Option<&str> {
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let (name, port) = rest.split_once(']')?;
        (name, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
    } else {
        host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)))
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return None;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    (!name.is_empty()).then_some(name)
}

fn is_ours(name: &str, config: &GuardConfig) -> bool {
    if let Ok(address) = name.parse::<IpAddr>() {
        if address.is_loopback() {
            return true;
        }
    } else if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    config.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
}

/// A request without `Origin`, or with that of the very address it goes to.
fn same_origin(host: &str, headers: &HeaderMap) -> bool {
    headers.get_all(header::ORIGIN).iter().all(|origin| {
        origin.to_str().ok().is_some_and(|origin| {
            let address = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            address.is_some_and(|address| address.eq_ignore_ascii_case(host))
        })
    })
}

/// `Sec-Fetch-Site` is sent by browsers and cannot be set by a page. Following a link from another site to a page is
/// harmless, since that page is sandboxed from its referrer; everything else that another site starts is refused.
fn fetch_site_is_fine(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match header("sec-fetch-site") {
        None => !headers.contains_key("sec-fetch-site"),
        Some("same-origin" | "none") => true,
        Some(_) => {
            is_read(method)
                && !uri.path().starts_with("/api/")
                && header("sec-fetch-mode") == Some("navigate")
                && header("sec-fetch-dest") == Some("document")
        }
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Everything under `/api/` but reading. Elsewhere nothing can be changed, and the handlers say so themselves.
fn changes_something(method: &Method, uri: &Uri) -> bool {
    uri.path().starts_with("/api/") && !is_read(method)
}

pub(crate) fn shows_token(headers: &HeaderMap, token: &Token) -> bool {
    bearer(headers).is_some_and(|shown| token.matches(shown))
}

/// The token of the Bearer scheme ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, shown) = authorization(headers)?;
    scheme.eq_ignore_ascii_case("bearer").then_some(shown.as_bytes())
}

/// Name and secret of Basic authentication ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)).
pub(crate) fn basic(headers: &HeaderMap) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, shown) = authorization(headers)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut name = base64::engine::general_purpose::STANDARD.decode(shown).ok()?;
    let colon = name.iter().position(|byte| *byte == b':')?;
    let secret = name.split_off(colon).split_off(1);
    Some((name, secret))
}

/// Who asks. Every reader is compared with, so that the time tells nothing about names.
fn reader<'a>(headers: &HeaderMap, readers: &'a [Reader]) -> Option<&'a Reader> {
    let (name, secret) = basic(headers)?;
    let is = |reader: &Reader| reader.token.matches(&secret) & (reader.name.as_bytes() == name);
    readers.iter().fold(None, |found, reader| if is(reader) { Some(reader) } else { found })
}

/// Whether somebody asks who reads everything that the node shows.
pub(crate) fn is_reader(headers: &HeaderMap, readers: &[Reader]) -> bool {
    reader(headers, readers).is_some_and(|reader| reader.groups.is_empty())
}

/// Scheme and credentials of the one `Authorization` header.
fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, shown) = value.to_str().ok()?.split_once(' ')?;
    Some((scheme, shown.trim()))
}

/// The answer for a request that reaches no handler.
pub(crate) async fn refused(refusal: Refusal, request: Request<Body>) -> Response {
    tracing::debug!(http.refusal = ?refusal, http.path = request.uri().path(), "request refused");
    let answer = refuse(refusal, request.method());
    drain(request).await;
    answer
}

/// Takes what a refused HTTP/2 request still sends: without that its stream is reset, and clients may see the reset before
/// the answer.
pub(crate) async fn drain(request: Request<Body>) {
    if request.version() == Version::HTTP_2 {
        let rest = axum::body::to_bytes(request.into_body(), BODY_LIMIT);
        let _ = tokio::time::timeout(DRAIN_TIME, rest).await;
    }
}

fn refuse(refusal: Refusal, method: &Method) -> Response {
    let problem = match refusal {
        Refusal::NoHost => Problem::new("bad-host", 400, "The request does not say clearly which host it is for."),
        Refusal::ForeignHost => Problem::new("foreign-host", 421, "This node does not answer under that name.")
            .detail("The Host header names neither this machine's loopback address nor a configured name.")
            .next("Use http://127.0.0.1, or add the name to `allowed_hosts` in the configuration."),
        Refusal::CrossSite => Problem::new("cross-site", 403, "Requests from pages of other sites are refused."),
        Refusal::NoToken => {
            Problem::new("token-required", 401, "This call changes something and needs the node's token.")
                .next("Send `Authorization: Bearer TOKEN`; the token is in a file of the node's data directory.")
        }
        Refusal::NotForReader => Problem::new("not-for-reader", 403, "These credentials are for other groups.")
            .next("The operator of this node names in `[[readers]]` what each reader may get."),
        Refusal::NoReader => Problem::new("credentials-required", 401, "This node answers to known readers only.")
            .next("Send the user name and token that its operator gave you (in Maven's settings.xml: a <server>)."),
    };
    let mut response = problem_response(&problem, method == Method::HEAD).into_response();
    let scheme = match refusal {
        Refusal::NoToken => "Bearer",
        Refusal::NoReader => CHALLENGE,
        Refusal::NoHost | Refusal::ForeignHost | Refusal::CrossSite | Refusal::NotForReader => return response,
    };
    debug_assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, axum::http::HeaderValue::from_static(scheme));
    response
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
