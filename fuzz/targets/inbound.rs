#![no_main]

#[path = "../src/inbound.rs"]
mod inbound;

#[path = "../src/vouched.rs"]
mod vouched;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    inbound::check(input);
    vouched::check(input);
});
