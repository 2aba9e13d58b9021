//! Where a delivery lies while it is read: a folder of the job's own, for its owner alone, that goes with the job.
//!
//! A process that is killed leaves one behind; the next run of the same job removes it, and so does any later job once it
//! is a day old.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

/// How old a folder is that nobody can be using any more.
const FORGOTTEN: Duration = Duration::from_hours(24);

/// Where the folders are made.
#[derive(Clone, Debug)]
pub struct ScratchDir(PathBuf);

impl ScratchDir {
    /// Below this folder, which need not be there yet.
    #[must_use]
    pub fn below(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// A new and empty folder for a job.
    pub(super) fn make(&self, job: Uuid) -> std::io::Result<Scratch> {
        let private =
            |path: &Path, recursive| std::fs::DirBuilder::new().mode(0o700).recursive(recursive).create(path);
        private(&self.0, true)?;
        self.remove_forgotten();
        let path = self.0.join(job.to_string());
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        private(&path, false)?;
        Ok(Scratch(path))
    }

    fn remove_forgotten(&self) {
        for entry in std::fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let modified = entry.metadata().and_then(|meta| meta.modified());
            let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > FORGOTTEN));
            let is_ours = entry.file_name().to_str().is_some_and(|name| Uuid::try_parse(name).is_ok());
            if is_old && is_ours {
                let _in_use = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// A job's folder. It goes with this.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "a delivery's copy stays until another is read");
        }
    }
}
