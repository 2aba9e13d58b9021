//! The public status from outside: the server looks at itself, and anybody may see what it found.

use costlens_tests::app::shared;
use costlens_tests::{eventually, http, run};
use serde_json::Value;

fn today(part: &Value) -> &Value {
    part["days"].as_array().unwrap().last().unwrap()
}

fn is_known_today(part: &Value) -> bool {
    ["ok_minutes", "degraded_minutes"].iter().any(|name| today(part)[*name].as_u64() > Some(0))
}

#[test]
fn a_server_that_serves_says_so_to_anybody() {
    run(async {
        let app = shared();
        // A moment after midnight nothing is known of the day.
        let parts = eventually("a look at the service", async || {
            let status = app.get("/api/v1/status").await.expect(200).json();
            let parts = status["components"].as_array().unwrap().clone();
            (parts.len() == 4 && parts.iter().all(is_known_today)).then_some(parts)
        })
        .await;
        let names: Vec<&str> = parts.iter().map(|part| part["component"].as_str().unwrap()).collect();
        assert_eq!(names, ["api", "database", "jobs", "proxy"]);
        for part in &parts {
            assert_eq!(today(part)["down_minutes"], 0, "{part}");
            assert_ne!(part["state"], Value::Null);
        }
        let text = app.get("/api/v1/status").await.text();
        assert!(!text.contains("127.0.0.1") && !text.contains("localhost"), "{text}");
        let page = format!("{}/status", app.base_url());
        let page = http::send("GET", &page, &[("accept", "text/html")], "").await.expect(200);
        assert!(page.header("content-type").starts_with("text/html"), "{}", page.header("content-type"));
    });
}
