//! `rebuild` and `infer`: what the decisions of `build_infer` need is fetched here, and what they say is done.
//!
//! - [`Session`] is what both commands work with; [`Published`] what upstream has of a release; [`find`] looks for the
//!   commit; [`plan`] makes a plan of specifications; [`attempts`] goes through it.
//!
//! What is not here: any opinion on hints, tags or commits.

pub mod attempts;
mod checkout;
mod find;
mod published;
pub mod report;
mod session;

use build_infer::{Hints, Plan, Tools, Wishes};
use maven_layout::Coordinates;

pub use checkout::read as read_checkout;
pub use find::{NotFound, failure, find};
pub use published::{Published, no_chain};
pub use session::Session;

use crate::compose::DEFAULT_MAVEN;

/// The JDK that is taken where nothing speaks for another.
const DEFAULT_JDK: u32 = 17;

/// The plan for a release, and the evidence for it.
pub fn plan(
    session: &Session,
    release: &Coordinates,
    published: &Published,
    checkout: Option<&build_infer::Checkout>,
    is_crlf: bool,
) -> anyhow::Result<(Plan, Vec<build_infer::Evidence>)> {
    let recipes = java_builder::recipes()?;
    let tools = Tools {
        // Nothing is inferred for Gradle.
        jdks: recipes.iter().filter(|recipe| recipe.gradle.is_none()).map(|recipe| recipe.jdk).collect(),
        mavens: java_builder::maven::versions().map(str::to_owned).collect(),
        default_maven: DEFAULT_MAVEN.to_owned(),
        default_jdk: DEFAULT_JDK,
    };
    let wishes = Wishes::of(&Hints {
        release,
        chain: &published.chain.poms,
        reference: published.reference.as_ref(),
        checkout,
        has_sources: published.sources.is_some(),
        is_crlf,
    });
    let evidence = wishes.evidence.clone();
    let builder = session.builder.clone();
    let plan =
        Plan::new(wishes, tools, move |specification| builder.check(specification).map_err(|error| error.to_string()));
    Ok((plan, evidence))
}
