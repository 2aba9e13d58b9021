//! Starts the parts, lets the relays take turns under the same load, and adds up what each cost.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use costlens_benches::process;

use crate::load::{self, Target};
use crate::report::{self, Row};
use crate::{Outcome, child, product, upstream};

/// How long after a load the deferred work (the spool's shipping) still counts.
const SETTLE: Duration = Duration::from_secs(2);

/// How often in a round the relays take turns with streams, and how many each carries then.
const STREAM_TURNS: usize = 10;
const STREAMS_PER_TURN: usize = 20;

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) costlens: Option<PathBuf>,
    pub(crate) running: Option<String>,
    pub(crate) seconds: u64,
    pub(crate) rate: u32,
    pub(crate) rounds: u32,
    pub(crate) check: bool,
}

impl Options {
    pub(crate) fn parse(args: &[&str]) -> Outcome<Self> {
        let beside = std::env::current_exe()?.with_file_name("costlens");
        let mut options =
            Self { costlens: Some(beside), running: None, seconds: 2, rate: 1000, rounds: 5, check: false };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            if *name == "--check" {
                options.check = true;
                continue;
            }
            let value = *args.next().ok_or_else(|| format!("{name} wants a value"))?;
            match *name {
                "--costlens" => options.costlens = (value != "none").then(|| PathBuf::from(value)),
                "--proxy" => options.running = Some(value.to_owned()),
                "--seconds" => options.seconds = value.parse()?,
                "--rate" => options.rate = value.parse()?,
                "--rounds" => options.rounds = value.parse()?,
                _ => return Err(format!("{name} is not an option").into()),
            }
        }
        Ok(options)
    }
}

/// Runs it all and prints the result.
pub(crate) async fn run(options: &Options) -> Outcome<()> {
    let upstream = child::start(&["upstream"]).await?;
    let at = upstream.address.to_string();
    let floor = child::start(&["floor", &at]).await?;
    let edge = child::start(&["edge", &at]).await?;
    let bare = |name, part: &child::Part| Target {
        name,
        address: part.address,
        key: "none".to_owned(),
        model: "gpt-4o-mini".to_owned(),
        pid: part.pid,
    };
    let mut targets = vec![bare("floor", &floor), bare("edge+egress", &edge)];
    let mut started = None;
    if let Some(running) = &options.running {
        targets.push(product::running(running)?);
    } else if let Some(binary) = &options.costlens {
        let product = product::start(binary, upstream.address).await?;
        targets.push(product.target.clone());
        started = Some(product);
    }

    let mut expected: Option<(Bytes, Bytes)> = None;
    for target in &targets {
        let answers = load::sample(target).await?;
        assert_same(target, &answers, expected.get_or_insert_with(|| answers.clone()))?;
        eprintln!("warming up {}", target.name);
        load::closed_loop(target, Duration::from_secs(1)).await?;
        load::streams(target, 50).await?;
    }
    tokio::time::sleep(SETTLE).await;

    let mut rows: Vec<Row> = targets.iter().map(|target| Row::new(target.name)).collect();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for (target, row) in targets.iter().zip(&mut rows) {
            measure(target, row, options).await?;
        }
        // In small turns: a stream takes a millisecond, and what else the machine does changes by the second.
        for _ in 0..STREAM_TURNS {
            for (target, row) in targets.iter().zip(&mut rows) {
                row.streams.add(load::streams(target, STREAMS_PER_TURN).await?);
            }
        }
    }
    for (target, row) in targets.iter().zip(&mut rows) {
        row.resident_kib = process::resident_kib(target.pid)?;
    }
    if let Some(product) = started {
        product.stop().await?;
    }
    let met = report::print(&rows, options)?;
    if options.check && !met { Err("a goal was missed".into()) } else { Ok(()) }
}

/// The relay must not have bought its speed with another answer.
fn assert_same(target: &Target, got: &(Bytes, Bytes), expected: &(Bytes, Bytes)) -> Outcome<()> {
    if got.0.len() != upstream::ANSWER_BYTES || got != expected {
        let (plain, streamed) = got;
        return Err(format!(
            "{} answers with other bytes than the floor ({} plain, {} streamed)",
            target.name,
            plain.len(),
            streamed.len()
        )
        .into());
    }
    Ok(())
}

async fn measure(target: &Target, row: &mut Row, options: &Options) -> Outcome<()> {
    let time = Duration::from_secs(options.seconds);
    let (own, others) = (process::cpu_time(target.pid)?, process::descendants_cpu_time(target.pid));
    let begun = Instant::now();
    let closed = load::closed_loop(target, time).await?;
    row.busy += begun.elapsed();
    tokio::time::sleep(SETTLE).await;
    row.requests += u128::try_from(closed.count())?;
    row.cpu += process::cpu_time(target.pid)?.saturating_sub(own);
    row.children_cpu += process::descendants_cpu_time(target.pid).saturating_sub(others);
    // The round with the better tail counts: whatever else ran on the machine only ever adds.
    let rated = load::fixed_rate(target, options.rate, time).await?;
    if row.rated.count() == 0 || rated.permille(990) < row.rated.permille(990) {
        row.rated = rated;
    }
    Ok(())
}
