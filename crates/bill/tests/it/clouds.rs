//! Bills of Azure and Google: every line in the totals, the AI among them taken apart, and what is missing or mixed told.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use costlens_bill::BillError;
use costlens_domain::Currency;
use costlens_domain::bill::{BillReport, DailyFact, Measure, ReportFormat};
use costlens_domain::classify::{Category, Meter, Routing, Tier, Verdict};
use costlens_domain::settlement::Issuer;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use rust_decimal::Decimal;

use super::{read, read_all, read_text};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

fn amount(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The whole of one currency.
fn total(report: &BillReport, currency: &str) -> Decimal {
    let of = report.totals.iter().filter(|total| total.currency.as_str() == currency);
    of.map(|total| total.unblended).sum::<Decimal>().normalize()
}

fn ai(report: &BillReport) -> Decimal {
    report.facts.iter().filter(|fact| fact.is_ai()).map(|fact| fact.unblended).sum::<Decimal>().normalize()
}

/// The usage of this usage type in dollars.
fn of<'a>(report: &'a BillReport, usage_type: &str) -> &'a DailyFact {
    let fits = |fact: &&DailyFact| {
        &*fact.usage_type == usage_type
            && fact.currency.as_str() == "USD"
            && matches!(&*fact.line_item_type, "Usage" | "regular")
    };
    let found = report.facts.iter().find(fits);
    assert!(found.is_some(), "no {usage_type}");
    found.unwrap()
}

fn model(fact: &DailyFact) -> (&str, Meter, Tier, Routing) {
    let class = &fact.class;
    (class.model.as_deref().unwrap_or_default(), class.meter, class.tier, class.routing)
}

#[tokio::test]
async fn azure_s_actual_costs_are_read_to_the_last_digit() {
    let report = read(fixture("azure_actual.csv")).await.unwrap();
    assert_eq!((report.format, Issuer::of(report.format)), (ReportFormat::AzureCosts, Issuer::Azure));
    assert_eq!((report.lines, total(&report, "USD")), (13, amount("13023.9221")));
    assert_eq!(report.months.unwrap().0.to_string(), "2026-10-01");
    assert!(report.unknown_line_types.is_empty(), "{:?}", report.unknown_line_types);
    assert_eq!(report.facts[0].billing_account.as_ref(), "8611537");

    let input = of(&report, "gpt-4o-0806-Inp-glbl Tokens");
    assert_eq!(model(input), ("gpt-4o", Meter::FreshInput, Tier::Standard, Routing::Global));
    assert_eq!((input.tokens, input.unblended), (Some(amount("1200000")), amount("3")));
    assert_eq!((input.day.to_string().as_str(), input.region.as_ref()), ("2026-10-05", "swedencentral"));
    assert_eq!((input.net_unblended, input.amortised), (amount("3"), Some(amount("3"))));
    let cached = of(&report, "gpt 4.1 cached Inp Data Zone Tokens");
    assert_eq!(model(cached), ("gpt-4-1", Meter::CacheRead, Tier::Standard, Routing::Geo));
    let batch = of(&report, "5.4 nano Batch cd Inp Gl 1M Tokens");
    assert_eq!(model(batch), ("gpt-5-4-nano", Meter::CacheRead, Tier::Batch, Routing::Global));
    assert_eq!((batch.tokens, batch.unblended), (Some(amount("2000000")), amount("0.0181")));
    let r1 = of(&report, "R1 Outp glbl Tokens");
    assert_eq!(model(r1).0, "deepseek-r1");
    assert_eq!((r1.class.service.as_ref(), r1.class.vendor.as_deref()), ("foundry_models", Some("deepseek")));
    let provisioned = of(&report, "Provisioned Managed Global Unit");
    assert_eq!((provisioned.class.category, provisioned.class.tier), (Category::Provisioned, Tier::Reserved));
    assert_eq!(of(&report, "S1 Speech To Text").class.service, "azure_speech");
    for (candidate, service) in
        [("Standard S1 Unit", "azure_ai_search"), ("NC40ads H100 v5", "azure_virtual_machines")]
    {
        let class = &of(&report, candidate).class;
        assert_eq!((class.verdict, class.service.as_ref()), (Verdict::Candidate, service));
    }
    // Storage is in the totals and in no fact; what no rule knows is AI all the same, with its dollars.
    assert!(!report.facts.iter().any(|fact| fact.product_code.as_ref() == "Storage"));
    let unknown: Vec<_> =
        report.unclassified().map(|fact| (fact.usage_type.as_ref(), fact.unblended)).collect();
    assert_eq!(unknown, [("Quantum-Widget-glbl", amount("0.75"))]);
    assert_eq!(ai(&report), amount("13007.0421"));
    let dearest = &report.resources[0];
    assert!(dearest.resource_id.ends_with("acme-openai"), "{dearest:?}");
}

#[tokio::test]
async fn azure_s_amortised_costs_say_that_they_are() {
    let report = read(fixture("azure_amortised.csv")).await.unwrap();
    assert_eq!((report.format, Issuer::of(report.format)), (ReportFormat::AzureAmortised, Issuer::Azure));
    assert_eq!((report.lines, total(&report, "USD")), (13, amount("44.9221")));
    let actual = read(fixture("azure_actual.csv")).await.unwrap();
    assert_eq!(report.months, actual.months);
    assert_eq!(of(&report, "Provisioned Managed Global Unit").unblended, amount("17.4"));
    // Together they would count the month twice.
    let both = read_all(&[fixture("azure_actual.csv"), fixture("azure_amortised.csv")]).await;
    let error = both.expect_err("twice");
    assert!(
        matches!(&error, BillError::MixedFormats { second, .. } if second == "azure_amortised.csv"),
        "{error}"
    );
}

#[tokio::test]
async fn what_azure_s_actual_costs_do_not_say_of_commitments_is_unknown() {
    const SPREAD: [Measure; 2] = [Measure::Amortised, Measure::NetAmortised];
    let whole = text("azure_actual.csv");
    for said in [whole.clone(), whole.replace(",Reservation,", ",SavingsPlan,")] {
        let report = read_text("bill.csv", &said).await.unwrap();
        assert_eq!(report.format, ReportFormat::AzureCosts);
        let of_commitments: Vec<&DailyFact> =
            report.facts.iter().filter(|fact| !matches!(&*fact.operation, "OnDemand" | "")).collect();
        let mut billed: Vec<_> =
            of_commitments.iter().map(|fact| (&*fact.line_item_type, fact.unblended.normalize())).collect();
        billed.sort_unstable();
        assert_eq!(billed, [("Purchase", amount("13000")), ("Usage", Decimal::ZERO)]);
        for fact in &report.facts {
            let is_silent = of_commitments.contains(&fact);
            for measure in SPREAD {
                let wanted = (!is_silent).then_some(fact.unblended);
                assert_eq!(fact.cost(measure), wanted, "{measure} of {}", fact.usage_type);
            }
            assert_eq!(fact.is_paid_by_commitment(), is_silent && &*fact.line_item_type == "Usage");
        }
        // A sum with a part that nobody knows is unknown; what was billed is as it was.
        let share = report.by_currency()[&Currency::USD];
        assert_eq!(share.ai_by(Measure::NetUnblended).map(|cost| cost.normalize()), Some(ai(&report)));
        assert_eq!(SPREAD.map(|measure| share.ai_by(measure)), [None, None]);
    }

    // Where nothing was bought ahead there is nothing to spread.
    let on_demand: String =
        whole.lines().filter(|line| !line.contains(",Reservation,")).flat_map(|line| [line, "\n"]).collect();
    let report = read_text("bill.csv", &on_demand).await.unwrap();
    let share = report.by_currency()[&Currency::USD];
    for measure in SPREAD {
        assert_eq!(share.ai_by(measure).map(|cost| cost.normalize()), Some(ai(&report)), "{measure}");
    }
    // And amortised costs are what they say.
    let report = read(fixture("azure_amortised.csv")).await.unwrap();
    let provisioned = of(&report, "Provisioned Managed Global Unit");
    assert_eq!(SPREAD.map(|measure| provisioned.cost(measure)), [Some(amount("17.4")); 2]);
}

#[tokio::test]
async fn azure_s_focus_counts_blocks_and_is_azure_s() {
    let report = read(fixture("azure_focus.csv")).await.unwrap();
    assert_eq!((report.format, Issuer::of(report.format)), (ReportFormat::AzureFocus, Issuer::Azure));
    assert_eq!(total(&report, "USD"), amount("6.64"));
    assert_eq!(of(&report, "gpt-4o-0806-Inp-glbl Tokens").tokens, Some(amount("1200000")));
    let mini = of(&report, "5 mini pp Opt Gl 1M Tokens");
    assert_eq!(model(mini), ("gpt-5-mini", Meter::Output, Tier::Priority, Routing::Global));
    assert_eq!(mini.tokens, Some(amount("500000")));
    let provisioned = of(&report, "Provisioned Managed Global Unit");
    assert_eq!((provisioned.unblended, provisioned.amortised), (Decimal::ZERO, Some(amount("17.4"))));
}

#[tokio::test]
async fn google_s_rows_are_the_same_as_csv_and_as_lines_of_json() {
    let folder = tempfile::tempdir().unwrap();
    let zipped = folder.path().join("costs-000000000000.json.gz");
    let mut gzip =
        flate2::write::GzEncoder::new(std::fs::File::create(&zipped).unwrap(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, text("google.jsonl").as_bytes()).unwrap();
    gzip.finish().unwrap();
    let mut facts: Vec<Vec<DailyFact>> = Vec::new();
    for path in [fixture("google.jsonl"), fixture("google.csv"), zipped] {
        let report = read(path).await.unwrap();
        assert_eq!((report.format, Issuer::of(report.format)), (ReportFormat::GoogleCosts, Issuer::Google));
        assert_eq!(report.lines, 14);
        assert_eq!(total(&report, "USD"), amount("2712.246000000000000001"));
        assert_eq!(total(&report, "JPY"), amount("12.34"));
        assert!(report.unknown_line_types.is_empty(), "{:?}", report.unknown_line_types);

        let input = of(&report, "Gemini 2.5 Flash GA Text Input - Predictions");
        assert_eq!(model(input), ("gemini-2-5-flash", Meter::FreshInput, Tier::Standard, Routing::Regional));
        assert_eq!(
            (input.unblended, input.net_unblended),
            (amount("0.3"), amount("0.15")),
            "credits are net"
        );
        assert_eq!(input.tokens, Some(amount("1000000")));
        let thinking = of(&report, "Gemini 2.5 Flash GA Thinking Text Output - Predictions");
        assert_eq!((model(thinking).0, model(thinking).1), ("gemini-2-5-flash", Meter::Output));
        assert_eq!(thinking.net_unblended, amount("0.25"));
        assert_eq!(of(&report, "Gemini 2.5 Flash GA Input Text Caching").class.meter, Meter::CacheRead);
        let long = of(&report, "Gemini 2.5 Pro Text Output - Long Context");
        assert_eq!((long.class.long_context, long.unblended), (true, amount("0.015")));
        let partner = of(&report, "Claude Sonnet 4.5 Input Tokens");
        assert_eq!(
            (model(partner).0, partner.class.vendor.as_deref()),
            ("claude-sonnet-4-5", Some("anthropic"))
        );
        assert_eq!((partner.region.as_ref(), partner.usage_account.as_ref()), ("europe-west1", "acme-prod"));
        let api = of(&report, "Generate content output token count gemini 2.5 flash short input text");
        assert_eq!(model(api), ("gemini-2-5-flash", Meter::Output, Tier::Standard, Routing::Global));
        assert_eq!(
            of(&report, "Vertex AI: Provisioned Throughput 1 month").class.category,
            Category::Provisioned
        );
        assert_eq!(of(&report, "Form Parser Pages Processed").class.service, "document_ai");
        let gpu = of(&report, "Nvidia H100 80GB GPU attached to Spot running in Iowa");
        assert_eq!(gpu.class.verdict, Verdict::Candidate);
        let unknown: Vec<_> =
            report.unclassified().map(|fact| (fact.usage_type.as_ref(), fact.unblended)).collect();
        assert_eq!(unknown, [("Flux Capacitor Rental", amount("0.9"))]);
        facts.push(report.facts);
    }
    assert_eq!(facts[0], facts[1]);
    assert_eq!(facts[0], facts[2]);
}

#[tokio::test]
async fn google_s_focus_is_google_s() {
    let report = read(fixture("google_focus.csv")).await.unwrap();
    assert_eq!((report.format, Issuer::of(report.format)), (ReportFormat::GoogleFocus, Issuer::Google));
    assert_eq!((total(&report, "USD"), ai(&report)), (amount("0.4"), amount("0.3")));
    let fact = &report.facts[0];
    assert_eq!((model(fact).0, fact.tokens), ("gemini-2-5-flash", Some(amount("1000000"))));
}

const GOOGLE_FOCUS: [&str; 19] = [
    "BilledCost",
    "EffectiveCost",
    "BillingAccountId",
    "BillingCurrency",
    "ChargeCategory",
    "ChargeDescription",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "RegionId",
    "ResourceId",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SkuMeter",
    "SubAccountId",
];

/// Google's own rows in the columns of FOCUS, none of which is for the SKU; and a machine without an accelerator.
fn google_as_focus() -> Vec<[String; GOOGLE_FOCUS.len()]> {
    let of_row = |row: &str| {
        // What is taken of it stands before the list of credits, or behind it.
        let cells: Vec<&str> = row.split(',').collect();
        let (service, sku) = (cells[2], cells[4]);
        let category = match cells[cells.len() - 2] {
            "regular" => "Usage",
            "tax" => "Tax",
            _ => "Adjustment",
        };
        let (kind, resource) = match service {
            "Compute Engine" => ("Compute", "//compute.example/gpu"),
            "Cloud Storage" => ("Storage", ""),
            "Invoice" => ("Other", ""),
            _ => ("AI and Machine Learning", ""),
        };
        let focus = [
            cells[9],
            cells[9],
            cells[0],
            cells[10],
            category,
            sku,
            cells[5],
            cells[11],
            cells[12],
            cells[13],
            cells[14],
            "Google Cloud",
            cells[8],
            resource,
            kind,
            service,
            cells[3],
            "Requests",
            cells[7],
        ];
        focus.map(str::to_owned)
    };
    let mut rows: Vec<_> = text("google.csv").lines().skip(1).map(of_row).collect();
    let gpu = rows.iter().find(|row| row[14] == "Compute");
    let mut plain = gpu.unwrap().clone();
    "N1 Predefined Instance Core running in Iowa".clone_into(&mut plain[5]);
    "//compute.example/plain".clone_into(&mut plain[13]);
    rows.push(plain);
    rows
}

#[tokio::test]
async fn google_s_focus_is_taken_apart_like_google_s_own_rows() {
    let folder = tempfile::tempdir().unwrap();
    let rows = google_as_focus();
    let mut csv = GOOGLE_FOCUS.join(",");
    for row in &rows {
        csv.push('\n');
        csv.push_str(&row.join(","));
    }
    // Google's view in the columns of FOCUS has categories in lower case.
    let lower =
        csv.replace(",Usage,", ",usage,").replace(",Tax,", ",tax,").replace(",Adjustment,", ",adjustment,");
    let columns = GOOGLE_FOCUS.iter().enumerate().map(|(at, name)| {
        let cells = rows.iter().map(|row| Some(row[at].as_str()).filter(|cell| !cell.is_empty()));
        (*name, Arc::new(cells.collect::<StringArray>()) as ArrayRef, true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let parquet = folder.path().join("focus.parquet");
    let mut writer = ArrowWriter::try_new(File::create(&parquet).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut paths = vec![parquet];
    for (name, text) in [("focus.csv", csv), ("lower.csv", lower)] {
        std::fs::write(folder.path().join(name), text + "\n").unwrap();
        paths.push(folder.path().join(name));
    }

    let told = |report: &BillReport| -> Vec<_> {
        let told = report.facts.iter().map(|fact| {
            let quantity = fact.usage_quantity.normalize();
            (fact.day, fact.usage_type.to_string(), fact.currency, fact.class.clone(), quantity, fact.tokens)
        });
        told.collect()
    };
    let own = read(fixture("google.csv")).await.unwrap();
    for path in paths {
        let report = read(path.clone()).await.unwrap();
        assert_eq!(report.format, ReportFormat::GoogleFocus, "{path:?}");
        assert_eq!(told(&report), told(&own), "{path:?}");
        assert!(report.unknown_line_types.is_empty(), "{:?}", report.unknown_line_types);
        // The machine with an accelerator may be AI; the one beside it of the same service is none.
        let machines: Vec<&str> = report
            .resources
            .iter()
            .map(|one| &*one.resource_id)
            .filter(|id| id.contains("compute"))
            .collect();
        assert_eq!(machines, ["//compute.example/gpu"], "{path:?}");
    }
}

#[tokio::test]
async fn each_line_of_several_clouds_has_the_rules_of_its_own() {
    let google = text("google_focus.csv");
    let mixed = google.replacen("Google Cloud", "AWS", 2);
    let report = read_text("bill.csv", &mixed).await.unwrap();
    // Nobody's own: it counts as AWS', as FOCUS did before. Its line of AI says that it is of AWS, which sells no such thing.
    assert_eq!((report.format, Issuer::of(report.format)), (ReportFormat::Focus, Issuer::Aws));
    assert_eq!(total(&report, "USD"), amount("0.4"));
    let whole = read_text("bill.csv", &google).await.unwrap();
    assert_eq!((model(&whole.facts[0]).0, model(&report.facts[0]).0), ("gemini-2-5-flash", ""));
    assert_eq!(report.unclassified().count(), 1, "what says that it is AI is drift");
}

#[tokio::test]
async fn a_missing_column_is_named() {
    for (name, from, to, seen) in [
        ("azure_actual.csv", "MeterName", "Other", "MeterName"),
        ("azure_actual.csv", "SubscriptionName,Date", "SubscriptionName,Other", "Date"),
        ("azure_actual.csv", "BillingCurrencyCode", "Other", "BillingCurrency"),
        ("google.csv", "sku.id,sku.description", "other,another", "sku.description"),
        ("google.csv", "billing_account_id", "other", "billing_account_id"),
    ] {
        let error = read_text("bill.csv", &text(name).replacen(from, to, 1)).await.expect_err(seen);
        let BillError::MissingColumns { columns, .. } = &error else { panic!("{seen}: {error}") };
        assert_eq!(columns, seen, "{error}");
    }
    for (name, cost) in [("azure_actual.csv", "CostInBillingCurrency"), ("google.csv", ",cost,")] {
        let other = if cost.starts_with(',') { ",other," } else { "Other" };
        let error = read_text("bill.csv", &text(name).replacen(cost, other, 1)).await.expect_err(cost);
        assert!(
            matches!(&error, BillError::NoCost { reason, .. } if reason.contains("no column")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_broken_line_of_json_names_its_place() {
    let whole = text("google.jsonl");
    for (broken, place, reason) in [
        (whole.get(..whole.len() - 40).unwrap().to_owned(), "in line 14", "EOF"),
        (whole.replacen("\"cost\": 0.25", "\"cost\": \"x\"", 1), "in line 2", "no amount"),
        (whole.replacen("\"amount\": -0.05", "\"amount\": \"y\"", 1), "in line 1", "list"),
        (whole.replacen("\"cost\": 0.25, ", "", 1), "in line 2", "no cost"),
        (format!("{whole}{{\"cost\":\"{}\"}}\n", "9".repeat(1_100_000)), "in line 15", "longer"),
    ] {
        let error = read_text("costs.jsonl", &broken).await.expect_err(reason);
        let BillError::Corrupt { place: found, reason: said, .. } = &error else { panic!("{error}") };
        assert_eq!(found, place, "{error}");
        assert!(said.contains(reason), "{error}");
    }
    // Other JSON is none: a manifest, and rows of something else.
    for other in ["{\n  \"manifestVersion\": \"1\"\n}\n", "{\"name\":\"x\"}\n"] {
        let error = read_text("costs.json", other).await.expect_err("no bill");
        assert!(matches!(error, BillError::UnknownFormat { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_folder_of_azure_s_parts_is_one_month() {
    let folder = tempfile::tempdir().unwrap();
    let month = folder.path().join("costlens/20261001-20261031/5b0c");
    std::fs::create_dir_all(&month).unwrap();
    std::fs::write(month.join("part_0_0001.csv"), text("azure_actual.csv")).unwrap();
    std::fs::write(month.join("part_1_0001.csv"), text("azure_actual.csv")).unwrap();
    std::fs::write(month.join("manifest.json"), "{\"manifestVersion\":\"2024-04-01\"}").unwrap();
    let report = read(folder.path().to_owned()).await.unwrap();
    assert_eq!((report.lines, total(&report, "USD")), (26, amount("26047.8442")));
    assert_eq!(report.skipped.len(), 1);
    // A second run of the export beside it is the same month again.
    let again = folder.path().join("costlens/20261001-20261031/9d1e");
    std::fs::create_dir_all(&again).unwrap();
    std::fs::write(again.join("part_0_0001.csv"), text("azure_actual.csv")).unwrap();
    let error = read(folder.path().to_owned()).await.expect_err("two deliveries");
    assert!(matches!(error, BillError::TwoDeliveries { .. }), "{error}");
}
