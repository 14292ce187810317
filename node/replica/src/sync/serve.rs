//! Answering who asks for blocks.

use pyrsia_ledger::Block;
use pyrsia_store::{LedgerStore, StoreError};

use super::wire::{BlocksAnswer, BlocksRequest, HEADER_BYTES, MAX_ANSWER_BYTES, MAX_BLOCKS, MAX_BRIDGE, SyncBlock};
use crate::chain::Chain;
use crate::receipt::parse_certificate;
use crate::signing::head_at;
use crate::word::time_of;

/// Blocks that are read from the database at once.
const READ_BLOCKS: usize = 16;
/// What an answer has beside blocks and headers: two certificates, counts.
const REST_BYTES: usize = 80 * 1024;
/// Most bytes of blocks when the last of them is certified itself.
const MAX_BLOCK_BYTES: usize = MAX_ANSWER_BYTES - REST_BYTES;

/// Blocks from a height on, up to the last one that fits and is certified. If none that fits is certified, a later
/// certificate is given with the headers of the blocks in between, so that a step forward is possible however rare
/// certificates are (up to [`MAX_BRIDGE`] blocks without one).
pub(crate) fn answer(store: &LedgerStore, chain: &Chain, request: &BlocksRequest) -> Result<BlocksAnswer, StoreError> {
    let nothing = BlocksAnswer { head_height: chain.height(), ..BlocksAnswer::default() };
    let from = request.from_height.max(1);
    let base = match from {
        1 => 0,
        _ => match store.block_headers(from - 1, 1)?.first() {
            Some((size, _)) => *size,
            None => return Ok(nothing),
        },
    };
    let found = newer(store, from, base, request.max_bytes as usize)?;
    let (size, blocks, bridge) = match found {
        Some(found) => found,
        None => {
            let (_, committee) = head_at(store, &chain.state.network_id(), chain, base)?;
            let certificate = store.certificate(base)?.and_then(|bytes| parse_certificate(&bytes));
            if certificate.is_none_or(|certificate| time_of(&certificate, committee) <= request.newest_time) {
                return Ok(nothing);
            }
            (base, Vec::new(), Vec::new())
        }
    };
    let block_certificate = store.block_certificate_at_or_before(size)?.filter(|(found, _)| *found == size);
    Ok(BlocksAnswer {
        blocks,
        bridge,
        certificate: store.certificate(size)?.and_then(text),
        block_certificate: block_certificate.and_then(|(_, bytes)| text(bytes)),
        ..nothing
    })
}

type Found = (u64, Vec<SyncBlock>, Vec<Block>);

/// Blocks and headers up to a certified size that is greater than `base`.
fn newer(store: &LedgerStore, from: u64, base: u64, max_bytes: usize) -> Result<Option<Found>, StoreError> {
    let mut blocks = collect(store, from, max_bytes.min(MAX_BLOCK_BYTES))?;
    let Some(last) = blocks.last().map(|last| last.block.log_size) else {
        return Ok(None);
    };
    if let Some((size, _)) = store.block_certificate_at_or_before(last)?.filter(|(size, _)| *size > base) {
        blocks.retain(|block| block.block.log_size <= size);
        return Ok(Some((size, blocks, Vec::new())));
    }
    let Some((size, _)) = store.block_certificate_at_or_after(last)? else {
        return Ok(None);
    };
    let committee = blocks.last().map(|last| last.block.committee_hash);
    let mut bridge: Vec<Block> = Vec::new();
    let mut height = from + blocks.len() as u64;
    while bridge.last().is_none_or(|last| last.log_size < size) {
        let headers = store.block_headers(height, MAX_BLOCKS)?;
        if headers.is_empty() || bridge.len() >= MAX_BRIDGE {
            tracing::warn!(block.height = from, "too many blocks without a certificate: cannot be handed on");
            return Ok(None);
        }
        height += headers.len() as u64;
        let decoded =
            headers.iter().take_while(|(end, _)| *end <= size).map_while(|(_, bytes)| Block::from_bytes(bytes).ok());
        let before = bridge.len();
        bridge.extend(decoded);
        if bridge.len() == before {
            return Ok(None);
        }
    }
    let room = MAX_BLOCK_BYTES - MAX_BRIDGE * HEADER_BYTES;
    let mut bytes: usize = blocks.iter().map(length).sum();
    while blocks.len() > 1
        && bytes > room
        && let Some(last) = blocks.pop()
    {
        bytes -= length(&last);
        bridge.insert(0, last.block);
    }
    // A committee that is replaced has to certify the block that names the next one.
    if bridge.len() > MAX_BRIDGE || bridge.iter().any(|header| Some(header.committee_hash) != committee) {
        return Ok(None);
    }
    Ok(Some((size, blocks, bridge)))
}

/// Blocks of one committee from a height on: as many as fit, and at least one.
fn collect(store: &LedgerStore, from: u64, max_bytes: usize) -> Result<Vec<SyncBlock>, StoreError> {
    let mut blocks: Vec<SyncBlock> = Vec::new();
    let mut bytes = 0;
    loop {
        let stored = store.blocks(from + blocks.len() as u64, READ_BLOCKS)?;
        if stored.is_empty() {
            return Ok(blocks);
        }
        for stored in stored {
            let Ok(block) = Block::from_bytes(&stored.block_bytes) else {
                return Ok(blocks);
            };
            let block = SyncBlock { block, entries: stored.entries };
            let is_other = blocks.first().is_some_and(|first| first.block.committee_hash != block.block.committee_hash);
            bytes += length(&block);
            if is_other || !blocks.is_empty() && bytes > max_bytes || blocks.len() == MAX_BLOCKS {
                return Ok(blocks);
            }
            blocks.push(block);
        }
    }
}

fn length(block: &SyncBlock) -> usize {
    HEADER_BYTES + 4 + block.entries.iter().map(|entry| 4 + entry.len()).sum::<usize>()
}

fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok()
}
