//! The daily facts as CSV (RFC 4180), for a spreadsheet.

use std::io::Write;

use costlens_domain::bill::DailyFact;
use rust_decimal::Decimal;

const HEADER: [&str; 32] = [
    "day",
    "billing_account",
    "usage_account",
    "region",
    "billing_entity",
    "product_code",
    "product_name",
    "usage_type",
    "operation",
    "principal",
    "line_item_type",
    "currency",
    "verdict",
    "service",
    "category",
    "vendor",
    "model",
    "meter",
    "tier",
    "routing",
    "long_context",
    "instance_type",
    "understood",
    "pricing_unit",
    "usage_quantity",
    "tokens",
    "unblended",
    "net_unblended",
    "amortised",
    "net_amortised",
    "list",
    "lines",
];

/// Writes one line per fact.
pub(super) fn write(facts: &[DailyFact], out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}", HEADER.join(","))?;
    for fact in facts {
        let class = &fact.class;
        let cells: [String; HEADER.len()] = [
            fact.day.to_string(),
            fact.billing_account.to_string(),
            fact.usage_account.to_string(),
            fact.region.to_string(),
            fact.billing_entity.to_string(),
            fact.product_code.to_string(),
            fact.product_name.to_string(),
            fact.usage_type.to_string(),
            fact.operation.to_string(),
            fact.principal.to_string(),
            fact.line_item_type.to_string(),
            fact.currency.to_string(),
            class.verdict.to_string(),
            class.service.to_string(),
            class.category.to_string(),
            class.vendor.as_deref().unwrap_or_default().to_owned(),
            class.model.clone().unwrap_or_default(),
            class.meter.to_string(),
            class.tier.to_string(),
            class.routing.to_string(),
            class.long_context.to_string(),
            class.instance_type.clone().unwrap_or_default(),
            class.understood.to_string(),
            fact.pricing_unit.to_string(),
            fact.usage_quantity.normalize().to_string(),
            known(fact.tokens),
            fact.unblended.normalize().to_string(),
            fact.net_unblended.normalize().to_string(),
            known(fact.amortised),
            known(fact.net_amortised),
            known(fact.list),
            fact.lines.to_string(),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        writeln!(out, "{}", cells.join(","))?;
    }
    Ok(())
}

/// An amount; an empty cell for one that is unknown.
fn known(amount: Option<Decimal>) -> String {
    amount.map_or_else(String::new, |amount| amount.normalize().to_string())
}

/// Quoted where a comma, a quote or a line end would break the line. A cell that a spreadsheet would run as a
/// formula gets an apostrophe: resource names and tags are written by whoever made the resource.
fn escaped(cell: &str) -> String {
    let is_number = cell.parse::<Decimal>().is_ok();
    let runs = !is_number && cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if runs { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn cells_cannot_break_out_or_run() {
        assert_eq!(escaped("a,b"), "\"a,b\"");
        assert_eq!(escaped("say \"x\""), "\"say \"\"x\"\"\"");
        assert_eq!(escaped("=1+1"), "'=1+1");
        assert_eq!(escaped("-12.5"), "-12.5");
    }
}
