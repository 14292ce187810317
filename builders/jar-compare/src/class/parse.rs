//! The structure of a class file, without the insides of attributes.

use super::decode::Reader;

/// A class file taken apart.
pub(super) struct ClassFile<'a> {
    pub(super) minor: u16,
    pub(super) major: u16,
    pub(super) pool: Pool<'a>,
    pub(super) access: u16,
    pub(super) this: u16,
    pub(super) parent: u16,
    pub(super) interfaces: Vec<u16>,
    pub(super) fields: Vec<Member<'a>>,
    pub(super) methods: Vec<Member<'a>>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// A field or a method.
pub(super) struct Member<'a> {
    pub(super) access: u16,
    pub(super) name: u16,
    pub(super) descriptor: u16,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// An attribute: the index of its name, and its bytes.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) name: u16,
    pub(super) data: &'a [u8],
}

/// The constant pool, by index; index 0 and the second halves of long constants are unused.
pub(super) struct Pool<'a> {
    pub(super) constants: Vec<Constant<'a>>,
}

/// One constant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Constant<'a> {
    Unused,
    Utf8(&'a [u8]),
    Number(u8, &'a [u8]),
    /// Class, string, method type, module, package.
    One(u8, u16),
    /// Field, method, name and type, dynamic.
    Two(u8, u16, u16),
    Handle(u8, u16),
}

/// `None` if the bytes are no class file.
pub(super) fn parse(bytes: &[u8]) -> Option<ClassFile<'_>> {
    let mut reader = Reader::new(bytes);
    if reader.u32()? != 0xcafe_babe {
        return None;
    }
    let (minor, major) = (reader.u16()?, reader.u16()?);
    let pool = pool(&mut reader)?;
    let class = ClassFile {
        minor,
        major,
        pool,
        access: reader.u16()?,
        this: reader.u16()?,
        parent: reader.u16()?,
        interfaces: reader.list(Reader::u16)?,
        fields: reader.list(member)?,
        methods: reader.list(member)?,
        attributes: reader.list(attribute)?,
    };
    reader.is_empty().then_some(class)
}

fn pool<'a>(reader: &mut Reader<'a>) -> Option<Pool<'a>> {
    let count = usize::from(reader.u16()?);
    let mut constants = vec![Constant::Unused];
    while constants.len() < count {
        let tag = reader.u8()?;
        let constant = match tag {
            1 => {
                let len = usize::from(reader.u16()?);
                Constant::Utf8(reader.take(len)?)
            }
            3 | 4 => Constant::Number(tag, reader.take(4)?),
            5 | 6 => Constant::Number(tag, reader.take(8)?),
            7 | 8 | 16 | 19 | 20 => Constant::One(tag, reader.u16()?),
            9..=12 | 17 | 18 => Constant::Two(tag, reader.u16()?, reader.u16()?),
            15 => Constant::Handle(reader.u8()?, reader.u16()?),
            _ => return None,
        };
        constants.push(constant);
        if matches!(tag, 5 | 6) {
            constants.push(Constant::Unused);
        }
    }
    Some(Pool { constants })
}

fn member<'a>(reader: &mut Reader<'a>) -> Option<Member<'a>> {
    Some(Member {
        access: reader.u16()?,
        name: reader.u16()?,
        descriptor: reader.u16()?,
        attributes: reader.list(attribute)?,
    })
}

fn attribute<'a>(reader: &mut Reader<'a>) -> Option<Attribute<'a>> {
    let name = reader.u16()?;
    let len = usize::try_from(reader.u32()?).ok()?;
    Some(Attribute { name, data: reader.take(len)? })
}

impl<'a> Pool<'a> {
    fn get(&self, index: u16) -> Constant<'a> {
        self.constants.get(usize::from(index)).copied().unwrap_or(Constant::Unused)
    }

    /// The bytes of a UTF-8 constant; none of any other.
    pub(super) fn text(&self, index: u16) -> &'a [u8] {
        match self.get(index) {
            Constant::Utf8(bytes) => bytes,
            _ => &[],
        }
    }

    /// A constant in words: a text, the name of a class, a member.
    pub(super) fn name(&self, index: u16) -> String {
        self.render(self.get(index), 4)
    }

    /// The constant in words. References go four deep at most: cycles are possible in a broken file.
    pub(super) fn render(&self, constant: Constant<'_>, depth: u8) -> String {
        let Some(depth) = depth.checked_sub(1) else {
            return "…".to_owned();
        };
        let inner = |index| self.render(self.get(index), depth);
        match constant {
            Constant::Unused => "?".to_owned(),
            Constant::Utf8(bytes) => shown(bytes),
            Constant::Number(tag, bytes) => number(tag, bytes),
            Constant::One(8, index) => format!("\"{}\"", inner(index)),
            Constant::One(_, index) => inner(index),
            Constant::Two(9..=11, class, member) => format!("{}.{}", inner(class), inner(member)),
            Constant::Two(12, name, descriptor) => format!("{}{}", inner(name), separated(&inner(descriptor))),
            Constant::Two(_, place, member) => format!("dynamic {place} {}", inner(member)),
            Constant::Handle(kind, index) => format!("handle {kind} {}", inner(index)),
        }
    }
}

/// Text of a class file, cut before it is decoded: one constant may be shown many thousand times.
fn shown(bytes: &[u8]) -> String {
    let cut = bytes.get(..4 * crate::text::SHOWN).unwrap_or(bytes);
    crate::text::escape(&String::from_utf8_lossy(cut))
}

/// Methods are written as `name(args)type`, fields as `name:type`.
pub(super) fn separated(descriptor: &str) -> String {
    if descriptor.starts_with('(') { descriptor.to_owned() } else { format!(":{descriptor}") }
}

fn number(tag: u8, bytes: &[u8]) -> String {
    let int = bytes.try_into().map(i32::from_be_bytes);
    let long = bytes.try_into().map(i64::from_be_bytes);
    match (tag, int, long) {
        (3, Ok(value), _) => value.to_string(),
        (4, Ok(value), _) => f32::from_bits(value.cast_unsigned()).to_string(),
        (5, _, Ok(value)) => value.to_string(),
        (6, _, Ok(value)) => f64::from_bits(value.cast_unsigned()).to_string(),
        _ => "?".to_owned(),
    }
}
