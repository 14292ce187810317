use super::*;

const PATH: &str = "org/acme/lib/1.0/lib-1.0.jar";

fn offered(collides: bool) -> Offered {
    Offered { path: PATH.parse().unwrap(), digests: FileDigests::of(b"bytes"), collides }
}

fn says(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> (ChecksumAlgorithm, String) {
    (algorithm, FileDigests::of(bytes).checksum(algorithm))
}

#[test]
fn what_upstream_says_is_weighed() {
    use ChecksumAlgorithm::{Md5, Sha1, Sha256, Sha512};
    let right = |algorithms: &[ChecksumAlgorithm]| algorithms.iter().map(|a| says(*a, b"bytes")).collect::<Vec<_>>();
    assert_eq!(weigh(&right(&[Sha1]), &offered(false)).as_deref(), Ok("sha1"));
    assert_eq!(weigh(&right(&[Md5, Sha1, Sha256]), &offered(true)).as_deref(), Ok("sha1,sha256"));
    assert_eq!(weigh(&right(&[Sha512]), &offered(true)).as_deref(), Ok("sha512"));
    assert_eq!(weigh(&right(&[Md5, Sha1]), &offered(true)), Err(Refusal::Collision));
    assert_eq!(weigh(&right(&[Md5]), &offered(false)), Err(Refusal::NoChecksum));
    assert_eq!(weigh(&[], &offered(false)), Err(Refusal::NoChecksum));
    for wrong in ChecksumAlgorithm::ALL {
        let mut all = right(&[Sha1, Sha256]);
        all.push(says(wrong, b"other bytes"));
        assert_eq!(weigh(&all, &offered(false)), Err(Refusal::Upstream), "one that contradicts is enough");
    }
}

#[test]
fn files_that_never_change_alone() {
    for (path, is) in [
        (PATH, true),
        ("org/acme/lib/1.0/lib-1.0.pom", true),
        ("org/acme/lib/1.0/lib-1.0-sources.jar.asc", true),
        ("org/acme/lib/1.0/lib-1.0.jar.asc.asc", false),
        ("org/acme/lib/1.0/lib-1.0.jar.sha1", false),
        ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-20260101.101010-1.jar", true),
        ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-20260101.101010-1.jar.asc", true),
        ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar", false),
        ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT-sources.jar.asc", false),
        ("org/acme/lib/maven-metadata.xml", false),
        ("archetype-catalog.xml", false),
        ("org/acme/lib/1.0/stray.txt", false),
    ] {
        assert_eq!(is_fixed(&path.parse().unwrap()), is, "{path}");
    }
}
