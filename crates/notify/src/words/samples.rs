//! Sample figures of every kind, for previews: a company that could be, the same on any day.

use chrono::{DateTime, Days, NaiveDate, Utc};
use costlens_domain::{Currency, Usd};
use rust_decimal::Decimal;

use crate::words::{
    AccountExists, AnomalyAlert, AnomalyLine, BillFailed, BillPart, BillPublished, BillTotal, BudgetAlert,
    BudgetLine, ChannelDisabled, ConfirmRecipient, Contributor, DaySpend, DeletionCancelled, DeletionDone,
    DeletionRequested, Erased, InvitationLink, Kind, Link, Medium, Message, PasswordChanged,
    PasswordResetLink, Ranked, RegistrationLink, SignInChanged, WeeklyDigest, Zone,
};

const TENANT: &str = "Northwind Robotics";

/// Amounts of ten-thousandths of a dollar.
fn usd(tenthousandths: i64) -> Usd {
    Usd::from(Decimal::new(tenthousandths, 4))
}

fn link(path: &str) -> Link {
    // A constant that parses; the fallback is for the type alone.
    Link::parse(&format!("https://costlens.example/{path}")).unwrap_or_else(|_| Link::nowhere())
}

fn day(month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, month, day).unwrap_or_default()
}

fn at(month: u32, on: u32, hour: u32, minute: u32) -> DateTime<Utc> {
    day(month, on).and_hms_opt(hour, minute, 0).unwrap_or_default().and_utc()
}

fn zone() -> Zone {
    Zone::parse("America/New_York").unwrap_or(Zone::UTC)
}

fn ranked(name: &str, cost: Option<i64>, before: Option<i64>) -> Ranked {
    Ranked { name: name.to_owned(), cost: cost.map(usd), before: before.map(usd) }
}

fn contributor(name: &str, cost: Option<i64>) -> Contributor {
    Contributor { name: name.to_owned(), cost: cost.map(usd) }
}

/// A message of this kind, over sample figures.
#[must_use]
pub fn sample(kind: Kind) -> Message {
    match kind {
        Kind::WeeklyDigest => weekly_digest().into(),
        Kind::BudgetAlert => budget_alert().into(),
        Kind::AnomalyAlert => anomaly_alert().into(),
        Kind::BillPublished => bill_published().into(),
        Kind::BillFailed => bill_failed().into(),
        Kind::ChannelDisabled => channel_disabled().into(),
        Kind::DeletionRequested => deletion_requested().into(),
        Kind::DeletionCancelled => deletion_cancelled().into(),
        Kind::DeletionDone => deletion_done().into(),
        Kind::ConfirmRecipient => confirm_recipient().into(),
        Kind::RegistrationLink => {
            RegistrationLink { link: link("register"), expires: at(11, 20, 17, 5) }.into()
        }
        Kind::AccountExists => AccountExists { sign_in: link("sign-in") }.into(),
        Kind::PasswordResetLink => {
            PasswordResetLink { link: link("new-password"), expires: at(11, 20, 17, 5) }.into()
        }
        Kind::PasswordChanged => PasswordChanged { at: at(11, 20, 15, 5), sign_in: link("sign-in") }.into(),
        Kind::SignInChanged => SignInChanged { at: at(11, 20, 15, 5), profile: link("profile") }.into(),
        Kind::InvitationLink => InvitationLink {
            tenant: TENANT.to_owned(),
            role: "analyst".to_owned(),
            link: link("invitation"),
            expires: at(11, 27, 15, 5),
            zone: zone(),
        }
        .into(),
    }
}

fn weekly_digest() -> WeeklyDigest {
    let from = day(11, 16);
    let daily = [2_314_077, 2_540_112, 4_982_250, 2_611_904, 2_420_338, 611_045, 598_774];
    let days = daily.iter().zip(0..).map(|(spend, ahead)| DaySpend {
        day: from.checked_add_days(Days::new(ahead)).unwrap_or(from),
        spend: Some(usd(*spend)),
    });
    WeeklyDigest {
        tenant: TENANT.to_owned(),
        from,
        zone: zone(),
        spend: Some(usd(16_078_500)),
        before: Some(usd(13_842_218)),
        requests: 184_302,
        unpriced: 212,
        failed: 1_047,
        days: days.collect(),
        models: vec![
            ranked("claude-sonnet-4-5", Some(7_716_400), Some(6_930_012)),
            ranked("gpt-5", Some(5_020_155), Some(4_488_120)),
            ranked("gemini-2.5-pro", Some(2_104_930), Some(2_210_400)),
            ranked("gpt-5-mini", Some(1_236_903), Some(213_686)),
            ranked("vision-large-preview", None, None),
        ],
        keys: vec![
            ranked("support-assistant", Some(6_904_310), Some(6_420_877)),
            ranked("ci-code-review", Some(4_611_020), Some(2_380_166)),
            ranked("search-ranking", Some(3_350_188), Some(3_391_020)),
            ranked("data-labelling", Some(1_212_804), Some(1_650_155)),
            ranked("playground", Some(178), Some(0)),
        ],
        providers: vec![
            ranked("Anthropic", Some(7_716_400), Some(6_930_012)),
            ranked("OpenAI", Some(6_257_058), Some(4_701_806)),
            ranked("Google", Some(2_104_930), Some(2_210_400)),
        ],
        bill: Some(BillPart {
            name: "AWS, payer 4417".to_owned(),
            from: day(10, 1),
            to: day(10, 31),
            totals: vec![BillTotal {
                currency: Currency::USD,
                total: Decimal::new(48_211_940, 2),
                ai: Decimal::new(6_120_455, 2),
            }],
        }),
        budgets: vec![
            BudgetLine {
                name: "CI and tooling".to_owned(),
                spent: Some(usd(10_412_000)),
                unpriced: 0,
                limit: usd(10_000_000),
            },
            BudgetLine {
                name: "Customer support".to_owned(),
                spent: Some(usd(21_650_300)),
                unpriced: 0,
                limit: usd(25_000_000),
            },
            BudgetLine {
                name: "Everything".to_owned(),
                spent: Some(usd(48_190_250)),
                unpriced: 0,
                limit: usd(90_000_000),
            },
        ],
        all_budgets: 3,
        anomalies: vec![AnomalyLine {
            what: "key ci-code-review".to_owned(),
            at: at(11, 18, 14, 0),
            expected: usd(312_000),
            actual: usd(2_418_866),
        }],
        all_anomalies: 1,
        console: link(""),
        preferences: link("preferences"),
    }
}

fn budget_alert() -> BudgetAlert {
    BudgetAlert {
        tenant: TENANT.to_owned(),
        budget: "Customer support".to_owned(),
        covers: "key support-assistant".to_owned(),
        from: day(11, 1),
        to: day(11, 30),
        threshold_percent: 80,
        spent: usd(20_310_420),
        limit: usd(25_000_000),
        unpriced: 12,
        expected: None,
        console: link("budgets"),
        preferences: link("preferences"),
    }
}

fn anomaly_alert() -> AnomalyAlert {
    AnomalyAlert {
        tenant: TENANT.to_owned(),
        series: "key ci-code-review".to_owned(),
        from: at(11, 18, 14, 0),
        to: at(11, 18, 18, 0),
        zone: zone(),
        expected: usd(312_000),
        actual: usd(2_418_866),
        contributors: vec![
            contributor("claude-sonnet-4-5", Some(2_190_310)),
            contributor("gpt-5-mini", Some(228_556)),
            contributor("vision-large-preview", None),
        ],
        console: link("anomalies"),
        preferences: link("preferences"),
    }
}

fn bill_published() -> BillPublished {
    BillPublished {
        tenant: TENANT.to_owned(),
        bill: "AWS, payer 4417".to_owned(),
        from: day(10, 1),
        to: day(10, 31),
        totals: vec![BillTotal {
            currency: Currency::USD,
            total: Decimal::new(48_211_940, 2),
            ai: Decimal::new(6_120_455, 2),
        }],
        console: link("bills"),
        preferences: link("preferences"),
    }
}

fn bill_failed() -> BillFailed {
    BillFailed {
        tenant: TENANT.to_owned(),
        bill: "AWS, payer 4417, October 2026".to_owned(),
        at: at(11, 3, 6, 42),
        zone: zone(),
        reason: "The file cur-00003.snappy.parquet ends in the middle of a row group.".to_owned(),
        remedy: "Deliver the file again or let AWS refresh the report. It is read as soon as it has changed."
            .to_owned(),
        console: link("bills"),
        preferences: link("preferences"),
    }
}

fn channel_disabled() -> ChannelDisabled {
    ChannelDisabled {
        tenant: TENANT.to_owned(),
        medium: Medium::Slack,
        channel: "#ai-spend".to_owned(),
        reason: "Slack says that the webhook no longer exists (404, no_service).".to_owned(),
        goes_on: false,
        at: at(11, 20, 9, 15),
        zone: zone(),
        console: link("channels"),
        preferences: link("preferences"),
    }
}

fn deletion_requested() -> DeletionRequested {
    DeletionRequested {
        tenant: TENANT.to_owned(),
        requested_by: "Ada Byrne".to_owned(),
        at: at(11, 20, 15, 4),
        erase_at: at(11, 27, 15, 4),
        zone: zone(),
        cancel: link("settings/deletion"),
    }
}

fn deletion_cancelled() -> DeletionCancelled {
    DeletionCancelled {
        tenant: TENANT.to_owned(),
        cancelled_by: "Ada Byrne".to_owned(),
        at: at(11, 22, 8, 30),
        zone: zone(),
        console: link(""),
    }
}

fn deletion_done() -> DeletionDone {
    let erased = |what: &str, minute| Erased { what: what.to_owned(), at: at(11, 27, 15, minute) };
    DeletionDone {
        tenant: TENANT.to_owned(),
        certificate: "CL-2026-000137".to_owned(),
        erased: vec![
            erased("Keys, connections and sessions", 5),
            erased("Requests and their figures", 7),
            erased("Bills and reports", 9),
            erased("Webhook endpoints and their messages", 10),
        ],
        outside_left: false,
        zone: zone(),
    }
}

fn confirm_recipient() -> ConfirmRecipient {
    ConfirmRecipient {
        tenant: TENANT.to_owned(),
        subscription: "the weekly digest".to_owned(),
        confirm: link("confirm/acw_sample"),
        expires: at(11, 25, 12, 0),
        zone: zone(),
    }
}
