//! The rules of the ledger through its public interface: whole rounds, governance, receipts, vectors.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod bytes;
mod governance;
mod harness;
mod orders;
mod receipts;
mod requests;
mod rounds;
mod vectors;
