//! Vendors' cost and usage reports: whatever the bytes, what is taken adds up to the same in facts and totals, and is the
//! same when it is read again.

use costlens_domain::invoices::{InvoiceVendor, Pages, Report, next_page, read};

pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let pages = [text.to_owned()];
    let month = "2026-10".parse().unwrap();
    let _ended = next_page(Report::Costs, 1, text);
    for vendor in InvoiceVendor::ALL {
        // Both vendors' usage pages are tried beside no costs, too: a page of the other report is none of this one.
        for pages in [
            Pages { costs: &pages, usage: &[] },
            Pages { costs: &[], usage: &pages },
            Pages { costs: &pages, usage: &pages },
        ] {
            let Ok(report) = read(vendor, month, "account", pages) else { continue };
            for total in &report.totals {
                let of_currency = report.facts.iter().filter(|fact| fact.currency == total.currency);
                let (mut cost, mut lines) = (rust_decimal::Decimal::ZERO, 0);
                for fact in of_currency {
                    cost += fact.unblended;
                    lines += fact.lines;
                }
                assert_eq!((cost, lines), (total.unblended, total.lines), "{text:?}");
            }
            assert_eq!(report.totals.iter().map(|total| total.lines).sum::<u64>(), report.lines);
            assert!(report.facts.iter().all(|fact| fact.tokens.is_none() || fact.class.understood));
            assert_eq!(read(vendor, month, "account", pages).as_ref(), Ok(&report));
        }
    }
}
