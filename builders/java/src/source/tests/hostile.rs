//! Trees that no git makes, though a server may hand them out.

use super::*;

/// The list of a folder as it is stored, with whatever names; each entry is a file.
fn raw_tree(repository: &git2::Repository, files: &[(&[u8], &[u8])]) -> git2::Oid {
    let mut list = Vec::new();
    for (name, content) in files {
        list.extend_from_slice(b"100644 ");
        list.extend_from_slice(name);
        list.push(0);
        list.extend_from_slice(repository.blob(content).unwrap().as_bytes());
    }
    repository.odb().unwrap().write(git2::ObjectType::Tree, &list).unwrap()
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    let made = Made::new(&usual());
    let repository = git2::Repository::open_bare(made.folder.path().join("acme/lib")).unwrap();
    let who = git2::Signature::new("a", "a@example.org", &git2::Time::new(1_600_000_000, 0)).unwrap();
    let names: [(&[u8], &str); 8] = [
        (b"..", "no name for a file"),
        (b".", "no name for a file"),
        (b".git", "no name for a file"),
        (b".GiT", "no name for a file"),
        (b"../../etc/passwd", "no name for a file"),
        (b"/etc/passwd", "no name for a file"),
        (b".git/hooks/post-checkout", "no name for a file"),
        (b"pom.xml", "twice"),
    ];
    for (number, (name, word)) in names.into_iter().enumerate() {
        let tree = raw_tree(&repository, &[(name, b"other"), (b"pom.xml", POM.as_bytes())]);
        let tree = repository.find_tree(tree).unwrap();
        let commit = repository.commit(None, &who, &who, "hostile", &tree, &[]).unwrap();
        let object = repository.find_object(commit, None).unwrap();
        let tag = format!("hostile-{number}");
        repository.tag_lightweight(&tag, &object, false).unwrap();
        let error = made.resolve("org.acme:parent:1.0", Some(&tag), None).await.unwrap_err();
        let shown = String::from_utf8_lossy(name);
        // libgit2 itself may refuse to hand some of them on.
        let refused = match &error {
            SourceError::Tree { problem, .. } => problem.contains(word),
            SourceError::Clone { .. } => true,
            _ => false,
        };
        assert!(refused, "{shown}: {error}");
        assert_eq!(made.files_left(), 0, "{shown}");
    }
}
