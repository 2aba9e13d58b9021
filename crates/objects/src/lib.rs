//! Kept files: what is too large for a row and must outlive the process that took it.
//!
//! Every object is a tenant's, by its key: `<tenant>/<area>/<name>`, where the name is a typed id. It is there whole
//! and on the disk, or not at all: it is written beside its place, synced, and moved there. The directory and what is
//! in it are for its owner alone (0700 and 0600). Whoever wants to read one asks for a local copy ([`Objects::fetch`]),
//! which today is the file itself: a bucket may stand behind the same methods.
//!
//! The service's own files ([`OnceKey`]) are no tenant's: written once, and never changed or removed.

mod key;
mod once;
mod put;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use costlens_domain::TenantId;
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use object_store::ObjectStore as _;
use object_store::ObjectStoreExt as _;
use object_store::local::LocalFileSystem;

pub use key::{BadKey, ObjectKey};
pub use once::OnceKey;
pub use put::{Put, Stored};

/// Why a file could not be kept, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// It has more bytes than it may.
    #[error("it has more than the {max_bytes} bytes that it may have")]
    TooLarge {
        /// The most that it may have.
        max_bytes: u64,
    },
    /// There is no such object here.
    #[error("there is no object {key} here")]
    Missing {
        /// Its key.
        key: String,
    },
    /// The directory or a file in it cannot be used.
    #[error("{} cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The store behind it failed.
    #[error("the store of kept files failed")]
    Store(#[from] object_store::Error),
}

/// A file at hand for as long as this is held.
#[derive(Debug)]
pub struct LocalCopy(PathBuf);

impl LocalCopy {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// An object as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key. What was begun and not finished has one in the area `incoming`.
    pub key: ObjectKey,
    /// How many bytes it has.
    pub bytes: u64,
}

/// The kept files of this installation. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<LocalFileSystem>,
    root: Arc<Path>,
}

impl Objects {
    /// Those in this directory, which is made if it is missing. Processes that share work share the directory.
    pub fn local(dir: &Path) -> Result<Self, ObjectsError> {
        if let Some(parent) = dir.parent() {
            std::fs::create_dir_all(parent).map_err(at(parent))?;
        }
        put::private_dir(dir)?;
        let root = dir.canonicalize().map_err(at(dir))?;
        let store = LocalFileSystem::new_with_prefix(&root)?;
        Ok(Self { store: Arc::new(store), root: root.into() })
    }

    /// Begins an object of at most so many bytes. Nothing is there under the key until [`Put::finish`]; what is dropped
    /// before is gone.
    pub async fn put(&self, key: ObjectKey, max_bytes: u64) -> Result<Put, ObjectsError> {
        Put::begin(self.clone(), key, max_bytes).await
    }

    /// The object as a file on this machine.
    pub async fn fetch(&self, key: &ObjectKey) -> Result<LocalCopy, ObjectsError> {
        match self.store.head(&key.path()).await {
            Ok(_) => Ok(LocalCopy(self.file(key))),
            Err(object_store::Error::NotFound { .. }) => Err(ObjectsError::Missing { key: key.to_string() }),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an object. One that is gone already is no error.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        match self.store.delete(&key.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a tenant's objects, at most so many; says how many. Fewer than that means that none is left.
    pub async fn delete_prefix(&self, tenant: TenantId, most: usize) -> Result<usize, ObjectsError> {
        let listed = self.list_prefix(Some(tenant), most).await?;
        for object in &listed {
            self.delete(&object.key).await?;
        }
        if listed.len() < most {
            self.remove_folders(tenant).await;
        }
        Ok(listed.len())
    }

    /// How many objects a tenant has, unfinished ones included.
    pub async fn count_prefix(&self, tenant: TenantId) -> Result<usize, ObjectsError> {
        let (mut walk, mut all) = (self.walk(Some(tenant)), 0);
        loop {
            let some = walk.next(COUNTED_AT_ONCE).await?.len();
            if some == 0 {
                return Ok(all);
            }
            all += some;
        }
    }

    /// Objects of a tenant, or of all, at most so many, in no order. Files that are none of ours are passed over.
    pub async fn list_prefix(
        &self,
        tenant: Option<TenantId>,
        most: usize,
    ) -> Result<Vec<Listed>, ObjectsError> {
        self.walk(tenant).next(most).await
    }

    /// The same, some at a time: whoever looks at all of them holds few.
    pub fn walk(&self, tenant: Option<TenantId>) -> Walk {
        let prefix = tenant.map(|tenant| object_store::path::Path::from(tenant.to_string()));
        Walk { found: self.store.list(prefix.as_ref()) }
    }

    /// The empty folders name the tenant, too. One that is in use again meanwhile is not empty, and stays.
    async fn remove_folders(&self, tenant: TenantId) {
        let folder = self.root.join(tenant.to_string());
        if let Ok(mut areas) = tokio::fs::read_dir(&folder).await {
            while let Ok(Some(area)) = areas.next_entry().await {
                let _in_use = tokio::fs::remove_dir(area.path()).await;
            }
        }
        let _in_use = tokio::fs::remove_dir(&folder).await;
    }

    fn file(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.to_string())
    }
}

/// How many objects are counted in one step.
const COUNTED_AT_ONCE: usize = 1_000;

/// A walk over objects. What is put or removed meanwhile may be met or not.
pub struct Walk {
    found: BoxStream<'static, object_store::Result<object_store::ObjectMeta>>,
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").finish_non_exhaustive()
    }
}

impl Walk {
    /// The next objects, at most so many; none at the end. Files that are none of ours are passed over.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Listed>, ObjectsError> {
        let mut listed = Vec::new();
        while listed.len() < most {
            let Some(object) = self.found.try_next().await? else { break };
            if let Ok(key) = object.location.as_ref().parse() {
                listed.push(Listed { key, bytes: object.size });
            }
        }
        Ok(listed)
    }
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> ObjectsError {
    let path = path.to_owned();
    move |source| ObjectsError::File { path, source }
}
