//! Instructions
//! ([JVM specification, chapter 6](https://docs.oracle.com/javase/specs/jvms/se21/html/jvms-6.html)).

use super::decode::{Item, Reader, Value};

/// Names by opcode. `ldc_w` is told as `ldc`: which of them is used depends on the order of the constant pool.
const NAMES: [&str; 202] = [
    "nop",
    "aconst_null",
    "iconst_m1",
    "iconst_0",
    "iconst_1",
    "iconst_2",
    "iconst_3",
    "iconst_4",
    "iconst_5",
    "lconst_0",
    "lconst_1",
    "fconst_0",
    "fconst_1",
    "fconst_2",
    "dconst_0",
    "dconst_1",
    "bipush",
    "sipush",
    "ldc",
    "ldc",
    "ldc2_w",
    "iload",
    "lload",
    "fload",
    "dload",
    "aload",
    "iload_0",
    "iload_1",
    "iload_2",
    "iload_3",
    "lload_0",
    "lload_1",
    "lload_2",
    "lload_3",
    "fload_0",
    "fload_1",
    "fload_2",
    "fload_3",
    "dload_0",
    "dload_1",
    "dload_2",
    "dload_3",
    "aload_0",
    "aload_1",
    "aload_2",
    "aload_3",
    "iaload",
    "laload",
    "faload",
    "daload",
    "aaload",
    "baload",
    "caload",
    "saload",
    "istore",
    "lstore",
    "fstore",
    "dstore",
    "astore",
    "istore_0",
    "istore_1",
    "istore_2",
    "istore_3",
    "lstore_0",
    "lstore_1",
    "lstore_2",
    "lstore_3",
    "fstore_0",
    "fstore_1",
    "fstore_2",
    "fstore_3",
    "dstore_0",
    "dstore_1",
    "dstore_2",
    "dstore_3",
    "astore_0",
    "astore_1",
    "astore_2",
    "astore_3",
    "iastore",
    "lastore",
    "fastore",
    "dastore",
    "aastore",
    "bastore",
    "castore",
    "sastore",
    "pop",
    "pop2",
    "dup",
    "dup_x1",
    "dup_x2",
    "dup2",
    "dup2_x1",
    "dup2_x2",
    "swap",
    "iadd",
    "ladd",
    "fadd",
    "dadd",
    "isub",
    "lsub",
    "fsub",
    "dsub",
    "imul",
    "lmul",
    "fmul",
    "dmul",
    "idiv",
    "ldiv",
    "fdiv",
    "ddiv",
    "irem",
    "lrem",
    "frem",
    "drem",
    "ineg",
    "lneg",
    "fneg",
    "dneg",
    "ishl",
    "lshl",
    "ishr",
    "lshr",
    "iushr",
    "lushr",
    "iand",
    "land",
    "ior",
    "lor",
    "ixor",
    "lxor",
    "iinc",
    "i2l",
    "i2f",
    "i2d",
    "l2i",
    "l2f",
    "l2d",
    "f2i",
    "f2l",
    "f2d",
    "d2i",
    "d2l",
    "d2f",
    "i2b",
    "i2c",
    "i2s",
    "lcmp",
    "fcmpl",
    "fcmpg",
    "dcmpl",
    "dcmpg",
    "ifeq",
    "ifne",
    "iflt",
    "ifge",
    "ifgt",
    "ifle",
    "if_icmpeq",
    "if_icmpne",
    "if_icmplt",
    "if_icmpge",
    "if_icmpgt",
    "if_icmple",
    "if_acmpeq",
    "if_acmpne",
    "goto",
    "jsr",
    "ret",
    "tableswitch",
    "lookupswitch",
    "ireturn",
    "lreturn",
    "freturn",
    "dreturn",
    "areturn",
    "return",
    "getstatic",
    "putstatic",
    "getfield",
    "putfield",
    "invokevirtual",
    "invokespecial",
    "invokestatic",
    "invokeinterface",
    "invokedynamic",
    "new",
    "newarray",
    "anewarray",
    "arraylength",
    "athrow",
    "checkcast",
    "instanceof",
    "monitorenter",
    "monitorexit",
    "wide",
    "multianewarray",
    "ifnull",
    "ifnonnull",
    "goto_w",
    "jsr_w",
];

/// The instructions of a method, in order; `None` if the bytes are none.
pub(super) fn instructions(code: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut reader = Reader::new(code);
    let mut items = Vec::new();
    while !reader.is_empty() {
        let at = u32::try_from(code.len() - reader.left()).ok()?;
        let opcode = reader.u8()?;
        let label = NAMES.get(usize::from(opcode))?;
        let mut item = Item::new(label, Vec::new());
        item.at = Some(at);
        let values = &mut item.values;
        match opcode {
            16 => values.push(Value::Number(i64::from(reader.i8()?))),
            17 | 153..=168 | 198 | 199 => values.push(Value::Number(i64::from(reader.i16()?))),
            18 => values.push(Value::Constant(u16::from(reader.u8()?))),
            19 | 20 | 178..=184 | 187 | 189 | 192 | 193 => values.push(Value::Constant(reader.u16()?)),
            21..=25 | 54..=58 | 169 | 188 => values.push(Value::Number(i64::from(reader.u8()?))),
            132 => {
                values.push(Value::Number(i64::from(reader.u8()?)));
                values.push(Value::Number(i64::from(reader.i8()?)));
            }
            170 | 171 => switch(opcode, at, &mut reader, values)?,
            185 => {
                values.push(Value::Constant(reader.u16()?));
                values.push(Value::Number(i64::from(reader.u16()?)));
            }
            186 => {
                values.push(Value::Constant(reader.u16()?));
                reader.u16()?;
            }
            196 => {
                let widened = reader.u8()?;
                values.push(Value::Name(NAMES.get(usize::from(widened))?));
                values.push(Value::Number(i64::from(reader.u16()?)));
                if widened == 132 {
                    values.push(Value::Number(i64::from(reader.i16()?)));
                }
            }
            197 => {
                values.push(Value::Constant(reader.u16()?));
                values.push(Value::Number(i64::from(reader.u8()?)));
            }
            200 | 201 => values.push(Value::Number(i64::from(reader.i32()?))),
            _ => {}
        }
        items.push(item);
    }
    Some(items)
}

/// Padding up to a multiple of four, then the default, then pairs or a range.
fn switch<'a>(opcode: u8, at: u32, reader: &mut Reader<'a>, values: &mut Vec<Value<'a>>) -> Option<()> {
    reader.take(usize::try_from(3 - at % 4).ok()?)?;
    values.push(Value::Number(i64::from(reader.i32()?)));
    let (first, second) = (i64::from(reader.i32()?), if opcode == 170 { i64::from(reader.i32()?) } else { 0 });
    let count = if opcode == 170 {
        values.extend([Value::Number(first), Value::Number(second)]);
        second.checked_sub(first)?.checked_add(1)?
    } else {
        first.checked_mul(2)?
    };
    // Each takes four bytes, so memory is bounded by the input.
    for _ in 0..count {
        values.push(Value::Number(i64::from(reader.i32()?)));
    }
    (count >= 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(code: &[u8]) -> Option<Vec<&'static str>> {
        Some(instructions(code)?.iter().map(|item| item.label).collect())
    }

    #[test]
    fn instructions_are_read_to_their_ends() {
        let code = [0x2a, 0xb7, 0, 1, 0x12, 7, 0x84, 1, 0xff, 0xc4, 0x84, 0, 1, 0, 2, 0xb1];
        assert_eq!(names(&code), Some(vec!["aload_0", "invokespecial", "ldc", "iinc", "wide", "return"]));
        // lookupswitch at 1: two bytes of padding, default, one pair.
        let code = [0x03, 0xab, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 8, 0xb1];
        assert_eq!(names(&code), Some(vec!["iconst_0", "lookupswitch", "return"]));
        // tableswitch at 0: three bytes of padding, default, from 1 to 2, two targets.
        let code = [0xaa, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 6];
        assert_eq!(names(&code), Some(vec!["tableswitch"]));
        assert_eq!(NAMES[0xb1], "return");
        assert_eq!(NAMES[201], "jsr_w");
        for broken in [&[0xff][..], &[0x12], &[0xb7, 0], &[0xaa, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]] {
            assert_eq!(names(broken), None, "{broken:?}");
        }
        let endless = [&[0xab, 0, 0, 0][..], &[0; 4], &[0x7f, 0xff, 0xff, 0xff]].concat();
        assert_eq!(names(&endless), None);
    }
}
