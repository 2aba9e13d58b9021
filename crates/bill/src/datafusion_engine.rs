//! DataFusion behind [`RollupEngine`]: files as tables, the view `lines`, bounded memory, errors with a place.

mod cells;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures_util::StreamExt;
use tokio::sync::OnceCell;

use crate::csv_table::{CsvFile, CsvLines, CsvTable};
use crate::engine::{OnRow, RollupEngine, Step};
use crate::lines::Wanted;
use crate::parquet_table::{ParquetFile, ParquetTable, find_corruption};
use crate::source::{Encoding, SourceFile, Sources};
use crate::views::{Typing, select};
use crate::{BillError, ReadOptions};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// The engine over one bill.
pub(crate) struct DataFusionEngine {
    context: SessionContext,
    /// The SELECT of every table, to be joined into the view `lines`.
    selects: Vec<String>,
    view: OnceCell<()>,
    parquet: Vec<(Vec<ParquetFile>, Vec<Wanted>)>,
    /// How many lines there are.
    lines: u64,
    csv_lines: Arc<AtomicU64>,
    memory_bytes: usize,
}

impl DataFusionEngine {
    /// `lines` is how many lines the files have, for telling how far a query is.
    pub(crate) fn open(sources: &Sources, options: &ReadOptions, lines: u64) -> Result<Self, BillError> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_bytes)))
            .build_arc()
            .map_err(|error| plain(&error))?;
        let config = SessionConfig::new()
            .with_target_partitions(options.partitions.max(1))
            .with_information_schema(false)
            .with_batch_size(8192)
            // Where grouping hardly shrinks the lines, doing it twice costs memory and time for nothing.
            .set_str("datafusion.execution.skip_partial_aggregation_probe_ratio_threshold", "0.2");
        let mut engine = Self {
            context: SessionContext::new_with_config_rt(config, runtime),
            selects: Vec::new(),
            view: OnceCell::new(),
            parquet: Vec::new(),
            lines,
            csv_lines: Arc::default(),
            memory_bytes: options.memory_bytes,
        };
        for group in alike(&sources.files) {
            engine.add(&group, options)?;
        }
        Ok(engine)
    }

    /// Registers files with the same columns as one table.
    fn add(&mut self, group: &[&SourceFile], options: &ReadOptions) -> Result<(), BillError> {
        let Some(first) = group.first() else { return Ok(()) };
        let table = format!("files_{}", self.selects.len());
        let (sql, provider): (String, Arc<dyn TableProvider>) = match &first.encoding {
            Encoding::Csv { .. } | Encoding::JsonLines { .. } => {
                let (sql, wanted) = select(first.format, &first.columns, Typing::Exact, &table);
                let width = CsvFile::of(first).map_or(0, |(_, width)| width);
                let files = group.iter().filter_map(|file| CsvFile::of(file)).map(|(file, _)| file).collect();
                let lines = Arc::clone(&self.csv_lines);
                (sql, Arc::new(CsvTable::new(files, CsvLines::new(width, wanted), options.partitions, lines)))
            }
            Encoding::Parquet { schema, .. } => {
                let (sql, wanted) = select(first.format, &first.columns, Typing::AsFound, &table);
                let files: Vec<ParquetFile> = group.iter().map(|file| parquet_file(file)).collect();
                let provider = ParquetTable::new(&files, schema, &wanted)?;
                self.parquet.push((files, wanted));
                (sql, Arc::new(provider))
            }
        };
        self.context.register_table(&table, provider).map_err(|error| plain(&error))?;
        self.selects.push(sql);
        Ok(())
    }

    /// Makes the view on first use.
    async fn view(&self) -> Result<(), BillError> {
        self.view
            .get_or_try_init(|| async {
                let sql = self.selects.join(" UNION ALL ");
                let lines = self.context.sql(&sql).await.map_err(|error| plain(&error))?;
                self.context.register_table("lines", lines.into_view()).map_err(|error| plain(&error))?;
                Ok(())
            })
            .await
            .copied()
    }

    async fn run(&self, sql: &str, step: Step<'_>, on_row: &mut OnRow<'_>) -> Result<(), Failure> {
        let query = self.context.sql(sql).await?;
        let plan = query.create_physical_plan().await?;
        let mut batches = execute_stream(Arc::clone(&plan), self.context.task_ctx())?;
        self.csv_lines.store(0, Ordering::Relaxed);
        let mut tick = tokio::time::interval(TICK);
        let mut reader = cells::RowReader::default();
        loop {
            tokio::select! {
                batch = batches.next() => match batch {
                    Some(batch) => reader.read(&batch?, on_row)?,
                    None => break,
                },
                _ = tick.tick() => {
                    step.tell(scanned(&plan).max(self.csv_lines.load(Ordering::Relaxed)), self.lines);
                }
            }
        }
        step.tell(self.lines, self.lines);
        Ok(())
    }

    fn explain(&self, failure: Failure) -> BillError {
        let error = match failure {
            Failure::Bill(error) => return error,
            Failure::Engine(error) => error,
        };
        if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) {
            return BillError::Memory { memory_bytes: self.memory_bytes };
        }
        if let Some(error) = bill_error(&error) {
            return error;
        }
        self.parquet
            .iter()
            .find_map(|(files, wanted)| find_corruption(files, wanted))
            .unwrap_or_else(|| plain(&error))
    }
}

#[async_trait]
impl RollupEngine for DataFusionEngine {
    async fn query(&self, sql: &str, step: Step<'_>, on_row: &mut OnRow<'_>) -> Result<(), BillError> {
        self.view().await?;
        self.run(sql, step, on_row).await.map_err(|failure| self.explain(failure))
    }
}

/// Files in groups with the same columns and encoding.
fn alike(files: &[SourceFile]) -> Vec<Vec<&SourceFile>> {
    let mut groups: Vec<Vec<&SourceFile>> = Vec::new();
    for file in files {
        let same = |other: &SourceFile| {
            other.columns == file.columns
                && match (&other.encoding, &file.encoding) {
                    (Encoding::Csv { width: a, .. }, Encoding::Csv { width: b, .. }) => a == b,
                    (Encoding::JsonLines { .. }, Encoding::JsonLines { .. }) => true,
                    (Encoding::Parquet { schema: a, .. }, Encoding::Parquet { schema: b, .. }) => {
                        a.fields() == b.fields()
                    }
                    _ => false,
                }
        };
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| same(first))) {
            Some(group) => group.push(file),
            None => groups.push(vec![file]),
        }
    }
    groups
}

fn parquet_file(file: &SourceFile) -> ParquetFile {
    ParquetFile { path: file.path.clone(), name: file.name.clone(), size_bytes: file.size_bytes }
}

/// How many lines the scans below this plan have seen, filtered or not.
fn scanned(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let children = plan.children();
    if !children.is_empty() {
        return children.into_iter().map(scanned).sum();
    }
    let Some(metrics) = plan.metrics() else { return 0 };
    metrics
        .iter()
        .map(|metric| match metric.value() {
            MetricValue::OutputRows(count) => u64::try_from(count.value()).unwrap_or(0),
            MetricValue::Count { name, count } if name == "pushdown_rows_pruned" => {
                u64::try_from(count.value()).unwrap_or(0)
            }
            _ => 0,
        })
        .sum()
}

/// Whose failure it was.
enum Failure {
    Engine(DataFusionError),
    Bill(BillError),
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(error)
    }
}

impl From<BillError> for Failure {
    fn from(error: BillError) -> Self {
        Self::Bill(error)
    }
}

/// An error of our own CSV reader, carried through the engine.
fn bill_error(error: &DataFusionError) -> Option<BillError> {
    let mut error: &(dyn Error + 'static) = error;
    loop {
        if let Some(own) = error.downcast_ref::<BillError>() {
            return Some(copy(own));
        }
        error = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => inner.as_ref(),
            Some(DataFusionError::Context(_, inner)) => inner.as_ref(),
            Some(DataFusionError::Shared(inner)) => inner.as_ref(),
            Some(DataFusionError::Collection(all)) => all.first()?,
            _ => error.source()?,
        };
    }
}

/// The errors that a CSV reader can make; the engine shares them, so they cannot be taken out.
fn copy(error: &BillError) -> BillError {
    match error {
        BillError::Corrupt { file, place, reason } => {
            BillError::Corrupt { file: file.clone(), place: place.clone(), reason: reason.clone() }
        }
        BillError::OutOfRange { what } => BillError::OutOfRange { what },
        BillError::Open { path, source } => BillError::Open {
            path: path.clone(),
            source: std::io::Error::new(source.kind(), source.to_string()),
        },
        other => BillError::Engine { message: other.to_string() },
    }
}

fn plain(error: &DataFusionError) -> BillError {
    BillError::Engine { message: error.strip_backtrace() }
}
