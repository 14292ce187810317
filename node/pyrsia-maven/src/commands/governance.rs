//! `namespace`, `approve`, `withdraw`, `block`: what an operator asks the network to decide.

use pyrsia_api_types::{
    Accepted, BlockSubmission, ImageApproval, NamespaceSubmission, SpecificationApproval, WithdrawalSubmission,
};
use pyrsia_digest::Sha256;
use pyrsia_ledger::PublisherKey;

use crate::cli::{ApproveArgs, Global, NamespaceCommand, ReasonArgs};
use crate::client::Client;
use crate::context::Context;
use crate::exit::Exit;
use crate::{known_nodes, specs, terminal};

/// `namespace grant`
pub async fn namespace(global: &Global, command: &NamespaceCommand) -> anyhow::Result<Exit> {
    let NamespaceCommand::Grant { group, repository, publisher } = command;
    let context = Context::load(global)?;
    let mut publishers = publisher.clone();
    if publishers.is_empty() {
        context.data.create()?;
        publishers.push(PublisherKey::from_seed(&context.data.secret("publisher.key")?).public().to_string());
    }
    let submission = NamespaceSubmission {
        group: group.to_string(),
        repositories: repository.clone(),
        publishers,
        native: true,
        upstream_source: false,
    };
    say(global, &context, "/api/v1/namespaces", &submission, &format!("namespace {group}")).await
}

/// `approve --spec FILE`
pub async fn approve(global: &Global, args: &ApproveArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let specification = specs::read(&args.spec, None)?.for_a_network()?;
    let digest = specification.digest();
    let submission = SpecificationApproval { specification: specification.to_toml() };
    say(global, &context, "/api/v1/specifications/approve", &submission, &format!("specification {digest}")).await
}

/// `images approve DIGEST`
pub async fn image(
    global: &Global,
    context: &Context,
    digest: &Sha256,
    name: &str,
    unverified: bool,
) -> anyhow::Result<Exit> {
    let submission = ImageApproval { image: digest.to_string(), description: name.to_owned(), unverified };
    say(global, context, "/api/v1/images/approve", &submission, &format!("image {digest}")).await
}

/// `withdraw`
pub async fn withdraw(global: &Global, args: &ReasonArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let coordinates = args.coordinates.to_string();
    let what = format!("withdrawal of {coordinates}");
    let submission = WithdrawalSubmission { coordinates, reason: args.reason.clone() };
    say(global, &context, "/api/v1/withdrawals", &submission, &what).await
}

/// `block`
pub async fn block(global: &Global, args: &ReasonArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let coordinates = args.coordinates.to_string();
    let what = format!("block of {coordinates}");
    let submission = BlockSubmission { coordinates, reason: args.reason.clone(), lift: false };
    say(global, &context, "/api/v1/blocks", &submission, &what).await
}

async fn say<B: serde::Serialize + Sync>(
    global: &Global,
    context: &Context,
    path: &str,
    body: &B,
    what: &str,
) -> anyhow::Result<Exit> {
    let client = Client::new(&global.node, known_nodes::token(&context.data, &global.node)?)?;
    let accepted: Accepted = client.post(path, body).await?;
    if global.json {
        terminal::json(&accepted)?;
    } else if accepted.effective {
        terminal::line(&format!("{what}: in force"));
    } else {
        terminal::line(&format!("{what}: proposed; it holds once a quorum of authorities has approved it"));
    }
    Ok(Exit::Done)
}
