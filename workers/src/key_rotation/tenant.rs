//! One tenant's rotation. Every step is a transaction of its own and may be repeated: a killed rotation goes on where
//! it was, and two at once do each other's work.

use costlens_jobs::RotateTenantKey;
use costlens_queue::{ErrorClass, JobContext, JobError};
use costlens_store::{DataKey, Destroy, SEALED_COLUMNS, SealedColumn, SealedText, TenantConn};
use costlens_vault::{SealError, SealedFor, TenantKeys};
use serde::Serialize;

use super::{KEEP_UNUSED, is_past};
use crate::{WorkerParts, sealing, store_failure};

/// How many texts are sealed anew in one transaction.
const CHUNK: u32 = 100;
/// How often all columns are gone through for texts that somebody sealed meanwhile under a key just superseded.
const PASSES: u32 = 5;

/// What was done, for those who watch the job.
#[derive(Debug, Default, Serialize)]
struct Progress {
    keys_made: u32,
    keys_rewrapped: u32,
    texts_sealed: u64,
    texts_not_opened: u64,
    keys_destroyed: usize,
}

pub(crate) async fn rotate_tenant_key(
    job: RotateTenantKey,
    context: JobContext,
    parts: WorkerParts,
) -> Result<(), JobError> {
    let mut rotation = Rotation { job: &job, context: &context, parts: &parts, done: Progress::default() };
    let Some(newest) = rotation.prepare_keys().await? else { return Ok(()) };
    let mut left = true;
    for _ in 0..PASSES {
        rotation.done.texts_not_opened = 0;
        for column in SEALED_COLUMNS {
            rotation.seal_anew(column, newest.version).await?;
        }
        let mut tx = rotation.begin().await?;
        left = tx.is_sealed_before(newest.version).await.map_err(store_failure)?;
        if !left || rotation.done.texts_not_opened > 0 {
            break;
        }
    }
    rotation.tell().await?;
    if rotation.done.texts_not_opened > 0 {
        let what = format!("{} sealed texts do not open; their keys stay", rotation.done.texts_not_opened);
        return Err(JobError::give_up(ErrorClass::Bug, "not_opened", what));
    }
    if left {
        return Err(JobError::retry("texts are still being sealed under a superseded key"));
    }
    rotation.destroy_unused(&newest).await?;
    rotation.tell().await
}

struct Rotation<'a> {
    job: &'a RotateTenantKey,
    context: &'a JobContext,
    parts: &'a WorkerParts,
    done: Progress,
}

impl Rotation<'_> {
    async fn begin(&self) -> Result<TenantConn, JobError> {
        if self.context.is_cancelled() {
            return Err(JobError::cancelled());
        }
        self.parts.store.tenant(self.job.tenant_id()).await.map_err(store_failure)
    }

    async fn tell(&self) -> Result<(), JobError> {
        Ok(self.context.progress(&self.done).await?)
    }

    /// Makes the wanted version if it is the next one, and wraps anew what an older master key wrapped. The newest key;
    /// `None` where the tenant has none and needs none, or has none any more.
    async fn prepare_keys(&mut self) -> Result<Option<DataKey>, JobError> {
        let (tenant, wanted, parts) = (self.job.tenant_id(), self.job.version, self.parts);
        let mut tx = self.begin().await?;
        let keys = tx.data_keys().await.map_err(store_failure)?;
        let needed = self.needs_a_key(&mut tx, &keys).await?;
        // No key is held while a key service thinks; what changed meanwhile is looked at again.
        drop(tx);
        let mut made = None;
        if needed {
            let key = parts.keyring.make_data_key(tenant, wanted, &*parts.entropy).await;
            made = Some(key.map_err(|error| key_does_not_open(wanted, error))?);
        }
        let mut anew = Vec::new();
        for key in keys.iter().filter(|key| !parts.keyring.is_current(&key.wrapped)) {
            let rewrapped = parts.keyring.rewrap(tenant, key.version, &key.wrapped, &*parts.entropy).await;
            anew.push((key, rewrapped.map_err(|error| key_does_not_open(key.version, error))?));
        }
        let mut tx = self.begin().await?;
        if let Some(key) = made {
            let keys = tx.data_keys().await.map_err(store_failure)?;
            if self.needs_a_key(&mut tx, &keys).await? {
                let made = tx.add_data_key(wanted, &key.0, parts.clock.now()).await.map_err(store_failure)?;
                self.done.keys_made += u32::from(made);
            }
        }
        for (key, anew) in &anew {
            let replaced = tx.replace_wrapped(key.version, &key.wrapped, &anew.0).await;
            self.done.keys_rewrapped += u32::from(replaced.map_err(store_failure)?);
        }
        let newest = tx.data_keys().await.map_err(store_failure)?.pop();
        tx.commit().await.map_err(store_failure)?;
        Ok(newest)
    }

    /// Whether the wanted version is the next one.
    async fn needs_a_key(&self, tx: &mut TenantConn, keys: &[DataKey]) -> Result<bool, JobError> {
        match keys.last() {
            // Keys that were destroyed do not come back; a first one is made for what the master key sealed.
            None => Ok(self.job.version == 1 && tx.is_sealed_before(1).await.map_err(store_failure)?),
            Some(newest) => Ok(newest.version.checked_add(1) == Some(self.job.version)),
        }
    }

    /// Seals a column's texts of older keys anew, some at a time. A text that somebody replaced meanwhile is theirs.
    async fn seal_anew(&mut self, column: &SealedColumn, version: u32) -> Result<(), JobError> {
        let mut after = None;
        loop {
            sealing::ready(self.parts, self.job.tenant_id()).await?;
            let mut tx = self.begin().await?;
            let texts = tx.sealed_before(column, version, after, CHUNK).await.map_err(store_failure)?;
            let Some(last) = texts.last() else { return Ok(()) };
            after = Some(last.row);
            // After the texts, whose keys are there no later; and held, so that the newest stays until the commit.
            let keys = tx.data_keys().await.map_err(store_failure)?;
            let wrapped: Vec<_> = keys.into_iter().map(|key| (key.version, key.wrapped)).collect();
            let mut replacements = Vec::with_capacity(texts.len());
            {
                let keys = self.parts.keyring.tenant(self.job.tenant_id(), &wrapped);
                for text in texts {
                    match self.successor(&keys, column, &text) {
                        Ok(sealed) => replacements.push((text, sealed)),
                        Err(error) if error.is_passing() => return Err(sealing::not_opened(error)),
                        Err(error) => {
                            self.done.texts_not_opened += 1;
                            tracing::error!(
                                tenant.id = %self.job.tenant_id(), table = column.table, column = column.column,
                                row.id = %text.row, error = &error as &dyn std::error::Error,
                                "a sealed text does not open and cannot be sealed anew"
                            );
                        }
                    }
                }
            }
            for (text, sealed) in &replacements {
                let replaced = tx.replace_sealed(column, text, sealed).await.map_err(store_failure)?;
                self.done.texts_sealed += u64::from(replaced);
            }
            tx.commit().await.map_err(store_failure)?;
            self.tell().await?;
        }
    }

    fn successor(
        &self,
        keys: &TenantKeys<'_>,
        column: &SealedColumn,
        text: &SealedText,
    ) -> Result<Vec<u8>, SealError> {
        let place = SealedFor {
            tenant: self.job.tenant_id(),
            table: column.table,
            column: column.column,
            row: text.row,
        };
        let secret = keys.open(&place, &text.sealed)?;
        keys.seal(&place, &secret, &*self.parts.entropy)
    }

    /// Destroys what the newest key superseded long enough ago. The store looks once more whether a text needs it.
    async fn destroy_unused(&mut self, newest: &DataKey) -> Result<(), JobError> {
        if !is_past(newest.created_at, KEEP_UNUSED, self.parts.clock.now()) {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        let destroyed = tx.destroy_data_keys(Destroy::UnusedBelow(newest.version)).await;
        self.done.keys_destroyed = destroyed.map_err(store_failure)?;
        tx.commit().await.map_err(store_failure)
    }
}

/// The operator can mend it, by giving the master key that wrapped it.
pub(super) fn key_does_not_open(version: u32, error: SealError) -> JobError {
    if error.is_passing() {
        return sealing::not_opened(error);
    }
    tracing::error!(
        key.version = version,
        error = &error as &dyn std::error::Error,
        "a data key does not open: is its master key among the previous ones?"
    );
    JobError::retry(error).code("master_key")
}
