//! The three streams of a running container.

use std::path::Path;
use std::pin::Pin;

use bollard::container::LogOutput;
use build_spec::{BuildError, BuildLimit};
use futures_util::StreamExt as _;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter};

use crate::log::LogLines;
use crate::sandbox::container::Container;
use crate::sandbox::local;
use crate::sandbox::script::Feed;

/// Starts the container, feeds it, keeps its stdout (at most `limit` bytes) in `archive`, its stderr in the log.
/// Returns when it has closed its streams.
pub(crate) async fn exchange(
    container: &Container,
    feed: Feed,
    archive: &Path,
    limit: u64,
    lines: &mut LogLines,
) -> Result<(), BuildError> {
    let mut out = BufWriter::new(File::create(archive).await.map_err(local("outputs cannot be written"))?);
    let streams = container.start().await?;
    let read = async {
        let mut output = streams.output;
        let mut left = limit;
        while let Some(part) = output.next().await {
            match part.map_err(|error| BuildError::Engine(format!("a container's stream broke: {error}")))? {
                LogOutput::StdErr { message } => {
                    lines.feed(&message);
                    if lines.is_over() {
                        return Err(BuildError::Limit(BuildLimit::Log));
                    }
                }
                LogOutput::StdOut { message } => {
                    left = left.checked_sub(message.len() as u64).ok_or(BuildError::Limit(BuildLimit::Outputs))?;
                    out.write_all(&message).await.map_err(local("outputs cannot be written"))?;
                }
                LogOutput::StdIn { .. } | LogOutput::Console { .. } => {
                    return Err(BuildError::Engine("a container's stream is not framed".to_owned()));
                }
            }
        }
        out.flush().await.map_err(local("outputs cannot be written"))
    };
    // The container may end before it has read everything; then its exit code tells more than the broken pipe.
    let write = async {
        let _ = send(streams.input, &feed).await;
        Ok::<_, BuildError>(())
    };
    tokio::try_join!(read, write)?;
    Ok(())
}

async fn send(mut input: Pin<Box<dyn AsyncWrite + Send>>, feed: &Feed) -> std::io::Result<()> {
    input.write_all(&feed.small).await?;
    for (file, size) in &feed.files {
        let mut file = File::open(file).await?.take(*size);
        tokio::io::copy(&mut file, &mut input).await?;
    }
    input.flush().await?;
    input.shutdown().await
}
