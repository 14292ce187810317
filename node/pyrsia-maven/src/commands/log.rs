//! `log`: the ledger itself.

use pyrsia_api_types::LogPage;

use crate::cli::{Global, LogArgs};
use crate::client::Client;
use crate::exit::Exit;
use crate::terminal::{self, line, plain};

/// Leaves that are asked for at once.
const PAGE: u64 = 200;
/// Seconds that a follower waits for the next leaf before it asks again.
const WAIT: u64 = 25;

/// Runs the command.
pub async fn run(global: &Global, args: &LogArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&global.node, None)?;
    let mut from = args.from;
    let mut all: Option<LogPage> = None;
    loop {
        let wait = if args.follow { WAIT } else { 0 };
        let page: LogPage = client.get(&format!("/api/v1/log?from={from}&max={PAGE}&wait={wait}")).await?;
        let (next, end) = (page.next, page.next >= page.size);
        if global.json && !args.follow {
            match &mut all {
                Some(all) => {
                    all.leaves.extend(page.leaves);
                    (all.next, all.size) = (page.next, page.size);
                }
                None => all = Some(page),
            }
        } else {
            for leaf in &page.leaves {
                if global.json {
                    // A log that is followed has no end: one document in a line.
                    line(&serde_json::to_string(leaf)?);
                } else {
                    line(&format!("{:>6}  {:<16} {}", leaf.index, plain(&leaf.kind), plain(&leaf.summary)));
                }
            }
        }
        if !args.follow && (end || next == from) {
            break;
        }
        from = next;
    }
    if let Some(all) = all {
        terminal::json(&all)?;
    }
    Ok(Exit::Done)
}
