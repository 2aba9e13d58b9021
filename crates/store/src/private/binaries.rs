//! Where the server binaries are, and of which major version.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{OLDEST_MAJOR, PrivatePgError};

/// A directory with `postgres` and `initdb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
}

/// The prefixes under which Homebrew keeps its versions.
const HOMEBREW: [&str; 3] = ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"];

/// Every usable set of binaries: the explicit directory alone, or PATH, `pg_config`, Debian's and Homebrew's
/// directories, in this order, the newest first among the last two.
pub(super) fn find(explicit: Option<&Path>) -> Result<Vec<Binaries>, PrivatePgError> {
    let dirs = match explicit {
        Some(dir) => vec![dir.to_owned()],
        None => candidates(),
    };
    let mut found: Vec<Binaries> = Vec::new();
    let mut too_old = Vec::new();
    for dir in dirs {
        if found.iter().any(|known| known.dir == dir) {
            continue;
        }
        match major_of(&dir) {
            Some(major) if major >= OLDEST_MAJOR => found.push(Binaries { dir, major }),
            Some(major) => too_old.push(major),
            None => {}
        }
    }
    if found.is_empty() { Err(PrivatePgError::NoBinaries { found: too_old }) } else { Ok(found) }
}

fn candidates() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    // The shell and the loader read PATH, so that this crate need not.
    let on_path = said(Command::new("/bin/sh").args(["-c", "command -v postgres"])).map(PathBuf::from);
    let on_path = on_path.and_then(|binary| binary.canonicalize().ok());
    dirs.extend(on_path.as_deref().and_then(Path::parent).map(Path::to_owned));
    dirs.extend(said(Command::new("pg_config").arg("--bindir")).map(PathBuf::from));
    dirs.extend(versions_below(Path::new("/usr/lib/postgresql"), ""));
    for prefix in HOMEBREW {
        dirs.extend(versions_below(Path::new(prefix), "postgresql@"));
    }
    dirs
}

/// `<top>/<prefix><number>/bin`, the highest number first.
fn versions_below(top: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(top) else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

/// The major version of the binaries in a directory that has both of those we need.
fn major_of(dir: &Path) -> Option<u32> {
    if !dir.join("initdb").is_file() {
        return None;
    }
    parse_major(&said(Command::new(dir.join("postgres")).arg("--version"))?)
}

/// `postgres (PostgreSQL) 15.4 (Debian 15.4-1)` and `… 17beta2` alike.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split(") ").nth(1)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The first line a command prints, if it succeeds.
fn said(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_postgres_says() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.4 (Debian 15.4-1)"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 17beta2"), Some(17));
        assert_eq!(parse_major("something else"), None);
    }

    #[test]
    fn a_directory_without_binaries_is_refused_with_what_to_do() {
        let empty = tempfile::tempdir().unwrap();
        let error = find(Some(empty.path())).unwrap_err();
        assert!(error.to_string().contains("DATABASE_URL"), "{error}");
    }

    #[test]
    fn the_newest_version_below_a_directory_comes_first() {
        let top = tempfile::tempdir().unwrap();
        for name in ["pg@9", "pg@17", "pg@15", "pg@x", "other"] {
            std::fs::create_dir(top.path().join(name)).unwrap();
        }
        let names: Vec<_> = versions_below(top.path(), "pg@");
        assert_eq!(names, ["pg@17", "pg@15", "pg@9"].map(|name| top.path().join(name).join("bin")));
    }
}
