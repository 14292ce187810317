use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::serve::{Limits, serve};
use crate::testing::Face;

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";

struct Server {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    face: Face,
}

async fn server(limits: Limits) -> Server {
    let face = Face::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let task = tokio::spawn(serve(listener, None, face.door.clone(), limits, shutdown));
    Server { address, stop, task, face }
}

impl Server {
    /// Sends text as it is and reads until the server closes.
    async fn raw(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        answer
    }

    async fn ask(&self, line: &str, headers: &str) -> (String, Vec<u8>) {
        let answer =
            self.raw(&format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")).await;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
    }
}

#[tokio::test]
async fn head_range_and_file_over_a_socket() {
    let server = server(Limits::default()).await;
    for size in [10usize, 2_000_000] {
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        server.face.files.file(server.face.dir.path(), JAR, &bytes);
        let (get_head, body) = server.ask(&format!("GET /maven2/{JAR}"), "").await;
        assert!(get_head.starts_with("HTTP/1.1 200 OK"), "{get_head}");
        assert_eq!(body, bytes);
        assert!(!get_head.contains("transfer-encoding"), "{get_head}");
        let (head, body) = server.ask(&format!("HEAD /maven2/{JAR}"), "").await;
        assert!(body.is_empty());
        let lines = |head: &str| {
            let mut lines: Vec<String> =
                head.lines().filter(|line| !line.starts_with("date:")).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&head), lines(&get_head));
        assert!(head.contains(&format!("content-length: {size}\r\n")), "{head}");
        let (head, body) = server.ask(&format!("GET /maven2/{JAR}"), "range: bytes=-4\r\n").await;
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        assert!(head.contains(&format!("content-range: bytes {}-{}/{size}", size - 4, size - 1)), "{head}");
        assert_eq!(body, bytes[size - 4..]);
        let (head, body) = server.ask(&format!("GET /maven2/{JAR}"), "range: bytes=2000000-\r\n").await;
        assert!(head.starts_with("HTTP/1.1 416") && body.is_empty(), "{head}");
        for line in ["GET", "HEAD"] {
            let (head, body) = server.ask(&format!("{line} /maven2/{JAR}"), "if-none-match: *\r\n").await;
            assert!(head.starts_with("HTTP/1.1 304") && body.is_empty(), "{head}");
        }
    }
}

#[tokio::test]
async fn traversal_as_it_is_sent_by_attackers() {
    let server = server(Limits::default()).await;
    for path in [
        "/%2F%2F%2F%2F%2F%2F%2F..%2F..%2F..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "/maven2/%2F%2F%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "/maven2/../../../etc/passwd",
        "/maven2/..%5c..%5cetc/passwd",
        "/maven2/.%00./etc/passwd",
    ] {
        let (head, body) = server.ask(&format!("GET {path}"), "").await;
        assert!(head.starts_with("HTTP/1.1 400") || head.starts_with("HTTP/1.1 404"), "{path}: {head}");
        assert!(!body.windows(5).any(|window| window == b"root:"), "{path}");
    }
    assert!(server.face.files.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let server = server(Limits::default()).await;
    let smuggled = "POST /api/v1/builds HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\
                    connection: close\r\n\r\n0\r\n\r\nGET /maven2/smuggled/x.jar HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let answer = String::from_utf8_lossy(&server.raw(smuggled).await).into_owned();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    let no_host = String::from_utf8_lossy(&server.raw("GET / HTTP/1.0\r\n\r\n").await).into_owned();
    assert!(no_host.contains(" 400 "), "{no_host}");
    assert!(server.face.files.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_put_that_waits_for_100_is_refused_before_its_body() {
    let server = server(Limits::default()).await;
    let (head, body) =
        server.ask(&format!("PUT /maven2/{JAR}"), "expect: 100-continue\r\ncontent-length: 1000000\r\n").await;
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    assert!(String::from_utf8_lossy(&body).contains("pyrsia-maven build"));
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let server = server(Limits { head: Duration::from_millis(300), ..Limits::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: local").await.unwrap();
    let mut answer = Vec::new();
    let began = Instant::now();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_millis(250));
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    let huge = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The server may hang up while we are still writing.
    let _ = stream.write_all(huge.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let server = server(Limits { connections: 1, head: Duration::from_millis(500), ..Limits::default() }).await;
    let _idle = TcpStream::connect(server.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (head, _) = server.ask("GET /style.css", "").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test]
async fn a_shutdown_lets_requests_finish_but_not_for_ever() {
    let within = server(Limits::default()).await;
    let (address, stop, task) = (within.address, within.stop, within.task);
    let request = "GET /api/v1/builds/slow/events?wait=1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.send(()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    task.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());

    let beyond = server(Limits { grace: Duration::from_millis(200), ..Limits::default() }).await;
    let mut stream = TcpStream::connect(beyond.address).await.unwrap();
    stream.write_all(request.replace("wait=1", "wait=50").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    beyond.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(10), beyond.task).await.unwrap().unwrap();
}

/// Reads slowly: in as many turns as that, with this pause before each.
async fn sip(stream: &mut TcpStream, turns: usize, pause: Duration) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), vec![0; 1 << 20]);
    for _ in 0..turns {
        tokio::time::sleep(pause).await;
        match stream.read(&mut piece).await.unwrap() {
            0 => return all,
            read => all.extend_from_slice(&piece[..read]),
        }
    }
    stream.read_to_end(&mut all).await.unwrap();
    all
}

#[tokio::test]
async fn a_shutdown_finishes_downloads_and_cuts_what_still_waits_for_an_answer() {
    let server = server(Limits { grace: Duration::from_millis(200), ..Limits::default() }).await;
    let bytes: Vec<u8> = (0..32 << 20).map(|n: u32| (n % 251) as u8).collect();
    server.face.files.file(server.face.dir.path(), JAR, &bytes);
    let connect = async |request: &str| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("GET {request} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
        stream
    };
    let mut download = connect(&format!("/maven2/{JAR}")).await;
    let mut waiting = connect("/api/v1/builds/slow/events?wait=50").await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.stop.send(()).unwrap();
    let began = Instant::now();
    let answer = sip(&mut download, 20, Duration::from_millis(60)).await;
    assert!(began.elapsed() > Duration::from_secs(1), "longer than the grace");
    assert!(answer.ends_with(&bytes[bytes.len() - 1000..]) && answer.len() > bytes.len(), "{}", answer.len());
    let mut rest = Vec::new();
    let _ = waiting.read_to_end(&mut rest).await;
    let _ = idle.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    tokio::time::timeout(Duration::from_secs(10), server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_takes_nothing_does_not_hold_a_shutdown_up_for_ever() {
    let limits = Limits {
        grace: Duration::from_millis(100),
        head: Duration::from_millis(300),
        downloads: Duration::from_secs(30),
        ..Limits::default()
    };
    let server = server(limits).await;
    server.face.files.file(server.face.dir.path(), JAR, &vec![7; 64 << 20]);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("GET /maven2/{JAR} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server.task).await.expect("it is let go").unwrap();
}

#[tokio::test]
async fn one_client_has_so_many_connections_and_its_idle_ones_make_room() {
    let server = server(Limits { per_client: 2, ..Limits::default() }).await;
    let busy = async || {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = "GET /api/v1/builds/slow/events?wait=3 HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        stream
    };
    let _first = busy().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _second = busy().await;
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or(0), 0, "the idle one went");
    // Both are in use now: a further one is closed, whatever it asks.
    let mut third = TcpStream::connect(server.address).await.unwrap();
    let _ = third.write_all(b"GET /style.css HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0);
    // Another address is another client.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(server.address).await.unwrap();
    other.write_all(b"GET /style.css HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    other.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}
