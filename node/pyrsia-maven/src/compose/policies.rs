//! The policies of the configuration.

use anyhow::Context as _;
use pyrsia_repository::{GroupPattern, Policies, Policy, UpstreamPolicy};

use crate::config::{Config, PolicyName};
use crate::upstream::Upstream;

/// The rules of `[policy]`, and the policies of the upstreams.
pub fn policies(config: &Config, upstreams: &[Upstream]) -> anyhow::Result<Policies> {
    let section = &config.policy;
    let policy = |name| match name {
        PolicyName::Verified => Policy::Verified { allow_equivalent: section.allow_equivalent },
        PolicyName::PreferVerified => Policy::PreferVerified,
        PolicyName::Mirror => Policy::Mirror,
    };
    let rules = section
        .groups
        .iter()
        .map(|(pattern, name)| Ok((pattern.parse::<GroupPattern>()?, policy(*name))))
        .collect::<anyhow::Result<Vec<_>>>()
        .context("[policy.groups]")?;
    let of_upstreams = upstreams.iter().map(|upstream| UpstreamPolicy {
        id: upstream.id.clone(),
        route: upstream.asked.route.clone(),
        policy: upstream.policy.map(policy),
    });
    Ok(Policies::new(policy(section.default), rules).with_upstreams(of_upstreams.collect()))
}
