//! Reads the `.buildspec` files of [Reproducible Central](https://github.com/jvm-repo-rebuild/reproducible-central) as
//! data.
//!
//! Such a file says how a published release is built again: coordinates, source, tool, JDK, and a command
//! ([format](https://github.com/jvm-repo-rebuild/reproducible-central/blob/master/doc/BUILDSPEC.md)). There it is a
//! script that a shell reads; here it is a list of assignments. [`Buildspec::parse`] knows quoting, variables, the usual
//! parameter expansions and the few pipelines by which a tag is made of a version (`echo`, `sed`, `tr`, `cut`), computes
//! them itself, and refuses everything else by name and line. [`Line`] reads a command line as far as is needed to know
//! what it runs.
//!
//! Invariants:
//! - nothing is ever executed, opened or asked for: no process, no file, no variable of the environment;
//! - no text panics, and work and memory are bounded whatever a text says ([`RefusalKind::TooMuch`]);
//! - what is not understood is a [`Refusal`] with its line, never a guess;
//! - what is printed and read again is the same.
//!
//! What is not here: how a specification is run or hashed (`builders/spec`, `builders/java`), finding one for a release.
//! Not a shell: no conditions, loops, functions or arrays.

mod expand;
mod fields;
mod filters;
mod pattern;
mod print;
mod reader;
mod refusal;
mod shell;
mod work;

pub use fields::{Buildspec, CommandPrefix, Jdk, LineEnds, Origin, Revision, Tool};
pub use refusal::{Refusal, RefusalKind};
pub use shell::{Line, LineError, SimpleCommand, Word, tool_name};
