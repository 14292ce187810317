//! Canonical bytes: borsh, decoded strictly, and the framing of everything that is hashed or signed.

use borsh::{BorshDeserialize, BorshSerialize};

/// Why bytes are not a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There are more bytes than this kind of value may have.
    #[error("{actual} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes that were given.
        actual: usize,
        /// Most bytes allowed.
        limit: usize,
    },
    /// The bytes do not have the shape of the value.
    #[error("not the encoding of a value: {detail}")]
    Malformed {
        /// What the decoder said.
        detail: String,
    },
    /// The bytes decode, but the value has another encoding: the only one that is accepted.
    #[error("not the canonical encoding of its value")]
    NotCanonical,
    /// The value decodes, but breaks one of its own limits.
    #[error(transparent)]
    Content(#[from] crate::entry::EntryError),
}

/// Decodes strictly: bounded length, nothing left over, and the value encodes to the same bytes again.
pub(crate) fn decode<T: BorshSerialize + BorshDeserialize>(bytes: &[u8], limit: usize) -> Result<T, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLong { actual: bytes.len(), limit });
    }
    let value = T::try_from_slice(bytes).map_err(|error| DecodeError::Malformed { detail: error.to_string() })?;
    if encode(&value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Encodes a value.
pub(crate) fn encode<T: BorshSerialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing into a Vec fails only for a list longer than u32::MAX, which no type of this crate can hold in an
    // entry of 16 KiB; an oversized value in memory is caught by the length checks of `check`.
    value.serialize(&mut bytes).expect("lists of this crate are shorter than u32::MAX");
    bytes
}

/// Puts parts together so that no two different lists of parts give the same bytes: each part is preceded by its
/// length as eight bytes, little-endian.
pub(crate) fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Values that travel as their text: the length as four bytes, then UTF-8.
pub(crate) mod text {
    use std::fmt::Display;
    use std::io::{Error, ErrorKind, Read, Result, Write};
    use std::str::FromStr;

    use borsh::{BorshDeserialize, BorshSerialize};

    pub(crate) fn write<T: Display, W: Write>(value: &T, writer: &mut W) -> Result<()> {
        value.to_string().serialize(writer)
    }

    pub(crate) fn read<T: FromStr, R: Read>(reader: &mut R) -> Result<T>
    where
        T::Err: Display,
    {
        let text = String::deserialize_reader(reader)?;
        text.parse().map_err(|error: T::Err| Error::new(ErrorKind::InvalidData, error.to_string()))
    }

    pub(crate) fn write_option<T: Display, W: Write>(value: &Option<T>, writer: &mut W) -> Result<()> {
        value.as_ref().map(ToString::to_string).serialize(writer)
    }

    pub(crate) fn read_option<T: FromStr, R: Read>(reader: &mut R) -> Result<Option<T>>
    where
        T::Err: Display,
    {
        Ok(if bool::deserialize_reader(reader)? { Some(read(reader)?) } else { None })
    }

    pub(crate) fn write_list<T: Display, W: Write>(values: &[T], writer: &mut W) -> Result<()> {
        (values.len() as u32).serialize(writer)?;
        values.iter().try_for_each(|value| write(value, writer))
    }

    pub(crate) fn read_list<T: FromStr, R: Read>(reader: &mut R) -> Result<Vec<T>>
    where
        T::Err: Display,
    {
        // Not reserved in advance: the count is the sender's word.
        (0..u32::deserialize_reader(reader)?).map(|_| read(reader)).collect()
    }
}

/// Byte arrays that people see as hexadecimal.
pub(crate) mod hex_array {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = <std::borrow::Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(bytes)
    }
}
