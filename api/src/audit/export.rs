//! A chain as lines: streamed as it is read, packed if the caller takes that, and resumable at any event.
//!
//! What is read is handed on as it is, whole or not: it is the reader who verifies. The last line says where the
//! chain's head is, read before the last page: an event that is not there is missing, and none is that came meanwhile.

use costlens_domain::TenantId;
use costlens_domain::audit::chain::{Chain, Place};
use costlens_domain::audit::export::{Begin, End, Line};
use costlens_store::{AuditHead, ChainedEvent, Store, StoreError};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::Stream;
use poem::Body;
use poem_openapi::ApiResponse;
use poem_openapi::payload::Binary;

use crate::error::ApiError;

/// How many events one transaction reads.
const PAGE: u32 = 1_000;

/// An export.
#[derive(ApiResponse)]
pub enum AuditExported {
    /// Lines of JSON: the first says whose chain it is and after which event it goes on, then come the events in
    /// order, and the last says where the chain ends.
    #[oai(status = 200)]
    Lines(
        Binary<Body>,
        /// What a browser saves it as.
        #[oai(header = "Content-Disposition")]
        String,
        /// `gzip`, where the caller takes it.
        #[oai(header = "Content-Encoding")]
        Option<String>,
        /// The answer depends on what the caller takes.
        #[oai(header = "Vary")]
        String,
    ),
}

/// Whose chain is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Tenant(TenantId),
    Operator,
}

impl Source {
    pub(crate) const fn chain(self) -> Chain {
        match self {
            Self::Tenant(tenant) => Chain::Tenant(tenant),
            Self::Operator => Chain::Operator,
        }
    }

    pub(crate) async fn head(self, store: &Store) -> Result<AuditHead, StoreError> {
        match self {
            Self::Tenant(tenant) => store.tenant(tenant).await?.audit_head().await,
            Self::Operator => store.system().await?.operator_head().await,
        }
    }

    /// The head, and then the events behind a number: an event that came between the two is not missed.
    pub(crate) async fn page(
        self,
        store: &Store,
        after: u64,
        limit: u32,
    ) -> Result<(AuditHead, Vec<ChainedEvent>), StoreError> {
        match self {
            Self::Tenant(tenant) => {
                let mut conn = store.tenant(tenant).await?;
                let head = conn.audit_head().await?;
                Ok((head, conn.audit_chain(after, limit).await?))
            }
            Self::Operator => {
                let mut conn = store.system().await?;
                let head = conn.operator_head().await?;
                Ok((head, conn.operator_chain(after, limit).await?))
            }
        }
    }

    /// The place of the event with this number; the beginning of what is there for a smaller one.
    pub(crate) async fn place(self, store: &Store, after: u64) -> Result<Place, ApiError> {
        let head = self.head(store).await?;
        if after <= head.pruned.seq {
            return Ok(head.pruned);
        }
        let hash = store.system().await?.audit_hash_at(&self.chain(), after).await?;
        match hash {
            Some(hash) => Ok(Place { seq: after, hash }),
            None => Err(ApiError::field("after", "is the number of no event")),
        }
    }
}

/// Packs as it goes, or hands through.
#[expect(clippy::large_enum_variant, reason = "one for an export, and never moved")]
enum Writer {
    Plain(Vec<u8>),
    Packed(GzEncoder<Vec<u8>>),
}

impl Writer {
    fn new(gzip: bool) -> Self {
        if gzip {
            Self::Packed(GzEncoder::new(Vec::new(), Compression::fast()))
        } else {
            Self::Plain(Vec::new())
        }
    }

    fn line(&mut self, line: &impl serde::Serialize) -> std::io::Result<()> {
        let to: &mut dyn std::io::Write = match self {
            Self::Plain(bytes) => bytes,
            Self::Packed(packer) => packer,
        };
        serde_json::to_writer(&mut *to, line)?;
        to.write_all(b"\n")
    }

    /// What there is to send by now.
    fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Plain(bytes) => std::mem::take(bytes),
            Self::Packed(packer) => std::mem::take(packer.get_mut()),
        }
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Plain(bytes) => Ok(bytes),
            Self::Packed(packer) => packer.finish(),
        }
    }
}

/// The chain behind an event, as an answer.
pub(crate) async fn export(
    store: &Store,
    source: Source,
    after: Option<u64>,
    accepted: Option<&str>,
) -> Result<AuditExported, ApiError> {
    let after = source.place(store, after.unwrap_or_default()).await?;
    let gzip = accepted.is_some_and(takes_gzip);
    let mut writer = Writer::new(gzip);
    writer.line(&Begin::new(&source.chain(), after)).map_err(|error| crate::broken(&error))?;
    let body = Body::from_bytes_stream(pages(store.clone(), source, after, writer));
    let disposition = "attachment; filename=\"audit.jsonl\"".to_owned();
    let encoding = gzip.then(|| "gzip".to_owned());
    Ok(AuditExported::Lines(Binary(body), disposition, encoding, "Accept-Encoding".to_owned()))
}

/// Pages, each in a short transaction of its own: no snapshot is held while a slow client reads.
fn pages(
    store: Store,
    source: Source,
    after: Place,
    writer: Writer,
) -> impl Stream<Item = std::io::Result<Vec<u8>>> + Send + 'static {
    futures_util::stream::unfold(Some((after, writer)), move |state| {
        let store = store.clone();
        async move {
            let (place, writer) = state?;
            match page(&store, source, place, writer).await {
                Ok((bytes, next)) => Some((Ok(bytes), next)),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "an export of the audit broke off"
                    );
                    Some((Err(error), None))
                }
            }
        }
    })
}

async fn page(
    store: &Store,
    source: Source,
    mut place: Place,
    mut writer: Writer,
) -> std::io::Result<(Vec<u8>, Option<(Place, Writer)>)> {
    let (head, events) = source.page(store, place.seq, PAGE).await.map_err(std::io::Error::other)?;
    let last = events.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
    for event in events {
        place = Place { seq: event.seq, hash: event.hash };
        writer.line(&Line::new(place, event.prev, event.record)?)?;
    }
    if !last {
        return Ok((writer.take(), Some((place, writer))));
    }
    let end = if place.seq < head.head.seq { head.head } else { place };
    writer.line(&End { end: end.into() })?;
    Ok((writer.finish()?, None))
}

/// Whether `Accept-Encoding` takes gzip (RFC 9110, section 12.5.3).
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|weight| {
            weight.strip_prefix("q=").is_some_and(|q| q.bytes().all(|digit| matches!(digit, b'0' | b'.')))
        });
        named && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::takes_gzip;

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        for yes in ["gzip", "br, GZIP;q=0.5", "deflate , gzip ; q=1", "gzip;q=0.001"] {
            assert!(takes_gzip(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip;q=0.000, br", "x-gzip"] {
            assert!(!takes_gzip(no), "{no}");
        }
    }
}
