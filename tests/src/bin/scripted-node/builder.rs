//! A builder that makes files out of nothing but its source and its inputs, as a script says.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use build_spec::{
    BuildError, BuildLog, Builder, Built, BuiltFile, Input, InputLine, InputManifest, InputStatus, Inputs, Job,
    ManifestBlobs, PinnedInput, Recorded, RepositoryId, Source, SourceError, SourceRequest, Specification, ToolFailure,
};
use java_builder::JavaBuilder;
use maven_layout::RepoPath;
use pyrsia_digest::{FileDigests, Sha256};
use pyrsia_rebuilds::{Images, OwnImage};

use crate::script::{Place, Script};

/// See the module.
pub struct Scripted {
    /// Resolves sources; that needs no container.
    pub java: JavaBuilder,
    /// What to do.
    pub script: Place,
}

#[async_trait]
impl Builder for Scripted {
    async fn resolve(&self, request: &SourceRequest, log: Arc<dyn BuildLog>) -> Result<Source, SourceError> {
        self.java.resolve(request, log).await
    }

    fn tool(&self, specification: &Specification) -> Option<PinnedInput> {
        self.java.tool(specification)
    }

    fn max_input_bytes(&self) -> u64 {
        self.java.max_input_bytes()
    }

    async fn record(
        &self,
        job: &Job,
        inputs: Arc<dyn Inputs>,
        _log: Arc<dyn BuildLog>,
    ) -> Result<Recorded, BuildError> {
        let script = self.script.begin("record").await;
        if script.silent_recorder {
            std::future::pending::<()>().await;
        }
        let mut manifest = InputManifest::new();
        for (index, text) in script.inputs.iter().enumerate() {
            let path: RepoPath = text.parse().map_err(|_| BuildError::Unsupported(format!("{text} is no path")))?;
            let repository = RepositoryId::central();
            let answer = inputs.get(&repository, &path).await;
            let answer = answer.map_err(|error| BuildError::InputsUnavailable(error.to_string()))?;
            let status = match answer {
                Input::Absent => InputStatus::Absent,
                Input::Found { file, digests, cut, .. } => {
                    let (size, sha256) = if script.plants && index == 0 {
                        let mut bytes = std::fs::read(file).map_err(|error| BuildError::Engine(error.to_string()))?;
                        bytes.extend_from_slice(b"planted");
                        // Where a recorder that plants something would have it ready for the others.
                        inputs.keep(&bytes).await.map_err(|error| BuildError::Engine(error.to_string()))?;
                        (bytes.len() as u64, Sha256::of(&bytes))
                    } else {
                        (digests.size, digests.sha256)
                    };
                    InputStatus::Found { size, sha256, cut }
                }
            };
            manifest.insert(InputLine { repository, path, status })?;
        }
        let result = self.outputs(&script, job, &manifest);
        Ok(Recorded { manifest, result })
    }

    async fn replay(
        &self,
        job: &Job,
        manifest: &InputManifest,
        blobs: Arc<dyn ManifestBlobs>,
        _log: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError> {
        let script = self.script.begin("replay").await;
        if script.silent_replayer {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs(script.replay_s)).await;
        for line in manifest.lines() {
            if let InputStatus::Found { sha256, .. } = line.status
                && blobs.blob(&sha256).await.is_none()
            {
                return Err(BuildError::Engine(format!("{} is not here", line.path)));
            }
        }
        Ok(self.outputs(&script, job, manifest)?)
    }

    async fn settle(&self) {}

    async fn available(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Scripted {
    /// A POM and a JAR for each release, which follow from source and inputs alone; a liar's JAR follows from its name too.
    fn outputs(&self, script: &Script, job: &Job, manifest: &InputManifest) -> Result<Built, ToolFailure> {
        if let Some(exit_code) = script.fails {
            return Err(ToolFailure { exit_code, log_tail: vec!["the script says that it fails".to_owned()] });
        }
        // As if the build had asked for everything that is there.
        let mut built = Built { asked: manifest.files(), ..Built::default() };
        for release in &job.coordinates {
            let liar = if script.lies { self.script.name.as_str() } else { "" };
            let content = format!("{release} {} {} {} {liar}", job.source.commit, job.source.tree, manifest.root());
            let pom = script.pom.clone().unwrap_or_else(|| {
                format!(
                    "<project><modelVersion>4.0.0</modelVersion><groupId>{}</groupId><artifactId>{}</artifactId>\
                     <version>{}</version></project>\n",
                    release.group, release.artifact, release.version
                )
            });
            let files = [("jar", zip_of("content.txt", content.as_bytes(), script.padding)), ("pom", pom.into_bytes())];
            for (extension, bytes) in files {
                let name = format!("{}-{}.{extension}", release.artifact, release.version);
                let path = job.work_dir.join(&name);
                std::fs::write(&path, &bytes).expect("the work folder can be written");
                let digests = FileDigests::of(&bytes);
                built.reactor.insert(digests.sha256);
                built.files.push(BuiltFile { coordinates: release.clone(), name, path, digests });
            }
        }
        Ok(built)
    }
}

/// A ZIP archive with one file, and padding that does not compress; the same bytes for the same arguments.
fn zip_of(name: &str, content: &[u8], padding: usize) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file(name, options).expect("a plain name");
    archive.write_all(content).expect("memory can be written");
    if padding > 0 {
        archive
            .start_file("padding.bin", options.compression_method(zip::CompressionMethod::Stored))
            .expect("a plain name");
        let mut bytes = Vec::with_capacity(padding + 8);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        while bytes.len() < padding {
            // xorshift64.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        archive.write_all(&bytes[..padding]).expect("memory can be written");
    }
    archive.finish().expect("memory can be written").into_inner()
}

/// Images of nobody: the ledger wants one by digest, and nothing runs in it.
pub struct NoImages;

#[async_trait]
impl Images for NoImages {
    async fn named(&self, _name: &str) -> Result<Sha256, String> {
        Ok(Sha256::of(b"an image that nothing runs in"))
    }

    async fn ensure(&self, _image: &Sha256) -> Result<(), String> {
        Ok(())
    }

    async fn made(&self) -> Result<Vec<OwnImage>, String> {
        Ok(Vec::new())
    }

    async fn verify(&self, _image: &Sha256) -> Result<(), String> {
        Ok(())
    }
}
