//! `bench-proxy`: what a proxied call costs, against the least that could relay it.
//!
//! One binary plays every part, each in a process of its own so that the kernel can count it apart: `upstream` is
//! the provider, `floor` a bare hyper-to-hyper relay, `edge` the same relay over this product's accept loop and
//! guarded client, and `run` starts them and `costlens`, drives the load and prints the ratios.

#![expect(clippy::print_stdout, reason = "a bench's result is what it prints")]
#![expect(clippy::print_stderr, reason = "progress, beside the result on standard output")]

mod child;
mod edge_relay;
mod floor;
mod load;
mod product;
mod report;
mod runner;
mod upstream;

/// Benches stop at the first thing that goes wrong, whatever it is.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str =
    "bench-proxy — CPU per request, latency and streams of the proxy, as ratios to a bare relay

  bench-proxy run [--costlens PATH] [--seconds N] [--rate N] [--rounds N] [--check]
      --costlens PATH   the binary to measure (default: beside this one); `none` for the relays alone
      --proxy URL,KEY,PID[,MODEL]   measure a proxy that runs already, instead of starting one
      --seconds N       of load per round (default 2)
      --rate N          requests per second of the fixed-rate part (default 1000)
      --rounds N        in which the relays take turns (default 5)
      --check           fail if a goal is missed
  bench-proxy upstream | floor ADDR | edge ADDR      the parts, each printing the address it listens on";

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["run", rest @ ..] => runtime(2)?.block_on(runner::run(&runner::Options::parse(rest)?)),
        ["upstream"] => runtime(1)?.block_on(upstream::serve()),
        ["floor", upstream] => runtime(2)?.block_on(floor::serve(upstream)),
        ["edge", upstream] => runtime(2)?.block_on(edge_relay::serve(upstream)),
        _ => {
            eprintln!("{USAGE}");
            Err("no such command".into())
        }
    }
}

fn runtime(threads: usize) -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?)
}
