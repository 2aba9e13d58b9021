//! Writing an object: beside its place, counted and hashed in passing, synced, then moved there.
//!
//! The store's own way of writing syncs nothing and hides what a crash left from its lists, so the file is written
//! here; the store moves, finds and removes it.

use std::path::Path;

use object_store::ObjectStoreExt as _;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use crate::key::ObjectKey;
use crate::{Objects, ObjectsError, at};

/// What was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// An object in the making.
#[derive(Debug)]
pub struct Put {
    objects: Objects,
    key: ObjectKey,
    file: Option<File>,
    hash: Sha256,
    bytes: u64,
    max_bytes: u64,
}

impl Put {
    pub(crate) async fn begin(
        objects: Objects,
        key: ObjectKey,
        max_bytes: u64,
    ) -> Result<Self, ObjectsError> {
        let (incoming, place) = (objects.file(&key.incoming()), objects.file(&key));
        let path = incoming.clone();
        let opened = tokio::task::spawn_blocking(move || {
            for dir in [incoming.parent(), place.parent()].into_iter().flatten() {
                private_dir(dir)?;
            }
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&incoming).map_err(at(&incoming))
        });
        let file = opened.await.map_err(|stopped| at(&path)(stopped.into()))??;
        Ok(Self { objects, key, file: Some(File::from_std(file)), hash: Sha256::new(), bytes: 0, max_bytes })
    }

    /// Adds bytes. After an error the object cannot be finished.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ObjectsError> {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(more);
        if self.bytes > self.max_bytes {
            return Err(ObjectsError::TooLarge { max_bytes: self.max_bytes });
        }
        self.hash.update(bytes);
        let path = self.objects.file(&self.key.incoming());
        match &mut self.file {
            Some(file) => file.write_all(bytes).await.map_err(at(&path)),
            None => Err(at(&path)(std::io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Makes the object be there: all of it is on the disk when this returns.
    pub async fn finish(mut self) -> Result<Stored, ObjectsError> {
        let (incoming, place) = (self.key.incoming(), self.objects.file(&self.key));
        let path = self.objects.file(&incoming);
        if self.bytes > self.max_bytes {
            return Err(ObjectsError::TooLarge { max_bytes: self.max_bytes });
        }
        if let Some(file) = &mut self.file {
            file.flush().await.map_err(at(&path))?;
            file.sync_all().await.map_err(at(&path))?;
        }
        self.objects.store.rename(&incoming.path(), &self.key.path()).await?;
        self.file = None;
        // The new name is on the disk once its folder is, and every folder above it.
        for folder in place.ancestors().skip(1).take(3) {
            let opened = File::open(folder).await.map_err(at(folder))?;
            opened.sync_all().await.map_err(at(folder))?;
        }
        Ok(Stored { bytes: self.bytes, sha256: self.hash.clone().finalize().into() })
    }
}

impl Drop for Put {
    /// What was not finished goes. What a crash leaves is found in the area `incoming`.
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _gone = std::fs::remove_file(self.objects.file(&self.key.incoming()));
        }
    }
}

/// Makes a directory that its owner alone may enter.
pub(crate) fn private_dir(dir: &Path) -> Result<(), ObjectsError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(at(dir))
}
