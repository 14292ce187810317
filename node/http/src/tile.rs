//! Paths of tiles ([C2SP tlog-tiles](https://c2sp.org/tlog-tiles)), after `/log/tile/`.

/// Nodes of one level, or leaves, in a full tile.
pub(crate) const WIDTH: u16 = 256;

/// What a tile path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tile {
    /// `<level>/<index>[.p/<width>]`: hashes.
    Hashes {
        /// Level of tiles; its nodes are of the tree's level `8 * level`.
        level: u8,
        /// Which tile.
        index: u64,
        /// How many hashes.
        width: u16,
    },
    /// `entries/<index>[.p/<width>]`: leaves.
    Entries {
        /// Which bundle.
        index: u64,
        /// How many leaves.
        width: u16,
    },
}

/// Reads a path. Only the one canonical form of each tile is a path of it.
pub(crate) fn parse(path: &str) -> Option<Tile> {
    let (first, rest) = path.split_once('/')?;
    let (index, width) = match rest.split_once(".p/") {
        None => (rest, WIDTH),
        Some((index, width)) => (index, decimal(width).filter(|width| (1..u64::from(WIDTH)).contains(width))? as u16),
    };
    let index = tile_index(index)?;
    if first == "entries" {
        return Some(Tile::Entries { index, width });
    }
    let level = decimal(first).filter(|level| *level <= 7)? as u8;
    // A tile whose nodes lie beyond 2^64 leaves does not exist; checked here so that arithmetic on it cannot overflow.
    let leaves = u128::from(index).checked_add(1)? << (8 * (u32::from(level) + 1));
    (leaves <= 1 << 63).then_some(Tile::Hashes { level, index, width })
}

/// `x001/x234/067` for 1234067: groups of three digits, all but the last marked.
fn tile_index(text: &str) -> Option<u64> {
    let mut index: u64 = 0;
    let groups: Vec<&str> = text.split('/').collect();
    let last = groups.len().checked_sub(1)?;
    for (position, group) in groups.into_iter().enumerate() {
        let digits = if position == last { group } else { group.strip_prefix('x')? };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // A leading group of zeros would be a second name for the same tile.
        if position == 0 && last > 0 && digits == "000" {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    (index < 1 << 55).then_some(index)
}

/// A number without sign or leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical && text.len() <= 3 { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, expected) in [
            ("0/000", Some(Tile::Hashes { level: 0, index: 0, width: 256 })),
            ("0/x001/x234/067", Some(Tile::Hashes { level: 0, index: 1_234_067, width: 256 })),
            ("3/000.p/7", Some(Tile::Hashes { level: 3, index: 0, width: 7 })),
            ("0/x001/000.p/255", Some(Tile::Hashes { level: 0, index: 1000, width: 255 })),
            ("entries/012", Some(Tile::Entries { index: 12, width: 256 })),
            ("entries/012.p/1", Some(Tile::Entries { index: 12, width: 1 })),
            ("0/0", None),
            ("0/x000/001", None),
            ("0/001/002", None),
            ("0/x001", None),
            ("00/000", None),
            ("8/000", None),
            ("64/000", None),
            ("-1/000", None),
            ("0/000.p/0", None),
            ("0/000.p/256", None),
            ("0/000.p/07", None),
            ("0/+01", None),
            ("0/000.p/", None),
            ("0", None),
            ("", None),
            ("entries/", None),
            ("7/x999/x999/x999/x999/999", None),
            ("0/x999/x999/x999/x999/x999/x999/999", None),
        ] {
            assert_eq!(parse(path), expected, "{path:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn only_one_text_names_a_tile(path in "([0-9]{1,2}|entries)(/x?[0-9]{1,4}){1,7}([.]p/[0-9]{1,3})?") {
            let Some(tile) = parse(&path) else { return Ok(()) };
            let (first, index, width) = match tile {
                Tile::Hashes { level, index, width } => (level.to_string(), index, width),
                Tile::Entries { index, width } => ("entries".to_owned(), index, width),
            };
            let mut text = format!("{:03}", index % 1000);
            let mut rest = index / 1000;
            while rest > 0 {
                text = format!("x{:03}/{text}", rest % 1000);
                rest /= 1000;
            }
            let partial = if width == WIDTH { String::new() } else { format!(".p/{width}") };
            proptest::prop_assert_eq!(format!("{first}/{text}{partial}"), path);
        }

        #[test]
        fn no_text_panics(path: String) {
            let _ = parse(&path);
        }
    }
}
