//! Finding the source of a release: the given revision, or the tags that projects usually make.

use std::sync::Arc;

use build_spec::{BuildLog, Builder, Phase, Source, SourceError, SourceRequest};

/// Tags that releases usually have that are tried by name, the commonest first: rare forms cost a connection each.
const MOST: usize = 8;

/// Resolves the request; without tag and commit the usual tags are tried. A tag that exists but holds another
/// release is refused and not skipped: **never a wrong commit**.
pub async fn resolve(
    builder: &dyn Builder,
    request: SourceRequest,
    log: Arc<dyn BuildLog>,
) -> Result<Source, SourceError> {
    if request.tag.is_some() || request.commit.is_some() {
        return builder.resolve(&request, log).await;
    }
    let Some(first) = request.coordinates.first() else {
        return Err(SourceError::Local("no coordinates were given".to_owned()));
    };
    let mut tried = Vec::new();
    let names = [first.artifact.as_str()];
    let usual = build_infer::usual_tags(&names, request.repository.name(), first.version.as_str());
    for tag in usual.into_iter().take(MOST) {
        let attempt = SourceRequest { tag: Some(tag.clone()), ..request.clone() };
        match builder.resolve(&attempt, log.clone()).await {
            Err(SourceError::Revision { .. }) => {
                log.line(Phase::Source, &format!("no tag {tag}"));
                tried.push(tag);
            }
            Ok(mut source) => {
                source.evidence.push(format!("tag {tag} was found by its usual form"));
                return Ok(source);
            }
            Err(error) => return Err(error),
        }
    }
    Err(SourceError::Revision {
        repository: request.repository.to_string(),
        wanted: format!("tag for {first}"),
        problem: format!("tried {}; name it with --tag", tried.join(", ")),
    })
}
