//! In which way two class files differ.

use std::collections::{BTreeMap, BTreeSet};

use super::parse::{Attribute, ClassFile, Constant, Member, Pool, parse};
use crate::text::{escape, explain_bytes};

/// Sentences at most; the first ones say the most.
const SENTENCES: usize = 4;
/// Names shown of a set at most.
const NAMES: usize = 3;

/// Says how two class files of different bytes differ; `None` if one of them is no class file.
pub(crate) fn explain(left: &[u8], right: &[u8]) -> Option<String> {
    let (l, r) = (parse(left)?, parse(right)?);
    let mut said = Vec::new();
    if (l.major, l.minor) != (r.major, r.minor) {
        said.push(format!("class file version {} vs {}", version(&l), version(&r)));
    }
    if left.len() != right.len() {
        said.push(format!("{} vs {} bytes", left.len(), right.len()));
    }
    header(&l, &r, &mut said);
    let same_pool = l.pool.constants == r.pool.constants;
    // Pools of one length mostly differ in single constants; otherwise the same meaning has other indexes, and
    // only the size of an attribute says something.
    let aligned = l.pool.constants.len() == r.pool.constants.len();
    members("field", (&l.pool, &l.fields), (&r.pool, &r.fields), aligned, &mut said);
    members("method", (&l.pool, &l.methods), (&r.pool, &r.methods), aligned, &mut said);
    attributes("", (&l.pool, &l.attributes), (&r.pool, &r.attributes), aligned, &mut said);
    if !same_pool {
        constants(&l.pool, &r.pool, &mut said);
    }
    if said.is_empty() {
        said.push(explain_bytes(left, right));
    }
    said.truncate(SENTENCES);
    Some(said.join("; "))
}

fn version(class: &ClassFile<'_>) -> String {
    // Java 5 has major version 49.
    match class.major {
        49.. => format!("{}.{} (Java {})", class.major, class.minor, class.major - 44),
        _ => format!("{}.{}", class.major, class.minor),
    }
}

fn header(l: &ClassFile<'_>, r: &ClassFile<'_>, said: &mut Vec<String>) {
    if l.access != r.access {
        said.push(format!("access flags {:#06x} vs {:#06x}", l.access, r.access));
    }
    let mut name = |what: &str, a: String, b: String| {
        if a != b {
            said.push(format!("{what} {a} vs {b}"));
        }
    };
    name("class", l.pool.name(l.this), r.pool.name(r.this));
    name("superclass", l.pool.name(l.parent), r.pool.name(r.parent));
    let interfaces = |class: &ClassFile<'_>| {
        class.interfaces.iter().take(9).map(|&i| class.pool.name(i)).collect::<Vec<_>>().join(", ")
    };
    name("interfaces", interfaces(l), interfaces(r));
}

fn members(
    what: &str,
    (left_pool, left): (&Pool<'_>, &[Member<'_>]),
    (right_pool, right): (&Pool<'_>, &[Member<'_>]),
    aligned: bool,
    said: &mut Vec<String>,
) {
    let names = |pool: &Pool<'_>, members: &[Member<'_>]| -> Vec<String> {
        members.iter().map(|m| format!("{}{}", pool.name(m.name), separated(&pool.name(m.descriptor)))).collect()
    };
    let (l, r) = (names(left_pool, left), names(right_pool, right));
    only(what, &l, &r, said);
    if l != r && l.len() == r.len() && sorted(&l) == sorted(&r) {
        said.push(format!("the {what}s are in another order"));
    }
    let there: BTreeMap<&String, &Member<'_>> = r.iter().zip(right).collect();
    for (name, member) in l.iter().zip(left) {
        let Some(other) = there.get(name) else {
            continue;
        };
        if member.access != other.access {
            said.push(format!("{what} {name}: access flags {:#06x} vs {:#06x}", member.access, other.access));
        }
        let label = format!("{what} {name}: ");
        attributes(&label, (left_pool, &member.attributes), (right_pool, &other.attributes), aligned, said);
        if said.len() > SENTENCES {
            return;
        }
    }
}

/// Methods are written as `name(args)type`, fields as `name:type`.
fn separated(descriptor: &str) -> String {
    if descriptor.starts_with('(') { descriptor.to_owned() } else { format!(":{descriptor}") }
}

fn attributes(
    label: &str,
    (left_pool, left): (&Pool<'_>, &[Attribute<'_>]),
    (right_pool, right): (&Pool<'_>, &[Attribute<'_>]),
    aligned: bool,
    said: &mut Vec<String>,
) {
    let names = |pool: &Pool<'_>, list: &[Attribute<'_>]| list.iter().map(|a| pool.name(a.name)).collect::<Vec<_>>();
    let (l, r) = (names(left_pool, left), names(right_pool, right));
    only(&format!("{label}attribute"), &l, &r, said);
    for (name, attribute) in l.iter().zip(left) {
        let Some(other) = r.iter().zip(right).find(|(there, _)| *there == name).map(|(_, other)| other) else {
            continue;
        };
        if attribute.data.len() != other.data.len() {
            said.push(format!("{label}{name} has {} vs {} bytes", attribute.data.len(), other.data.len()));
        } else if aligned && attribute.data != other.data {
            said.push(format!("{label}{name} differs"));
        }
    }
}

fn constants(left: &Pool<'_>, right: &Pool<'_>, said: &mut Vec<String>) {
    let shown = |pool: &Pool<'_>| -> Vec<String> {
        let used = pool.constants.iter().filter(|constant| **constant != Constant::Unused);
        used.map(|&constant| pool.render(constant, 4)).collect()
    };
    let (l, r) = (shown(left), shown(right));
    let before = said.len();
    only("constant", &l, &r, said);
    if said.len() == before {
        said.push(format!("the constant pools ({} vs {} constants) are in another order", l.len(), r.len()));
    }
}

/// Says which names stand on one side only.
fn only(what: &str, left: &[String], right: &[String], said: &mut Vec<String>) {
    let (l, r): (BTreeSet<_>, BTreeSet<_>) = (left.iter().collect(), right.iter().collect());
    for (names, place) in [(&l - &r, "rebuilt file"), (&r - &l, "reference")] {
        if names.is_empty() {
            continue;
        }
        let more = if names.len() > NAMES { format!(" and {} more", names.len() - NAMES) } else { String::new() };
        let names: Vec<String> = names.into_iter().take(NAMES).map(|name| escape(name)).collect();
        said.push(format!("{what} {}{more} in the {place} only", names.join(", ")));
    }
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<_> = names.iter().collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A class `A` with fields of type `I`; the pool holds what is needed and one integer constant.
    fn class(major: u16, fields: &[&str], constant: u32) -> Vec<u8> {
        let mut pool: Vec<Vec<u8>> = Vec::new();
        let utf8 = |text: &str| {
            let mut bytes = vec![1];
            bytes.extend((text.len() as u16).to_be_bytes());
            bytes.extend(text.as_bytes());
            bytes
        };
        pool.push(utf8("A"));
        pool.push(vec![7, 0, 1]);
        pool.push(utf8("I"));
        pool.push([&[3][..], &constant.to_be_bytes()].concat());
        for field in fields {
            pool.push(utf8(field));
        }
        let mut bytes = 0xcafe_babe_u32.to_be_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(major.to_be_bytes());
        bytes.extend((pool.len() as u16 + 1).to_be_bytes());
        bytes.extend(pool.concat());
        bytes.extend([0, 0x21, 0, 2, 0, 0, 0, 0]);
        bytes.extend((fields.len() as u16).to_be_bytes());
        for index in 0..fields.len() as u16 {
            bytes.extend([0, 0]);
            bytes.extend((5 + index).to_be_bytes());
            bytes.extend([0, 3, 0, 0]);
        }
        bytes.extend([0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn explanations() {
        let base = class(61, &["x", "y"], 1);
        let table = [
            (class(52, &["x", "y"], 1), "class file version 61.0 (Java 17) vs 52.0 (Java 8)"),
            (class(61, &["x", "z"], 1), "field y:I in the rebuilt file only; field z:I in the reference only"),
            (class(61, &["y", "x"], 1), "the fields are in another order"),
            (class(61, &["x", "y"], 2), "constant 1 in the rebuilt file only; constant 2 in the reference only"),
        ];
        for (other, expected) in table {
            let text = explain(&base, &other).expect("both are class files");
            assert!(text.starts_with(expected), "{text}");
        }
        assert_eq!(explain(&base, b"\xca\xfe\xba\xbe"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(at: usize, with: u8, cut: usize) {
            let base = class(61, &["x", "y"], 1);
            let mut other = base.clone();
            let len = other.len();
            other[at % len] = with;
            other.truncate(1 + cut % len);
            let _ = explain(&base, &other);
        }

        #[test]
        fn no_random_bytes_panic(tail: Vec<u8>) {
            let bytes = [&0xcafe_babe_u32.to_be_bytes()[..], &tail].concat();
            let _ = explain(&bytes, &bytes);
        }
    }
}
