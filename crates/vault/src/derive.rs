//! One key from another, and parts as one unambiguous message: HMAC-SHA256 (RFC 2104) over length-prefixed parts.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A label and parts, each part preceded by its length, so that no two lists of parts give the same bytes. A label is
/// a constant of this crate, and none is the beginning of another.
pub(crate) fn encode(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut data = label.as_bytes().to_vec();
    for part in parts {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(*part);
    }
    data
}

/// HMAC-SHA256 of a label and parts: a key for a purpose, or a tag.
pub(crate) fn mac(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    hmac_sha256(key, &encode(label, parts))
}

/// HMAC-SHA256 (RFC 2104, FIPS 180-4).
pub(crate) fn hmac_sha256(key: &[u8], data: &[u8]) -> Zeroizing<[u8; 32]> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of some length");
    mac.update(data);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_join_to_the_same_bytes_are_told_apart() {
        let lists: [&[&[u8]]; 5] =
            [&[b"ab", b"c"], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""], &[b"", b"abc"]];
        let encoded: std::collections::BTreeSet<_> =
            lists.iter().map(|parts| encode("label", parts)).collect();
        assert_eq!(encoded.len(), lists.len());
    }

    #[test]
    fn a_known_answer_of_hmac_sha256() {
        // The encoding of no parts is the label alone. Checked against two independent implementations of HMAC.
        assert_eq!(hex::encode(*mac(&[0x0b; 32], "Hi There", &[])), KNOWN_ANSWER);
    }

    const KNOWN_ANSWER: &str = "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7";
}
