//! Packed bodies, unpacked within a bound: a stranger's few bytes become no gigabytes.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;

/// Why bytes could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Unpack {
    /// More than so many bytes came out.
    #[error("the body unpacks to more than {0} bytes")]
    TooLarge(u64),
    /// No gzip, or broken.
    #[error("the body is no whole gzip")]
    Broken(#[source] std::io::Error),
}

/// The bytes in a gzip, at most so many.
pub fn gunzip(packed: &[u8], most: u64) -> Result<Vec<u8>, Unpack> {
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(packed).take(most.saturating_add(1)).read_to_end(&mut unpacked);
    read.map_err(Unpack::Broken)?;
    if u64::try_from(unpacked.len()).unwrap_or(u64::MAX) > most {
        return Err(Unpack::TooLarge(most));
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_unpacks_to_more_than_is_allowed_is_refused() {
        let bomb = packed(&vec![0; 1_000_000]);
        assert!(bomb.len() < 5_000);
        assert_eq!(gunzip(&bomb, 1_000_000).unwrap().len(), 1_000_000);
        assert!(matches!(gunzip(&bomb, 999_999), Err(Unpack::TooLarge(999_999))));
        let cut = bomb.get(..bomb.len() / 2).unwrap();
        assert!(matches!(gunzip(cut, 2_000_000), Err(Unpack::Broken(_))));
        assert!(matches!(gunzip(b"no gzip", 10), Err(Unpack::Broken(_))));
    }
}
