//! The same trips in a real browser.

use std::process::Stdio;
use std::time::Duration;

use costlens_tests::vouchers::Known;
use costlens_tests::{place, run};

use super::{Person, open};

#[test]
fn people_come_by_google_and_github_in_a_real_browser() {
    run(async {
        let open = open();
        let newcomer = Person::new(open, "browser");
        let taken = Person::registered(open, "taken").await;
        for (short, number, email) in [("dora", "77001", newcomer.email), ("eve", "77002", taken.email)] {
            open.vouchers.know(short, Known { subject: number.to_owned(), email: (email, true) });
        }
        // The address that links have, to which the providers send browsers back.
        let base = open.app.base_url().replace("127.0.0.1", "localhost");
        let console = place::repository().join("console");
        let walk = tokio::process::Command::new("node")
            .arg(console.join("e2e/vouched.mjs"))
            .args([base, format!("http://{}", open.vouchers.host_port())])
            .args(["dora", "eve"])
            .current_dir(&console)
            .env("NO_PROXY", "*")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let walk =
            tokio::time::timeout(Duration::from_mins(3), walk).await.expect("the browser hangs").unwrap();
        let said =
            [walk.stdout, walk.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("");
        assert!(walk.status.success() && said.contains("\nok\n"), "{said}");
    });
}
