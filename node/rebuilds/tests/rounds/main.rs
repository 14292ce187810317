//! Rounds of four authorities from request to verdict: real workers, replicas and stores; builders, upstreams, peers and
//! the order of entries are scripted. No containers, no network, no consensus.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod fixture;
mod rounds;
