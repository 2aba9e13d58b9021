//! Where the spool's shipper delivers: the store's writer door.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use costlens_domain::request::RequestFact;
use costlens_domain::{ApiKeyId, TenantId};
use costlens_store::Store;

use crate::spool::{FactSink, SinkError};

/// Ships facts into PostgreSQL.
#[derive(Clone, Debug)]
pub struct StoreSink(pub Store);

impl StoreSink {
    /// Tells the keys when they were last used. It is for people to look at: a failure loses nothing.
    async fn touch_keys(&self, facts: &[RequestFact]) {
        let mut latest: HashMap<(TenantId, ApiKeyId), DateTime<Utc>> = HashMap::new();
        for fact in facts {
            let at = latest.entry((fact.tenant_id, fact.api_key_id)).or_insert(fact.started_at);
            *at = fact.started_at.max(*at);
        }
        let used: Vec<_> = latest.into_iter().map(|((tenant, key), at)| (tenant, key, at)).collect();
        let touched = match self.0.system().await {
            Ok(mut conn) => conn.touch_keys(&used).await,
            Err(error) => Err(error),
        };
        if let Err(error) = touched {
            tracing::debug!(%error, "keys were not told of their use");
        }
    }
}

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
            Ok(_) => {
                self.touch_keys(facts).await;
                Ok(())
            }
            Err(error) => {
                // The store answers for single rows by `refused`. An error of the whole is the database's or ours: the
                // rows wait in the spool until it is mended.
                if !error.is_unavailable() {
                    tracing::error!(error = &error as &dyn std::error::Error, "the ledger takes no rows");
                }
                Err(SinkError::Retry(Box::new(error)))
            }
        }
    }
}
