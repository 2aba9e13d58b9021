//! The result, for people and for machines.

use std::time::Duration;

use costlens_benches::ratio::Ratio;
use serde_json::json;

use crate::load::{CONNECTIONS, Latencies};
use crate::runner::Options;
use crate::{Outcome, upstream};

/// The goal for CPU per request and for a stream's median, to the floor's.
const GOAL: Ratio = Ratio::hundredths(200);
/// What a stream takes where Nagle's algorithm waits for a delayed acknowledgement.
const STALL: Duration = Duration::from_millis(35);

/// What one relay cost.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) requests: u128,
    pub(crate) busy: Duration,
    pub(crate) cpu: Duration,
    /// What the relay's children (its private database) used meanwhile.
    pub(crate) children_cpu: Duration,
    pub(crate) rated: Latencies,
    pub(crate) streams: Latencies,
    pub(crate) resident_kib: u64,
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            requests: 0,
            busy: Duration::ZERO,
            cpu: Duration::ZERO,
            children_cpu: Duration::ZERO,
            rated: Latencies::default(),
            streams: Latencies::default(),
            resident_kib: 0,
        }
    }

    fn per_request(&self, cpu: Duration) -> u128 {
        cpu.as_nanos() / self.requests.max(1)
    }
}

/// Nanoseconds as microseconds with one digit.
fn micros(nanos: u128) -> String {
    format!("{}.{}", nanos / 1000, nanos % 1000 / 100)
}

/// Prints table and JSON line; whether every goal was met.
pub(crate) fn print(rows: &[Row], options: &Options) -> Outcome<bool> {
    let floor = rows.first().ok_or("nothing was measured")?;
    println!(
        "\nproxy, {CONNECTIONS} connections, {}-byte answer; {} rounds of {} s; fixed rate {}/s; streams of {} chunks\n",
        upstream::ANSWER_BYTES,
        options.rounds,
        options.seconds,
        options.rate,
        upstream::STREAM_CHUNKS,
    );
    println!(
        "{:<12} {:>9} {:>7} {:>9} {:>8} {:>9} {:>9} {:>10} {:>7} {:>7} {:>8}",
        "",
        "CPU µs",
        "ratio",
        "db CPU µs",
        "req/s",
        "p50 µs",
        "p99 µs",
        "stream µs",
        "ratio",
        "stalls",
        "RSS MiB"
    );
    let mut met = true;
    let mut machine = Vec::new();
    for row in rows {
        let cpu = row.per_request(row.cpu);
        let stream = row.streams.permille(500).as_nanos();
        let cpu_ratio = Ratio::of(cpu, floor.per_request(floor.cpu)).ok_or("the floor used no CPU")?;
        let stream_ratio =
            Ratio::of(stream, floor.streams.permille(500).as_nanos()).ok_or("the floor took no time")?;
        let stalls = row.streams.at_least(STALL);
        let per_second = row.requests * 1000 / row.busy.as_millis().max(1);
        println!(
            "{:<12} {:>9} {:>7} {:>9} {:>8} {:>9} {:>9} {:>10} {:>7} {:>7} {:>8}",
            row.name,
            micros(cpu),
            cpu_ratio,
            micros(row.per_request(row.children_cpu)),
            per_second,
            micros(row.rated.permille(500).as_nanos()),
            micros(row.rated.permille(990).as_nanos()),
            micros(stream),
            stream_ratio,
            format!("{}/{}", stalls, row.streams.count()),
            row.resident_kib / 1024,
        );
        met &= cpu_ratio <= GOAL && stream_ratio <= GOAL && row.streams.permille(500) < STALL;
        machine.push(json!({
            "relay": row.name,
            "cpu_ns_per_request": u64::try_from(cpu)?,
            "cpu_ratio": cpu_ratio.to_string(),
            "children_cpu_ns_per_request": u64::try_from(row.per_request(row.children_cpu))?,
            "requests_per_second": u64::try_from(per_second)?,
            "rated_p50_ns": u64::try_from(row.rated.permille(500).as_nanos())?,
            "rated_p99_ns": u64::try_from(row.rated.permille(990).as_nanos())?,
            "stream_p50_ns": u64::try_from(stream)?,
            "stream_ratio": stream_ratio.to_string(),
            "stream_stalls": stalls,
            "resident_kib": row.resident_kib,
        }));
    }
    println!(
        "\ngoals: CPU and stream median at most {GOAL} times the floor's, no stall of 40 ms: {}",
        if met { "met" } else { "MISSED" }
    );
    println!(
        "{}",
        json!({ "bench": "proxy", "rate": options.rate, "goal": GOAL.to_string(), "met": met, "rows": machine })
    );
    Ok(met)
}
