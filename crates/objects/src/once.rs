//! Files of the service itself, which are written once and never again: no tenant's, in a folder of their own. What
//! stands under a name stays; a folder of such files can be copied to where nobody can change them.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::key::is_plain;
use crate::{BadKey, Objects, ObjectsError, at, put};

/// A draft older than this is of a process that died.
const DRAFT_LIFE: Duration = Duration::from_hours(1);

/// A file of the service: `<area>/<name>`, of letters, digits, underscores and points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceKey {
    area: String,
    name: String,
}

impl OnceKey {
    /// The key of a file. The area cannot be taken for a tenant's folder.
    pub fn new(area: &str, name: &str) -> Result<Self, BadKey> {
        let plain = name.split('.').all(is_plain);
        if !is_plain(area) || area.parse::<costlens_domain::TenantId>().is_ok() || !plain {
            return Err(BadKey);
        }
        Ok(Self { area: area.to_owned(), name: name.to_owned() })
    }
}

impl Objects {
    /// Keeps a file under a name that has none: whole and on the disk when this returns. False where the name has a
    /// file, which is left as it is.
    pub async fn keep_once(&self, key: &OnceKey, bytes: Vec<u8>) -> Result<bool, ObjectsError> {
        let place = self.once_file(key);
        blocking(&place.clone(), move || {
            let folder = place.parent().unwrap_or(&place).to_owned();
            put::private_dir(&folder)?;
            sweep(&folder);
            if write(&folder, &place, &bytes)? {
                // The new name is on the disk once its folder is, and the folder above it.
                for folder in place.ancestors().skip(1).take(2) {
                    std::fs::File::open(folder).and_then(|dir| dir.sync_all()).map_err(at(folder))?;
                }
                return Ok(true);
            }
            Ok(false)
        })
        .await
    }

    /// A file of the service, of at most so many bytes; `None` where there is none.
    pub async fn read_once(&self, key: &OnceKey, max_bytes: u64) -> Result<Option<Vec<u8>>, ObjectsError> {
        let place = self.once_file(key);
        blocking(&place.clone(), move || {
            let file = match std::fs::File::open(&place) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(at(&place)(error)),
            };
            let mut bytes = Vec::new();
            file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(at(&place))?;
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max_bytes {
                return Err(ObjectsError::TooLarge { max_bytes });
            }
            Ok(Some(bytes))
        })
        .await
    }

    fn once_file(&self, key: &OnceKey) -> PathBuf {
        self.root.join(&key.area).join(&key.name)
    }
}

/// Writes beside the place and links there, which fails where a file is.
fn write(folder: &Path, place: &Path, bytes: &[u8]) -> Result<bool, ObjectsError> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
    let mut draft =
        tempfile::Builder::new().prefix(".").permissions(mode).tempfile_in(folder).map_err(at(folder))?;
    draft.write_all(bytes).and_then(|()| draft.as_file().sync_all()).map_err(at(draft.path()))?;
    match draft.persist_noclobber(place) {
        Ok(_) => Ok(true),
        Err(refused) if refused.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(refused) => Err(at(place)(refused.error)),
    }
}

/// Removes drafts that a crash left. One that is being written is young; what cannot be removed is in nobody's way.
fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b".")) {
        let written = entry.metadata().and_then(|meta| meta.modified());
        if written.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > DRAFT_LIFE)) {
            let _gone = std::fs::remove_file(entry.path());
        }
    }
}

async fn blocking<T: Send + 'static>(
    place: &Path,
    act: impl FnOnce() -> Result<T, ObjectsError> + Send + 'static,
) -> Result<T, ObjectsError> {
    tokio::task::spawn_blocking(act).await.map_err(|stopped| at(place)(stopped.into()))?
}
