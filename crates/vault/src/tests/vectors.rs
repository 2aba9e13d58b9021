//! Project Wycheproof's vectors through the very functions that seal and derive: known answers, and every known way to
//! pass off what was not sealed.

use aes_gcm::KeyInit as _;
use wycheproof::{TestResult, aead, mac};

use super::*;
use crate::derive::hmac_sha256;

#[test]
fn aes_256_gcm_answers_wycheproof_as_it_must() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let groups = set.test_groups.iter();
    let ours = groups.filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
    let (mut valid, mut invalid) = (0, 0);
    for test in ours.flat_map(|group| &group.tests) {
        let key: [u8; 32] = test.key.as_ref().try_into().unwrap();
        let nonce: [u8; 12] = test.nonce.as_ref().try_into().unwrap();
        let cipher = Aes256Gcm::new(&key.into());
        let both = [test.ct.as_ref(), test.tag.as_ref()].concat();
        let opened = open(&cipher, nonce, test.aad.as_ref(), &both);
        if test.result == TestResult::Invalid {
            assert_eq!(opened, Err(SealError::Rejected), "test {}", test.tc_id);
            invalid += 1;
            continue;
        }
        assert_eq!(opened.unwrap().as_slice(), test.pt.as_ref(), "test {}", test.tc_id);
        assert_eq!(seal(&cipher, nonce, test.aad.as_ref(), test.pt.as_ref()), both, "test {}", test.tc_id);
        for bit in 0..both.len() * 8 {
            let mut changed = both.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let opened = open(&cipher, nonce, test.aad.as_ref(), &changed);
            assert_eq!(opened, Err(SealError::Rejected), "test {}, bit {bit}", test.tc_id);
        }
        valid += 1;
    }
    assert_eq!((valid, invalid), (39, 27), "the set is another than it was");
}

#[test]
fn hmac_sha256_answers_wycheproof_as_it_must() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let whole = hmac_sha256(test.key.as_ref(), test.msg.as_ref());
            let same = whole[..group.tag_size / 8] == *test.tag.as_ref();
            assert_eq!(same, test.result == TestResult::Valid, "test {}", test.tc_id);
            if same { valid += 1 } else { invalid += 1 }
        }
    }
    assert_eq!((valid, invalid), (66, 108), "the set is another than it was");
}
