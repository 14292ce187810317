//! Class files, as far as an explanation needs them
//! ([JVM specification, chapter 4](https://docs.oracle.com/javase/specs/jvms/se21/html/jvms-4.html)).
//!
//! Nothing here decides an outcome: class files of different bytes are different. What differs is told with every reference
//! into the constant pool replaced by what it names, so that a pool in another order is no difference of everything that
//! refers to it.

mod code;
mod decode;
mod diff;
mod names;
mod parse;

pub(crate) use diff::explain;
