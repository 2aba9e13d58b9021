//! One segment: a file of fixed size whose room on the disk is taken when it is made, and a place in the log.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a segment file begins with; its number follows.
const MAGIC: [u8; 8] = *b"CLSPOOL1";
/// Where the first record stands.
pub(super) const FIRST_RECORD: u64 = 16;

/// A place in the log: which segment, and how many bytes into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Position {
    /// The segment's number; higher is later.
    pub(super) segment: u64,
    /// Bytes from the segment's beginning.
    pub(super) offset: u64,
}

impl Position {
    /// Before the first record of a segment.
    pub(super) const fn start_of(segment: u64) -> Self {
        Self { segment, offset: FIRST_RECORD }
    }
}

/// The file of a segment.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("segment-{number:016x}.log"))
}

/// The segments in a directory with their sizes, oldest first.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("segment-")?.strip_suffix(".log"))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if let Some(number) = number {
            found.push((number, entry.metadata()?.len()));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes a segment of zeros with all its room taken. On failure nothing is left behind.
pub(super) fn create(dir: &Path, number: u64, size: u64) -> io::Result<File> {
    let path = path(dir, number);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    let made = reserve(&file, size).and_then(|()| {
        let mut header = [0; 16];
        let (magic, rest) = header.split_at_mut(8);
        magic.copy_from_slice(&MAGIC);
        rest.copy_from_slice(&number.to_le_bytes());
        file.write_all_at(&header, 0)
    });
    match made {
        Ok(()) => Ok(file),
        Err(error) => {
            drop(file);
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

/// Takes the room on the disk, so that no later write into it can find the disk full.
fn reserve(file: &File, size: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, size) {
            // Some file systems cannot reserve: there, zeros are written.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(errno) => return Err(errno.into()),
            Ok(()) => return Ok(()),
        }
    }
    let zeros = vec![0; 64 << 10];
    let mut at = 0;
    while at < size {
        let step = usize::try_from(size - at).map_or(zeros.len(), |left| left.min(zeros.len()));
        file.write_all_at(zeros.get(..step).unwrap_or(&zeros), at)?;
        at += step as u64;
    }
    Ok(())
}

/// Opens a segment for reading.
pub(super) fn open(dir: &Path, number: u64) -> io::Result<File> {
    File::open(path(dir, number))
}

/// Makes new and removed names durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
