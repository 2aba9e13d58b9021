//! `bench-queue`: what a job costs, beside graphile-worker and apalis-postgres on the same PostgreSQL in the same run.
//!
//! Empty jobs, one handler each, a hundred at once, with tenants in turn; then how soon the job of a killed worker
//! starts again, and what a thousand tenants feel of a noisy one.

#![expect(clippy::print_stdout, reason = "a bench's result is what it prints")]
#![expect(clippy::print_stderr, reason = "progress, beside the result on standard output")]

mod crash;
mod drain;
mod fairness;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use costlens_benches::ratio::Ratio;
use costlens_queue::{Queue, QueueConfig};
use costlens_store::private::{PrivatePg, PrivatePgConfig};
use costlens_store::{Neighbour, RuntimeLogin};
use drain::Mode;

/// How many empty jobs a second are to be drained at least.
const LEAST_RATE: u128 = 5_000;

/// What part of the jobs is given to a way that does some hundred a second, so that the bench ends.
const SLOW: usize = 10;

/// Benches stop at the first thing that goes wrong, whatever it is.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "bench-queue — jobs per second, recovery and fairness of the queue

  bench-queue run [--graphile DIR] [--apalis FILE] [--jobs N] [--rounds N] [--check]
      --graphile DIR   the folder with graphile-worker and drain.mjs (left out without it)
      --apalis FILE    the program of benches/apalis (left out without it)
      --jobs N         empty jobs per round (default 20000)
      --rounds N       in which they take turns (default 3)
      --check          fail if a goal is missed
  bench-queue sleeper URL      a worker that takes one job and never ends it";

struct Options {
    graphile: Option<PathBuf>,
    apalis: Option<PathBuf>,
    jobs: usize,
    rounds: usize,
    check: bool,
}

impl Options {
    fn parse(args: &[&str]) -> Outcome<Self> {
        let mut options = Self { graphile: None, apalis: None, jobs: 20_000, rounds: 3, check: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match *arg {
                "--graphile" => options.graphile = Some(PathBuf::from(value()?)),
                "--apalis" => options.apalis = Some(PathBuf::from(value()?)),
                "--jobs" => options.jobs = value()?.parse()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--check" => options.check = true,
                other => return Err(format!("no such option: {other}\n\n{USAGE}").into()),
            }
        }
        Ok(options)
    }
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match args.as_slice() {
        ["run", rest @ ..] => runtime.block_on(run(Options::parse(rest)?)),
        ["sleeper", url] => runtime.block_on(crash::sleeper(url)),
        _ => {
            eprintln!("{USAGE}");
            Err("no such command".into())
        }
    }
}

async fn run(options: Options) -> Outcome<()> {
    let home = tempfile::TempDir::with_prefix("costlens-bench-")?;
    // Started as root, the database runs as somebody else, who has to get through.
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711))?;
    let pg = PrivatePg::start(PrivatePgConfig::new(home.path().join("pg"))).await?;
    let schema = Neighbour { migrations: costlens_queue::MIGRATIONS, grants: String::new() };
    costlens_store::migrate(&pg.url(), &RuntimeLogin::Unchanged, vec![schema]).await?;
    let queue = Queue::new(&QueueConfig::new(pg.url()))?;
    let measured = measure(&options, &queue, &pg.url()).await;
    pg.stop().await;
    if measured? || !options.check { Ok(()) } else { Err("a goal was missed".into()) }
}

/// Whether every goal was met.
async fn measure(options: &Options, queue: &Queue, url: &str) -> Outcome<bool> {
    let (mut ours, mut plain, mut batched) = (Vec::new(), Vec::new(), Vec::new());
    let (mut singly, mut tens) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        ours.push(drain::ours(queue, options.jobs).await?);
        if let Some(folder) = &options.graphile {
            plain.push(drain::graphile(folder, url, options.jobs, Mode::Plain).await?);
            batched.push(drain::graphile(folder, url, options.jobs, Mode::Batched).await?);
        }
        if let Some(program) = &options.apalis {
            singly.push(drain::apalis(program, url, options.jobs / SLOW, 1).await?);
            tens.push(drain::apalis(program, url, options.jobs, 10).await?);
        }
    }
    let per_second = |jobs: usize, took: Duration| jobs as u128 * 1000 / took.as_millis().max(1);
    let rate = |took: Duration| per_second(options.jobs, took);
    println!("\nqueue, {} empty jobs, {} at once, one handler each", options.jobs, drain::CONCURRENCY);
    let ours = median(&mut ours);
    let mut met = rate(ours) >= LEAST_RATE;
    println!(
        "  costlens-queue, {} tenants in turn     {:>7} jobs/s (goal {LEAST_RATE}): {}",
        drain::TENANTS,
        rate(ours),
        word(met)
    );
    if !plain.is_empty() {
        let (plain, batched) = (median(&mut plain), median(&mut batched));
        println!("  graphile-worker, plain mode           {:>7} jobs/s", rate(plain));
        println!("  graphile-worker, batched mode         {:>7} jobs/s", rate(batched));
        let ratio = Ratio::of(ours.as_micros(), plain.as_micros()).ok_or("no time passed")?;
        let good = ratio <= Ratio::hundredths(50);
        println!("  time per job: {ratio} of graphile-worker's plain mode (goal 0.50): {}", word(good));
        met &= good;
        // A measure, and no goal.
        let ratio = Ratio::of(ours.as_micros(), batched.as_micros()).ok_or("no time passed")?;
        println!("  time per job: {ratio} of its batched mode's");
    }
    // Measures, and no goals.
    if !tens.is_empty() {
        let (singly, tens) = (median(&mut singly), median(&mut tens));
        let singly = per_second(options.jobs / SLOW, singly);
        println!("  apalis-postgres, claiming one         {singly:>7} jobs/s");
        println!("  apalis-postgres, claiming ten         {:>7} jobs/s", rate(tens));
    }
    let again = crash::restart(queue, url).await?;
    let good = again <= Duration::from_secs(5);
    println!(
        "  a killed worker's job starts again after {} ms (goal 5000): {}",
        again.as_millis(),
        word(good)
    );
    met &= good;
    let (alone, noisy) = fairness::waits(queue).await?;
    let ratio = Ratio::of(noisy.as_micros(), alone.as_micros()).ok_or("no time passed")?;
    let good = ratio < Ratio::hundredths(200);
    println!(
        "  median wait of 1000 tenants: {} ms alone, {} ms beside a noisy one, {ratio} times (goal below 2.00): {}",
        alone.as_millis(),
        noisy.as_millis(),
        word(good)
    );
    Ok(met && good)
}

fn word(good: bool) -> &'static str {
    if good { "met" } else { "MISSED" }
}

fn median(samples: &mut [Duration]) -> Duration {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}
