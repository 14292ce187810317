use super::*;

/// Writes class files, so that each part of one can be changed alone.
#[derive(Clone)]
struct Class {
    major: u16,
    pool: Vec<Vec<u8>>,
    fields: Vec<u16>,
    methods: Vec<(u16, Vec<u8>)>,
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Class {
    fn new(major: u16) -> Self {
        let mut class = Self { major, pool: vec![], fields: vec![], methods: vec![], attributes: vec![] };
        class.utf8("A");
        class.constant(&[7, 0, 1]);
        class.utf8("I");
        class.utf8("()V");
        class
    }

    fn constant(&mut self, bytes: &[u8]) -> u16 {
        self.pool.push(bytes.to_vec());
        self.pool.len() as u16
    }

    fn utf8(&mut self, text: &str) -> u16 {
        let bytes = [&[1][..], &(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
        self.constant(&bytes)
    }

    fn string(&mut self, text: &str) -> u16 {
        let at = self.utf8(text);
        self.constant(&[&[8][..], &at.to_be_bytes()].concat())
    }

    fn field(&mut self, name: &str) {
        let at = self.utf8(name);
        self.fields.push(at);
    }

    /// A method with code, and line numbers if there are any.
    fn method(&mut self, name: &str, code: &[u8], lines: &[u16]) {
        let name = self.utf8(name);
        let (code_name, lines_name) = (self.utf8("Code"), self.utf8("LineNumberTable"));
        let mut table = (lines.len() as u16).to_be_bytes().to_vec();
        for line in lines {
            table.extend([0, 0]);
            table.extend(line.to_be_bytes());
        }
        let mut body = [0, 1, 0, 1].to_vec();
        body.extend((code.len() as u32).to_be_bytes());
        body.extend(code);
        body.extend([0, 0]);
        body.extend(if lines.is_empty() { vec![0, 0] } else { [&[0, 1][..], &attribute(lines_name, &table)].concat() });
        self.methods.push((name, attribute(code_name, &body)));
    }

    fn attribute(&mut self, name: &str, data: &[u8]) {
        let name = self.utf8(name);
        self.attributes.push((name, data.to_vec()));
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = 0xcafe_babe_u32.to_be_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(self.major.to_be_bytes());
        bytes.extend((self.pool.len() as u16 + 1).to_be_bytes());
        bytes.extend(self.pool.concat());
        bytes.extend([0, 0x21, 0, 2, 0, 0, 0, 0]);
        bytes.extend((self.fields.len() as u16).to_be_bytes());
        for field in &self.fields {
            bytes.extend([0, 0]);
            bytes.extend(field.to_be_bytes());
            bytes.extend([0, 3, 0, 0]);
        }
        bytes.extend((self.methods.len() as u16).to_be_bytes());
        for (name, code) in &self.methods {
            bytes.extend([0, 1]);
            bytes.extend(name.to_be_bytes());
            bytes.extend([0, 4, 0, 1]);
            bytes.extend(code);
        }
        bytes.extend((self.attributes.len() as u16).to_be_bytes());
        for (name, data) in &self.attributes {
            bytes.extend(attribute(*name, data));
        }
        bytes
    }
}

fn attribute(name: u16, data: &[u8]) -> Vec<u8> {
    [&name.to_be_bytes()[..], &(data.len() as u32).to_be_bytes(), data].concat()
}

fn with(major: u16, change: impl FnOnce(&mut Class)) -> Vec<u8> {
    let mut class = Class::new(major);
    change(&mut class);
    class.bytes()
}

fn said(left: &[u8], right: &[u8]) -> Vec<(String, String)> {
    let said = explain(left, right).expect("both are class files");
    said.into_iter().map(|one| (one.place.unwrap_or_default(), one.text)).collect()
}

#[track_caller]
fn check(left: &[u8], right: &[u8], place: &str, text: &str) {
    let found = said(left, right);
    assert!(found.contains(&(place.to_owned(), text.to_owned())), "{place}: {text} is not in {found:#?}");
}

#[test]
fn headers_and_members() {
    let base = with(61, |class| ["x", "y"].iter().for_each(|name| class.field(name)));
    let other = |major, names: [&'static str; 2]| with(major, |class| names.iter().for_each(|name| class.field(name)));
    check(&base, &other(52, ["x", "y"]), "version", "class file version 61.0 (Java 17) vs 52.0 (Java 8)");
    check(&base, &other(61, ["x", "z"]), "field", "field y:I in the rebuilt file only");
    check(&base, &other(61, ["x", "z"]), "field", "field z:I in the reference only");
    check(&base, &other(61, ["y", "x"]), "field", "the fields are in another order");
    assert!(explain(&base, b"\xca\xfe\xba\xbe").is_none());
}

#[test]
fn code_down_to_the_instruction() {
    let ldc = |text: &str| {
        with(61, |class| {
            let at = class.string(text) as u8;
            class.method("run", &[0x12, at, 0x57, 0xb1], &[7]);
        })
    };
    check(&ldc("a"), &ldc("b"), "method run()V, Code", "method run()V, Code: at 0 ldc \"a\" vs at 0 ldc \"b\"");
    check(&ldc("a"), &ldc("b"), "constant pool", "constant a, \"a\" in the rebuilt file only");
    let longer = with(61, |class| {
        let at = class.string("a") as u8;
        class.method("run", &[0x12, at, 0x57, 0x00, 0xb1], &[7]);
    });
    let text = "method run()V, Code: at 3 return vs at 3 nop (3 vs 4 instructions)";
    check(&ldc("a"), &longer, "method run()V, Code", text);
}

#[test]
fn debug_information_is_told_from_code() {
    let lines = |lines: &[u16]| with(61, |class| class.method("run", &[0xb1], lines));
    let place = "method run()V, Code, LineNumberTable";
    check(&lines(&[7]), &lines(&[8]), "", "only debug information differs");
    check(&lines(&[7]), &lines(&[8]), place, &format!("{place}: offset 0 line 7 vs offset 0 line 8"));
    check(&lines(&[7]), &lines(&[]), "", "only debug information differs");
    let code = with(61, |class| class.method("run", &[0x00, 0xb1], &[8]));
    assert!(!said(&lines(&[7]), &code).iter().any(|(_, text)| text.contains("only debug")));
}

#[test]
fn a_pool_in_another_order_is_said_to_be_just_that() {
    let build = |first: &str, second: &str| {
        with(61, |class| {
            let (a, b) = (class.string(first), class.string(second));
            let (x, y) = if first == "a" { (a, b) } else { (b, a) };
            class.method("run", &[0x12, x as u8, 0x12, y as u8, 0x58, 0xb1], &[1]);
        })
    };
    let found = said(&build("a", "b"), &build("b", "a"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].0, "constant pool");
    assert!(found[0].1.starts_with("the same members and code; the constants"), "{found:#?}");
    // The same pool, and code that uses it the other way round, is no order.
    let swapped = with(61, |class| {
        let (a, b) = (class.string("a"), class.string("b"));
        class.method("run", &[0x12, b as u8, 0x12, a as u8, 0x58, 0xb1], &[1]);
    });
    check(&build("a", "b"), &swapped, "method run()V, Code", "method run()V, Code: at 0 ldc \"a\" vs at 0 ldc \"b\"");
}

#[test]
fn modules_and_annotations() {
    let module = |flags: u8| {
        with(53, |class| {
            let name = class.utf8("java.base");
            let required = class.constant(&[&[19][..], &name.to_be_bytes()].concat());
            let mut data = required.to_be_bytes().to_vec();
            data.extend([0, 0, 0, 0, 0, 1]);
            data.extend(required.to_be_bytes());
            data.extend([0, flags, 0, 0]);
            data.extend([0; 8]);
            class.attribute("Module", &data);
        })
    };
    check(&module(0x20), &module(0x40), "Module", "Module: requires java.base 0x0020 - vs requires java.base 0x0040 -");
    let annotated = |value: u16| {
        with(61, |class| {
            let (kind, element) = (class.utf8("LA;"), class.utf8("value"));
            let constant = class.constant(&[&[3, 0, 0][..], &value.to_be_bytes()].concat());
            let mut data = vec![0, 1];
            for number in [kind, 1, element] {
                data.extend(number.to_be_bytes());
            }
            data.push(b'I');
            data.extend(constant.to_be_bytes());
            class.attribute("RuntimeVisibleAnnotations", &data);
        })
    };
    let text = "RuntimeVisibleAnnotations: annotation LA; value 73 1 vs annotation LA; value 73 2";
    check(&annotated(1), &annotated(2), "RuntimeVisibleAnnotations", text);
    let unknown = |byte: u8| with(61, |class| class.attribute("Own", &[byte]));
    check(&unknown(1), &unknown(2), "Own", "Own: bytes (1 bytes) vs bytes (1 bytes)");
    let more = with(61, |_| {});
    check(&unknown(1), &more, "", "attribute Own in the rebuilt file only");
}

#[test]
fn what_is_said_is_bounded() {
    let many = |step: u16| {
        with(61, |class| (0..200).for_each(|index| class.method(&format!("m{index}"), &[0xb1], &[index + step])))
    };
    let found = said(&many(0), &many(1));
    assert!(found.len() <= SENTENCES + 3, "{}", found.len());
    assert!(found.last().is_some_and(|(_, text)| text.starts_with("and 188 further differences")), "{found:#?}");
}

/// As large as the format allows: one long text, referred to by every other constant.
#[test]
fn a_class_made_to_cost_much_costs_little() {
    let cost = |last: &str| {
        with(61, |class| {
            let long = class.utf8(&"x".repeat(65_000));
            for _ in 0..60_000 {
                class.constant(&[&[8][..], &long.to_be_bytes()].concat());
            }
            class.utf8(last);
        })
    };
    let (left, right) = (cost("a"), cost("b"));
    let start = std::time::Instant::now();
    assert!(!said(&left, &right).is_empty());
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(at: usize, with_: u8, cut: usize) {
        let base = with(61, |class| {
            class.field("x");
            let at = class.string("a") as u8;
            class.method("run", &[0x12, at, 0xab, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 8, 0xb1], &[1, 2]);
        });
        let mut other = base.clone();
        let len = other.len();
        other[at % len] = with_;
        let _ = explain(&base, &other);
        other.truncate(1 + cut % len);
        let _ = explain(&base, &other);
    }

    #[test]
    fn no_random_bytes_panic(tail: Vec<u8>) {
        let bytes = [&0xcafe_babe_u32.to_be_bytes()[..], &tail].concat();
        let _ = explain(&bytes, &bytes);
    }
}
