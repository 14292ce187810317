//! The face that an authority shows to its workers, on a listener of its own: JSON documents and files by digest, below
//! `/workers/v1/`.
//!
//! Every request shows the secret of a worker (`Authorization: Bearer`), which no page of another site can know; without one
//! nothing is read of it. Bodies are bounded in size and time.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{BoxError, Extension, Router};
use futures_util::stream;
use hyper::body::Incoming;
use pyrsia_api_types::Problem;
use pyrsia_digest::Sha256;
use pyrsia_workers::messages::{Ask, InputQuestion, MAX_MESSAGE, MAX_RESULT, Outcome, Renewal};
use pyrsia_workers::{Hub, LeaseId, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt as _;
use tower::ServiceExt as _;

use crate::entrance::Entrance;
use crate::guard::{self, Token};
use crate::hosted::receive::{Interrupted, Pieces, pass_over};
use crate::problem::{NOSNIFF, problem_response};
use crate::router::BODY_TIME;

/// Bytes of a file that are read at once.
const PIECE: usize = 256 * 1024;

/// A worker that may come in, or several processes that share a secret.
#[derive(Debug, Clone)]
pub struct WorkerToken {
    /// Its name in logs.
    pub name: String,
    /// Its secret.
    pub token: Token,
}

/// Builder images for workers that do not have them. Both may block.
pub trait WorkerImages: Send + Sync {
    /// The JSON document that describes an image which is here.
    fn describe(&self, image: &Sha256) -> Option<Vec<u8>>;

    /// Where the layer of such an image lies.
    fn layer(&self, layer: &Sha256) -> Option<PathBuf>;
}

/// The face for workers.
#[derive(Clone)]
pub struct WorkerDoor {
    tokens: Arc<[WorkerToken]>,
    routes: Router,
}

#[derive(Clone)]
struct Shared {
    hub: Arc<Hub>,
    images: Arc<dyn WorkerImages>,
}

/// Under which name a request has shown its secret.
#[derive(Clone)]
struct Name(Arc<str>);

/// Why a request gets no answer of the hub.
enum Refused {
    Hub(Refusal),
    Problem(Box<Problem>),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Hub(refusal)
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Hub(Refusal::Local(error.to_string()))
    }
}

impl From<Interrupted> for Refused {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::Late => problem("timeout", 408, "The request's body did not arrive in time."),
            Interrupted::Broken(_) => problem("invalid", 400, "The body broke off."),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Problem(problem) => *problem,
            Self::Hub(refusal) => {
                let (kind, status) = match &refusal {
                    Refusal::NoLease(_) => ("no-lease", 410),
                    Refusal::OtherProgram { .. } => ("other-program", 409),
                    Refusal::NoFile(_) => ("no-file", 404),
                    Refusal::TooMuch(_) => ("too-much", 413),
                    Refusal::Bad(_) => ("invalid", 422),
                    Refusal::Local(_) => ("local", 500),
                };
                Problem::new(kind, status, "The authority refuses this.").detail(refusal.to_string())
            }
        };
        problem_response(&problem, false)
    }
}

fn problem(kind: &'static str, status: u16, title: &'static str) -> Refused {
    Refused::Problem(Box::new(Problem::new(kind, status, title)))
}

type Answered = Result<Response, Refused>;

impl WorkerDoor {
    /// The face of this hub, for workers with these secrets.
    pub fn new(hub: Arc<Hub>, images: Arc<dyn WorkerImages>, tokens: Vec<WorkerToken>) -> Self {
        let routes = Router::new()
            .route("/workers/v1/work", post(work))
            .route("/workers/v1/leases/{lease}", delete(give_back))
            .route("/workers/v1/leases/{lease}/renew", post(renew))
            .route("/workers/v1/leases/{lease}/inputs", post(input))
            .route("/workers/v1/leases/{lease}/files/{sha256}", get(file))
            .route("/workers/v1/leases/{lease}/outputs/{sha256}", put(output))
            .route("/workers/v1/leases/{lease}/result", post(result))
            .route("/workers/v1/images/{image}", get(image))
            .route("/workers/v1/layers/{sha256}", get(layer))
            .fallback(nothing)
            .with_state(Shared { hub, images });
        Self { tokens: tokens.into(), routes }
    }

    /// Who shows a secret. All are compared, so that the time tells nothing about them.
    fn name(&self, shown: &[u8]) -> Option<&str> {
        let compared = self.tokens.iter().map(|known| (known.token.matches(shown), known.name.as_str()));
        compared.fold(None, |found, (is, name)| if is { Some(name) } else { found })
    }

    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let name = guard::bearer(request.headers()).and_then(|shown| self.name(shown)).map(Name::from);
        let mut request = request.map(Body::new);
        let Some(name) = name else {
            tracing::debug!(http.path = request.uri().path(), "a worker without a secret");
            guard::drain(request).await;
            return problem("token-required", 401, "Workers show the secret that [[workers.tokens]] names.")
                .into_response();
        };
        request.extensions_mut().insert(name);
        self.routes.clone().oneshot(request).await.into_response()
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(Arc::from(name))
    }
}

impl Entrance for WorkerDoor {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        WorkerDoor::answer(self, request).await
    }
}

async fn read<T: DeserializeOwned>(body: Body, most: usize) -> Result<T, Refused> {
    let bytes = match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, most)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(problem("too-much", 413, "The body is too large, or broke off.")),
        Err(_) => return Err(Interrupted::Late.into()),
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::Bad(format!("the body is not the document: {error}")).into())
}

fn json(document: &impl Serialize) -> Answered {
    let bytes = serde_json::to_vec(document).map_err(io::Error::other)?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response())
}

fn done() -> Answered {
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn lease(text: &str) -> Result<LeaseId, Refused> {
    text.parse().map_err(|error: pyrsia_workers::LeaseIdError| Refusal::Bad(error.to_string()).into())
}

fn digest(text: &str) -> Result<Sha256, Refused> {
    text.parse().map_err(|error: pyrsia_digest::ParseDigestError| Refusal::Bad(error.to_string()).into())
}

async fn nothing() -> Answered {
    Err(problem("not-found", 404, "There is nothing for workers."))
}

async fn work(State(shared): State<Shared>, Extension(Name(name)): Extension<Name>, body: Body) -> Answered {
    let ask: Ask = read(body, MAX_MESSAGE).await?;
    match shared.hub.take(&name, &ask).await? {
        Some(leased) => json(&leased),
        None => done(),
    }
}

async fn renew(
    State(shared): State<Shared>,
    Extension(Name(name)): Extension<Name>,
    Path(id): Path<String>,
    body: Body,
) -> Answered {
    let renewal: Renewal = read(body, MAX_MESSAGE).await?;
    shared.hub.renew(&name, lease(&id)?, &renewal)?;
    done()
}

async fn input(
    State(shared): State<Shared>,
    Extension(Name(name)): Extension<Name>,
    Path(id): Path<String>,
    body: Body,
) -> Answered {
    let question: InputQuestion = read(body, MAX_MESSAGE).await?;
    json(&shared.hub.input(&name, lease(&id)?, &question).await?)
}

async fn file(
    State(shared): State<Shared>,
    Extension(Name(name)): Extension<Name>,
    Path((id, sha256)): Path<(String, String)>,
) -> Answered {
    let path = shared.hub.file(&name, lease(&id)?, &digest(&sha256)?).await?;
    send(path).await
}

async fn output(
    State(shared): State<Shared>,
    Extension(Name(name)): Extension<Name>,
    Path((id, sha256)): Path<(String, String)>,
    body: Body,
) -> Answered {
    let mut body = body.into_data_stream();
    if let Err(refused) = take(&shared.hub, &name, &id, &sha256, &mut body).await {
        // Else the worker would see its connection break instead of the reason.
        pass_over(body);
        return Err(refused);
    }
    done()
}

async fn take(hub: &Hub, name: &str, id: &str, sha256: &str, body: &mut BodyDataStream) -> Result<(), Refused> {
    let mut upload = hub.receive(name, lease(id)?, digest(sha256)?).await?;
    let mut pieces = Pieces::of(body);
    while let Some(piece) = pieces.piece().await? {
        upload.write(piece).await?;
    }
    upload.finish().await?;
    Ok(())
}

async fn result(
    State(shared): State<Shared>,
    Extension(Name(name)): Extension<Name>,
    Path(id): Path<String>,
    body: Body,
) -> Answered {
    let outcome: Outcome = read(body, MAX_RESULT).await?;
    shared.hub.finish(&name, lease(&id)?, outcome).await?;
    done()
}

async fn give_back(
    State(shared): State<Shared>,
    Extension(Name(name)): Extension<Name>,
    Path(id): Path<String>,
) -> Answered {
    shared.hub.give_back(&name, lease(&id)?)?;
    done()
}

async fn image(State(shared): State<Shared>, Path(image): Path<String>) -> Answered {
    let image = digest(&image)?;
    let described = tokio::task::spawn_blocking(move || shared.images.describe(&image)).await;
    let document = described.map_err(io::Error::other)?.ok_or(Refusal::NoFile(image))?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document).into_response())
}

async fn layer(State(shared): State<Shared>, Path(sha256): Path<String>) -> Answered {
    let sha256 = digest(&sha256)?;
    let found = tokio::task::spawn_blocking(move || shared.images.layer(&sha256)).await;
    send(found.map_err(io::Error::other)?.ok_or(Refusal::NoFile(sha256))?).await
}

/// A file as it lies there; whoever gets it hashes it.
async fn send(path: PathBuf) -> Answered {
    let file = tokio::fs::File::open(path).await?;
    let size = file.metadata().await?.len();
    let pieces = stream::try_unfold((file, size), |(mut file, left)| async move {
        let length = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        if length == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; length];
        file.read_exact(&mut piece).await?;
        Ok::<_, io::Error>(Some((Bytes::from(piece), (file, left - length as u64))))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(size)),
        (header::X_CONTENT_TYPE_OPTIONS, NOSNIFF),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use pyrsia_workers::{HubConfig, OutputLimits};
    use std::time::Duration;

    struct NoImages;

    impl WorkerImages for NoImages {
        fn describe(&self, _: &Sha256) -> Option<Vec<u8>> {
            None
        }

        fn layer(&self, _: &Sha256) -> Option<PathBuf> {
            None
        }
    }

    #[tokio::test]
    async fn a_file_that_nobody_waits_for_is_taken_beside_the_answer_that_says_so() {
        let (secret, hour) = ("s".repeat(32), Duration::from_secs(3600));
        let outputs = OutputLimits { bytes: 10, files: 1 };
        let hub = Hub::new(HubConfig { lease: hour, longest: hour, outputs }).unwrap();
        let tokens = vec![WorkerToken { name: "w".to_owned(), token: Token::new(&secret).unwrap() }];
        let door = WorkerDoor::new(hub, Arc::new(NoImages), tokens);
        let (tell, taken) = tokio::sync::oneshot::channel();
        let last = stream::once(async move {
            let _ = tell.send(());
            Ok::<_, io::Error>(Bytes::new())
        });
        let pieces = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"bytes"))]).chain(last);
        // Of a lease that has ended.
        let path = format!("/workers/v1/leases/0000000000000000-1/outputs/{}", Sha256::of(b"bytes"));
        let request = Request::put(path).header(header::AUTHORIZATION, format!("Bearer {secret}"));
        let answer = door.answer(request.body(Body::from_stream(pieces)).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::GONE);
        taken.await.unwrap();
    }
}
