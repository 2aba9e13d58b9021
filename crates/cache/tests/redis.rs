//! Limits against a real redis-server: exact, shared, and no reason for anybody to fail or wait.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use costlens_cache::testing::PrivateRedis;
use costlens_cache::{Limits, Patience, RedisUrl, RedisUrlError, Rule, Verdict};
use costlens_domain::ports::Clock;

const SECRET: [u8; 32] = [7; 32];

static TEN: Rule = Rule::new("login", 10, Duration::from_mins(1));

/// The local windows of these tests never end: what ends them is Redis.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}

/// Waits for a loaded machine, so that only what a test breaks is away.
fn patient() -> Patience {
    let long = Duration::from_secs(20);
    Patience { call: long, connect: long, first_pause: Duration::from_millis(10), ..Patience::default() }
}

async fn limits(redis: &PrivateRedis) -> Limits {
    limits_with(redis, patient()).await
}

async fn limits_with(redis: &PrivateRedis, patience: Patience) -> Limits {
    Limits::shared(&redis.url(), SECRET, Arc::new(Stopped), patience).await.unwrap()
}

fn allowed(remaining: u32) -> Verdict {
    Verdict::Allowed { remaining, degraded: false }
}

/// Every counter that is there, with its life in milliseconds.
fn counters(redis: &PrivateRedis) -> Vec<(String, i64)> {
    let keys = redis.ask(&["--scan"]);
    let life = |key: &str| redis.ask(&["PTTL", key]).parse().unwrap();
    keys.lines().filter(|key| !key.ends_with(":probe")).map(|key| (key.to_owned(), life(key))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_limit_is_allowed_and_one_more_is_told_how_long_to_wait() {
    let redis = PrivateRedis::start();
    let limits = limits(&redis).await;
    for taken in 1..=10 {
        assert_eq!(limits.peek(&TEN, "ada").await, allowed(11 - taken));
        assert_eq!(limits.take(&TEN, "ada").await, allowed(10 - taken));
    }
    for _ in 0..3 {
        for verdict in [limits.take(&TEN, "ada").await, limits.peek(&TEN, "ada").await] {
            let Verdict::Refused { retry_after } = verdict else { panic!("{verdict:?}") };
            assert!(retry_after <= TEN.window && retry_after > TEN.window / 2, "{retry_after:?}");
        }
    }
    let (_, life) = counters(&redis).remove(0);
    assert_eq!(redis.ask(&["GET", &counters(&redis)[0].0]), "10", "a refusal is not counted");
    assert!((1..=60_000).contains(&life));
    assert_eq!(limits.take(&TEN, "bob").await, allowed(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_at_once_over_two_clients_exactly_ten_are_allowed() {
    let redis = PrivateRedis::start();
    let clients = [Arc::new(limits(&redis).await), Arc::new(limits(&redis).await)];
    let tasks: Vec<_> = (0..64)
        .map(|turn| {
            let limits = Arc::clone(&clients[turn % 2]);
            tokio::spawn(async move { limits.take(&TEN, "ada").await })
        })
        .collect();
    let mut remaining = BTreeSet::new();
    for task in tasks {
        if let Verdict::Allowed { remaining: left, degraded } = task.await.unwrap() {
            assert!(!degraded);
            assert!(remaining.insert(left), "two were told that {left} remain");
        }
    }
    assert_eq!(remaining, (0..10).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_shares_the_limit() {
    // This test's own program is the other process.
    if let Some(url) = other_process() {
        let url = RedisUrl::parse(&url).unwrap();
        let limits = Limits::shared(&url, SECRET, Arc::new(Stopped), patient()).await.unwrap();
        for _ in 0..6 {
            assert!(limits.take(&TEN, "ada").await.is_allowed());
        }
        return;
    }
    let redis = PrivateRedis::start();
    let mut other = std::process::Command::new(std::env::current_exe().unwrap());
    other.args(["--exact", "another_process_shares_the_limit"]).env(OTHER, redis.url_text());
    assert!(other.status().unwrap().success());
    let limits = limits(&redis).await;
    for left in (0..4).rev() {
        assert_eq!(limits.take(&TEN, "ada").await, allowed(left));
    }
    assert!(!limits.take(&TEN, "ada").await.is_allowed());
}

const OTHER: &str = "COSTLENS_TEST_OTHER_PROCESS";

#[expect(clippy::disallowed_methods, reason = "a test that starts itself tells itself by the environment")]
fn other_process() -> Option<String> {
    std::env::var(OTHER).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_ends_by_redis_clock_and_a_new_one_begins() {
    static BRIEF: Rule = Rule::new("brief", 2, Duration::from_millis(300));
    let redis = PrivateRedis::start();
    let limits = limits(&redis).await;
    assert!(limits.take(&BRIEF, "ada").await.is_allowed());
    assert!(limits.take(&BRIEF, "ada").await.is_allowed());
    // However slow the machine is: sooner or later, and not before the window's end.
    let begun = Instant::now();
    let mut told = Duration::ZERO;
    loop {
        match limits.take(&BRIEF, "ada").await {
            Verdict::Refused { retry_after } => {
                told = told.max(begun.elapsed() + retry_after);
                tokio::time::sleep(retry_after).await;
            }
            verdict @ Verdict::Allowed { .. } => {
                assert_eq!(verdict, allowed(1));
                break;
            }
        }
    }
    assert!(begun.elapsed() + Duration::from_millis(5) >= told.min(BRIEF.window / 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_rules_the_strictest_answers_and_a_refusal_counts_nowhere() {
    static ACCOUNT: Rule = Rule::new("account", 3, Duration::from_secs(30));
    let redis = PrivateRedis::start();
    let limits = limits(&redis).await;
    let both = [(&TEN, "203.0.113.7"), (&ACCOUNT, "ada@example.com")];
    for left in (0..3).rev() {
        assert_eq!(limits.take_all(&both).await, allowed(left));
    }
    for _ in 0..5 {
        let Verdict::Refused { retry_after } = limits.take_all(&both).await else { panic!("allowed") };
        assert!(retry_after <= ACCOUNT.window);
    }
    assert_eq!(limits.peek(&TEN, "203.0.113.7").await, allowed(7));
    // The same counter twice is one counter.
    assert_eq!(limits.take_all(&[(&TEN, "twice"), (&TEN, "twice")]).await, allowed(9));
    // The longest wait of those that are full is the answer.
    for _ in 0..7 {
        limits.take(&TEN, "203.0.113.7").await;
    }
    let Verdict::Refused { retry_after } = limits.take_all(&both).await else { panic!("allowed") };
    assert!(retry_after > ACCOUNT.window);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_lets_the_subject_begin_anew_and_touches_nobody_else() {
    let redis = PrivateRedis::start();
    let limits = limits(&redis).await;
    for _ in 0..11 {
        limits.take(&TEN, "ada").await;
        limits.take(&TEN, "bob").await;
    }
    limits.reset(&TEN, "ada").await;
    assert_eq!(limits.take(&TEN, "ada").await, allowed(9));
    assert!(!limits.take(&TEN, "bob").await.is_allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_named_in_redis() {
    let redis = PrivateRedis::start();
    let limits = limits(&redis).await;
    limits.take_all(&[(&TEN, "203.0.113.7"), (&TEN, "ada@example.com")]).await;
    let keys = redis.ask(&["--scan"]);
    assert_eq!(keys.matches("{costlens}:limit:login:").count(), 2, "{keys}");
    for name in ["203.0", "ada", "example"] {
        assert!(!keys.contains(name), "{keys}");
    }
    // Nor can a name be tried out without the secret.
    let other = Limits::shared(&redis.url(), [8; 32], Arc::new(Stopped), patient()).await.unwrap();
    assert_eq!(other.take(&TEN, "ada@example.com").await, allowed(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_counter_has_an_end_whatever_is_killed_when() {
    let mut redis = PrivateRedis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let limits = Arc::new(limits(&redis).await);
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..8)
        .map(|client| {
            let (limits, stop) = (Arc::clone(&limits), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut subject = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    subject += 1;
                    limits.take(&TEN, &format!("{client} {}", subject / 2)).await;
                    // The substitute answers without a pause; the task that connects anew wants its turn, too.
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut seen = 0;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        redis.kill();
        redis.start_again();
        let found = counters_at_once(&redis);
        seen = seen.max(found.len());
        assert!(found.iter().all(|life| *life != -1), "a counter without an end");
        while limits.is_degraded() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    assert!(seen > 20, "{seen} counters outlived a kill: too few to tell anything");
}

/// The lives of all keys, in one look.
fn counters_at_once(redis: &PrivateRedis) -> Vec<i64> {
    let lives = "local out = {} for _, k in ipairs(redis.call('KEYS', '*')) do out[#out+1] = redis.call('PTTL', k) end \
                 return out";
    let said = redis.ask(&["EVAL", lives, "0"]);
    said.lines().filter_map(|line| line.parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_lost_its_end_gets_one() {
    let redis = PrivateRedis::start();
    let limits = limits(&redis).await;
    for _ in 0..10 {
        limits.take(&TEN, "ada").await;
    }
    let key = counters(&redis)[0].0.clone();
    assert_eq!(redis.ask(&["PERSIST", &key]), "1");
    assert!(!limits.take(&TEN, "ada").await.is_allowed());
    assert!((1..=60_000).contains(&counters(&redis)[0].1));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_under_load_fails_nobody_and_is_used_again_when_it_is_back() {
    static MANY: Rule = Rule::new("many", u32::MAX, Duration::from_mins(1));
    let mut redis = PrivateRedis::start();
    let limits = Arc::new(limits(&redis).await);
    let (stop, degraded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let load: Vec<_> = (0..16)
        .map(|client| {
            let (limits, stop, degraded) = (Arc::clone(&limits), Arc::clone(&stop), Arc::clone(&degraded));
            tokio::spawn(async move {
                let mut taken = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    let verdict = limits.take(&MANY, &format!("client {client}")).await;
                    let Verdict::Allowed { degraded: alone, .. } = verdict else { panic!("{verdict:?}") };
                    degraded.fetch_add(u32::from(alone), Ordering::Relaxed);
                    taken += 1;
                    tokio::task::yield_now().await;
                }
                taken
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(degraded.load(Ordering::Relaxed), 0);
    redis.kill();
    while degraded.load(Ordering::Relaxed) < 1000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(limits.is_degraded());
    redis.start_again();
    while limits.is_degraded() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before: usize = counters(&redis).len();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.store(true, Ordering::Relaxed);
    for task in load {
        assert!(task.await.unwrap() > 0);
    }
    assert!(counters(&redis).len().max(before) > 0, "nothing was counted in the Redis that came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_the_same_limit_goes_on_from_where_it_stood() {
    let mut redis = PrivateRedis::start();
    let limits = limits(&redis).await;
    for _ in 0..7 {
        limits.take(&TEN, "ada").await;
    }
    redis.kill();
    for left in (0..3).rev() {
        assert_eq!(limits.take(&TEN, "ada").await, Verdict::Allowed { remaining: left, degraded: true });
    }
    assert!(!limits.take(&TEN, "ada").await.is_allowed());
    assert!(!limits.peek(&TEN, "ada").await.is_allowed());
    limits.reset(&TEN, "ada").await;
    assert!(limits.take(&TEN, "ada").await.is_allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_costs_one_wait_and_then_nothing() {
    static MANY: Rule = Rule::new("many", u32::MAX, Duration::from_mins(1));
    let redis = PrivateRedis::start();
    let patience = Patience { call: Duration::from_secs(1), ..patient() };
    let limits = limits_with(&redis, patience).await;
    assert!(matches!(limits.take(&MANY, "ada").await, Verdict::Allowed { degraded: false, .. }));
    redis.signal("STOP");
    let begun = Instant::now();
    for _ in 0..5000 {
        assert!(matches!(limits.take(&MANY, "ada").await, Verdict::Allowed { degraded: true, .. }));
    }
    // Each alone would have waited a second; connecting anew, which hangs too, happens beside them.
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    redis.signal("CONT");
    while limits.is_degraded() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(limits.take(&MANY, "ada").await, Verdict::Allowed { degraded: false, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_no_writes_counts_as_away() {
    let redis = PrivateRedis::start();
    let limits = limits(&redis).await;
    // Full, with nothing that may be thrown away.
    assert_eq!(redis.ask(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    assert!(matches!(limits.take(&TEN, "ada").await, Verdict::Allowed { remaining: 9, degraded: true }));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(limits.is_degraded(), "pings are answered, writes are not");
    assert_eq!(redis.ask(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
    while limits.is_degraded() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(limits.take(&TEN, "ada").await, Verdict::Allowed { degraded: false, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_at_the_start_is_used_once_it_is() {
    let mut redis = PrivateRedis::start();
    redis.kill();
    let limits = limits(&redis).await;
    assert!(limits.is_degraded());
    assert_eq!(limits.take(&TEN, "ada").await, Verdict::Allowed { remaining: 9, degraded: true });
    redis.start_again();
    while limits.is_degraded() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(limits.take(&TEN, "bob").await, allowed(9));
}

#[test]
fn an_address_that_is_none_is_refused_without_showing_it() {
    for wrong in ["", "secret@host", "http://:secret@host", "redis://:secret@host:port"] {
        let refused = RedisUrl::parse(wrong).unwrap_err();
        assert_eq!(refused, RedisUrlError::Shape, "{wrong}");
        assert!(!refused.to_string().contains("secret"));
    }
    assert_eq!(RedisUrl::parse("rediss://host/#insecure"), Err(RedisUrlError::Insecure));
    let right = RedisUrl::parse("rediss://user:secret@host:6380/2").unwrap();
    assert!(!format!("{right:?}").contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_certificate_is_checked_before_anything_is_said() {
    // Whom the platform trusts is read once a process: the other one trusts this test's certificate.
    if let Some(url) = other_process() {
        let url = RedisUrl::parse(&url).unwrap();
        let limits = Limits::shared(&url, SECRET, Arc::new(Stopped), patient()).await.unwrap();
        assert_eq!(limits.take(&TEN, "ada").await, allowed(9));
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: String| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (cert, key) =
        (write("cert.pem", made.cert.pem()), write("key.pem", made.signing_key.serialize_pem()));
    // Held to the end, so that nobody else is given the port; the server is told to listen there all the same.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.set_reuseaddr(true).unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let tls =
        ["--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &cert];
    let redis = PrivateRedis::start_with(&[&tls[..], &["--tls-auth-clients", "no", "--save", ""]].concat());
    let url = format!("rediss://localhost:{port}/0");
    // This process does not trust it, and counts by itself.
    let limits =
        Limits::shared(&RedisUrl::parse(&url).unwrap(), SECRET, Arc::new(Stopped), patient()).await.unwrap();
    assert_eq!(limits.take(&TEN, "ada").await, Verdict::Allowed { remaining: 9, degraded: true });
    assert!(counters(&redis).is_empty());
    let mut other = std::process::Command::new(std::env::current_exe().unwrap());
    other.args(["--exact", "over_tls_a_certificate_is_checked_before_anything_is_said"]);
    assert!(other.env(OTHER, url).env("SSL_CERT_FILE", &cert).status().unwrap().success());
    assert_eq!(counters(&redis).len(), 1);
}
