//! A sealed body's file, from its sealing to its row.
//!
//! ```text
//! magic 8 | crc32c 4 | head length 4 | request length 4 | head (JSON) | sealed request | sealed answer
//! ```
//!
//! Numbers are little-endian; the checksum covers everything after itself. A torn file is one that is not there.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use costlens_domain::privacy::BodyClass;
use costlens_domain::{ApiKeyId, RequestId};
use costlens_store::SealedBody;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"CLBODY01";
const HEADER: usize = 20;

/// What is not sealed. The names are a format on the disk.
#[derive(Serialize, Deserialize)]
struct Head {
    class: BodyClass,
    subject: ApiKeyId,
    key_version: u32,
    redacted: bool,
    request_bytes: u64,
    response_bytes: u64,
}

pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn path(dir: &Path, id: RequestId) -> PathBuf {
    dir.join(format!("{}.body", id.uuid().simple()))
}

/// The bodies in a directory, with their sizes. What was never written to its end is removed.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(RequestId, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(id) = name.strip_suffix(".body").and_then(|id| uuid::Uuid::try_parse(id).ok()) {
            found.push((id.into(), entry.metadata()?.len()));
        } else if name.strip_suffix(".new").is_some() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(found)
}

pub(super) fn encode(body: &SealedBody) -> Vec<u8> {
    let head = Head {
        class: body.class,
        subject: body.subject,
        key_version: body.key_version,
        redacted: body.redacted,
        request_bytes: body.request_bytes,
        response_bytes: body.response_bytes,
    };
    // Plain numbers and names: this cannot fail, and an empty head would read as no body.
    let head = serde_json::to_vec(&head).unwrap_or_default();
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut covered =
        Vec::with_capacity(HEADER + head.len() + body.sealed_request.len() + body.sealed_response.len());
    covered.extend_from_slice(&length(&head));
    covered.extend_from_slice(&length(&body.sealed_request));
    covered.extend_from_slice(&head);
    covered.extend_from_slice(&body.sealed_request);
    covered.extend_from_slice(&body.sealed_response);
    let mut out = Vec::with_capacity(12 + covered.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&crc32c::crc32c(&covered).to_le_bytes());
    out.extend_from_slice(&covered);
    out
}

pub(super) fn decode(bytes: &[u8]) -> Option<SealedBody> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (crc, covered) = rest.split_first_chunk::<4>()?;
    if magic != MAGIC || crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (head_length, rest) = covered.split_first_chunk::<4>()?;
    let (request_length, rest) = rest.split_first_chunk::<4>()?;
    let (head, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*head_length)).ok()?)?;
    let (request, response) =
        rest.split_at_checked(usize::try_from(u32::from_le_bytes(*request_length)).ok()?)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    Some(SealedBody {
        class: head.class,
        subject: head.subject,
        key_version: head.key_version,
        redacted: head.redacted,
        request_bytes: head.request_bytes,
        response_bytes: head.response_bytes,
        sealed_request: request.to_vec(),
        sealed_response: response.to_vec(),
    })
}

/// Puts a file in its place whole.
pub(super) fn write(dir: &Path, id: RequestId, bytes: &[u8]) -> io::Result<()> {
    let unfinished = dir.join(format!("{}.new", id.uuid().simple()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&unfinished, path(dir, id)));
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

/// A file's body; `None` where there is none that is whole.
pub(super) fn read(dir: &Path, id: RequestId) -> Option<SealedBody> {
    let body = std::fs::read(path(dir, id)).ok().and_then(|bytes| decode(&bytes));
    if body.is_none() {
        tracing::warn!(request.id = %id, "the file of a prompt and its answer is damaged or gone");
    }
    body
}

/// Removes a file. One that cannot be removed is tried again at a later start.
pub(super) fn remove(dir: &Path, id: RequestId) {
    match std::fs::remove_file(path(dir, id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(request.id = %id, %error, "the file of a prompt and its answer cannot be removed");
        }
        _ => {}
    }
}
