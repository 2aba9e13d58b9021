//! Words as they are read, and senders against servers on real sockets.

mod http;
mod mail;
mod slack;
mod smtp;
mod svix;
mod webhooks;
mod words;
