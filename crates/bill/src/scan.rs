//! One pass over the files: threads that take row groups and CSV files from one list, each adding up for itself.

mod csv;
mod parquet;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::engine::Step;
use crate::rollup::Rollup;
use crate::source::{Encoding, SourceFile, Sources};
use crate::{BillError, ReadOptions};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// The part of what a query may hold that the resources of all threads together may. A query comes after them.
const RESOURCES_PART: usize = 2;

/// Adds up every line of the bill.
pub(crate) async fn scan(
    sources: &Sources,
    options: &ReadOptions,
    step: Step<'_>,
) -> Result<Rollup, BillError> {
    let work = Arc::new(Work::new(sources.files.clone(), options));
    let _stop = StopOnDrop(Arc::clone(&work));
    let mut threads = JoinSet::new();
    for _ in 0..work.threads {
        let work = Arc::clone(&work);
        threads.spawn_blocking(move || work.run());
    }
    let whole = sources.size_bytes().max(1);
    let mut tick = tokio::time::interval(TICK);
    let mut rollup: Option<Rollup> = None;
    loop {
        tokio::select! {
            ended = threads.join_next() => match ended {
                Some(Ok(part)) => match &mut rollup {
                    Some(rollup) => rollup.absorb(&part?)?,
                    None => rollup = Some(part?),
                },
                Some(Err(error)) => return Err(BillError::Engine { message: error.to_string() }),
                None => break,
            },
            _ = tick.tick() => step.tell(work.done_bytes.load(Ordering::Relaxed), whole),
        }
    }
    step.tell(whole, whole);
    Ok(rollup.unwrap_or_default())
}

/// What the threads share.
struct Work {
    files: Vec<SourceFile>,
    units: Vec<Unit>,
    threads: usize,
    next: AtomicUsize,
    done_bytes: AtomicU64,
    stopped: AtomicBool,
    /// How many bytes the resources may take in each thread; `None` where nobody asked for them.
    resources_bytes: Option<usize>,
}

/// What one thread reads at a time.
#[derive(Clone, Copy, Debug)]
struct Unit {
    /// The place of the file.
    file: usize,
    /// The row group; `None` for a CSV file, which is read as a whole.
    row_group: Option<usize>,
}

impl Work {
    fn new(files: Vec<SourceFile>, options: &ReadOptions) -> Self {
        let units = files.iter().enumerate().flat_map(|(file, source)| {
            let groups: Vec<Option<usize>> = match source.encoding {
                Encoding::Csv { .. } | Encoding::JsonLines { .. } => vec![None],
                Encoding::Parquet { row_groups, .. } => (0..row_groups).map(Some).collect(),
            };
            groups.into_iter().map(move |row_group| Unit { file, row_group })
        });
        let units: Vec<Unit> = units.collect();
        let threads = options.partitions.clamp(1, units.len().max(1));
        Self {
            units,
            threads,
            files,
            next: AtomicUsize::new(0),
            done_bytes: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            resources_bytes: (options.top_resources > 0)
                .then_some(options.memory_bytes / RESOURCES_PART / threads),
        }
    }

    fn rollup(&self) -> Rollup {
        self.resources_bytes.map_or_else(Rollup::default, Rollup::with_resources)
    }

    fn run(&self) -> Result<Rollup, BillError> {
        let mut rollup = self.rollup();
        let mut open: Option<(usize, parquet::Open)> = None;
        while let Some(unit) = self.units.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let Some(file) = self.files.get(unit.file).filter(|_| !self.is_stopped()) else { break };
            let Some(group) = unit.row_group else {
                csv::read(file, &mut rollup, self)?;
                continue;
            };
            let mut opened = match open.take() {
                Some((at, opened)) if at == unit.file => opened,
                _ => parquet::Open::new(file)?,
            };
            // The reader's own code may stumble over bytes that make no sense.
            catch_unwind(AssertUnwindSafe(|| opened.read(group, &mut rollup)))
                .unwrap_or_else(|_| Err(opened.corrupt(group, "its bytes make no sense".to_owned())))?;
            self.done_bytes.fetch_add(opened.bytes_per_group(), Ordering::Relaxed);
            open = Some((unit.file, opened));
        }
        Ok(rollup)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Whoever waits for the sum is gone, or one thread failed: the others need not go on.
struct StopOnDrop(Arc<Work>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}
