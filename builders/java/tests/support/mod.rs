//! What the tests with a real container engine share: inputs from the upstream of this machine, a git repository, an
//! image.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use build_spec::{BuildLog, Input, InputError, Inputs, ManifestBlobs, Phase, RepositoryId};
use java_builder::{Engine, JavaBuilder, JavaBuilderConfig, LoadedImage, SourceMirror, build_image, recipe};
use maven_layout::RepoPath;
use pyrsia_blobs::{BlobStore, Expected};
use pyrsia_digest::Sha256;
use pyrsia_fetch::{FindConfig, HttpConfig, HttpOrigin, Origin, OriginAnswer, find_central};

/// The engine, or none if this machine has none and nobody insists.
pub async fn engine() -> Option<Engine> {
    match Engine::connect(None).await {
        Ok(engine) => Some(engine),
        Err(error) if std::env::var_os("PYRSIA_REQUIRE_DOCKER").is_some_and(|value| value == "1") => {
            panic!("PYRSIA_REQUIRE_DOCKER is set, but {error}")
        }
        Err(error) => {
            eprintln!("NOT TESTED: {error}. Set PYRSIA_REQUIRE_DOCKER=1 to make this a failure.");
            None
        }
    }
}

/// The image of this recipe: one that the engine holds, else `NAME.tar` of the folder `PYRSIA_TEST_IMAGES`, else a
/// fresh one, which takes minutes.
pub async fn image(engine: &Engine, name: &str) -> LoadedImage {
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _guard = ONE_AT_A_TIME.lock().await;
    if let Some(image) = engine.images().await.unwrap().into_iter().find(|image| image.config.name == name) {
        return image;
    }
    let recipe = recipe(name).unwrap().unwrap();
    let kept = std::env::var_os("PYRSIA_TEST_IMAGES").map(|dir| PathBuf::from(dir).join(format!("{name}.tar")));
    match kept.filter(|layer| layer.is_file()) {
        Some(layer) => engine.load_image(&layer, &recipe.config()).await.unwrap(),
        None => {
            let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let built = build_image(&recipe, dir.path(), &|line| eprintln!("{line}")).await.unwrap();
            engine.load_image(&built.layer, &built.config).await.unwrap()
        }
    }
}

/// A builder whose source map leads `https://git.example/` to a folder.
pub fn builder(folder: &Path) -> JavaBuilder {
    JavaBuilder::new(config(folder))
}

/// The settings of such a builder.
pub fn config(folder: &Path) -> JavaBuilderConfig {
    JavaBuilderConfig {
        runtime_dir: std::env::temp_dir().join("pyrsia-t"),
        temp_dir: Some(folder.to_owned()),
        source_mirrors: vec![SourceMirror {
            prefix: "https://git.example/".to_owned(),
            replacement: format!("file://{}/", folder.display()),
        }],
        ..JavaBuilderConfig::default()
    }
}

/// Makes a git repository with one commit of these files and an annotated tag `v1.0`; returns the commit.
pub fn git_repository(dir: &Path, files: &[(&str, &str)]) -> String {
    let repository = git2::Repository::init(dir).unwrap();
    let mut index = repository.index().unwrap();
    for (path, content) in files {
        let file = dir.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        index.add_path(Path::new(path)).unwrap();
    }
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let author = git2::Signature::new("a", "a@example.org", &git2::Time::new(1_700_000_000, 0)).unwrap();
    let commit = repository.commit(Some("HEAD"), &author, &author, "first", &tree, &[]).unwrap();
    let object = repository.find_object(commit, None).unwrap();
    repository.tag("v1.0", &object, &author, "release", false).unwrap();
    commit.to_string()
}

/// Files of the upstream that this machine's Maven uses, kept between runs of the tests.
pub struct Upstream {
    origin: HttpOrigin,
    blobs: BlobStore,
    index: PathBuf,
    planted: Mutex<HashMap<String, PathBuf>>,
    asked: Mutex<Vec<String>>,
}

impl Upstream {
    pub fn open() -> Arc<Self> {
        let found = find_central(&FindConfig::from_variables(|name| std::env::var_os(name))).unwrap();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upstream");
        let index = dir.join("index");
        std::fs::create_dir_all(&index).unwrap();
        // One for all tests of the process: opening it removes what others are just writing.
        static BLOBS: OnceLock<BlobStore> = OnceLock::new();
        let blobs = BLOBS.get_or_init(|| BlobStore::open(dir.join("blobs")).unwrap());
        Arc::new(Self {
            origin: HttpOrigin::new("central", &found.url, HttpConfig::default()).unwrap(),
            blobs: blobs.clone(),
            index,
            planted: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    /// Makes the upstream have a file that it has not.
    pub fn plant(&self, path: &str, content: &[u8]) {
        let stored = self.blobs.put_bytes(content).unwrap();
        self.planted.lock().unwrap().insert(path.to_owned(), stored.path);
    }

    /// Whether a path below this folder was asked for.
    pub fn was_asked_below(&self, folder: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|path| path.starts_with(folder))
    }

    async fn digest(&self, path: &RepoPath) -> Result<Option<Sha256>, InputError> {
        let note = self.index.join(path.as_str().replace('/', "%"));
        if let Ok(text) = std::fs::read_to_string(&note) {
            match text.parse::<Sha256>() {
                Ok(sha256) if self.blobs.has(&sha256) => return Ok(Some(sha256)),
                _ if text == "absent" => return Ok(None),
                _ => {}
            }
        }
        let answer = self.origin.fetch(path, &Expected::default(), &self.blobs).await;
        let found = match answer {
            Ok(OriginAnswer::Found { stored, .. }) => Some(stored.digests.sha256),
            Ok(OriginAnswer::Absent) => None,
            Err(error) => {
                return Err(InputError::Unavailable {
                    repository: "central".to_owned(),
                    path: path.to_string(),
                    problem: error.to_string(),
                });
            }
        };
        std::fs::write(&note, found.map_or_else(|| "absent".to_owned(), |sha256| sha256.to_string())).unwrap();
        Ok(found)
    }
}

#[async_trait]
impl Inputs for Upstream {
    async fn get(&self, _: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        self.asked.lock().unwrap().push(path.to_string());
        let planted = self.planted.lock().unwrap().get(path.as_str()).cloned();
        let file = match planted {
            Some(file) => file,
            None => match self.digest(path).await? {
                Some(sha256) => self.blobs.get(&sha256).unwrap(),
                None => return Ok(Input::Absent),
            },
        };
        let digests = pyrsia_digest::FileDigests::of(&std::fs::read(&file).unwrap());
        Ok(Input::found(file, digests))
    }
}

#[async_trait]
impl ManifestBlobs for Upstream {
    async fn blob(&self, sha256: &Sha256) -> Option<PathBuf> {
        self.blobs.get(sha256)
    }
}

/// Keeps every line, and prints it for who reads a failed test.
#[derive(Default)]
pub struct Kept(Mutex<Vec<String>>);

impl Kept {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl BuildLog for Kept {
    fn line(&self, phase: Phase, line: &str) {
        eprintln!("[{phase}] {line}");
        self.0.lock().unwrap().push(line.to_owned());
    }
}
