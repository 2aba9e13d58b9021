//! What a settlement is told of a month's bills.

use costlens_domain::InvoiceSourceId;
use costlens_domain::aws::Month;
use costlens_domain::bill::{BillReport, ReportFormat};
use costlens_domain::invoices::InvoiceVendor;
use costlens_domain::settlement::Issuer;

use super::bills::{new_bill, usd_report};
use super::support::{actor, at};
use crate::testing::{TestDb, unlike_bytes};
use crate::{InvoiceSourceState, InvoiceStored, NewInvoiceMonth, NewInvoiceSource, Withdrawal};

/// What a vendor says again is as new as its saying, though the bill is the one that was stored first.
#[tokio::test]
async fn a_vendor_s_month_is_as_new_as_its_last_reading() {
    let db = TestDb::new().await;
    let acme = actor(&db, "acme").await;
    let mut conn = db.store().tenant(acme.tenant).await.unwrap();
    let source = InvoiceSourceId::new(at(0), unlike_bytes());
    let new = NewInvoiceSource {
        id: source,
        vendor: InvoiceVendor::OpenAi,
        name: "all of it".to_owned(),
        sealed_key: [&crate::sealed::header(1)[..], b"nonce and ciphertext"].concat(),
        key_hint: "abcd".to_owned(),
        created_at: at(0),
    };
    conn.create_invoice_source(&new).await.unwrap();
    let key_number = conn.invoice_source(source).await.unwrap().key_number;
    let report = BillReport { format: ReportFormat::OpenAiCosts, ..usd_report("4") };
    let month = Month::of(report.first_day.unwrap());
    let new = NewInvoiceMonth { source, key_number, month, content_sha256: [7; 32] };
    let first = new_bill("october", 10);
    let stored = conn.publish_invoice_month(&new, &first, &report).await.unwrap();
    assert!(matches!(stored, InvoiceStored::Stored(..)), "{stored:?}");
    let (from, to) = (month.first_day(), month.end());
    let told = conn.settlement_bills(Issuer::OpenAi, from, to).await.unwrap().bills;
    assert_eq!(told.iter().map(|bill| (bill.id, bill.told_at)).collect::<Vec<_>>(), [(first.id, at(10))]);

    let again = conn.publish_invoice_month(&new, &new_bill("october", 900_000), &report).await.unwrap();
    assert_eq!(again, InvoiceStored::Unchanged);
    let told = conn.settlement_bills(Issuer::OpenAi, from, to).await.unwrap().bills;
    let told: Vec<_> = told.iter().map(|bill| (bill.id, bill.created_at, bill.told_at)).collect();
    assert_eq!(told, [(first.id, at(10), at(900_000))]);
    // While the vendor may be asked again its month is not taken back.
    for state in [InvoiceSourceState::Active, InvoiceSourceState::Paused] {
        conn.set_invoice_source(source, state, at(900_001)).await.unwrap();
        assert_eq!(
            conn.withdraw_bill(first.id, at(900_002)).await.unwrap(),
            Withdrawal::Brought,
            "{state:?}"
        );
    }
    conn.set_invoice_source(source, InvoiceSourceState::Revoked, at(900_003)).await.unwrap();
    let done = conn.withdraw_bill(first.id, at(900_004)).await.unwrap();
    assert!(matches!(done, Withdrawal::Done(_)), "{done:?}");
    assert_eq!(conn.settlement_bills(Issuer::OpenAi, from, to).await.unwrap().bills, []);
}
