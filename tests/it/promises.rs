//! `docs/trust.md` names the test behind every promise: each of them must be there, under that very name.

use std::path::Path;

use costlens_tests::place;

#[test]
fn every_test_that_a_promise_names_is_there() {
    let root = place::repository();
    let trust = std::fs::read_to_string(root.join("docs/trust.md")).unwrap();
    let mut named = 0;
    for row in trust.lines().filter(|line| line.starts_with('|')) {
        // `path.rs`: `first_test`, `second_test`; `other/path.rs`: `third_test`
        let mut file = None;
        for quoted in row.split('`').skip(1).step_by(2) {
            if quoted.contains('/')
                && Path::new(quoted).extension().is_some_and(|extension| extension == "rs")
            {
                let path =
                    if quoted.starts_with("it/") { format!("tests/{quoted}") } else { quoted.to_owned() };
                let text = std::fs::read_to_string(root.join(&path));
                file = Some((text.unwrap_or_else(|_| panic!("{path} is not there: {row}")), path));
            } else if let Some((text, path)) = &file
                && quoted.contains('_')
                && quoted
                    .chars()
                    .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
            {
                assert!(text.contains(&format!("fn {quoted}(")), "{path} has no test `{quoted}`: {row}");
                named += 1;
            }
        }
    }
    assert!(named > 10, "docs/trust.md names hardly any test");
}
