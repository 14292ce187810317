//! In which way two class files differ, member by member.

use std::collections::{BTreeSet, HashMap};

use super::decode::{Decoded, Item, Value, decode};
use super::names::Meanings;
use super::parse::{Attribute, ClassFile, Constant, Member, Pool, parse, separated};
use crate::findings::Said;
use crate::text::{escape, explain_bytes};

/// Sentences at most; the others are counted.
const SENTENCES: usize = 12;
/// Names shown of a set at most.
const NAMES: usize = 3;
/// Attributes that only debuggers, stack traces and reflection on names of parameters read.
const DEBUG: [&[u8]; 6] = [
    b"LineNumberTable",
    b"LocalVariableTable",
    b"LocalVariableTypeTable",
    b"MethodParameters",
    b"SourceDebugExtension",
    b"SourceFile",
];

/// Says how two class files of different bytes differ; `None` if one of them is no class file.
pub(crate) fn explain(left: &[u8], right: &[u8]) -> Option<Vec<Said>> {
    let (l, r) = (parse(left)?, parse(right)?);
    let mut meanings = Meanings::default();
    let (left_numbers, right_numbers) = (meanings.of(&l.pool), meanings.of(&r.pool));
    let l = Side { pool: &l.pool, numbers: left_numbers, class: &l };
    let r = Side { pool: &r.pool, numbers: right_numbers, class: &r };
    let mut report = Report { left: &l, right: &r, said: Vec::new(), more: 0, debug_only: true };
    report.header();
    report.members("field", &l.class.fields, &r.class.fields);
    report.members("method", &l.class.methods, &r.class.methods);
    report.attributes("", &l.class.attributes, &r.class.attributes, false);
    Some(report.finish(left, right))
}

/// One of the two classes.
struct Side<'c, 'a> {
    class: &'c ClassFile<'a>,
    pool: &'c Pool<'a>,
    /// What the constants mean, by index.
    numbers: Vec<u32>,
}

impl Side<'_, '_> {
    fn number(&self, index: u16) -> u32 {
        self.numbers.get(usize::from(index)).copied().unwrap_or(u32::MAX)
    }
}

struct Report<'s, 'c, 'a> {
    left: &'s Side<'c, 'a>,
    right: &'s Side<'c, 'a>,
    said: Vec<Said>,
    more: u64,
    /// Nothing was said that a program without a debugger would see.
    debug_only: bool,
}

impl Report<'_, '_, '_> {
    fn say(&mut self, place: &str, text: impl FnOnce() -> String) {
        self.debug_only = false;
        if self.said.len() < SENTENCES {
            self.said.push(Said::at(place, text()));
        } else {
            self.more += 1;
        }
    }

    fn header(&mut self) {
        let (l, r) = (self.left, self.right);
        if (l.class.major, l.class.minor) != (r.class.major, r.class.minor) {
            self.say("version", || format!("class file version {} vs {}", version(l.class), version(r.class)));
        }
        if l.class.access != r.class.access {
            self.say("class", || format!("access flags {:#06x} vs {:#06x}", l.class.access, r.class.access));
        }
        for (what, a, b) in [("class", l.class.this, r.class.this), ("superclass", l.class.parent, r.class.parent)] {
            if l.number(a) != r.number(b) {
                self.say("class", || format!("{what} {} vs {}", l.pool.name(a), r.pool.name(b)));
            }
        }
        let numbers = |side: &Side<'_, '_>| side.class.interfaces.iter().map(|&i| side.number(i)).collect::<Vec<_>>();
        if numbers(l) != numbers(r) {
            let names = |side: &Side<'_, '_>| {
                side.class.interfaces.iter().take(9).map(|&i| side.pool.name(i)).collect::<Vec<_>>().join(", ")
            };
            self.say("class", || format!("interfaces {} vs {}", names(l), names(r)));
        }
    }

    fn members(&mut self, what: &str, left: &[Member<'_>], right: &[Member<'_>]) {
        let (l, r) = (self.left, self.right);
        let key = |side: &Side<'_, '_>, member: &Member<'_>| (side.number(member.name), side.number(member.descriptor));
        let name = |side: &Side<'_, '_>, member: &Member<'_>| {
            format!("{}{}", side.pool.name(member.name), separated(&side.pool.name(member.descriptor)))
        };
        let here: HashMap<_, _> = left.iter().map(|member| (key(l, member), member)).collect();
        let there: HashMap<_, _> = right.iter().map(|member| (key(r, member), member)).collect();
        let lonely_left = left.iter().filter(|member| !there.contains_key(&key(l, member))).map(|m| name(l, m));
        self.only(what, what, lonely_left.collect(), "rebuilt file");
        let lonely_right = right.iter().filter(|member| !here.contains_key(&key(r, member))).map(|m| name(r, m));
        self.only(what, what, lonely_right.collect(), "reference");
        let order = |side: &Side<'_, '_>, members: &[Member<'_>], other: &HashMap<_, &Member<'_>>| -> Vec<_> {
            members.iter().map(|member| key(side, member)).filter(|key| other.contains_key(key)).collect()
        };
        if order(l, left, &there) != order(r, right, &here) {
            self.say(what, || format!("the {what}s are in another order"));
        }
        for member in left {
            let Some(other) = there.get(&key(l, member)) else { continue };
            let place = format!("{what} {}", name(l, member));
            if member.access != other.access {
                self.say(&place, || format!("{place}: access flags {:#06x} vs {:#06x}", member.access, other.access));
            }
            self.attributes(&place, &member.attributes, &other.attributes, false);
        }
    }

    /// `inner`: they are inside another attribute, and nothing inside them is looked at again.
    fn attributes(&mut self, place: &str, left: &[Attribute<'_>], right: &[Attribute<'_>], inner: bool) {
        let (l, r) = (self.left, self.right);
        // The first of a name: only broken files have two.
        let (here, there) = (by_name(l, left), by_name(r, right));
        let label = if place.is_empty() { String::new() } else { format!("{place}: ") };
        let what = format!("{label}attribute");
        for (side, list, other, where_) in [(l, left, &there, "rebuilt file"), (r, right, &here, "reference")] {
            let lonely = list.iter().filter(|one| !other.contains_key(&side.number(one.name)));
            let (debug, real): (Vec<_>, Vec<_>) = lonely.partition(|one| DEBUG.contains(&side.pool.text(one.name)));
            let names = |list: Vec<&Attribute<'_>>| list.iter().map(|one| side.pool.name(one.name)).collect::<Vec<_>>();
            self.only(place, &what, names(real), where_);
            let before = self.debug_only;
            self.only(place, &what, names(debug), where_);
            self.debug_only = before;
        }
        for one in left {
            let number = l.number(one.name);
            let first = here.get(&number).is_some_and(|first| std::ptr::eq(*first, one));
            let Some(other) = there.get(&number).filter(|_| first) else { continue };
            // Equal bytes may still refer to other constants, and other bytes to the same ones.
            let name = l.pool.name(one.name);
            let inside = if place.is_empty() { name.clone() } else { format!("{place}, {name}") };
            let before = self.debug_only;
            let (a, b) = (decode(l.pool, one), decode(r.pool, other));
            self.items(&inside, &a, &b);
            if DEBUG.contains(&l.pool.text(one.name)) {
                self.debug_only = before;
            }
            if !(inner || a.attributes.is_empty() && b.attributes.is_empty()) {
                self.attributes(&inside, &a.attributes, &b.attributes, true);
            }
        }
    }

    /// The first item in which two attributes of one name differ.
    fn items(&mut self, place: &str, left: &Decoded<'_>, right: &Decoded<'_>) {
        let (l, r) = (self.left, self.right);
        let same = left.items.iter().zip(&right.items).take_while(|(a, b)| same_item(l, a, r, b)).count();
        let (a, b) = (left.items.get(same), right.items.get(same));
        // Of code its instructions are counted, not the other things that stand beside them.
        let code = left.items.iter().any(|item| item.at.is_some());
        let count = |side: &Decoded<'_>| side.items.iter().filter(|item| item.at.is_some() == code).count();
        let counts = (count(left), count(right));
        let what = if code { "instructions" } else { "items" };
        match (a, b) {
            (None, None) => {}
            (Some(a), Some(b)) => self.say(place, || {
                let mut text = format!("{place}: {} vs {}", show(l, a), show(r, b));
                if counts.0 != counts.1 {
                    text.push_str(&format!(" ({} vs {} {what})", counts.0, counts.1));
                }
                text
            }),
            (Some(more), None) => self.say(place, || format!("{place}: {} in the rebuilt file only", show(l, more))),
            (None, Some(more)) => self.say(place, || format!("{place}: {} in the reference only", show(r, more))),
        }
    }

    /// Says which names stand on one side only.
    fn only(&mut self, place: &str, what: &str, names: Vec<String>, side: &str) {
        if names.is_empty() {
            return;
        }
        let more = if names.len() > NAMES { format!(" and {} more", names.len() - NAMES) } else { String::new() };
        let names: Vec<String> = names.into_iter().take(NAMES).map(|name| escape(&name)).collect();
        self.say(place, || format!("{what} {}{more} in the {side} only", names.join(", ")));
    }

    fn finish(mut self, left: &[u8], right: &[u8]) -> Vec<Said> {
        let place = "constant pool";
        let nothing_else = self.said.is_empty();
        let shown = |side: &Side<'_, '_>, other: &BTreeSet<u32>| -> Vec<String> {
            let constants = side.pool.constants.iter().zip(&side.numbers);
            let used = constants.filter(|(constant, number)| **constant != Constant::Unused && !other.contains(number));
            used.map(|(constant, _)| side.pool.render(*constant, 4)).collect()
        };
        let (l, r) = (self.left, self.right);
        let set = |side: &Side<'_, '_>| side.numbers.iter().copied().collect::<BTreeSet<_>>();
        let (mine, theirs) = (set(l), set(r));
        let before = self.debug_only;
        self.only(place, "constant", shown(l, &theirs), "rebuilt file");
        self.only(place, "constant", shown(r, &mine), "reference");
        if nothing_else && self.said.is_empty() {
            let order = l.numbers != r.numbers;
            self.said.push(match order {
                true => Said::at(
                    place,
                    format!(
                        "the same members and code; the constants ({} vs {}) are in another order",
                        l.pool.constants.len(),
                        r.pool.constants.len()
                    ),
                ),
                false => Said::from(explain_bytes(left, right)),
            });
            return self.said;
        }
        // Constants that nothing else needs come and go with what refers to them.
        if !nothing_else && before {
            self.said.insert(0, Said::from("only debug information differs".to_owned()));
        }
        if self.more > 0 {
            self.said.push(Said::from(format!("and {} further differences in this class", self.more)));
        }
        self.said
    }
}

fn by_name<'l, 'a>(side: &Side<'_, '_>, list: &'l [Attribute<'a>]) -> HashMap<u32, &'l Attribute<'a>> {
    let mut first = HashMap::new();
    for one in list {
        first.entry(side.number(one.name)).or_insert(one);
    }
    first
}

fn same_item(l: &Side<'_, '_>, a: &Item<'_>, r: &Side<'_, '_>, b: &Item<'_>) -> bool {
    let same = |(a, b): (&Value<'_>, &Value<'_>)| match (a, b) {
        (Value::Constant(0), Value::Constant(0)) => true,
        (Value::Constant(0), Value::Constant(_)) | (Value::Constant(_), Value::Constant(0)) => false,
        (Value::Constant(a), Value::Constant(b)) => l.number(*a) == r.number(*b),
        (a, b) => a == b,
    };
    a.label == b.label && a.values.len() == b.values.len() && a.values.iter().zip(&b.values).all(same)
}

fn show(side: &Side<'_, '_>, item: &Item<'_>) -> String {
    let mut text = item.at.map(|at| format!("at {at} ")).unwrap_or_default();
    text.push_str(item.label);
    for value in item.values.iter().take(8) {
        text.push(' ');
        text.push_str(&match value {
            Value::Number(number) => number.to_string(),
            Value::Flags(flags) => format!("{flags:#06x}"),
            Value::Constant(0) => "-".to_owned(),
            Value::Constant(index) => side.pool.name(*index),
            Value::Name(name) => (*name).to_owned(),
            Value::Raw(bytes) => format!("({} bytes)", bytes.len()),
        });
    }
    if item.values.len() > 8 {
        text.push_str(" …");
    }
    escape(&text)
}

fn version(class: &ClassFile<'_>) -> String {
    // Java 5 has major version 49.
    match class.major {
        49.. => format!("{}.{} (Java {})", class.major, class.minor, class.major - 44),
        _ => format!("{}.{}", class.major, class.minor),
    }
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
