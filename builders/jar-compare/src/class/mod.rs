//! Class files, as far as an explanation needs them
//! ([JVM specification, chapter 4](https://docs.oracle.com/javase/specs/jvms/se17/html/jvms-4.html)).
//!
//! Nothing here decides an outcome: class files of different bytes are different.

mod diff;
mod parse;

pub(crate) use diff::explain;
