//! An image on its way into the engine: a "docker archive" (a tar of `manifest.json`, a configuration and a layer),
//! written as a stream so that a layer is never held in memory.

use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use pyrsia_digest::Sha256;
use serde_json::json;
use sha2::Digest as _;
use tokio::io::{AsyncReadExt as _, BufReader};
use tokio_util::io::ReaderStream;

use crate::images::{ImageConfig, ImageError, LABEL_CONFIG};

const BLOCK: u64 = 512;

/// The name under which the engine finds an image, by the beginning of our digest.
pub(crate) fn tag(digest: &Sha256) -> String {
    format!("pyrsia-maven/{}:latest", &digest.to_string()[..24])
}

/// Size and SHA-256 of a layer.
pub(crate) async fn measure(layer: &Path) -> Result<(u64, Sha256), ImageError> {
    let failed = |source| ImageError::Read { file: layer.to_owned(), source };
    let mut file = tokio::fs::File::open(layer).await.map_err(failed)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer).await.map_err(failed)?;
        if read == 0 {
            return Ok((size, Sha256::from_bytes(hasher.finalize().into())));
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
}

/// The archive as a stream of bytes.
pub(crate) async fn stream(
    layer: &Path,
    size: u64,
    layer_digest: &Sha256,
    config: &ImageConfig,
    digest: &Sha256,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static, ImageError> {
    let failed = |source| ImageError::Read { file: layer.to_owned(), source };
    let settings = json!({
        "architecture": config.architecture,
        "os": config.os,
        "created": "1970-01-01T00:00:00Z",
        "config": { "Labels": { LABEL_CONFIG: config.canonical() } },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "pyrsia-maven" }],
    })
    .to_string();
    let settings_name = format!("{}.json", Sha256::of(settings.as_bytes()));
    let manifest = json!([{ "Config": settings_name, "RepoTags": [tag(digest)], "Layers": ["layer.tar"] }]).to_string();

    let mut head = Vec::new();
    for (name, content) in [("manifest.json", &manifest), (settings_name.as_str(), &settings)] {
        head.extend_from_slice(header(name, content.len() as u64).map_err(failed)?.as_bytes());
        head.extend_from_slice(content.as_bytes());
        head.extend(std::iter::repeat_n(0, padding(content.len() as u64)));
    }
    head.extend_from_slice(header("layer.tar", size).map_err(failed)?.as_bytes());
    let tail = vec![0; padding(size) + 2 * BLOCK as usize];
    let file = tokio::fs::File::open(layer).await.map_err(failed)?;
    let file = ReaderStream::with_capacity(BufReader::new(file.take(size)), 1 << 18);
    let once = |bytes: Vec<u8>| stream::iter([Ok(Bytes::from(bytes))]);
    Ok(once(head).chain(file).chain(once(tail)))
}

fn header(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(header)
}

fn padding(size: u64) -> usize {
    // Smaller than a block, so it fits.
    (size.next_multiple_of(BLOCK) - size) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[tokio::test]
    async fn the_stream_is_a_tar_with_the_layer_in_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for size in [0usize, 1, 512, 700_001] {
            let content = vec![7u8; size];
            std::fs::write(file.path(), &content).unwrap();
            let (measured, layer) = measure(file.path()).await.unwrap();
            assert_eq!((measured, layer), (size as u64, Sha256::of(&content)));
            let config = crate::images::recipe("jdk17").unwrap().unwrap().config();
            let digest = config.digest(&layer);
            let parts = stream(file.path(), measured, &layer, &config, &digest).await.unwrap();
            let bytes: Vec<u8> = parts.map(|part| part.unwrap().to_vec()).collect::<Vec<_>>().await.concat();
            let mut names = Vec::new();
            for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
                let mut entry = entry.unwrap();
                let name = entry.path().unwrap().display().to_string();
                let mut found = Vec::new();
                entry.read_to_end(&mut found).unwrap();
                if name == "layer.tar" {
                    assert_eq!(found, content);
                }
                names.push(name);
            }
            assert_eq!(names[0], "manifest.json");
            assert_eq!(names[2], "layer.tar");
        }
    }
}
