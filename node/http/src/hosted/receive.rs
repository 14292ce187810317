//! The body of an upload, on its way in: of one to a private repository, or of what a worker has built.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use pyrsia_hosted::{HostedError, Upload};
use tokio::time::Instant;

/// Longest pause between two pieces of a body.
const PAUSE: Duration = Duration::from_secs(30);
/// Longest time for a whole body.
const WHOLE: Duration = Duration::from_secs(60 * 60);
/// What is still taken of the body of a refused upload, and for how long: a client that sends without being asked would
/// else see its connection break instead of the reason.
const REST_BYTES: u64 = 32 * 1024 * 1024;
const REST_TIME: Duration = Duration::from_secs(10);

/// Why an upload was not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReceived {
    /// It was not taken.
    #[error(transparent)]
    Hosted(#[from] HostedError),
    /// It did not arrive.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Why a body did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interrupted {
    /// Nothing came for too long, or all of it took too long.
    #[error("the body did not arrive in time")]
    Late,
    /// The connection broke, or the body is not what its headers say.
    #[error("the body broke off: {0}")]
    Broken(String),
}

/// Hands a body on to an upload.
pub(crate) async fn receive(body: &mut BodyDataStream, upload: &mut Upload) -> Result<(), NotReceived> {
    let mut pieces = Pieces::of(body);
    while let Some(piece) = pieces.piece().await? {
        upload.write(piece).await?;
    }
    Ok(())
}

/// The pieces of a body, each of which has to come in time, and so have all together.
pub(crate) struct Pieces<'a> {
    body: &'a mut BodyDataStream,
    end: Instant,
}

impl<'a> Pieces<'a> {
    /// The time of the whole body begins now.
    pub(crate) fn of(body: &'a mut BodyDataStream) -> Self {
        Self { body, end: Instant::now() + WHOLE }
    }

    /// The next one; none at the end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Interrupted> {
        let until = self.end.min(Instant::now() + PAUSE);
        match tokio::time::timeout_at(until, self.body.next()).await {
            Err(_) => Err(Interrupted::Late),
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => Err(Interrupted::Broken(error.to_string())),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
        }
    }
}

/// Whether the client sends its body only when it is asked to ([RFC 9110, section 10.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1)).
pub(crate) fn waits(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::EXPECT).iter();
    values.filter_map(|value| value.to_str().ok()).any(|value| value.eq_ignore_ascii_case("100-continue"))
}

/// Takes some of the rest of a body that nobody wants, beside the answer that says so.
pub(crate) fn pass_over(body: BodyDataStream) {
    tokio::spawn(async move {
        let mut body = body;
        let all = async {
            let mut taken = 0u64;
            while let Some(Ok(chunk)) = body.next().await {
                taken = taken.saturating_add(chunk.len() as u64);
                if taken > REST_BYTES {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(REST_TIME, all).await;
    });
}

/// The body as a stream.
pub(crate) fn stream(body: Body) -> BodyDataStream {
    body.into_data_stream()
}
