//! What an erasure takes away. Each step may be done again, and adds what it did to what it said before: in the
//! transaction that does it, so that an attempt that dies leaves no row uncounted and counts none twice.

use costlens_domain::{ErasureId, TenantId};
use costlens_queue::{JobContext, JobError, ops};
use costlens_store::{ERASED_TABLES, HeldOutside, OuterOrganization, begin_erasing, commit_erased};
use serde_json::{Value, json};

use crate::clerk::CLERK;
use crate::webhooks::SVIX;
use crate::{WorkerParts, store_failure};

/// What goes with the account itself, when it is certified.
const LAST: [&str; 2] = ["closure", "audit_head"];

/// How many rows or files one statement takes.
const STEP: u32 = 5_000;

/// An erasure under way.
pub(super) struct Erasing<'a> {
    pub(super) parts: &'a WorkerParts,
    pub(super) context: &'a JobContext,
    pub(super) id: ErasureId,
    pub(super) tenant: TenantId,
}

impl Erasing<'_> {
    /// First of all: from here on nothing that was sealed can be read, in no backup either that holds no keys.
    pub(super) async fn destroy_keys(&self) -> Result<(), JobError> {
        let mut tx = self.parts.store.system_tx().await.map_err(store_failure)?;
        let system = tx.system().map_err(store_failure)?;
        system.erase_data_keys(self.id, self.tenant).await.map_err(store_failure)?;
        tx.commit().await.map_err(store_failure)
    }

    /// What services outside hold, by the rows that were written before anything went there. Each is asked once, but
    /// for an attempt that died before it wrote the answer down; what is gone counts as deleted. One that cannot be
    /// reached from here, because it does not answer or because this process is not configured for it, is an error in
    /// the end, after the others.
    pub(super) async fn erase_outside(&self) -> Result<(), JobError> {
        let mut tx = self.parts.store.tenant(self.tenant).await.map_err(store_failure)?;
        let mut held = tx.held_outside().await.map_err(store_failure)?;
        let organization = tx.outer_organization().await.map_err(store_failure)?;
        drop(tx);
        // Somebody who is alone has no organisation there. Its person is no account's.
        let organization = organization.filter(|of| of.id.starts_with("org_"));
        if let Some(of) = &organization {
            held.push(HeldOutside { service: CLERK.to_owned(), place: of.issuer.clone() });
        }
        // The Svix that is configured is asked without a row, too: earlier versions wrote none.
        if let Some(svix) = &self.parts.svix {
            let ours = HeldOutside { service: SVIX.to_owned(), place: svix.place().to_owned() };
            if !held.contains(&ours) {
                held.push(ours);
            }
        }
        let mut system = self.parts.store.system().await.map_err(store_failure)?;
        let (erasure, _) = system.erasure(self.id).await.map_err(store_failure)?;
        drop(system);
        let mut gone =
            erasure.evidence.get("outside").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut left = None;
        for one in held {
            let name = format!("{} {}", one.service, one.place);
            if gone.contains_key(&name) {
                continue;
            }
            match self.erase_at(&one, organization.as_ref()).await {
                Ok(()) => {
                    gone.insert(name, json!(self.parts.clock.now()));
                    self.note("outside", &json!(gone)).await?;
                }
                Err(why) => {
                    tracing::warn!(
                        erasure.id = %self.id, outside.service = one.service, outside.place = one.place, why,
                        "a service outside still holds what is to be erased"
                    );
                    left = Some(format!("{name}: {why}"));
                }
            }
        }
        match left {
            Some(why) => Err(JobError::retry(why).code("outside_left")),
            None => self.note("outside", &json!(gone)).await,
        }
    }

    /// Has one service erase what it holds. Why it did not, in words.
    async fn erase_at(
        &self,
        held: &HeldOutside,
        organization: Option<&OuterOrganization>,
    ) -> Result<(), String> {
        match (held.service.as_str(), &self.parts.svix, &self.parts.clerk, organization) {
            (SVIX, Some(svix), _, _) if held.place == svix.place() => {
                svix.delete_application(self.tenant).await.map_err(|error| error.to_string())
            }
            (CLERK, _, Some(clerk), Some(of)) if held.place == clerk.issuer() => {
                clerk.backend().delete_organization(&of.id).await.map_err(|error| error.to_string())
            }
            _ => {
                Err("it is not configured here any more; configure it until this erasure is certified"
                    .to_owned())
            }
        }
    }

    /// What Clerk told of the account, as long as it is known whose ids these are.
    pub(super) async fn erase_outer_ids(&self) -> Result<(), JobError> {
        loop {
            self.check()?;
            let mut system = self.parts.store.system().await.map_err(store_failure)?;
            if system.erase_outer_ids(self.id, STEP).await.map_err(store_failure)? == 0 {
                return Ok(());
            }
        }
    }

    /// Kept files. No transaction holds them: they are counted first, and those that an attempt found which died are
    /// not counted again.
    pub(super) async fn erase_files(&self) -> Result<(), JobError> {
        let found = self.parts.objects.count_prefix(self.tenant).await.map_err(JobError::retry)?;
        let mut system = self.parts.store.system().await.map_err(store_failure)?;
        let found = u64::try_from(found).unwrap_or_default();
        system.note_found(self.id, "files", found).await.map_err(store_failure)?;
        drop(system);
        let mut all = 0_u64;
        loop {
            self.check()?;
            let most = usize::try_from(STEP).unwrap_or(usize::MAX);
            let gone = self.parts.objects.delete_prefix(self.tenant, most).await.map_err(JobError::retry)?;
            all += u64::try_from(gone).unwrap_or_default();
            if gone == 0 {
                break;
            }
        }
        let left = self.parts.objects.count_prefix(self.tenant).await.map_err(JobError::retry)?;
        if left > 0 {
            return Err(JobError::retry(format!("{left} files are left")).code("files_left"));
        }
        let mut system = self.parts.store.system().await.map_err(store_failure)?;
        system.settle_found(self.id, "files", all).await.map_err(store_failure)
    }

    /// What the audit must keep, under the erasure's number.
    pub(super) async fn keep_audit(&self) -> Result<(), JobError> {
        let mut system = self.parts.store.system().await.map_err(store_failure)?;
        let kept = system.keep_audit(self.id).await.map_err(store_failure)?;
        let last = system.kept_audit_head(self.id).await.map_err(store_failure)?;
        drop(system);
        self.note("audit_events_kept", &json!(kept)).await?;
        // Under the certificate's tag: what is kept can be held against it as long as it is kept.
        self.note("audit_chain", &json!({ "seq": last.seq, "hash": last.hash.to_string() })).await
    }

    /// The rows of one group of tables, in steps that nobody waits for.
    pub(super) async fn erase_tables(&self, group: usize) -> Result<(), JobError> {
        for table in ERASED_TABLES.get(group).copied().unwrap_or_default() {
            loop {
                self.check()?;
                let mut system = self.parts.store.system().await.map_err(store_failure)?;
                let gone = system.erase_rows(self.id, table, STEP).await.map_err(store_failure)?;
                if gone < u64::from(STEP) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What the queue holds. A job that runs just now ends first; the next attempt takes it.
    pub(super) async fn erase_jobs(&self) -> Result<(), JobError> {
        loop {
            self.check()?;
            let mut conn = self.context.queue().conn().await?;
            begin_erasing(&mut conn).await.map_err(store_failure)?;
            let erased = ops::erase_tenant(&mut conn, self.tenant.uuid(), STEP).await?;
            let rows = u64::try_from(erased.rows).unwrap_or_default();
            commit_erased(&mut conn, self.id, "jobs", rows).await.map_err(store_failure)?;
            if !erased.more {
                return Ok(());
            }
        }
    }

    /// The tables in which anything of the tenant is left, by the database's own catalogue; the link to this erasure
    /// and the audit's head go with the certificate.
    pub(super) async fn left(&self) -> Result<Vec<(String, u64)>, JobError> {
        let mut system = self.parts.store.system().await.map_err(store_failure)?;
        let found = system.count_tenant_rows(self.id).await.map_err(store_failure)?;
        drop(system);
        let looked: Vec<&str> = found.iter().map(|(table, _)| table.as_str()).collect();
        self.note("looked_into", &json!(looked)).await?;
        Ok(found.into_iter().filter(|(table, rows)| *rows > 0 && !LAST.contains(&table.as_str())).collect())
    }

    fn check(&self) -> Result<(), JobError> {
        if self.context.is_cancelled() { Err(JobError::cancelled()) } else { Ok(()) }
    }

    async fn note(&self, step: &str, what: &Value) -> Result<(), JobError> {
        let mut system = self.parts.store.system().await.map_err(store_failure)?;
        system.note_evidence(self.id, step, what).await.map_err(store_failure)
    }
}
