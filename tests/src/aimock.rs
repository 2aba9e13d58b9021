//! An independent mock vendor from npm (`@copilotkit/aimock`): written by others, so that the proxy and our own
//! fake cannot agree on a misreading. One for all tests; its answers are fixed in `sdk/aimock.json`.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::place;
use crate::supervised::Supervised;

static ADDRESS: LazyLock<String> = LazyLock::new(crate::app::nobody_listens);

static RUNNING: LazyLock<Supervised> = LazyLock::new(|| {
    let sdk = place::repository().join("tests/sdk");
    let program = sdk.join("node_modules/@copilotkit/aimock/dist/cli.js");
    assert!(program.is_file(), "{} is not there: run tests/sdk/install", program.display());
    let fixtures = sdk.join("aimock.json");
    let (_, port) = ADDRESS.split_once(':').unwrap();
    let (program, fixtures) = (program.to_str().unwrap(), fixtures.to_str().unwrap());
    let command = ["node", program, "-p", port, "-f", fixtures, "--strict", "--log-level", "warn"];
    let log = std::env::temp_dir().join(format!("costlens-aimock-{}.log", std::process::id()));
    let child = Supervised::start(&command, &[], &log, Some(&log));
    let begun = Instant::now();
    while std::net::TcpStream::connect(ADDRESS.as_str()).is_err() {
        assert!(child.is_alive() && begun.elapsed() < crate::PATIENCE, "aimock: {}", child.log_tail());
        std::thread::sleep(Duration::from_millis(50));
    }
    child
});

/// Where it will listen; a server can be told before it does.
#[must_use]
pub fn host_port() -> String {
    ADDRESS.clone()
}

/// Its base URL. Starts it if need be.
#[must_use]
pub fn base_url() -> String {
    let _running = &*RUNNING;
    format!("http://{}/v1", *ADDRESS)
}
