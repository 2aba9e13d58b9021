//! Another AWS than the tests' own: moto (PyPI), written by others, so that what we ask of AWS and how our own fake
//! answers cannot agree on a misreading. It serves STS, S3, IAM and CloudFormation and holds requests against the signature and the
//! policies of whoever makes them; it does not read trust policies, ExternalIds, session policies or conditions.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place;
use crate::sdk::{self, Language};
use crate::supervised::Supervised;

/// A running moto, whose account holds nothing yet. Ends with the value.
#[derive(Debug)]
pub struct Moto {
    _child: Supervised,
    address: String,
}

impl Moto {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        let address = crate::app::nobody_listens();
        let program = place::repository().join("tests/sdk/.venv/bin/python");
        assert!(program.is_file(), "{} is not there: run tests/sdk/install", program.display());
        let (host, port) = address.split_once(':').unwrap();
        let command = [program.to_str().unwrap(), "-m", "moto.server", "-H", host, "-p", port];
        let log = std::env::temp_dir().join(format!("costlens-moto-{}-{port}.log", std::process::id()));
        let child = Supervised::start(&command, &[], &log, Some(&log));
        let begun = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(child.is_alive() && begun.elapsed() < crate::PATIENCE, "moto: {}", child.log_tail());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { _child: child, address }
    }

    /// Where it serves all its services.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a customer's account with AWS' official SDK: `{role, template, parameters, bucket, region, files}`, the role by
    /// CloudFormation. `{id, secret, trust, policy, session_seconds}`: the keys of a user of ours that may assume roles, and
    /// what was made of the template.
    pub async fn make(&self, mut account: Value) -> Value {
        account["url"] = self.url().into();
        sdk::run_script(Language::Python, "customer_account.py", &account).await
    }
}
