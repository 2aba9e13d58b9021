//! What anybody may read: the trust page and whom data goes to, how long it is kept, where to report, and that the
//! console itself asks nobody else for anything.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use costlens_aws::testing::{ACCESS_KEY, FakeKms, KEY_ARN};
use costlens_tests::app::{TestApp, shared};
use costlens_tests::{http, place, run};
use serde_json::{Value, json};

async fn trust(app: &TestApp) -> Value {
    app.get("/api/v1/trust").await.expect(200).json()
}

fn text(path: &str) -> String {
    std::fs::read_to_string(place::repository().join(path)).unwrap()
}

#[test]
fn the_trust_page_is_public_and_holds_every_row() {
    run(async {
        let served = trust(shared()).await;
        let document = text("docs/trust.md");
        let rows = document.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |"));
        let mut expected = Vec::new();
        for row in rows.filter(|row| !row.starts_with("| # |") && !row.starts_with("| promise |")) {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            match cells[..] {
                [id, promise, state, ..] if cells.len() == 6 => {
                    expected.push((json!(id), promise, state.replace(' ', "_")));
                }
                [promise, ..] => expected.push((Value::Null, promise, "kept".to_owned())),
                _ => {}
            }
        }
        let promises = served["areas"].as_array().unwrap().iter().flat_map(|area| {
            assert!(!area["title"].as_str().unwrap().is_empty());
            area["promises"].as_array().unwrap()
        });
        let served_rows: Vec<_> = promises
            .map(|row| {
                let word = |name: &str| row[name].as_str().unwrap();
                (row["id"].clone(), word("promise"), word("state").to_owned())
            })
            .collect();
        assert_eq!(served_rows, expected);
        assert!(served_rows.len() > 65, "{}", served_rows.len());
        let day = served["last_change"].as_str().unwrap();
        assert!(document.contains(&format!("Last change of a row: {day}.")), "{day}");
        let g1 =
            served["areas"].as_array().unwrap().iter().flat_map(|area| area["promises"].as_array().unwrap());
        let g1 = g1.clone().find(|row| row["id"] == "G1").unwrap();
        assert_eq!(g1["proofs"][0]["tests"][0], "only_https_passes", "{g1}");
        assert!(g1["mutants"].as_array().unwrap().contains(&json!("G1-plain-http")), "{g1}");
        assert_eq!(served["reporting"]["contact"], "security@costlens.example");
        assert!(
            served["facts"]
                .as_array()
                .unwrap()
                .iter()
                .any(|fact| fact["value"].as_str().is_some_and(|value| value.starts_with("AES-256-GCM")))
        );
        // The page itself needs nobody to sign in either.
        for page in ["/trust", "/subprocessors", "/privacy"] {
            let url = format!("{}{page}", shared().base_url());
            let answer = http::send("GET", &url, &[("accept", "text/html")], "").await.expect(200);
            assert!(answer.header("content-type").starts_with("text/html"), "{page}");
        }
    });
}

fn operators(trust: &Value) -> BTreeSet<(String, String)> {
    let all = trust["subprocessors"].as_array().unwrap().iter();
    let own = all.filter(|each| each["your_choice"] == false);
    own.map(|each| {
        for said in ["purpose", "data"] {
            assert!(each[said].as_str().is_some_and(|text| text.len() > 10), "{each}");
        }
        let word = |name: &str| each[name].as_str().unwrap_or_default().to_owned();
        (word("name"), word("host"))
    })
    .collect()
}

#[test]
fn subprocessors_are_what_the_process_is_configured_to_call() {
    run(async {
        let plain = trust(shared()).await;
        assert_eq!(operators(&plain), BTreeSet::new(), "nothing is configured, and so nobody is called");
        let hosts: BTreeSet<&str> = plain["subprocessors"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|each| each["host"].as_str())
            .collect();
        // Those that a tenant chooses: the vendors that can be connected, and Slack.
        for host in ["api.openai.com", "api.anthropic.com", "hooks.slack.com"] {
            assert!(hosts.contains(host), "{host} is not named: {hosts:?}");
        }
        let owner = shared().owner("Subprocessors").await;
        let offered = owner.get("/api/v1/providers").await;
        for provider in offered["items"].as_array().unwrap() {
            let Some(host) = provider["default_base_url"].as_str().and_then(|url| url.split('/').nth(2))
            else {
                continue;
            };
            assert!(hosts.contains(host), "{provider} can be called and is not named");
        }

        let nobody = shared().nothing_there.clone();
        let kms = FakeKms::start();
        let full = TestApp::own(&[
            ("COSTLENS_SMTP_URL", &format!("smtp://{nobody}?tls=none")),
            ("SVIX_TOKEN", "a-token-that-nobody-shows"),
            ("SVIX_SERVER_URL", &format!("http://{nobody}")),
            ("COSTLENS_PRICES_URL", &format!("https://{nobody}/prices.json")),
            ("COSTLENS_ALLOW_PRIVATE_HOSTS", &nobody),
            ("COSTLENS_MASTER_KEYS", &format!("v1:{KEY_ARN}")),
            ("COSTLENS_KMS_URL", &kms.url()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("COSTLENS_GOOGLE_CLIENT_ID", "at-google"),
            ("COSTLENS_GOOGLE_CLIENT_SECRET", "a-token-that-nobody-shows"),
            ("COSTLENS_GITHUB_CLIENT_ID", "at-github"),
            ("COSTLENS_GITHUB_CLIENT_SECRET", "a-token-that-nobody-shows"),
            ("CLERK_ISSUER", "https://clerk.costlens.example"),
            ("CLERK_SECRET_KEY", "a-token-that-nobody-shows"),
            ("CLERK_WEBHOOK_SECRETS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            ("CLERK_AUTHORIZED_PARTIES", "https://costlens.example"),
            ("CLERK_SIGN_IN_URL", "https://clerk.costlens.example/sign-in"),
            ("CLERK_INSTANCE_ID", "ins_nobodys"),
        ]);
        let full = trust(&full).await;
        let key_service = kms.url().split('/').nth(2).unwrap().to_owned();
        // Each setting that makes this process call somebody, and whom.
        let configured = [
            ("COSTLENS_SMTP_URL", "The mail server", nobody.as_str()),
            ("SVIX_TOKEN", "Svix", nobody.as_str()),
            ("COSTLENS_PRICES_URL", "The price document", nobody.as_str()),
            ("COSTLENS_MASTER_KEYS", "AWS Key Management Service", key_service.as_str()),
            ("CLERK_ISSUER", "Clerk", "clerk.costlens.example"),
            ("CLERK_API_URL", "Clerk", "api.clerk.com"),
        ];
        for (setting, name, host) in configured {
            let named = operators(&full).contains(&(name.to_owned(), host.to_owned()));
            assert!(named, "{setting} is set, and {name} at {host} is not named: {full}");
        }
        assert_eq!(operators(&full).len(), configured.len(), "{:?}", operators(&full));
        for (setting, name, host) in [
            ("COSTLENS_GOOGLE_CLIENT_ID", "Google", "accounts.google.com"),
            ("COSTLENS_GOOGLE_CLIENT_ID", "Google", "oauth2.googleapis.com"),
            ("COSTLENS_GOOGLE_CLIENT_ID", "Google", "www.googleapis.com"),
            ("COSTLENS_GITHUB_CLIENT_ID", "GitHub", "github.com"),
            ("COSTLENS_GITHUB_CLIENT_ID", "GitHub", "api.github.com"),
            ("COSTLENS_AWS_ASSUMER_ROLE", "Amazon Web Services", "sts.us-east-1.amazonaws.com"),
        ] {
            let all = full["subprocessors"].as_array().unwrap();
            let named = all.iter().any(|each| each["name"] == name && each["host"] == host);
            assert!(named, "{setting} is set, and {name} at {host} is not named: {full}");
        }
        assert!(!full.to_string().contains("a-token-that-nobody-shows"));

        let secret =
            TestApp::own(&[("COSTLENS_SMTP_URL", "smtps://us%40er:hidden%2Fsparrow@mail.example.com:465")]);
        let secret = trust(&secret).await;
        let expected = ("The mail server".to_owned(), "mail.example.com:465".to_owned());
        assert_eq!(operators(&secret), BTreeSet::from([expected]));
        assert!(!secret.to_string().contains("sparrow"), "the mail server's password is shown");
    });
}

#[test]
fn the_retention_that_is_told_is_the_databases_own() {
    run(async {
        let app = TestApp::own(&[]);
        let told = trust(&app).await;
        let told: Vec<String> = told["retention"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| {
                let days = rule["keep_days"].as_u64().map(|days| days.to_string()).unwrap_or_default();
                format!("{}|{days}|{}", rule["table"].as_str().unwrap(), rule["reason"].as_str().unwrap())
            })
            .collect();
        let live = app.query("SELECT table_name, keep_days, reason FROM retention");
        let sorted = |mut lines: Vec<String>| {
            lines.sort();
            lines
        };
        assert_eq!(sorted(told.clone()), sorted(live.lines().map(str::to_owned).collect()));
        assert!(told.len() > 15, "{told:?}");
    });
}

fn facts<'a>(trust: &'a Value, area: &str) -> Vec<(&'a str, &'a str)> {
    let of_area = trust["facts"].as_array().unwrap().iter().filter(|fact| fact["area"] == *area);
    of_area.map(|fact| (fact["name"].as_str().unwrap(), fact["value"].as_str().unwrap())).collect()
}

#[test]
fn what_is_told_of_prompts_and_answers_is_what_an_account_may_choose() {
    run(async {
        let owner = shared().owner("Told of bodies").await;
        let settings = owner.get("/api/v1/privacy").await;
        assert_eq!(settings["capture_bodies"], false);
        let served = trust(shared()).await;
        let facts = facts(&served, "Privacy");
        let (_, told) = facts.iter().find(|(name, _)| name.starts_with("Prompts and answers")).unwrap();
        // Off at first, and there to be had: `none` alone would not be true.
        assert!(told.starts_with("none, unless your account asks for it"), "{told}");
        for said in ["sealed", "Zero Data Retention", "personal data"] {
            assert!(told.contains(said), "{said}: {told}");
        }
        for (class, said) in
            [("7d", "7"), ("30d", "30"), ("90d", "90"), ("365d", "365"), ("forever", "for ever")]
        {
            let kept = json!({"capture_bodies": true, "body_retention": class});
            owner.call("PATCH", "/api/v1/privacy", Some(&kept)).await.expect(200);
            assert!(told.contains(said), "{class} can be chosen: {told}");
        }
    });
}

#[test]
fn the_cookies_that_are_told_are_those_that_are_set() {
    run(async {
        let served = trust(shared()).await;
        let told: BTreeSet<&str> = facts(&served, "Cookies").into_iter().map(|(name, _)| name).collect();
        for (name, purpose) in facts(&served, "Cookies") {
            assert!(purpose.ends_with(" at most"), "{name}: {purpose}");
        }
        // Those that the code can set, and that the one place is the only one.
        let code = text("api/src/cookies.rs");
        let names = code.split('"').skip(1).step_by(2).filter(|quoted| quoted.starts_with("costlens_"));
        assert_eq!(told, names.collect::<BTreeSet<_>>(), "the privacy page and the code name other cookies");
        let mut folders = vec![place::repository().join("api/src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let code = std::fs::read_to_string(&path).unwrap().to_lowercase();
                let sets = code.contains("set_cookie") || code.contains("set-cookie");
                assert!(
                    !sets || path.ends_with("api/src/cookies.rs"),
                    "{} sets a cookie, too",
                    path.display()
                );
            }
        }
        let page = text("console/src/screens/trust/privacy-screen.tsx");
        assert!(page.contains(r#"fact.area === "Cookies""#), "the page does not show them");
    });
}

#[test]
fn the_console_may_load_nothing_of_anybody_elses() {
    run(async {
        let url = format!("{}/trust", shared().base_url());
        let page = http::send("GET", &url, &[("accept", "text/html")], "").await.expect(200);
        let policy = page.header("content-security-policy");
        let mut directives = BTreeSet::new();
        for directive in policy.split(';').map(str::trim).filter(|directive| !directive.is_empty()) {
            let mut words = directive.split_whitespace();
            let name = words.next().unwrap();
            directives.insert(name);
            for source in words {
                let styles_own = name == "style-src-attr" && source == "'unsafe-inline'";
                let drawn = name == "img-src" && source == "data:";
                assert!(["'self'", "'none'"].contains(&source) || styles_own || drawn, "{name} {source}");
            }
        }
        for needed in
            ["default-src", "script-src", "connect-src", "frame-ancestors", "form-action", "base-uri"]
        {
            assert!(directives.contains(needed), "{needed} is not said: {policy}");
        }
        for file in ["console/index.html", "console/public/theme.js"] {
            let code = text(file);
            for foreign in ["http://", "https://", "src=\"//", "href=\"//"] {
                assert!(!code.contains(foreign), "{file} names {foreign}");
            }
        }
    });
}

/// Days since 1970 of a day of the proleptic Gregorian calendar, as `YYYY-MM-DD`.
fn day_number(day: &str) -> i64 {
    let parts: Vec<i64> = day.split('-').map(|part| part.parse().unwrap()).collect();
    let [year, month, day] = parts[..] else { panic!("{day} is no day") };
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469
}

#[test]
fn security_txt_says_where_to_write_and_does_not_expire_for_thirty_days() {
    run(async {
        assert_eq!((day_number("1970-01-01"), day_number("2024-02-29")), (0, 19_782));
        let answer = shared().get("/.well-known/security.txt").await.expect(200);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        let file = answer.text();
        let field = |name: &str| {
            let found: Vec<_> =
                file.lines().filter_map(|line| line.strip_prefix(name)).map(str::trim).collect();
            assert_eq!(found.len(), 1, "{name} stands once: {file}");
            found[0].to_owned()
        };
        assert_eq!(field("Contact:"), "mailto:security@costlens.example");
        assert_eq!(field("Preferred-Languages:"), "en");
        let expires = field("Expires:");
        let (day, time) = expires.split_once('T').unwrap();
        assert!(time.ends_with('Z'), "{expires}");
        #[expect(clippy::disallowed_methods, reason = "whether the file that is served today expires")]
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
        let left = day_number(day) - i64::try_from(today).unwrap();
        assert!(
            left >= 30,
            "security.txt expires in {left} days: make sure that the address is read, and write `Last reviewed: …` \
             in SECURITY.md"
        );
        assert!(left < 365, "RFC 9116 wants less than a year, not {left} days");
        // A plain address is no canonical one.
        assert!(!file.contains("Canonical:") && !file.contains("http://"), "{file}");
        let public = TestApp::own(&[("COSTLENS_PUBLIC_URL", "https://costlens.example.com/")]);
        let file = public.get("/.well-known/security.txt").await.expect(200).text();
        assert!(
            file.contains("\nCanonical: https://costlens.example.com/.well-known/security.txt\n"),
            "{file}"
        );
        assert!(file.contains("\nPolicy: https://costlens.example.com/trust\n"), "{file}");
    });
}

#[test]
fn the_security_policy_promises_what_the_trust_page_says() {
    run(async {
        let policy = text("SECURITY.md");
        let served = trust(shared()).await;
        let reporting = &served["reporting"];
        assert_eq!(reporting["acknowledged_within_hours"], 48);
        assert!(policy.contains("within **48 hours**"), "48 hours are promised");
        let severities = reporting["severities"].as_array().unwrap();
        let days: Vec<u64> = severities.iter().map(|each| each["days"].as_u64().unwrap()).collect();
        let names: Vec<&str> = severities.iter().map(|each| each["severity"].as_str().unwrap()).collect();
        assert_eq!(names, ["critical", "high", "medium", "low"]);
        assert!(days.is_sorted() && days[0] <= 7 && days[3] <= 90, "{days:?}");
        for said in [
            "Every report is investigated",
            "credited",
            "do not run scanners against production",
            "scripts/staging",
        ] {
            assert!(policy.contains(said), "SECURITY.md does not say `{said}`");
        }
        assert!(place::repository().join("scripts/staging").is_file());
    });
}
