//! Labels of API keys: whose a key is, in its tenant's own words. `team` and `user` are the names that reports know; any
//! other name is a tag.

use costlens_domain::ApiKeyId;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::mend;
use crate::schema::api_key_label;
use crate::{StoreError, TenantConn};

/// The longest value that is kept.
const LONGEST_VALUE: usize = 800;

/// One label of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLabel {
    /// The key.
    pub api_key_id: ApiKeyId,
    /// The label's name: `team`, `user`, or a tag's.
    pub name: String,
    /// What it says.
    pub value: String,
}

impl TenantConn {
    /// The labels of one key, by name; of all keys where none is named, at most so many.
    pub async fn key_labels(
        &mut self,
        key: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<KeyLabel>, StoreError> {
        let mut query = api_key_label::table
            .filter(api_key_label::tenant_id.eq(self.tenant_id().uuid()))
            .order((api_key_label::api_key_id, api_key_label::name))
            .limit(i64::from(limit))
            .select((api_key_label::api_key_id, api_key_label::name, api_key_label::value))
            .into_boxed();
        if let Some(key) = key {
            query = query.filter(api_key_label::api_key_id.eq(key.uuid()));
        }
        let rows: Vec<(Uuid, String, String)> = query.load(self.conn()?).await?;
        let label =
            |(key, name, value): (Uuid, String, String)| KeyLabel { api_key_id: key.into(), name, value };
        Ok(rows.into_iter().map(label).collect())
    }

    /// The names that labels of the tenant's keys have, in alphabetical order, at most so many.
    pub async fn label_names(&mut self, limit: u32) -> Result<Vec<String>, StoreError> {
        let names = api_key_label::table
            .filter(api_key_label::tenant_id.eq(self.tenant_id().uuid()))
            .order(api_key_label::name)
            .limit(i64::from(limit))
            .select(api_key_label::name)
            .distinct()
            .load(self.conn()?)
            .await?;
        Ok(names)
    }

    /// Puts labels in the place of all that a key has. The caller has locked the key.
    pub async fn replace_key_labels(
        &mut self,
        key: ApiKeyId,
        labels: &[(&str, &str)],
    ) -> Result<(), StoreError> {
        let tenant_id = self.tenant_id().uuid();
        diesel::delete(api_key_label::table)
            .filter(api_key_label::tenant_id.eq(tenant_id))
            .filter(api_key_label::api_key_id.eq(key.uuid()))
            .execute(self.conn()?)
            .await?;
        let rows: Vec<_> = labels
            .iter()
            .map(|&(name, value)| {
                (
                    api_key_label::tenant_id.eq(tenant_id),
                    api_key_label::api_key_id.eq(key.uuid()),
                    api_key_label::name.eq(name.to_owned()),
                    api_key_label::value.eq(mend(value, LONGEST_VALUE)),
                )
            })
            .collect();
        if !rows.is_empty() {
            diesel::insert_into(api_key_label::table).values(rows).execute(self.conn()?).await?;
        }
        Ok(())
    }
}
