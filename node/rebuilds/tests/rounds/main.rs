//! Rounds of four authorities from request to verdict: real workers, replicas and stores; builders, upstreams, peers and
//! the order of entries are scripted. No containers, no network, no consensus.

mod fixture;
mod rounds;
