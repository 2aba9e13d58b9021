//! Parquet reports as a table, and where such a file is broken.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::object_store::ObjectMeta;
use datafusion::object_store::path::Path as StorePath;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::physical_plan::ExecutionPlan;

use crate::BillError;
use crate::lines::Wanted;

/// One Parquet file.
#[derive(Clone, Debug)]
pub(crate) struct ParquetFile {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
}

/// Parquet files with the same columns, as one table of the wanted ones.
pub(crate) struct ParquetTable {
    files: Vec<PartitionedFile>,
    schema: SchemaRef,
}

impl ParquetTable {
    pub(crate) fn new(files: &[ParquetFile], schema: &Schema, wanted: &[Wanted]) -> Result<Self, BillError> {
        let mut fields: Vec<Field> = Vec::new();
        for column in wanted {
            if let Ok(field) = schema.field_with_name(&column.found.name)
                && !fields.iter().any(|known| known.name() == field.name())
            {
                let data_type = readable(field.data_type());
                fields.push(field.clone().with_data_type(data_type).with_nullable(true));
            }
        }
        let files = files.iter().map(partitioned).collect::<Result<_, BillError>>()?;
        Ok(Self { files, schema: Arc::new(Schema::new(fields)) })
    }
}

/// Text is grouped fastest as views; everything else is taken as it is.
fn readable(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Dictionary(_, value) if matches!(**value, DataType::Utf8 | DataType::LargeUtf8) => {
            DataType::Utf8View
        }
        other => other.clone(),
    }
}

fn partitioned(file: &ParquetFile) -> Result<PartitionedFile, BillError> {
    // The store knows no `..`.
    let absolute = std::fs::canonicalize(&file.path)
        .map_err(|source| BillError::Open { path: file.path.clone(), source })?;
    let location = StorePath::from_absolute_path(&absolute)
        .map_err(|error| BillError::Engine { message: error.to_string() })?;
    Ok(PartitionedFile::from(ObjectMeta {
        location,
        last_modified: DateTime::UNIX_EPOCH,
        size: file.size_bytes,
        e_tag: None,
        version: None,
    }))
}

impl fmt::Debug for ParquetTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetTable").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut options = TableParquetOptions::default();
        // Filters first: of the lines that are surely no AI only two columns are ever unpacked.
        options.global.pushdown_filters = true;
        let source = ParquetSource::new(Arc::clone(&self.schema)).with_table_parquet_options(options);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(vec![FileGroup::new(self.files.clone())])
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Looks for the file and the row group that cannot be read, after the engine failed on one of them.
pub(crate) fn find_corruption(files: &[ParquetFile], wanted: &[Wanted]) -> Option<BillError> {
    files.iter().find_map(|file| corruption_in(file, wanted))
}

fn corruption_in(file: &ParquetFile, wanted: &[Wanted]) -> Option<BillError> {
    let corrupt =
        |place: String, reason: String| Some(BillError::Corrupt { file: file.name.clone(), place, reason });
    let open = || -> Result<_, DataFusionError> {
        Ok(ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path)?)?)
    };
    let groups = match open() {
        Ok(reader) => reader.metadata().num_row_groups(),
        Err(error) => return corrupt("in its footer".to_owned(), error.to_string()),
    };
    for group in 0..groups {
        let reader = match open() {
            Ok(reader) => reader,
            Err(error) => return corrupt("in its footer".to_owned(), error.to_string()),
        };
        let names = wanted.iter().map(|column| column.found.name.as_str());
        let mask = ProjectionMask::columns(reader.parquet_schema(), names);
        let batches = reader.with_row_groups(vec![group]).with_projection(mask).build();
        let place = || format!("in row group {} of {groups}", group + 1);
        match batches {
            Err(error) => return corrupt(place(), error.to_string()),
            Ok(batches) => {
                for batch in batches {
                    if let Err(error) = batch {
                        return corrupt(place(), error.to_string());
                    }
                }
            }
        }
    }
    None
}
