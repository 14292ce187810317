//! Maven's built-in super POM, from which the address of the central repository is learnt.

use crate::xml::{self, XmlError};

/// The `url` of the repository with the id `central` in a super POM, as written; `None` if there is none.
///
/// # Errors
/// See [`XmlError`].
pub fn central_url(bytes: &[u8]) -> Result<Option<String>, XmlError> {
    let project = xml::parse(bytes, "project")?;
    Ok(project.child("repositories").and_then(|repositories| {
        repositories
            .all("repository")
            .find(|repository| repository.text_of("id") == Some("central"))
            .and_then(|repository| repository.text_of("url"))
            .map(str::to_owned)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPER_POM: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- built in -->
<project>
  <modelVersion>4.0.0</modelVersion>
  <repositories>
    <repository><id>other</id><url>https://other.example.org/maven2</url></repository>
    <repository>
      <id>central</id>
      <url>https://central.example.org/maven2</url>
      <snapshots><enabled>false</enabled></snapshots>
    </repository>
  </repositories>
  <pluginRepositories>
    <pluginRepository><id>central</id><url>https://plugins.example.org/maven2</url></pluginRepository>
  </pluginRepositories>
</project>"#;

    #[test]
    fn finds_the_repository_called_central() {
        let url = central_url(SUPER_POM.as_bytes()).unwrap();
        assert_eq!(url.as_deref(), Some("https://central.example.org/maven2"));
    }

    #[test]
    fn no_central_is_no_address() {
        assert_eq!(central_url(b"<project/>"), Ok(None));
        assert_eq!(
            central_url(b"<project><repositories><repository><id>x</id></repository></repositories></project>"),
            Ok(None)
        );
        let without_url = b"<project><repositories><repository><id>central</id></repository></repositories></project>";
        assert_eq!(central_url(without_url), Ok(None));
    }

    #[test]
    fn other_documents_are_refused() {
        assert!(matches!(central_url(b"<settings/>"), Err(XmlError::Root { expected: "project", .. })));
        assert_eq!(central_url(b"<!DOCTYPE project []><project/>"), Err(XmlError::DocumentType));
    }
}
