//! `receipt`: writes the offline receipt of a release, checked before it is handed over.

use anyhow::Context as _;
use maven_layout::Coordinates;
use pyrsia_ledger::{Receipt, VerifiedReceipt};

use crate::cli::{Global, ReceiptArgs};
use crate::client::Client;
use crate::context::Context;
use crate::data_dir::write_atomically;
use crate::exit::{CommandError, Exit};
use crate::{committee_pin, network_file, terminal};

/// Runs the command.
pub async fn run(global: &Global, args: &ReceiptArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let client = Client::new(&global.node, None)?;
    let coordinates = &args.coordinates;
    let Some((text, proven)) = proven(&context, &client, global, coordinates).await? else {
        let text = format!("the ledger has no verdict for {coordinates}; {}", super::judge::hint(coordinates));
        return Err(CommandError::new(Exit::Unknown, text).into());
    };
    match &args.output {
        Some(path) => {
            write_atomically(path, text.as_bytes())?;
            let time = terminal::time(proven.time);
            terminal::note(&format!(
                "{}: {} {} as of {time}; verify it anywhere with --receipt {} --network NETWORK.JSON (`network show`)",
                path.display(),
                proven.verdict.coordinates,
                proven.verdict.state,
                path.display()
            ));
        }
        None => terminal::line(text.trim_end_matches('\n')),
    }
    Ok(Exit::Done)
}

/// The node's receipt for a release, and what it proves to whoever trusts the network that this data directory knows; none
/// if there is no verdict.
pub async fn proven(
    context: &Context,
    client: &Client,
    global: &Global,
    coordinates: &Coordinates,
) -> anyhow::Result<Option<(String, VerifiedReceipt)>> {
    let Some(bytes) = client.find_bytes(&format!("/api/v1/receipts/{coordinates}")).await? else { return Ok(None) };
    let network = client.find_bytes("/api/v1/network").await?.context("the node has no network document")?;
    let genesis = network_file::pinned(&context.data, &global.node, None, Some(&network))?;
    let text = String::from_utf8(bytes).context("the node's receipt is no text")?;
    let network = genesis.network_id();
    let pin = committee_pin::known(&context.data, &network)?;
    let proven = Receipt::parse(&text).and_then(|receipt| receipt.verify_pinned(&genesis, pin.as_ref()));
    let proven = proven.map_err(|error| {
        CommandError::new(Exit::BadProof, format!("the node's receipt for {coordinates} does not hold: {error}"))
    })?;
    committee_pin::raise(&context.data, &network, proven.pin)?;
    Ok(Some((text, proven)))
}
