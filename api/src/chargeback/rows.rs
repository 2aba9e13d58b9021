//! A chargeback's rows: calls first, then what the bills have beside them. Each dollar stands in one.

use std::borrow::Cow;

use costlens_domain::Currency;
use costlens_domain::export::{CHARGEBACK_COLUMNS, Cell};
use costlens_domain::settlement::{Issuer, ResidualCode};
use costlens_store::{Chargeback, ChargedCalls};
use rust_decimal::Decimal;

use super::views::ChargebackRowKind;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) kind: ChargebackRowKind,
    /// The key's id, or what the label says.
    pub(super) group: Option<String>,
    /// What the key is called.
    pub(super) name: Option<String>,
    /// Of a row that is no calls: whose bill.
    pub(super) issuer: Option<Issuer>,
    /// Why the bill has it.
    pub(super) code: Option<ResidualCode>,
    /// Of a row of calls: what they are.
    pub(super) calls: Option<ChargedCalls>,
    pub(super) amount: Decimal,
}

/// All rows of a chargeback. What is nothing of a bill is left out.
pub(super) fn of(found: &Chargeback) -> Vec<Row> {
    let calls = found.slices.iter().map(|slice| Row {
        kind: if slice.is_rest { ChargebackRowKind::Rest } else { ChargebackRowKind::Calls },
        group: slice.group.clone(),
        name: slice.name.clone(),
        issuer: None,
        code: None,
        calls: Some(slice.calls.clone()),
        amount: slice.calls.total(),
    });
    let bills = found.issuers.iter().flat_map(|one| {
        let row = move |kind, code, amount| Row {
            kind,
            group: None,
            name: None,
            issuer: Some(one.issuer),
            code,
            calls: None,
            amount,
        };
        let beside = one
            .beside_calls()
            .map(move |sum| row(ChargebackRowKind::BesideCalls, Some(sum.code), sum.amount));
        beside.chain([row(ChargebackRowKind::Unsettled, None, one.unsettled())])
    });
    calls.chain(bills.filter(|row| !row.amount.is_zero())).collect()
}

/// The cells of a row, in the order of [`CHARGEBACK_COLUMNS`].
pub(super) fn cells(row: &Row) -> [Cell<'_>; CHARGEBACK_COLUMNS.len()] {
    let text = |text: Option<&str>| text.map_or(Cell::Empty, |text| Cell::Text(Cow::Owned(text.to_owned())));
    let own = |word: Option<&str>| word.map_or(Cell::Empty, |word| Cell::Own(word.to_owned()));
    let calls = row.calls.as_ref();
    let count = |of: fn(&ChargedCalls) -> u64| calls.map_or(Cell::Empty, |calls| Cell::Count(of(calls)));
    let amount = |of: fn(&ChargedCalls) -> Decimal| {
        calls.map_or(Cell::Empty, |calls| Cell::Own(of(calls).normalize().to_string()))
    };
    [
        Cell::Own(row.kind.as_str().to_owned()),
        text(row.group.as_deref()),
        text(row.name.as_deref()),
        own(row.issuer.map(Issuer::as_str)),
        own(row.code.map(ResidualCode::as_str)),
        count(|calls| calls.calls),
        amount(|calls| calls.estimated),
        amount(|calls| calls.settled),
        amount(|calls| calls.provisional),
        count(|calls| calls.unbilled_calls),
        amount(|calls| calls.unbilled),
        count(|calls| calls.unpriced_calls),
        Cell::Own(row.amount.normalize().to_string()),
        Cell::Own(Currency::USD.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use costlens_domain::export::ExportFormat;
    use costlens_store::ChargedSlice;

    use super::*;

    #[test]
    fn no_label_and_no_key_s_name_is_a_formula_and_amounts_stay_numbers() {
        let calls = ChargedCalls {
            calls: 2,
            settled_calls: 2,
            settled: "-0.100000000000000001".parse().unwrap(),
            ..ChargedCalls::default()
        };
        let slice = ChargedSlice {
            group: Some("=cmd|'/c calc'!A1".to_owned()),
            name: Some("@SUM(A1)".to_owned()),
            is_rest: false,
            calls,
        };
        let found = Chargeback { slices: vec![slice], issuers: Vec::new(), other_currencies: Vec::new() };
        let rows = of(&found);
        let mut line = String::new();
        ExportFormat::Csv.put_row(&CHARGEBACK_COLUMNS, &cells(&rows[0]), &mut line);
        assert_eq!(
            line,
            "calls,\"'=cmd|'/c calc'!A1\",\"'@SUM(A1)\",,,2,0,-0.100000000000000001,0,0,0,0,-0.100000000000000001,USD\r\n"
        );
    }
}
