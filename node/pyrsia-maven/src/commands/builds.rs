//! `builds`: what is being built, and the story of one build.

use pyrsia_api_types::{Build, BuildEvents, BuildList};

use super::inspect::tell;
use crate::cli::{BuildsArgs, Global};
use crate::client::{CallError, Client};
use crate::exit::{CommandError, Exit};
use crate::terminal::{self, line, plain};

/// Seconds that a follower waits for the next event before it asks again.
const WAIT: u64 = 25;

/// Runs the command.
pub async fn run(global: &Global, args: &BuildsArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&global.node, None)?;
    let Some(id) = &args.id else {
        let list: BuildList = client.get("/api/v1/builds").await?;
        if global.json {
            terminal::json(&list)?;
        } else if list.builds.is_empty() {
            line("no builds yet; ask for one with `pyrsia-maven build G:A:V`");
        } else {
            for build in &list.builds {
                line(&summary(build));
            }
        }
        return Ok(Exit::Done);
    };
    if args.follow {
        follow(&client, id, global.json).await?;
    }
    let build = one(&client, id).await?;
    if global.json {
        terminal::json(&build)?;
    } else {
        line(&summary(&build));
        for verdict in &build.verdicts {
            tell(verdict);
        }
    }
    Ok(Exit::Done)
}

/// One build; an unknown id is a plain error.
pub async fn one(client: &Client, id: &str) -> anyhow::Result<Build> {
    let found: Result<Option<Build>, CallError> = client.find(&format!("/api/v1/builds/{id}")).await;
    found?.ok_or_else(|| {
        CommandError::new(Exit::Failed, format!("the node knows no build {id}; `pyrsia-maven builds` lists them"))
            .into()
    })
}

/// Prints events to standard error (results belong to standard output) until the build is done.
pub async fn follow(client: &Client, id: &str, quiet: bool) -> anyhow::Result<()> {
    let mut after = 0u64;
    loop {
        let page: BuildEvents = client.get(&format!("/api/v1/builds/{id}/events?after={after}&wait={WAIT}")).await?;
        if !quiet {
            for event in &page.events {
                terminal::note(&format!("{:<8} {}", plain(&event.kind), plain(&event.text)));
            }
        }
        if page.done && page.events.is_empty() {
            return Ok(());
        }
        after = page.next;
    }
}

fn summary(build: &Build) -> String {
    let outcome = match (&build.failure, build.verdicts.as_slice()) {
        (Some(failure), _) => format!("failed: {failure}"),
        (None, []) => build.stage.clone(),
        (None, verdicts) => verdicts.iter().map(|verdict| verdict.verdict.clone()).collect::<Vec<_>>().join(", "),
    };
    plain(&format!("{}  {}  {outcome}", build.id, build.coordinates.join(" ")))
}
