//! Durable work from outside: what the command line shows of a running server, and what a killed one leaves.

use std::time::Duration;

use costlens_tests::app::{TestApp, shared};
use costlens_tests::{eventually, run};
use serde_json::Value;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every schedule, by name.
const NAMES: [&str; 23] = [
    "anomalies",
    "audit-anchors",
    "aws-checks",
    "bill-uploads",
    "budgets",
    "clerk-sweep",
    "dead-letters",
    "deliveries",
    "digests",
    "erasures",
    "exports",
    "insight",
    "invoice-fetches",
    "key-rotation",
    "messages",
    "partitions",
    "prices",
    "queue-rows",
    "retention",
    "settlements",
    "sso-domains",
    "status",
    "unpriced",
];

/// The schedules, once a server that has just come up has written them.
async fn schedules(app: &TestApp) -> Vec<Value> {
    eventually("schedules", async || {
        let schedules = lines(&app.command(&["jobs", "schedules"]));
        (schedules.len() == NAMES.len()).then_some(schedules)
    })
    .await
}

#[test]
fn a_running_server_has_its_schedules_and_they_can_rest() {
    run(async {
        let app = shared();
        let schedules = schedules(app).await;
        let names: Vec<&str> = schedules.iter().map(|each| each["name"].as_str().unwrap()).collect();
        assert_eq!(names, NAMES);
        assert!(schedules.iter().all(|each| each["next"].is_string()), "{schedules:?}");

        assert_eq!(app.command(&["jobs", "pause", "queue-rows"]), "");
        let rests = |name: &str| {
            let schedules = lines(&app.command(&["jobs", "schedules"]));
            schedules.iter().any(|each| each["name"] == name && each["paused"] == true)
        };
        assert!(rests("queue-rows") && !rests("retention"));
        assert_eq!(app.command(&["jobs", "resume", "queue-rows"]), "");
        assert!(!rests("queue-rows"));
        let said = app.failing_command(&["jobs", "pause", "no-such-thing"]);
        assert!(said.contains("no schedule no-such-thing"), "{said}");
        let said = app.failing_command(&["jobs", "cancel", "01a21452-bbf1-7199-ac38-62f093865761"]);
        assert!(said.contains("no such job"), "{said}");
    });
}

/// A tick that nobody was there for is made up for at the next start, once.
#[test]
fn a_tick_that_was_missed_while_the_server_was_down_runs_once() {
    run(async {
        let mut app = TestApp::own(&[]);
        schedules(&app).await;
        // The schedule last ticked two days ago: several ticks are missed, and the latest counts.
        app.sql(
            "UPDATE queue.schedule SET last_tick = last_tick - interval '2 days' WHERE name = 'retention'",
        );
        app.kill();
        app.start();
        let ran = eventually("the missed purge", async || {
            let jobs = lines(&app.command(&["jobs", "list", "--queue", "retention.v1"]));
            jobs.iter().all(|job| job["state"] == "done").then_some(jobs).filter(|jobs| !jobs.is_empty())
        })
        .await;
        let [job] = ran.as_slice() else { panic!("{ran:?}") };
        assert!(job["key"].as_str().unwrap().starts_with("retention:"), "{job}");
        assert!(job["progress"]["session"].is_number(), "{job}");
        app.kill();
        app.start();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(lines(&app.command(&["jobs", "list", "--queue", "retention.v1"])).len(), 1);
    });
}
