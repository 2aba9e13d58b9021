//! What settling a month costs from end to end: from the calls in PostgreSQL, through the job, to the rows that say what
//! they cost by each of the bill's four costs. CPU time of this process and of PostgreSQL together, beside the least that
//! could be done with as many calls: to have the same PostgreSQL add their estimates up by day and model.
//!
//! `settle_stored_month [CALLS] [--check]`; with `--check` it fails above five CPU seconds.

#![expect(clippy::print_stdout, reason = "it is asked for figures")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement stops at the first surprise"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use costlens_domain::bill::{BillReport, DailyFact, Measure, ReportFormat};
use costlens_domain::classify::{LineKey, classify};
use costlens_domain::export::Column;
use costlens_domain::ports::Clock;
use costlens_domain::settlement::Issuer;
use costlens_domain::{BillId, Currency, TenantId};
use costlens_egress::{Egress, EgressConfig, Policy};
use costlens_jobs::settlement::ask_to_settle;
use costlens_objects::Objects;
use costlens_store::testing::{TestDb, unlike_bytes};
use costlens_store::{NewBill, SettlementKey};
use costlens_vault::{Keyring, MasterKey, OsEntropy};
use costlens_workers::aws_accounts::ScratchDir;
use costlens_workers::bill_ingestion::{BillRefused, HearProgress, ReadBill};
use costlens_workers::exports::parquet::{NotWritten, ParquetFile, WriteParquet};
use costlens_workers::{InvoiceHosts, Links, StatusTargets, WorkerParts};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use rust_decimal::Decimal;

/// What the calls of the month are of: a model's id, its name on the bill, and what a million tokens of input and of output
/// cost, in hundredths of a cent.
const MODELS: [(&str, &str, i64, i64); 6] = [
    ("us.amazon.nova-pro-v1:0", "NovaPro", 8_000, 32_000),
    ("us.amazon.nova-lite-v1:0", "NovaLite", 600, 2_400),
    ("us.amazon.nova-micro-v1:0", "NovaMicro", 350, 1_400),
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Claude4.5Sonnet", 30_000, 150_000),
    ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "Claude4.5Haiku", 10_000, 50_000),
    ("us.meta.llama3-3-70b-instruct-v1:0", "Llama3-3-70B", 7_200, 7_200),
];
/// Days of October, and keys that make calls.
const DAYS: i64 = 31;
const KEYS: i64 = 25;

/// Tokens of a call by its number, in the same words as [`insert`]'s.
const fn tokens(n: i64) -> (i64, i64) {
    (500 + n * 7_919 % 4_000, 50 + n * 104_729 % 800)
}

/// The calls, spread over days, models and keys by their numbers, each with a price as the ledger keeps it.
fn insert(tenant: TenantId, calls: i64) -> String {
    let models: Vec<String> = MODELS.iter().map(|(id, ..)| format!("'{id}'")).collect();
    let prices = |of: fn(&(&str, &str, i64, i64)) -> i64| {
        MODELS.iter().map(|model| format!("{}e-10", of(model))).collect::<Vec<_>>().join(",")
    };
    let (models, input, output) = (models.join(","), prices(|model| model.2), prices(|model| model.3));
    let tenant = tenant.uuid();
    format!(
        "SELECT ensure_request_partition(date '2026-10-01' + n) FROM generate_series(0, {DAYS} - 1) n;
         INSERT INTO request (tenant_id, day, id, api_key_id, started_at, duration_ms, provider, endpoint, model_requested,
             model_served, streamed, status, outcome, fresh_input, cache_read, cache_write_5m, cache_write_1h, output,
             reasoning, audio_input, audio_output, web_searches, cost_basis, cost, price, origin, region, response_id)
         SELECT '{tenant}', date '2026-10-01' + (n % {DAYS})::int, gen_random_uuid(),
             ('01a21f0b-95f9-75fa-8733-' || lpad(to_hex(n % {KEYS}), 12, '0'))::uuid,
             timestamptz '2026-10-01 00:00Z' + (n % {DAYS}) * interval '1 day' + (n % 86400) * interval '1 second',
             800, 'bedrock', 'litellm', model, model, true, 200, 'completed', i, 0, 0, 0, o, 0, 0, 0, 0, 'exact',
             i * p + o * q,
             jsonb_build_object('price_id', 'bedrock/' || model, 'source', 'AWS price list of October 2026',
                 'effective', '2026-01-01', 'formula', i || ' fresh_input × $' || p || ' + ' || o || ' output × $' || q),
             'litellm', 'us-east-1', 'r' || n
         FROM (SELECT n, (ARRAY[{models}])[1 + (n % 6)::int] AS model, (ARRAY[{input}])[1 + (n % 6)::int]::numeric AS p,
                   (ARRAY[{output}])[1 + (n % 6)::int]::numeric AS q, 500 + n * 7919 % 4000 AS i, 50 + n * 104729 % 800 AS o
               FROM generate_series(1::bigint, {calls}) n) calls;
         VACUUM ANALYZE request;"
    )
}

/// The bill that follows from the calls, hour by hour, with a twentieth taken off.
fn bill(calls: i64) -> BillReport {
    let mut used = vec![[0_i64; 2]; usize::try_from(DAYS * 6).unwrap()];
    for n in 1..=calls {
        let (input, output) = tokens(n);
        let cell = &mut used[usize::try_from((n % DAYS) * 6 + n % 6).unwrap()];
        cell[0] += input;
        cell[1] += output;
    }
    let first = NaiveDate::from_ymd_opt(2026, 10, 1).unwrap();
    let mut facts = Vec::new();
    for (day, of_day) in first.iter_days().zip(used.chunks(6)) {
        for ((_, name, input, output), cell) in MODELS.iter().zip(of_day) {
            for (kind, price, tokens) in [("input", input, cell[0]), ("output", output, cell[1])] {
                let usage_type = format!("USE1-{name}-{kind}-tokens");
                let unblended = Decimal::from(tokens) * Decimal::new(*price, 10);
                facts.push(fact(day, &usage_type, Decimal::from(tokens), unblended));
            }
        }
    }
    BillReport {
        format: ReportFormat::Cur2,
        files: Vec::new(),
        lines: u64::try_from(facts.len()).unwrap(),
        first_day: Some(first),
        last_day: NaiveDate::from_ymd_opt(2026, 10, 31),
        months: Some((first, first)),
        has_invoices: false,
        rules_version: costlens_domain::classify::RULES_VERSION,
        totals: Vec::new(),
        facts,
        resources: Vec::new(),
        unknown_line_types: Vec::new(),
        skipped: Vec::new(),
    }
}

fn fact(day: NaiveDate, usage_type: &str, tokens: Decimal, unblended: Decimal) -> DailyFact {
    let key = LineKey {
        product_code: "AmazonBedrock",
        usage_type,
        pricing_unit: "1K tokens",
        line_item_type: "Usage",
        billing_entity: "AWS",
        ..LineKey::default()
    };
    let net = unblended * Decimal::new(95, 2);
    DailyFact {
        day,
        billing_account: "111122223333".into(),
        usage_account: "222233334444".into(),
        region: "us-east-1".into(),
        billing_entity: "AWS".into(),
        product_code: "AmazonBedrock".into(),
        product_name: "".into(),
        usage_type: usage_type.into(),
        operation: "InvokeModelInference".into(),
        principal: "arn:aws:iam::222233334444:role/gateway".into(),
        line_item_type: "Usage".into(),
        currency: Currency::USD,
        class: Arc::new(classify(&key)),
        pricing_unit: "1K tokens".into(),
        usage_quantity: tokens / Decimal::ONE_THOUSAND,
        tokens: Some(tokens),
        unblended,
        net_unblended: net,
        amortised: Some(unblended),
        net_amortised: Some(net),
        list: Some(unblended),
        lines: 24,
    }
}

#[derive(Debug)]
struct Now(DateTime<Utc>);

impl Clock for Now {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

/// What no settling asks for.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl ReadBill for Nobody {
    async fn read(&self, _: &Path, _: &dyn HearProgress) -> Result<BillReport, BillRefused> {
        panic!("a bill is read")
    }
}

impl WriteParquet for Nobody {
    fn begin(&self, _: &'static [Column]) -> Result<Box<dyn ParquetFile>, NotWritten> {
        panic!("an export is written")
    }
}

fn parts(db: &TestDb, files: &Path, now: DateTime<Utc>) -> WorkerParts {
    let master = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    WorkerParts {
        store: db.store().clone(),
        clock: Arc::new(Now(now)),
        clocks_apart: None,
        keyring: Arc::new(Keyring::new(MasterKey::parse(master).unwrap())),
        entropy: Arc::new(OsEntropy),
        objects: Objects::local(files).unwrap(),
        max_export_bytes: 1 << 20,
        aws: None,
        scratch: ScratchDir::below(&files.join("scratch")),
        max_bill_bytes: 1 << 20,
        invoices: InvoiceHosts::new(&[], &Policy::default()).unwrap(),
        bills: Arc::new(Nobody),
        parquet: Arc::new(Nobody),
        egress: Egress::new(EgressConfig { policy: Policy::default(), ..EgressConfig::default() }).unwrap(),
        mailer: None,
        svix: None,
        links: Links::below("https://costlens.example"),
        clerk: None,
        status: StatusTargets::default(),
        prices_url: None,
        forever_body_days: None,
    }
}

/// Hundredths of a second that this process and whatever it started spent on processors, those that ended included.
fn cpu() -> u64 {
    let own = std::process::id();
    let stats: Vec<(u32, u32, u64, u64)> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // The command may itself contain blanks and parentheses; the last one closes it.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
            let parent = u32::try_from(number(1)?).ok()?;
            Some((pid, parent, number(11)? + number(12)?, number(13)? + number(14)?))
        })
        .collect();
    let mut family = vec![own];
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        family.extend(stats.iter().filter(|(_, of, ..)| *of == parent).map(|(pid, ..)| *pid));
        at += 1;
    }
    let of_family = stats.iter().filter(|(pid, ..)| family.contains(pid));
    of_family.map(|(_, _, own, of_children)| own + of_children).sum()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let calls: i64 = arguments.iter().find_map(|one| one.parse().ok()).unwrap_or(1_000_000);
    let db = TestDb::new().await;
    db.add(vec![costlens_workers::schema()]).await;
    let tenant = db.create_tenant("bench").await;
    let mut owner = AsyncPgConnection::establish(db.owner_url()).await.unwrap();
    for statement in insert(tenant, calls).split(';').filter(|text| !text.trim().is_empty()) {
        owner.batch_execute(statement).await.unwrap();
    }
    let sums = format!(
        "SELECT day, model_served, count(*), sum(cost) FROM request WHERE tenant_id = '{}' GROUP BY 1, 2",
        tenant.uuid()
    );
    // The first time warms what both then read.
    owner.batch_execute(&sums).await.unwrap();
    let begun = cpu();
    owner.batch_execute(&sums).await.unwrap();
    let least = cpu() - begun;
    // A server that others share is no child of this process, and nothing that it does would count.
    assert!(least > 0, "what PostgreSQL does cannot be measured, or is too little");

    let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    let files = tempfile::tempdir().unwrap();
    let parts = parts(&db, files.path(), now);
    let queue = costlens_workers::queue(db.runtime_url(), None).unwrap();
    costlens_workers::prepare(&queue, &parts).await.unwrap();
    owner.batch_execute("UPDATE queue.schedule SET paused = true").await.unwrap();
    let mut tx = parts.store.tenant(tenant).await.unwrap();
    let new = NewBill { id: BillId::new(now, unlike_bytes()), name: "october".to_owned(), created_at: now };
    let stored = tx.import_bill(&new, &bill(calls)).await.unwrap();
    ask_to_settle(&mut tx, &stored).await.unwrap();
    tx.commit().await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let workers = costlens_workers::workers(queue, "bench", &parts);
    let begun = cpu();
    let working = tokio::spawn(async { workers.run_until(async { drop(stopped.await) }).await.unwrap() });
    let key = SettlementKey {
        issuer: Issuer::Aws,
        month: NaiveDate::from_ymd_opt(2026, 10, 1).unwrap(),
        measure: Measure::NetUnblended,
    };
    let settled = loop {
        let mut tx = parts.store.tenant(tenant).await.unwrap();
        if let Ok(settled) = tx.settlement(key).await {
            break settled;
        }
        drop(tx);
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let all = cpu() - begun;
    stop.send(()).unwrap();
    working.await.unwrap();
    assert_eq!(i64::try_from(settled.calls).unwrap(), calls);
    assert_eq!((settled.billed, settled.unknown), (settled.settled, Decimal::ZERO));
    println!(
        "from end to end, {calls} calls, four costs: {}.{:02} s CPU, of this process and PostgreSQL (goal 5 s); {}.{} times \
         a plain sum of them there ({}.{:02} s)",
        all / 100,
        all % 100,
        all / least.max(1),
        all * 10 / least.max(1) % 10,
        least / 100,
        least % 100,
    );
    println!(
        "estimated {}, billed {}, settled {}, unknown {}",
        settled.estimated.round_dp(2),
        settled.billed.round_dp(2),
        settled.settled.round_dp(2),
        settled.unknown
    );
    if arguments.iter().any(|one| one == "--check") && all > 500 {
        std::process::exit(1);
    }
}
