//! The documents of catching up. Borsh behind one byte that names the format; decoded strictly, within limits.

use std::io::{Error, ErrorKind, Read, Result as IoResult};

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_ledger::{Block, DecodeError, MAX_ENTRY_BYTES};

/// Longest answer, in bytes.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Length of a request, in bytes.
pub const REQUEST_BYTES: usize = 1 + 8 + 4 + 8;
/// Most blocks with entries in an answer.
pub(crate) const MAX_BLOCKS: usize = 4096;
/// Most headers between the last block of an answer and the certified one. Each has [`HEADER_BYTES`].
pub(crate) const MAX_BRIDGE: usize = 16 * 1024;
/// Canonical bytes of a block's header.
pub(crate) const HEADER_BYTES: usize = 168;
/// Longest certificate, in bytes.
const MAX_CERTIFICATE_BYTES: usize = pyrsia_ledger::checkpoint::MAX_CERTIFICATE_BYTES;
/// A key, a signature and one byte: no entry is shorter. Keeps what is decoded from taking much more memory than its bytes.
const MIN_ENTRY_BYTES: usize = 32 + 64 + 1;
/// Begins every document; raised when the format changes.
const FORMAT: u8 = 1;

/// Asks for blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlocksRequest {
    /// Height of the first block that is wanted: one more than the asker's last; the first block has height 1.
    pub from_height: u64,
    /// About how many bytes of blocks are wanted. One certified step is given even if it is longer.
    pub max_bytes: u32,
    /// Time of the asker's newest certificate ([`crate::Certified::time`]): a fresher one of the same size is wanted too.
    pub newest_time: u64,
}

/// A block and its entries.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SyncBlock {
    /// The header.
    pub block: Block,
    /// The accepted entries in their order.
    #[borsh(deserialize_with = "read_entries")]
    pub entries: Vec<Vec<u8>>,
}

/// Blocks, and the proof that a quorum has them.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct BlocksAnswer {
    /// Height of the answerer's last block. Its word only: nothing proves it.
    pub head_height: u64,
    /// Blocks from the asked height on.
    #[borsh(deserialize_with = "read_blocks")]
    pub blocks: Vec<SyncBlock>,
    /// Headers from the block after those to the certified one. Empty when the last of the blocks is certified.
    #[borsh(deserialize_with = "read_bridge")]
    pub bridge: Vec<Block>,
    /// Certificate of the log as it ends with the last block or header, or of the log as the asker has it.
    #[borsh(deserialize_with = "read_certificate")]
    pub certificate: Option<String>,
    /// Certificate of the last block or header itself.
    #[borsh(deserialize_with = "read_certificate")]
    pub block_certificate: Option<String>,
}

impl BlocksRequest {
    /// The canonical bytes, [`REQUEST_BYTES`] of them.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes canonical bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, REQUEST_BYTES)
    }
}

impl BlocksAnswer {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes canonical bytes of at most [`MAX_ANSWER_BYTES`]. Nothing is verified yet.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes, MAX_ANSWER_BYTES)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.bridge.is_empty() && self.certificate.is_none()
    }
}

pub(crate) fn encode<T: BorshSerialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    value.serialize(&mut bytes).expect("writing to a vector does not fail");
    bytes
}

pub(crate) fn decode<T: BorshSerialize + BorshDeserialize>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { actual: bytes.len(), limit });
    }
    let malformed = |detail: String| DecodeError::Malformed { detail };
    let Some((&FORMAT, content)) = bytes.split_first() else {
        return Err(malformed("unknown format".to_owned()));
    };
    let value = T::try_from_slice(content).map_err(|error| malformed(error.to_string()))?;
    if encode(&value) == bytes { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

fn refuse<T>(what: &str) -> IoResult<T> {
    Err(Error::new(ErrorKind::InvalidData, what))
}

/// A list: the count is the sender's word, so nothing is reserved for it.
fn read_list<R: Read, T>(
    reader: &mut R,
    max: usize,
    what: &str,
    read: impl Fn(&mut R) -> IoResult<T>,
) -> IoResult<Vec<T>> {
    let count = u32::deserialize_reader(reader)? as usize;
    if count > max { refuse(what) } else { (0..count).map(|_| read(reader)).collect() }
}

fn read_entries<R: Read>(reader: &mut R) -> IoResult<Vec<Vec<u8>>> {
    read_list(reader, MAX_ANSWER_BYTES / MIN_ENTRY_BYTES, "too many entries", |reader| {
        let length = u32::deserialize_reader(reader)? as usize;
        if !(MIN_ENTRY_BYTES..=MAX_ENTRY_BYTES).contains(&length) {
            return refuse("the length of an entry");
        }
        let mut entry = vec![0; length];
        reader.read_exact(&mut entry)?;
        Ok(entry)
    })
}

fn read_blocks<R: Read>(reader: &mut R) -> IoResult<Vec<SyncBlock>> {
    read_list(reader, MAX_BLOCKS, "too many blocks", SyncBlock::deserialize_reader)
}

fn read_bridge<R: Read>(reader: &mut R) -> IoResult<Vec<Block>> {
    read_list(reader, MAX_BRIDGE, "too many headers", Block::deserialize_reader)
}

fn read_certificate<R: Read>(reader: &mut R) -> IoResult<Option<String>> {
    if !bool::deserialize_reader(reader)? {
        return Ok(None);
    }
    let length = u32::deserialize_reader(reader)? as usize;
    if length > MAX_CERTIFICATE_BYTES {
        return refuse("too long a certificate");
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map(Some).or_else(|_| refuse("a certificate that is no text"))
}
