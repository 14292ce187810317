//! `build`: asks the network to rebuild a release; signs as the publisher where the release is native.

use anyhow::{Context as _, ensure};
use build_spec::Specification;
use pyrsia_api_types::{Accepted, Build, BuildAccepted, BuildSubmission, PublisherProof};
use pyrsia_ledger::{BuildRequest, PublisherKey};
use serde::Serialize;

use super::builds::{follow, one};
use crate::cli::{BuildArgs, Global, SourceArgs, VerifyArgs};
use crate::client::Client;
use crate::context::Context;
use crate::exit::{CommandError, Exit};
use crate::{known_nodes, network_file, specs, terminal};

/// What was asked for, which is what may be signed.
struct Asked<'a> {
    coordinates: &'a maven_layout::Coordinates,
    source: SourceArgs,
    specification: Option<Specification>,
}

#[derive(Serialize)]
struct Document {
    id: String,
    build: Build,
}

/// Runs the command.
pub async fn run(global: &Global, args: &BuildArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let client = Client::new(&global.node, known_nodes::token(&context.data, &global.node)?)?;
    let chosen = specs::choose(&context, &args.source, &[], &args.coordinates).await?;
    let source = specs::completed(&context, &args.source, chosen.as_ref()).await?;
    let specification = chosen.map(specs::Chosen::for_a_network).transpose()?;
    let submission = BuildSubmission {
        coordinates: vec![args.coordinates.to_string()],
        mode: None,
        source: source.source.clone(),
        tag: source.tag.clone(),
        commit: source.commit.clone(),
        specification: specification.as_ref().map(Specification::to_toml),
    };
    let accepted: BuildAccepted = client.post("/api/v1/builds", &submission).await?;
    let id = accepted.id;
    if !global.json {
        terminal::line(&id);
    }
    let asked = Asked { coordinates: &args.coordinates, source, specification };
    sign_if_asked(&context, &client, &id, &asked).await?;
    if !args.wait {
        if global.json {
            let build = one(&client, &id).await?;
            terminal::json(&Document { id, build })?;
        } else {
            terminal::note(&format!("to watch it: pyrsia-maven builds {id} --follow"));
        }
        return Ok(Exit::Done);
    }
    follow(&client, &id, global.json).await?;
    let build = one(&client, &id).await?;
    if let Some(failure) = &build.failure {
        let exit = match build.failure_kind.as_deref() {
            Some("build") => Exit::BuildFailed,
            Some("input") => Exit::Undeclared,
            Some("source") => Exit::NoSource,
            _ => Exit::Failed,
        };
        if global.json {
            terminal::json(&Document { id, build })?;
            return Ok(exit);
        }
        return Err(CommandError::new(exit, failure.clone()).into());
    }
    let headline = maven_layout::ArtifactRef {
        coordinates: args.coordinates.clone(),
        classifier: None,
        extension: headline_extension(&build, args),
    };
    let verify = VerifyArgs {
        artifacts: vec![headline],
        file: None,
        stdin: false,
        repo: None,
        // What was just built is what the node serves, not an older copy of this user's.
        maven_repo: Some(std::path::PathBuf::from("/nonexistent")),
        receipt: None,
        network: None,
        accept_self: args.accept_self,
        allow_equivalent: args.allow_equivalent,
        max_age: None,
    };
    super::verify::run(global, &verify).await
}

/// The main artifact, or the POM of a release that has none.
fn headline_extension(build: &Build, args: &BuildArgs) -> maven_layout::Extension {
    let stem = format!("{}-{}.", args.coordinates.artifact, args.coordinates.version);
    build
        .verdicts
        .iter()
        .filter(|verdict| verdict.gav == args.coordinates.to_string())
        .flat_map(|verdict| &verdict.files)
        .filter_map(|file| file.name.strip_prefix(&stem))
        .filter(|extension| *extension != "pom" && *extension != "module")
        .find_map(|extension| extension.parse().ok())
        .unwrap_or_else(maven_layout::Extension::pom)
}

/// A native request goes on only with the publisher's signature; what is signed is compared with what was asked for.
async fn sign_if_asked(context: &Context, client: &Client, id: &str, asked: &Asked<'_>) -> anyhow::Result<()> {
    let build = loop {
        let build = one(client, id).await?;
        if build.stage != "preparing" || build.done {
            break build;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    let Some(request) = build.to_sign else { return Ok(()) };
    let mut request: BuildRequest = serde_json::from_value(request).context("the node's request cannot be read")?;
    ensure!(
        request.coordinates == [asked.coordinates.clone()],
        "the node asks to sign a request for another release; nothing was signed"
    );
    if let Some(source) = &asked.source.source {
        let wanted = maven_layout::scm::canonical(source).with_context(|| format!("{source} is no repository"))?;
        ensure!(
            request.repository == wanted,
            "the node asks to sign a request for {}, not for {wanted}; nothing was signed",
            request.repository
        );
    }
    if let Some(specification) = &asked.specification {
        let wanted = specification.digest();
        ensure!(request.specification == wanted, "the node asks to sign another specification; nothing was signed");
    }
    if let Some(tag) = &asked.source.tag {
        ensure!(request.tag.as_ref() == Some(tag), "the node asks to sign another tag than {tag}; nothing was signed");
    }
    if let Some(commit) = &asked.source.commit {
        ensure!(request.commit.as_str() == commit, "the node asks to sign another commit than {commit}");
    }
    // What is signed is final once it is published: it is said before.
    terminal::note(&terminal::plain(&format!(
        "signing as the publisher: {} from {}, tag {}, commit {}",
        asked.coordinates,
        request.repository,
        request.tag.as_deref().unwrap_or("none"),
        request.commit
    )));
    let seed = context.data.existing_secret("publisher.key")?.with_context(|| {
        format!(
            "{} is native, and this data directory ({}) holds no publisher key to sign its request with",
            asked.coordinates,
            context.data.root().display()
        )
    })?;
    let bytes = client.find_bytes("/api/v1/network").await?.context("the node has no network document")?;
    let genesis = network_file::pinned(&context.data, client.base(), None, Some(&bytes))?;
    request.sign_as_publisher(&genesis.network_id(), &PublisherKey::from_seed(&seed));
    let signature = request.publisher.context("the request was not signed")?;
    let proof = PublisherProof { key: signature.key.to_string(), signature: signature.signature.to_string() };
    let _: Accepted = client.post(&format!("/api/v1/builds/{id}/signature"), &proof).await?;
    Ok(())
}
