//! Tags that lead elsewhere than they once did. The ledger keeps what each build's tag was.

use build_spec::Source;
use maven_layout::CanonicalRepository;
use pyrsia_ledger::{CommitId, Round, State};

/// The rounds, newest first, whose request had this tag of this repository at another commit.
pub fn elsewhere<'a>(
    state: &'a State,
    repository: &CanonicalRepository,
    tag: &str,
    commit: &CommitId,
) -> Vec<&'a Round> {
    let mut rounds: Vec<&Round> = state
        .rounds()
        .filter(|round| {
            let request = &round.request;
            request.tag.as_deref() == Some(tag) && request.repository == *repository && request.commit != *commit
        })
        .collect();
    rounds.sort_by_key(|round| std::cmp::Reverse(round.index));
    rounds
}

/// What to say of a source whose tag led elsewhere when another build was requested, however long ago; none if it never did.
pub(crate) fn sentence(state: &State, source: &Source) -> Option<String> {
    let (tag, commit) = (source.tag.as_deref()?, source.commit.parse::<CommitId>().ok()?);
    let was = *elsewhere(state, &source.repository, tag, &commit).first()?;
    Some(format!(
        "tag {tag} of {} was moved: it is commit {commit}, and was commit {} when round {} was requested",
        source.repository, was.request.commit, was.key
    ))
}
