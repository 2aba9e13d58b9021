//! The guard judged row by row, and the wire judged by who was dialled.

mod addresses;
mod dns;
mod rig;
mod txt;
mod urls;
mod wire;
