//! The edge from outside: raw bytes over real sockets, because what it guards against is not well-formed.

mod addresses;
mod answers;
mod bodies;
mod connections;
mod http2;
mod rig;
mod taking;
