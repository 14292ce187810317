//! From the coordinates of a published release to the source and the specification that most likely made it.
//!
//! [`addresses`] says where the source may lie, [`ranked_tags`] which tags of it may be the release's, [`judge`] whether
//! a commit is it; [`Reference`], [`Checkout`] and [`Wishes`] read hints, [`Plan`] orders specifications and reads each
//! failure to choose the next. Whoever calls fetches: everything here decides over what it is handed.
//!
//! Invariants:
//! - **a tag, an address or a name never makes a commit the release's source**: its build file must declare exactly the
//!   coordinates, and the files of the published `-sources.jar` must be files of the commit; where none was published,
//!   the acceptance says by its name that it is weaker;
//! - an address that the release's own POMs do not name needs every file, or there is no source;
//! - every choice carries the evidence for it; what was left out is named;
//! - text from outside (POMs, archives, CI files, logs) is data: nothing of it is run, and lists and texts are bounded;
//! - a specification that comes out is structured ([`build_spec::Specification::structured`]) and valid.
//!
//! What is not here: git, HTTP, files, clocks, containers; any opinion on whether a rebuilt file is good enough.

mod accept;
mod address;
mod causes;
mod checkout;
mod evidence;
mod pick;
mod plan;
mod reference;
mod tags;
mod wishes;
mod zones;

pub use accept::{Acceptance, Match, MatchCount, Refusal, judge, match_sources};
pub use address::{Address, Addresses, Standing, addresses, standing_of};
pub use causes::{Cause, is_telling, read_log};
pub use checkout::Checkout;
pub use evidence::Evidence;
pub use plan::{Candidate, Outcome, Plan, Tools};
pub use reference::Reference;
pub use tags::{TagCandidate, ranked_tags, usual_tags};
pub use wishes::{Hints, Wishes};

/// The POM of a release and its parents, the nearest first, each with its coordinates.
pub type Chain = [(maven_layout::Coordinates, maven_layout::Pom)];
