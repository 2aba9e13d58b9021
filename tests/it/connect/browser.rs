//! A person connects an account in a real browser, and looks at all that follows from its bill.

use std::time::Duration;

use costlens_tests::actors::Owner;
use costlens_tests::{eventually, run};

use super::{Customer, PLATFORM, Platform, packed};
use crate::people::browser::walk;
use crate::settled;

/// A bill of a month in which somebody's steady use was twentyfold on one day, and with a line that no rule knows.
fn bill() -> String {
    let month = settled::month();
    let (first, model) = (month.first_day(), "USE1-NovaMicro-input-tokens");
    let days = first.iter_days().take_while(|day| *day < month.end());
    let steady = |(n, day)| {
        let (thousands, cost) = if n == 23 { ("20000000", "700") } else { ("1000000", "35") };
        settled::tokens(day, model, thousands, cost, "arn:aws:iam::222233334444:role/indexer")
    };
    let use_of_days: String = (0..).zip(days).map(steady).collect();
    let strange = settled::tokens(first, "USE1-ImaginaryModel9-telepathy", "7", "3.21", settled::GATEWAY);
    settled::bill(month) + &use_of_days + &strange + &settled::accelerated(first)
}

#[test]
fn an_account_is_connected_in_a_real_browser_and_its_bill_is_seen_to_its_last_consequence() {
    run(async {
        let Platform { aws, app } = &*PLATFORM;
        let tenant = app.command(&["tenants", "create", "Browsing"]);
        let owner = Owner::sign_in(&app.base_url(), &app.sign_in_link(&tenant)).await;
        let month = settled::month();
        let key = owner.create_key("logs").await.key_id;
        owner
            .send_bill(&format!("/api/v1/imports/litellm/{key}"), settled::logs(month), &[])
            .await
            .expect(200);
        let (account, bucket) = ("710203040506".to_owned(), "billing-browsing".to_owned());
        let link = app.sign_in_link(&tenant);
        let told = [app.base_url(), link, account.clone(), bucket.clone(), month.to_string()];
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        let seen = walk("bills.mjs", &told);

        let account_holder = async {
            let connection = eventually("connection that the browser made", async || {
                let all = owner.get("/api/v1/aws-connections").await;
                tokio::time::sleep(Duration::from_millis(200)).await;
                all["items"][0]["id"].as_str().map(str::to_owned)
            })
            .await;
            let customer = Customer { aws, owner: owner.clone(), account, bucket, connection };
            // Whoever holds the account follows the link; AWS delivers, and thinks better of it.
            customer.make_stack().await;
            customer.deliver(month, "b1", &[packed(&bill())]);
            let first = customer.current(month).await;
            let credit = ["AmazonBedrock", "", "", "0", "-412.00", "", ""];
            let credit = settled::line(month.first_day(), "Credit", credit);
            customer.deliver(month, "b2", &[packed(&(bill() + &credit))]);
            customer.test().await;
            customer.newer(month, &first).await;
        };
        tokio::join!(seen, account_holder);
    });
}
