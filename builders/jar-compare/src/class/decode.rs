//! What is inside attributes: lists of items whose references into the constant pool are known to be such.

use super::code;
use super::parse::{Attribute, Pool};

/// Longest attribute that is taken apart, in bytes: an item takes many times the bytes that it is read from.
const MAX_DECODED: usize = 1 << 20;
/// Longest code of a method, in bytes.
const MAX_CODE: usize = 65_535;

/// One value of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(i64),
    Flags(u16),
    /// An index into the pool; 0 is none.
    Constant(u16),
    Name(&'static str),
    Raw(&'a [u8]),
}

/// One thing that an attribute lists: an instruction, a line, a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub(super) label: &'static str,
    /// Where an instruction stands; shown, not compared.
    pub(super) at: Option<u32>,
    pub(super) values: Vec<Value<'a>>,
}

impl<'a> Item<'a> {
    pub(super) fn new(label: &'static str, values: Vec<Value<'a>>) -> Self {
        Self { label, at: None, values }
    }
}

/// An attribute taken apart.
#[derive(Default)]
pub(super) struct Decoded<'a> {
    pub(super) items: Vec<Item<'a>>,
    /// Attributes inside it.
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// Reads big-endian values one after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn i8(&mut self) -> Option<i8> {
        Some(self.u8()?.cast_signed())
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        Some(self.u16()?.cast_signed())
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        Some(self.u32()?.cast_signed())
    }

    /// A count of two bytes and as many items. Each item takes at least a byte, so memory is bounded by the input.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.u16()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(item(self)?);
        }
        Some(list)
    }

    fn number(&mut self) -> Option<Value<'a>> {
        Some(Value::Number(i64::from(self.u16()?)))
    }

    fn constant(&mut self) -> Option<Value<'a>> {
        Some(Value::Constant(self.u16()?))
    }

    fn flags(&mut self) -> Option<Value<'a>> {
        Some(Value::Flags(self.u16()?))
    }

    fn constants(&mut self, label: &'static str) -> Option<Vec<Item<'a>>> {
        self.list(|reader| Some(Item::new(label, vec![reader.constant()?])))
    }
}

/// Takes an attribute apart by its name. What is not known, or not as it should be, is one item with its bytes.
pub(super) fn decode<'a>(pool: &Pool<'_>, attribute: &Attribute<'a>) -> Decoded<'a> {
    let known =
        if attribute.data.len() > MAX_DECODED { None } else { known(pool.text(attribute.name), attribute.data) };
    known.unwrap_or_else(|| Decoded {
        items: vec![Item::new("bytes", vec![Value::Raw(attribute.data)])],
        attributes: Vec::new(),
    })
}

fn known<'a>(name: &[u8], data: &'a [u8]) -> Option<Decoded<'a>> {
    let mut reader = Reader::new(data);
    let r = &mut reader;
    let mut nested = Vec::new();
    let items = match name {
        b"Code" => {
            let mut items = vec![Item::new("stack and locals", vec![r.number()?, r.number()?])];
            let len = usize::try_from(r.u32()?).ok()?;
            items.extend(code::instructions(r.take(len).filter(|code| code.len() <= MAX_CODE)?)?);
            items.extend(r.list(|r| {
                Some(Item::new("exception handler", vec![r.number()?, r.number()?, r.number()?, r.constant()?]))
            })?);
            nested = r.list(attribute)?;
            items
        }
        b"LineNumberTable" => r.list(|r| {
            let (at, line) = (r.u16()?, r.number()?);
            Some(Item::new("offset", vec![Value::Number(i64::from(at)), Value::Name("line"), line]))
        })?,
        b"LocalVariableTable" | b"LocalVariableTypeTable" => r.list(|r| {
            let (from, len) = (r.number()?, r.number()?);
            Some(Item::new("variable", vec![r.constant()?, r.constant()?, from, len, r.number()?]))
        })?,
        b"SourceFile" | b"Signature" | b"ConstantValue" | b"NestHost" | b"ModuleMainClass" => {
            vec![Item::new("is", vec![r.constant()?])]
        }
        b"Exceptions" => r.constants("throws")?,
        b"NestMembers" | b"PermittedSubclasses" => r.constants("class")?,
        b"ModulePackages" => r.constants("package")?,
        b"InnerClasses" => {
            r.list(|r| Some(Item::new("class", vec![r.constant()?, r.constant()?, r.constant()?, r.flags()?])))?
        }
        b"EnclosingMethod" => vec![Item::new("is", vec![r.constant()?, r.constant()?])],
        b"MethodParameters" => {
            let mut items = Vec::new();
            for _ in 0..r.u8()? {
                items.push(Item::new("parameter", vec![r.constant()?, r.flags()?]));
            }
            items
        }
        b"BootstrapMethods" => r.list(|r| {
            let handle = r.constant()?;
            let mut values = r.list(Reader::constant)?;
            values.insert(0, handle);
            Some(Item::new("method", values))
        })?,
        b"Record" => {
            let mut items = Vec::new();
            for _ in 0..r.u16()? {
                items.push(Item::new("component", vec![r.constant()?, r.constant()?]));
                for Attribute { name, data } in r.list(attribute)? {
                    items.push(Item::new("attribute", vec![Value::Constant(name), Value::Raw(data)]));
                }
            }
            items
        }
        b"RuntimeVisibleAnnotations" | b"RuntimeInvisibleAnnotations" => {
            r.list(|r| Some(Item::new("annotation", annotation(r, 0)?)))?
        }
        b"RuntimeVisibleParameterAnnotations" | b"RuntimeInvisibleParameterAnnotations" => {
            let mut items = Vec::new();
            for parameter in 0..r.u8()? {
                for mut values in r.list(|r| annotation(r, 0))? {
                    values.insert(0, Value::Number(i64::from(parameter)));
                    items.push(Item::new("annotation of parameter", values));
                }
            }
            items
        }
        b"AnnotationDefault" => {
            let mut values = Vec::new();
            element(r, 0, &mut values)?;
            vec![Item::new("is", values)]
        }
        b"StackMapTable" => r.list(frame)?,
        b"Module" => module(r)?,
        b"Deprecated" | b"Synthetic" => Vec::new(),
        _ => return None,
    };
    reader.is_empty().then_some(Decoded { items, attributes: nested })
}

fn attribute<'a>(reader: &mut Reader<'a>) -> Option<Attribute<'a>> {
    let name = reader.u16()?;
    let len = usize::try_from(reader.u32()?).ok()?;
    Some(Attribute { name, data: reader.take(len)? })
}

/// Annotations are nested as deep as the file likes; here sixteen levels.
fn annotation<'a>(reader: &mut Reader<'a>, depth: u8) -> Option<Vec<Value<'a>>> {
    let mut values = vec![reader.constant()?];
    for _ in 0..reader.u16()? {
        values.push(reader.constant()?);
        element(reader, depth, &mut values)?;
    }
    Some(values)
}

fn element<'a>(reader: &mut Reader<'a>, depth: u8, values: &mut Vec<Value<'a>>) -> Option<()> {
    if depth > 16 {
        return None;
    }
    let tag = reader.u8()?;
    values.push(Value::Number(i64::from(tag)));
    match tag {
        b'e' => {
            values.push(reader.constant()?);
            values.push(reader.constant()?);
        }
        b'@' => values.extend(annotation(reader, depth + 1)?),
        b'[' => {
            for _ in 0..reader.u16()? {
                element(reader, depth + 1, values)?;
            }
        }
        b'B' | b'C' | b'D' | b'F' | b'I' | b'J' | b'S' | b'Z' | b's' | b'c' => values.push(reader.constant()?),
        _ => return None,
    }
    Some(())
}

fn frame<'a>(reader: &mut Reader<'a>) -> Option<Item<'a>> {
    let kind = reader.u8()?;
    let mut values = vec![Value::Number(i64::from(kind))];
    match kind {
        0..=63 => {}
        64..=127 => verification(reader, &mut values)?,
        247 => {
            values.push(reader.number()?);
            verification(reader, &mut values)?;
        }
        248..=251 => values.push(reader.number()?),
        252..=254 => {
            values.push(reader.number()?);
            for _ in 251..kind {
                verification(reader, &mut values)?;
            }
        }
        255 => {
            values.push(reader.number()?);
            for _ in 0..2 {
                for _ in 0..reader.u16()? {
                    verification(reader, &mut values)?;
                }
            }
        }
        128..=246 => return None,
    }
    Some(Item::new("frame", values))
}

fn verification<'a>(reader: &mut Reader<'a>, values: &mut Vec<Value<'a>>) -> Option<()> {
    let tag = reader.u8()?;
    values.push(Value::Number(i64::from(tag)));
    match tag {
        7 => values.push(reader.constant()?),
        8 => values.push(reader.number()?),
        0..=6 => {}
        _ => return None,
    }
    Some(())
}

fn module<'a>(reader: &mut Reader<'a>) -> Option<Vec<Item<'a>>> {
    let mut items = vec![Item::new("module", vec![reader.constant()?, reader.flags()?, reader.constant()?])];
    items.extend(reader.list(|r| Some(Item::new("requires", vec![r.constant()?, r.flags()?, r.constant()?])))?);
    for label in ["exports", "opens"] {
        items.extend(reader.list(|r| {
            let mut values = vec![r.constant()?, r.flags()?];
            values.extend(r.list(Reader::constant)?);
            Some(Item::new(label, values))
        })?);
    }
    items.extend(reader.constants("uses")?);
    items.extend(reader.list(|r| {
        let mut values = vec![r.constant()?];
        values.extend(r.list(Reader::constant)?);
        Some(Item::new("provides", values))
    })?);
    Some(items)
}
