//! Records in a file that may end in the middle of one.
//!
//! `frame = length (u32, little endian) | first 8 bytes of SHA-256(length | content) | content`. A writer syncs each frame
//! (or group) before it says that it is stored, so only the last, unsynced write can be torn. [`read`] therefore takes a
//! bad frame at the very end as torn and drops it, and a bad frame with something behind it as damage.

use pyrsia_digest::Sha256;

const LENGTH_BYTES: usize = 4;
const CHECK_BYTES: usize = 8;
/// Bytes before a frame's content.
pub(crate) const OVERHEAD: usize = LENGTH_BYTES + CHECK_BYTES;
/// The longest content of a frame. A unit is at most 32 KiB of entries, its signature and its parents.
pub(crate) const MAX_CONTENT: usize = 256 * 1024;

/// Content of a file of frames.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frames {
    /// The intact frames in their order.
    pub(crate) contents: Vec<Vec<u8>>,
    /// Bytes at the end that belong to a torn write.
    pub(crate) torn_bytes: usize,
}

/// The file is damaged elsewhere than at its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame at byte {offset} is damaged, and it is not the last one")]
pub(crate) struct DamagedFrame {
    /// Where the frame starts, in bytes from the start of the given slice.
    pub(crate) offset: usize,
}

fn check(length: &[u8], content: &[u8]) -> [u8; CHECK_BYTES] {
    let mut message = Vec::with_capacity(length.len() + content.len());
    message.extend_from_slice(length);
    message.extend_from_slice(content);
    let digest = Sha256::of(&message);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest.as_bytes()[..CHECK_BYTES]);
    check
}

/// Appends one frame to `out`. None when the content is longer than [`MAX_CONTENT`] (then `out` is unchanged).
pub(crate) fn append(out: &mut Vec<u8>, content: &[u8]) -> Option<()> {
    if content.len() > MAX_CONTENT {
        return None;
    }
    let length = u32::try_from(content.len()).ok()?.to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&check(&length, content));
    out.extend_from_slice(content);
    Some(())
}

/// Reads all frames of `bytes`.
pub(crate) fn read(bytes: &[u8]) -> Result<Frames, DamagedFrame> {
    let mut contents = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        match read_one(rest) {
            One::Whole { content, used } => {
                contents.push(content);
                offset += used;
            }
            One::Bad { claimed } => {
                // A torn write is one frame long at most, and nothing follows it.
                let may_be_torn = match claimed {
                    Some(claimed) => claimed >= rest.len(),
                    None => rest.len() <= OVERHEAD + MAX_CONTENT,
                };
                if may_be_torn {
                    return Ok(Frames { contents, torn_bytes: rest.len() });
                }
                return Err(DamagedFrame { offset });
            }
        }
    }
    Ok(Frames { contents, torn_bytes: 0 })
}

enum One {
    Whole { content: Vec<u8>, used: usize },
    Bad { claimed: Option<usize> },
}

fn read_one(rest: &[u8]) -> One {
    let Some((length, after)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
        return One::Bad { claimed: None };
    };
    let size = u32::from_le_bytes(*length) as usize;
    // A length of 0 is never written; file systems extend a torn file with zeros.
    if size == 0 || size > MAX_CONTENT {
        return One::Bad { claimed: None };
    }
    let claimed = Some(OVERHEAD + size);
    let Some((expected, after)) = after.split_first_chunk::<CHECK_BYTES>() else {
        return One::Bad { claimed };
    };
    match after.get(..size) {
        Some(content) if check(length, content) == *expected => {
            One::Whole { content: content.to_vec(), used: OVERHEAD + size }
        }
        _ => One::Bad { claimed },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(contents: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for content in contents {
            append(&mut out, content).unwrap();
        }
        out
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = file(&[b"one", &[7; 1000], b"three"]);
        let frames = read(&bytes).unwrap();
        assert_eq!(frames.contents, vec![b"one".to_vec(), vec![7; 1000], b"three".to_vec()]);
        assert_eq!(frames.torn_bytes, 0);
    }

    #[test]
    fn every_truncation_loses_only_the_frames_that_it_touches() {
        let bytes = file(&[b"one", b"two two", b"three"]);
        let ends = [OVERHEAD + 3, 2 * OVERHEAD + 10, 3 * OVERHEAD + 15];
        for end in 0..bytes.len() {
            let frames = read(&bytes[..end]).unwrap();
            let whole = ends.iter().filter(|whole| **whole <= end).count();
            assert_eq!(frames.contents.len(), whole, "cut at {end}");
            let kept = if whole == 0 { 0 } else { ends[whole - 1] };
            assert_eq!(frames.torn_bytes, end - kept);
        }
    }

    #[test]
    fn a_changed_byte_before_the_last_frame_is_damage() {
        let bytes = file(&[b"one", b"two", b"three"]);
        let last = 2 * OVERHEAD + 6;
        for position in (0..last).filter(|position| position % (OVERHEAD + 3) >= LENGTH_BYTES) {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            assert!(read(&changed).is_err(), "byte {position}");
        }
    }

    #[test]
    fn a_changed_byte_never_goes_unnoticed() {
        let bytes = file(&[b"one", b"two", b"three"]);
        let whole = read(&bytes).unwrap().contents;
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 0x10;
            if let Ok(frames) = read(&changed) {
                assert!(whole.starts_with(&frames.contents));
                assert!(frames.contents.len() < whole.len(), "byte {position}");
            }
        }
    }

    #[test]
    fn zeros_behind_the_last_frame_are_a_torn_write() {
        let mut bytes = file(&[b"one"]);
        bytes.extend_from_slice(&[0; 100]);
        let frames = read(&bytes).unwrap();
        assert_eq!((frames.contents.len(), frames.torn_bytes), (1, 100));
    }

    #[test]
    fn too_long_a_content_is_refused() {
        let mut out = Vec::new();
        assert_eq!(append(&mut out, &vec![0; MAX_CONTENT + 1]), None);
        assert!(out.is_empty());
    }
}
