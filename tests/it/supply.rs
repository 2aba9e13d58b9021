//! What comes in from outside: dependencies with their licences and advisories, the bill of materials, and the machine
//! that tests every change.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use costlens_tests::place;
use serde_json::{Value, json};

fn script(name: &str, arguments: &[&str]) -> Output {
    let root = place::repository();
    Command::new(root.join("scripts").join(name)).args(arguments).current_dir(&root).output().unwrap()
}

/// What the check of dependencies says, and whether it is content.
fn check(arguments: &[&str]) -> (bool, String) {
    let output = script("check-dependencies", arguments);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.into_owned())
}

fn text(path: &str) -> String {
    std::fs::read_to_string(place::repository().join(path)).unwrap()
}

fn snapshot() -> Value {
    serde_json::from_str(&text("docs/security/advisories.json")).unwrap()
}

fn written(dir: &Path, name: &str, content: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The snapshot with one more advisory.
fn snapshot_with(advisory: Value) -> String {
    let mut snapshot = snapshot();
    snapshot["advisories"].as_array_mut().unwrap().push(advisory);
    snapshot.to_string()
}

#[test]
fn a_crate_with_an_advisory_a_foreign_licence_or_a_ban_is_named() {
    let taken = snapshot()["taken"].as_str().unwrap().to_owned();
    let today = ["--today", taken.as_str()];
    let (content, said) = check(&today);
    assert!(content, "{said}");

    let dir = tempfile::tempdir().unwrap();
    let deny = text("deny.toml");
    let broken = |what: &str, with: &str| {
        assert!(deny.contains(what), "deny.toml has no {what}");
        written(dir.path(), "deny.toml", &deny.replacen(what, with, 1))
    };
    let no_isc = broken("  \"ISC\",\n", "");
    let (content, said) = check(&["--deny", &no_isc, today[0], today[1]]);
    assert!(!content && said.contains("is under ISC"), "{said}");
    let banned = broken("[bans]\n", "[bans]\n# x\n").clone();
    let more = std::fs::read_to_string(&banned).unwrap().replacen(
        "  # One TLS stack",
        "  { crate = \"rustls\", reason = \"a test\" },\n  # One TLS stack",
        1,
    );
    std::fs::write(&banned, more).unwrap();
    let (content, said) = check(&["--deny", &banned, today[0], today[1]]);
    assert!(!content && said.contains("ban: rustls is named by"), "{said}");
    let unjailed =
        broken("\"lettre\", wrappers = [\"costlens-notify\"]", "\"lettre\", wrappers = [\"costlens-api\"]");
    let (content, said) = check(&["--deny", &unjailed, today[0], today[1]]);
    assert!(!content && said.contains("ban: lettre is named by costlens-notify"), "{said}");

    let advisory = |patched: &[&str], unaffected: &[&str]| {
        json!({
            "id": "RUSTSEC-2099-0001", "package": "tokio", "date": "2099-01-01", "title": "a made-up fault",
            "patched": patched, "unaffected": unaffected,
        })
    };
    for (patched, unaffected, hit) in [
        (&[][..], &[][..], true),
        (&[">= 99.0.0"], &[], true),
        (&[">= 0.2.0, < 0.3.0"], &["< 0.1.0"], true),
        (&["^0.2.22", "^99"], &[], true),
        (&[">= 1.0.0"], &[], false),
        (&["^1.2"], &[], false),
        (&[], &[">= 1.0.0-alpha.1"], false),
    ] {
        let file = written(dir.path(), "advisories.json", &snapshot_with(advisory(patched, unaffected)));
        let (content, said) = check(&["--advisories", &file, today[0], today[1]]);
        let named = said.contains("error: advisories: RUSTSEC-2099-0001 tokio");
        assert_eq!((named, !content), (hit, hit), "{patched:?} {unaffected:?}: {said}");
    }
    // What deny.toml ignores, with its reason, is met and let pass; without the exception it is not.
    let strict =
        deny.lines().filter(|line| !line.contains("RUSTSEC-2026-0194")).collect::<Vec<_>>().join("\n");
    let strict = written(dir.path(), "deny.toml", &strict);
    let (content, said) = check(&["--deny", &strict, today[0], today[1]]);
    assert!(!content && said.contains("RUSTSEC-2026-0194 quick-xml"), "{said}");
}

#[test]
fn an_old_snapshot_of_advisories_warns_and_fails_where_it_is_scheduled() {
    let dir = tempfile::tempdir().unwrap();
    let mut young = snapshot();
    young["taken"] = json!("2026-11-01");
    // One that was asked about everything, as the schedule wants it.
    let lock = text("Cargo.lock");
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    young["packages"] = json!(names.collect::<Vec<_>>());
    let file = written(dir.path(), "advisories.json", &young.to_string());
    for (today, old) in [("2026-11-15", false), ("2026-11-16", true)] {
        let common = ["--advisories", &file, "--today", today];
        let (content, said) = check(&common);
        assert!(content, "a push is not held up: {said}");
        assert_eq!(
            said.contains("warning: advisories: the snapshot is of 2026-11-01"),
            old,
            "{today}: {said}"
        );
        let scheduled: Vec<&str> = common.iter().copied().chain(["--scheduled"]).collect();
        let (content, said) = check(&scheduled);
        assert_eq!(content, !old, "{today}: {said}");
    }
    // A package that nobody asked the snapshot about.
    let packages = young["packages"].as_array_mut().unwrap();
    packages.retain(|name| name != "tokio");
    let file = written(dir.path(), "advisories.json", &young.to_string());
    let (content, said) = check(&["--advisories", &file, "--today", "2026-11-02", "--scheduled"]);
    assert!(!content && said.contains("not asked about 1 packages: tokio"), "{said}");
}

#[test]
fn the_bill_of_materials_holds_every_package_of_both_locks() {
    let output = script("sbom", &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again = script("sbom", &[]);
    assert_eq!(output.stdout, again.stdout, "the same locks give the same bytes");
    let bill: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.6")));
    assert!(bill["serialNumber"].as_str().unwrap().starts_with("urn:uuid:"));
    let components: Vec<&Value> =
        bill["components"].as_array().unwrap().iter().chain([&bill["metadata"]["component"]]).collect();
    let refs: BTreeSet<&str> =
        components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
    assert_eq!(refs.len(), components.len(), "a component stands twice");

    let mut expected = BTreeSet::new();
    let lock = text("Cargo.lock");
    for package in lock.split("[[package]]\n").skip(1) {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"")));
            line.map(|value| value.trim_end_matches('"').to_owned())
        };
        let name = field("name").unwrap();
        let version = field("version").unwrap().replace('+', "%2B");
        let purl = format!("pkg:cargo/{name}@{version}");
        let told = components.iter().find(|component| component["purl"] == purl.as_str());
        let told = told.unwrap_or_else(|| panic!("{purl} is missing"));
        if let Some(checksum) = field("checksum") {
            assert_eq!(told["hashes"][0]["content"], checksum.as_str(), "{purl}");
        }
        expected.insert(purl);
    }
    let npm: Value = serde_json::from_str(&text("console/package-lock.json")).unwrap();
    for (path, package) in npm["packages"].as_object().unwrap() {
        let name = path.rsplit("node_modules/").next().filter(|name| !name.is_empty());
        let name = name.unwrap_or("costlens-console").replace('@', "%40");
        expected.insert(format!("pkg:npm/{name}@{}", package["version"].as_str().unwrap()));
    }
    let found: BTreeSet<String> = refs.iter().map(|purl| (*purl).to_owned()).collect();
    assert_eq!(found, expected);
    let licensed = components.iter().filter(|component| !component["licenses"].is_null()).count();
    assert!(licensed > 600, "only {licensed} of {} name their licence", components.len());
    for edge in bill["dependencies"].as_array().unwrap() {
        for end in edge["dependsOn"].as_array().unwrap().iter().chain([&edge["ref"]]) {
            assert!(refs.contains(end.as_str().unwrap()), "{end} is no component");
        }
    }
    // What only tests or builds need is told from what runs.
    let scope = |purl: &str| components.iter().find(|each| each["purl"].as_str().unwrap().starts_with(purl));
    assert_eq!(scope("pkg:cargo/tokio@").unwrap()["scope"], "required");
    assert_eq!(scope("pkg:cargo/proptest@").unwrap()["scope"], "excluded");
    assert_eq!(scope("pkg:npm/react@").unwrap()["scope"], "required");
    assert_eq!(scope("pkg:npm/vitest@").unwrap()["scope"], "excluded");
}

/// The tests that kill mutants start servers of their own; where one is missing they fail on the sound tree, too.
#[test]
fn the_machine_that_runs_the_mutants_has_the_servers_that_their_tests_start() {
    let scheduled = text(".github/workflows/scheduled.yml");
    let job = scheduled.split_once("\n  mutants:\n").unwrap().1;
    let prepares = job.lines().take_while(|line| !line.trim().starts_with("- run: scripts/mutants"));
    let prepares: String = prepares.collect();
    for needed in ["need_rust", "need_postgres", "need_redis"] {
        assert!(prepares.contains(needed), "the mutants' machine does without {needed}");
        assert!(text("scripts/lib.sh").contains(&format!("\n{needed}() {{")), "there is no {needed}");
    }
}

#[test]
fn every_push_and_pull_request_is_tested_without_secrets_and_with_pinned_actions() {
    let ci = text(".github/workflows/ci.yml");
    let triggers = ci.split_once("\non:\n").unwrap().1;
    let triggers: Vec<&str> =
        triggers.lines().take_while(|line| line.starts_with(' ')).map(str::trim).collect();
    // Bare, so that no branch and no path is left out, these files included.
    assert_eq!(triggers, ["push:", "pull_request:"]);
    assert!(ci.lines().any(|line| line.trim() == "- run: .ci/run"), "{ci}");
    let scheduled = text(".github/workflows/scheduled.yml");
    assert!(scheduled.contains("  schedule:\n    - cron: "), "{scheduled}");
    for needed in [
        "cargo deny --locked check",
        "check-dependencies --scheduled",
        "npm audit",
        "scripts/mutants",
        "scripts/fuzz",
        "COSTLENS_CRASH_ROUNDS=",
        "COSTLENS_TICKS=500",
        "QUEUE_TEST_LARGER=1",
    ] {
        assert!(scheduled.contains(needed), "the schedule does not run {needed}");
    }
    let folder = place::repository().join(".github/workflows");
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (name, workflow) = (entry.path(), std::fs::read_to_string(entry.path()).unwrap());
        let name = name.display();
        assert!(workflow.contains("\npermissions:\n  contents: read\n"), "{name} may do more than read");
        assert_eq!(workflow.matches("permissions:").count(), 1, "{name} widens its permissions");
        for never in ["secrets.", "pull_request_target", "workflow_run", "continue-on-error", "write"] {
            assert!(!workflow.contains(never), "{name} names {never}");
        }
        let uses =
            workflow.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "));
        for action in uses {
            let (hash, version) = action.split_once('@').unwrap().1.split_once(" # ").unwrap_or_default();
            let pinned = hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(
                pinned && version.starts_with('v'),
                "{name}: {action} is not pinned by a commit's whole hash"
            );
        }
        let checkouts = workflow.matches("actions/checkout@").count();
        assert_eq!(
            workflow.matches("persist-credentials: false").count(),
            checkouts,
            "{name} keeps a credential"
        );
    }
    let updates = text(".github/dependabot.yml");
    for ecosystem in ["cargo", "npm", "pip", "github-actions"] {
        assert!(updates.contains(&format!("package-ecosystem: {ecosystem}")), "{ecosystem} is not updated");
    }
}
