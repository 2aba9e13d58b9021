//! Which columns hold sealed text, and how it is sealed anew under another key.
//!
//! A rotation reads what an older key sealed, some rows at a time, and puts each text's successor in its place if
//! nobody has replaced it meanwhile. A key goes only when no column names it, so a column that is missing from
//! [`SEALED_COLUMNS`] would lose its secrets: a test compares the list with the schema.

use diesel::QueryableByName;
use diesel::sql_types::{self, BigInt, Binary, Nullable};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::{StoreError, TenantConn};

/// A column that holds sealed text. Its table has `tenant_id` and a row id of the type uuid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedColumn {
    /// The table, as the text is bound to it.
    pub table: &'static str,
    /// The column, as the text is bound to it.
    pub column: &'static str,
    /// The column with the id of the row that the text is bound to.
    pub row: &'static str,
}

/// Every column that holds sealed text. The application's role needs SELECT and UPDATE on each, the system's SELECT.
pub const SEALED_COLUMNS: &[SealedColumn] = &[
    SealedColumn { table: "connection", column: "sealed_secret", row: "id" },
    SealedColumn { table: "slack_channel", column: "sealed_url", row: "id" },
    SealedColumn { table: "webhook_endpoint", column: "sealed_url", row: "id" },
    SealedColumn { table: "webhook_endpoint", column: "sealed_secret", row: "id" },
    SealedColumn { table: "sso_provider", column: "sealed_secret", row: "id" },
    SealedColumn { table: "invoice_source", column: "sealed_key", row: "id" },
];

/// The columns with text that the key of one subject sealed, see [`crate::SubjectKey`]. A rotation leaves them: what is
/// kept of a call is never written again, and the key goes when nothing names it.
pub const SUBJECT_SEALED_COLUMNS: &[SealedColumn] = &[
    SealedColumn { table: "request_body", column: "sealed_request", row: "id" },
    SealedColumn { table: "request_body", column: "sealed_response", row: "id" },
];

/// A sealed text and where it stands.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedText {
    /// The row's id.
    pub row: Uuid,
    /// The text.
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for SealedText {
    /// Leaves the text out, sealed as it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedText").field("row", &self.row).finish_non_exhaustive()
    }
}

/// What a text that this version of the key sealed begins with: the second format's byte, and the version. Bytes are
/// compared from the left, so texts of older versions, and of the first format, which names none, come before it.
pub(crate) fn header(version: u32) -> Vec<u8> {
    let mut header = vec![2];
    header.extend(version.to_be_bytes());
    header
}

impl SealedColumn {
    /// The condition that a text's header is older than the one bound as `$2`, of the tenant `$1`.
    pub(crate) fn older(&self) -> String {
        let Self { table, column, .. } = self;
        format!("FROM {table} WHERE tenant_id = $1 AND substring({column} FROM 1 FOR 5) < $2")
    }
}

/// The condition that the tenant `t` has a text older than its newest key `k`, in any column.
pub(crate) fn has_older_texts() -> String {
    let one = |SealedColumn { table, column, .. }: &SealedColumn| {
        format!(
            "EXISTS (SELECT FROM {table} WHERE tenant_id = t.id \
             AND substring({column} FROM 1 FOR 5) < '\\x02'::bytea || int4send(coalesce(k.newest, 1)))"
        )
    };
    SEALED_COLUMNS.iter().map(one).collect::<Vec<_>>().join(" OR ")
}

#[derive(QueryableByName)]
struct TextRow {
    #[diesel(sql_type = sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = Binary)]
    sealed: Vec<u8>,
}

impl TenantConn {
    /// Texts of a column that were sealed under a key older than this version, by row id; `after` is the last one of
    /// the page before.
    pub async fn sealed_before(
        &mut self,
        column: &SealedColumn,
        version: u32,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<SealedText>, StoreError> {
        let SealedColumn { column: text, row, .. } = column;
        let older = column.older();
        let sql = format!(
            "SELECT {row} AS id, {text} AS sealed {older} AND ($3 IS NULL OR {row} > $3) ORDER BY {row} LIMIT $4"
        );
        let rows: Vec<TextRow> = diesel::sql_query(sql)
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .bind::<Binary, _>(header(version))
            .bind::<Nullable<sql_types::Uuid>, _>(after)
            .bind::<BigInt, _>(i64::from(limit))
            .load(self.conn()?)
            .await?;
        Ok(rows.into_iter().map(|TextRow { id, sealed }| SealedText { row: id, sealed }).collect())
    }

    /// Puts another text in a sealed one's place, if it still stands there; says whether it did. The secret is meant to
    /// be the same, so nobody is told.
    pub async fn replace_sealed(
        &mut self,
        column: &SealedColumn,
        old: &SealedText,
        sealed: &[u8],
    ) -> Result<bool, StoreError> {
        let SealedColumn { table, column, row } = column;
        let sql =
            format!("UPDATE {table} SET {column} = $1 WHERE tenant_id = $2 AND {row} = $3 AND {column} = $4");
        let replaced = diesel::sql_query(sql)
            .bind::<Binary, _>(sealed)
            .bind::<sql_types::Uuid, _>(self.tenant_id().uuid())
            .bind::<sql_types::Uuid, _>(old.row)
            .bind::<Binary, _>(&old.sealed)
            .execute(self.conn()?)
            .await?;
        Ok(replaced > 0)
    }
}
