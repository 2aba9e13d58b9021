//! Where the spool's shipper delivers: the store's writer door.

use costlens_domain::request::RequestFact;
use costlens_store::{Store, StoreError};

use crate::spool::{FactSink, SinkError};

/// Ships facts into PostgreSQL.
#[derive(Clone, Debug)]
pub struct StoreSink(pub Store);

#[async_trait::async_trait]
impl FactSink for StoreSink {
    async fn insert(&self, facts: &[RequestFact]) -> Result<(), SinkError> {
        let shipped = match self.0.writer().await {
            Ok(mut writer) => writer.insert_facts(facts).await,
            Err(error) => Err(error),
        };
        match shipped {
            // The good rows are in by now; told of the bad ones, the shipper parts them by halves, and a row that
            // comes twice changes nothing.
            Ok(shipped) if !shipped.refused.is_empty() => {
                Err(SinkError::Poison(format!("rows that the ledger refuses: {:?}", shipped.refused).into()))
            }
            Ok(_) => Ok(()),
            Err(error @ (StoreError::Conflict { .. } | StoreError::Bug(_))) => {
                Err(SinkError::Poison(Box::new(error)))
            }
            Err(error) => Err(SinkError::Retry(Box::new(error))),
        }
    }
}
