//! Whom PostgreSQL runs as when we are root, and what that user can reach.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::PrivatePgError;

/// A user without privileges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The user to drop to: `None` when this process is not root, else `postgres` or `nobody`.
pub(super) fn unprivileged() -> Result<Option<Account>, PrivatePgError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = ["postgres", "nobody"].iter().find_map(|name| find(&passwd, name));
    found.map(Some).ok_or(PrivatePgError::NoUser)
}

/// An account in the format of passwd(5).
fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account { name: name.to_owned(), uid, gid })
    })
}

impl Account {
    /// The outermost existing parent of `dir` that this user may not pass through; `None` where the way is open.
    pub(super) fn closed_parent(&self, dir: &Path) -> Option<PathBuf> {
        let mut parents: Vec<&Path> = dir.ancestors().skip(1).collect();
        parents.reverse();
        let closed =
            parents.into_iter().find(|parent| fs::metadata(parent).is_ok_and(|meta| !self.may_pass(&meta)));
        closed.map(Path::to_owned)
    }

    fn may_pass(&self, meta: &fs::Metadata) -> bool {
        let shift = if meta.uid() == self.uid {
            6
        } else if meta.gid() == self.gid {
            3
        } else {
            0
        };
        (meta.mode() >> shift) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_passwd() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n";
        let nobody = Account { name: "nobody".to_owned(), uid: 65534, gid: 65533 };
        assert_eq!(find(passwd, "nobody"), Some(nobody));
        assert_eq!(find(passwd, "nobod"), None);
    }

    #[test]
    fn a_parent_that_is_closed_to_the_user_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let top = tempfile::tempdir().unwrap();
        let stranger = Account { name: "stranger".to_owned(), uid: 4_000_000, gid: 4_000_000 };
        let dir = top.path().join("a/b");
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(stranger.closed_parent(&dir), Some(top.path().to_owned()));
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert_eq!(stranger.closed_parent(&dir), None);
    }
}
