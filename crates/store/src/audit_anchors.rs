//! Which anchors of the audit were kept: what finds a day's file, and what it is held against; and which of the chains
//! in them went with their accounts.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::ErasureId;
use costlens_domain::audit::chain::Hash;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::db::{from_bigint, to_bigint};
use crate::schema::{audit_anchor, erasure};
use crate::{ErasureState, StoreError, SystemConn};

/// A day's anchor, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnchor {
    /// Its number; the first has 1.
    pub n: u64,
    /// Its day, by UTC.
    pub day: NaiveDate,
    /// When the heads were read.
    pub at: DateTime<Utc>,
    /// SHA-256 of its file.
    pub sha256: Hash,
    /// How many heads stand in it.
    pub chains: u64,
}

impl SystemConn {
    /// The latest anchor.
    pub async fn last_audit_anchor(&mut self) -> Result<Option<KeptAnchor>, StoreError> {
        let row: Option<AnchorRow> =
            audit_anchor::table.order(audit_anchor::n.desc()).first(&mut self.conn).await.optional()?;
        row.map(|(n, day, at, sha256, chains)| {
            let sha256 = Hash::of_bytes(&sha256).ok_or_else(|| StoreError::bug("a hash has 32 bytes"))?;
            Ok(KeptAnchor { n: from_bigint(n), day, at, sha256, chains: from_bigint(chains) })
        })
        .transpose()
    }

    /// Notes an anchor whose file is kept. False where its number or its day has one.
    pub async fn add_audit_anchor(&mut self, anchor: &KeptAnchor) -> Result<bool, StoreError> {
        let added = diesel::insert_into(audit_anchor::table)
            .values((
                audit_anchor::n.eq(to_bigint(anchor.n)),
                audit_anchor::day.eq(anchor.day),
                audit_anchor::at.eq(anchor.at),
                audit_anchor::sha256.eq(anchor.sha256.0.as_slice()),
                audit_anchor::chains.eq(to_bigint(anchor.chains)),
            ))
            .on_conflict_do_nothing()
            .execute(&mut self.conn)
            .await?;
        Ok(added > 0)
    }

    /// Notes which chain of the audit goes with the account, by the name that anchors give it. Again: nothing.
    pub async fn note_erased_chain(&mut self, id: ErasureId, tag: Hash) -> Result<(), StoreError> {
        let begun = erasure::table
            .find(id.uuid())
            .filter(erasure::state.eq(ErasureState::Erasing.as_str()))
            .filter(erasure::chain_tag.is_null());
        diesel::update(begun).set(erasure::chain_tag.eq(tag.0.as_slice())).execute(&mut self.conn).await?;
        Ok(())
    }

    /// Which of these chains went with an account whose erasure is certified.
    pub async fn erased_chains(&mut self, tags: &[Hash]) -> Result<BTreeSet<Hash>, StoreError> {
        let tags: Vec<&[u8]> = tags.iter().map(|tag| tag.0.as_slice()).collect();
        let found: Vec<Option<Vec<u8>>> = erasure::table
            .filter(erasure::state.eq(ErasureState::Certified.as_str()))
            .filter(erasure::chain_tag.eq_any(tags))
            .select(erasure::chain_tag)
            .load(&mut self.conn)
            .await?;
        Ok(found.into_iter().flatten().filter_map(|tag| Hash::of_bytes(&tag)).collect())
    }
}

/// Number, day, time, SHA-256 and how many chains.
type AnchorRow = (i64, NaiveDate, DateTime<Utc>, Vec<u8>, i64);
