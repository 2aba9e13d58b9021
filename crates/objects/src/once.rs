//! Files of the service itself, which are written once and never again: no tenant's, in a folder of their own. What
//! stands under a name stays; a folder of such files can be copied to where nobody can change them.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::key::is_plain;
use crate::{BadKey, Objects, ObjectsError, at, put};

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
            let draft = folder.join(format!(".{}", std::process::id()));
            let kept = write(&draft, &place, &bytes);
            let _gone = std::fs::remove_file(&draft);
            if kept? {
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
fn write(draft: &Path, place: &Path, bytes: &[u8]) -> Result<bool, ObjectsError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o400);
    let _earlier = std::fs::remove_file(draft);
    let mut file = options.open(draft).map_err(at(draft))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(draft))?;
    match std::fs::hard_link(draft, place) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(at(place)(error)),
    }
}

async fn blocking<T: Send + 'static>(
    place: &Path,
    act: impl FnOnce() -> Result<T, ObjectsError> + Send + 'static,
) -> Result<T, ObjectsError> {
    tokio::task::spawn_blocking(act).await.map_err(|stopped| at(place)(stopped.into()))?
}
