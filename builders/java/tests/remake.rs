//! Making an image again from what anybody may have sent: the archive's signature decides. Needs `mmdebstrap`.
#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

use java_builder::images::{ImageLock, LockedFile, LockedSuite};
use java_builder::{ImageError, recipe, remake_image};
use pyrsia_digest::Sha256;

const RELEASE: &str = "Origin: Debian\nSuite: stable\nCodename: bookworm\nDate: Sat, 09 Aug 2025 09:16:30 UTC\n\
    Architectures: amd64 arm64\nComponents: main\nSHA256:\n \
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 main/binary-amd64/Packages\n";

#[tokio::test]
async fn an_index_that_debian_did_not_sign_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let put = |bytes: &[u8]| {
        let sha256 = Sha256::of(bytes);
        std::fs::write(folder.path().join(sha256.to_string()), bytes).unwrap();
        LockedFile { sha256, bytes: bytes.len() as u64 }
    };
    let suite = LockedSuite { suite: "bookworm".to_owned(), release: put(RELEASE.as_bytes()), packages: put(b"") };
    let lock = ImageLock { version: 1, suites: vec![suite], packages: Vec::new() };
    let recipe = recipe("jdk17").unwrap().unwrap();
    let blobs = folder.path().to_owned();
    let find = move |sha256: &Sha256| Some(blobs.join(sha256.to_string()));
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    match remake_image(&recipe, &lock, find, &work, &|line| eprintln!("{line}")).await {
        Err(ImageError::Bake { tail, .. }) => assert!(tail.contains("is not signed"), "{tail}"),
        Err(ImageError::Start(error)) => eprintln!("NOT TESTED: {error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read_dir(&work).unwrap().count(), 0, "nothing is left behind");
}
