//! The real router, in-process, and the real server over a socket.

mod api;
mod hosted;
mod maven;
mod openapi;
mod pages;
mod socket;
