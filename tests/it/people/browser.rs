//! The same trips in a real browser.

use std::process::Stdio;
use std::time::Duration;

use costlens_tests::vouchers::Known;
use costlens_tests::{place, run};

use super::single_sign_on::Firm;
use super::{Person, open, vouched};

/// Walks one of the console's walks, which must come to its end.
pub(crate) async fn walk(script: &str, told: &[&str]) {
    let console = place::repository().join("console");
    let walk = tokio::process::Command::new("node")
        .arg(console.join("e2e").join(script))
        .args(told)
        .current_dir(&console)
        .env("NO_PROXY", "*")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let walk = tokio::time::timeout(Duration::from_mins(10), walk).await.expect("the browser hangs").unwrap();
    let said = [walk.stdout, walk.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("");
    assert!(walk.status.success() && said.contains("\nok\n"), "{said}");
}

/// The address that links have, to which providers send browsers back.
fn base() -> String {
    open().app.base_url().replace("127.0.0.1", "localhost")
}

#[test]
fn people_come_by_google_and_github_in_a_real_browser() {
    run(async {
        let _others = vouched::ALONE.read().await;
        let open = open();
        let newcomer = Person::new(open, "browser");
        let taken = Person::registered(open, "taken").await;
        for (short, number, email) in [("dora", "77001", newcomer.email), ("eve", "77002", taken.email)] {
            open.vouchers.know(short, Known { subject: number.to_owned(), email: (email, true) });
        }
        let providers = format!("http://{}", open.vouchers.host_port());
        walk("vouched.mjs", &[&base(), &providers, "dora", "eve"]).await;
    });
}

#[test]
fn a_firms_people_come_by_its_own_provider_in_a_real_browser() {
    run(async {
        let firm = Firm::by(open(), 0, "walker").await;
        let (member, who) = firm.person(open(), "gwen");
        walk("single-sign-on.mjs", &[&base(), &firm.idp.issuer(), &member.email, &who, "walker's"]).await;
    });
}
