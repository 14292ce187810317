//! A small HTTP/1.1 client over plain sockets: it sends exactly what a test says, also what a good client never would.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// An answer, read to its end.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with values, in order.
    pub headers: Vec<(String, String)>,
    /// The body, with chunks joined.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{} answer is not JSON: {error}: {}", self.status, self.text()),
        }
    }

    /// Fails the test with the answer's text unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}, got {}: {}", self.status, self.text());
        self
    }
}

/// GET of a whole `http://` address.
#[track_caller]
pub fn get(url: &str) -> Response {
    try_get(url).unwrap_or_else(|error| panic!("GET {url}: {error}"))
}

/// The same where no answer is none of the test's faults.
///
/// # Errors
/// As [`send`].
pub fn try_get(url: &str) -> io::Result<Response> {
    let (base, target) = split(url);
    send(base, "GET", target, &[], b"")
}

/// HEAD of a whole `http://` address.
#[track_caller]
pub fn head(url: &str) -> Response {
    let (base, target) = split(url);
    match send(base, "HEAD", target, &[], b"") {
        Ok(response) => response,
        Err(error) => panic!("HEAD {url}: {error}"),
    }
}

/// Sends one request to `base` (`http://HOST:PORT`). `target` goes out as it is. A `host` header replaces the usual one.
///
/// # Errors
/// The connection, or an answer that is not HTTP.
pub fn send(base: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
    let authority = base.strip_prefix("http://").unwrap_or(base).trim_end_matches('/');
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("Host: {authority}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes, method)
}

/// Sends these bytes as they are, and reads until the server closes the connection: the answers, in order. None of them may
/// be to a HEAD.
///
/// # Errors
/// The connection is still open after `limit`, or an answer that is not HTTP.
pub fn exchange(base: &str, bytes: &[u8], limit: Duration) -> io::Result<Vec<Response>> {
    let authority = base.strip_prefix("http://").unwrap_or(base).trim_end_matches('/');
    let until = Instant::now() + limit;
    let mut stream = TcpStream::connect(authority)?;
    // Who refuses a request need not read all of it.
    let _ = stream.write_all(bytes);
    let mut received = Vec::new();
    let mut piece = [0; 64 * 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let text = format!("still open after {limit:?}, with {}", String::from_utf8_lossy(&received));
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => received.extend_from_slice(&piece[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            // The server had not read everything when it closed.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error),
        }
    }
    split_answers(&received)
}

/// Takes apart answers that follow each other on one connection.
fn split_answers(mut rest: &[u8]) -> io::Result<Vec<Response>> {
    let mut answers = Vec::new();
    while let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = parse(&rest[..end + 4], "HEAD")?;
        let length = head.header("content-length").and_then(|length| length.parse().ok());
        let end = length.map_or(rest.len(), |length: usize| (end + 4).saturating_add(length).min(rest.len()));
        answers.push(parse(&rest[..end], "GET")?);
        rest = &rest[end..];
    }
    if rest.is_empty() { Ok(answers) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "this is no answer")) }
}

/// Reads one whole answer.
pub(crate) fn parse(bytes: &[u8], method: &str) -> io::Result<Response> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or_else(|| broken("the answer's head does not end"))?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| broken("no status line"))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let rest = &bytes[end + 4..];
    let response = Response { status, headers, body: Vec::new() };
    let body = if response.header("transfer-encoding") == Some("chunked") {
        join_chunks(rest).ok_or_else(|| broken("broken chunks"))?
    } else if let (Some(length), false) = (response.header("content-length"), method == "HEAD") {
        let length: usize = length.parse().map_err(|_| broken("content-length"))?;
        if rest.len() != length {
            return Err(broken("the body is not as long as announced"));
        }
        rest.to_vec()
    } else {
        rest.to_vec()
    };
    Ok(Response { body, ..response })
}

fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

fn split(url: &str) -> (&str, &str) {
    let after = url.find("://").map_or(0, |at| at + 3);
    match url[after..].find('/') {
        Some(slash) => url.split_at(after + slash),
        None => (url, "/"),
    }
}

/// A port of loopback for a program that has to be told one: free, and below those that the system gives to everybody who
/// asks for any.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    let ports = (0..2_000).map(|_| first + NEXT.fetch_add(1, Ordering::SeqCst) % 2_000);
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().expect("one of two thousand ports is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let plain = parse(b"HTTP/1.1 404 Not Found\r\nX-A: b\r\ncontent-length: 2\r\n\r\nno", "GET").unwrap();
        assert_eq!((plain.status, plain.header("x-a"), plain.body.as_slice()), (404, Some("b"), &b"no"[..]));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked, "GET").unwrap().body, b"abcde");
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", "GET").is_err());
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "HEAD").unwrap().body, b"");
    }

    #[test]
    fn answers_in_a_row_are_told_apart() {
        let one =
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let answers = split_answers(one).unwrap();
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 400]);
        assert_eq!(answers[0].body, b"ok");
        assert!(split_answers(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more").is_err());
        assert!(split_answers(b"").unwrap().is_empty());
    }

    #[test]
    fn addresses_are_split() {
        assert_eq!(split("http://127.0.0.1:1/a/b?c"), ("http://127.0.0.1:1", "/a/b?c"));
        assert_eq!(split("http://127.0.0.1:1"), ("http://127.0.0.1:1", "/"));
    }
}
