use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::cipher::HEADER_BYTES;
use crate::tests::{Fixed, KEY, NEWER, master, place, ring, tenant};
use crate::{OsEntropy, Sealer, WrappedKey};

fn wrapped(ring: &Keyring, versions: &[u32]) -> Vec<(u32, Vec<u8>)> {
    versions.iter().map(|version| (*version, ring.new_data_key(tenant(1), *version, &OsEntropy).0)).collect()
}

#[test]
fn a_sealed_text_is_what_an_independent_implementation_makes() {
    let ring = ring(KEY);
    let WrappedKey(key) = ring.new_data_key(tenant(1), 7, &Fixed);
    let sealed = ring.tenant(tenant(1), &[(7, key)]).seal(&place(2), b"sk-live", &Fixed).unwrap();
    assert_eq!(hex::encode(sealed), SEALED);
}

const SEALED: &str = "0200000007424242424242424242424242154b4c3d2973ba75b2890c0a558d21091ce9505e3ef410";

#[test]
fn a_sealed_text_opens_in_its_own_row_only() {
    let ring = ring(KEY);
    let all = wrapped(&ring, &[1]);
    let keys = ring.tenant(tenant(1), &all);
    let sealed = keys.seal(&place(2), b"sk-live", &OsEntropy).unwrap();
    assert!(!sealed.windows(7).any(|window| window == b"sk-live"));
    assert_eq!(keys.open(&place(2), &sealed).unwrap().as_slice(), b"sk-live");
    assert_eq!(keys.open(&place(3), &sealed), Err(SealError::Rejected));
    assert_eq!(keys.open(&SealedFor { column: "other", ..place(2) }, &sealed), Err(SealError::Rejected));
    assert_eq!(keys.open(&SealedFor { table: "other", ..place(2) }, &sealed), Err(SealError::Rejected));
    let theirs = SealedFor { tenant: tenant(9), ..place(2) };
    assert_eq!(keys.open(&theirs, &sealed), Err(SealError::Rejected));
    assert_eq!(keys.seal(&theirs, b"sk-live", &OsEntropy), Err(SealError::Rejected));
    // Another tenant that got hold of the row, with keys of its own.
    let own = [(1, ring.new_data_key(tenant(9), 1, &OsEntropy).0)];
    assert_eq!(ring.tenant(tenant(9), &own).open(&theirs, &sealed), Err(SealError::Rejected));
    // And one that got hold of the wrapped key, too.
    assert_eq!(ring.tenant(tenant(9), &all).open(&theirs, &sealed), Err(SealError::Rejected));
}

#[test]
fn any_changed_byte_and_any_cut_of_a_sealed_text_is_noticed() {
    let ring = ring(KEY);
    let all = wrapped(&ring, &[1, 2, 3]);
    let keys = ring.tenant(tenant(1), &all);
    let sealed = keys.seal(&place(2), b"sk-live", &OsEntropy).unwrap();
    for index in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[index] ^= 1 << bit;
            assert!(keys.open(&place(2), &changed).is_err(), "byte {index}, bit {bit}");
        }
    }
    for length in 0..sealed.len() {
        assert!(keys.open(&place(2), &sealed[..length]).is_err(), "length {length}");
    }
}

#[test]
fn the_newest_version_seals_and_every_one_at_hand_opens() {
    let ring = ring(KEY);
    let all = wrapped(&ring, &[2, 10, 9]);
    let old = ring.tenant(tenant(1), &all[..1]).seal(&place(2), b"old", &OsEntropy).unwrap();
    let keys = ring.tenant(tenant(1), &all);
    assert_eq!(keys.newest(), Some(10));
    let new = keys.seal(&place(2), b"new", &OsEntropy).unwrap();
    assert_eq!(new[..5], [2, 0, 0, 0, 10]);
    assert_eq!(keys.open(&place(2), &old).unwrap().as_slice(), b"old");
    assert_eq!(keys.open(&place(2), &new).unwrap().as_slice(), b"new");
    let without = ring.tenant(tenant(1), &all[1..]);
    assert_eq!(without.open(&place(2), &old), Err(SealError::OtherKey));
    // The header names a key, and its text is bound to that one.
    let mut renamed = new.clone();
    renamed[4] = 9;
    assert_eq!(keys.open(&place(2), &renamed), Err(SealError::Rejected));
}

#[test]
fn without_its_keys_nothing_of_a_tenant_opens_though_the_master_key_is_at_hand() {
    let ring = ring(KEY);
    let all = wrapped(&ring, &[1]);
    let sealed = ring.tenant(tenant(1), &all).seal(&place(2), b"sk-live", &OsEntropy).unwrap();
    let destroyed = ring.tenant::<Vec<u8>>(tenant(1), &[]);
    assert_eq!(destroyed.newest(), None);
    assert_eq!(destroyed.open(&place(2), &sealed), Err(SealError::NoKey));
    assert_eq!(destroyed.seal(&place(2), b"sk-live", &OsEntropy), Err(SealError::NoKey));
    // A key of the same version that is made later is another one.
    let again = wrapped(&ring, &[1]);
    assert_eq!(ring.tenant(tenant(1), &again).open(&place(2), &sealed), Err(SealError::Rejected));
}

#[test]
fn one_version_that_does_not_open_leaves_the_others_alone() {
    let ring = ring(KEY);
    let mut all = wrapped(&ring, &[1, 2]);
    let sealed = ring.tenant(tenant(1), &all[..1]).seal(&place(2), b"sk-live", &OsEntropy).unwrap();
    all[1].1[20] ^= 1;
    let keys = ring.tenant(tenant(1), &all);
    assert_eq!(keys.open(&place(2), &sealed).unwrap().as_slice(), b"sk-live");
    assert_eq!(keys.seal(&place(2), b"sk-live", &OsEntropy), Err(SealError::Rejected));
}

#[test]
fn what_an_earlier_release_sealed_still_opens_also_under_an_older_master_key() {
    let sealed = Sealer::new(&master(KEY)).seal(&place(2), b"sk-live", &OsEntropy);
    let all = wrapped(&ring(KEY), &[1]);
    let open =
        |ring: &Keyring, keys: &[(u32, Vec<u8>)]| ring.tenant(tenant(1), keys).open(&place(2), &sealed);
    assert_eq!(open(&ring(KEY), &all).unwrap().as_slice(), b"sk-live");
    assert_eq!(open(&ring(KEY), &[]).unwrap().as_slice(), b"sk-live");
    assert_eq!(open(&ring(NEWER), &all), Err(SealError::OtherKey));
    assert_eq!(open(&ring(NEWER).with_older(vec![master(KEY)]), &all).unwrap().as_slice(), b"sk-live");
}

#[test]
fn what_is_of_no_known_format_is_said_so() {
    let ring = ring(KEY);
    let all = wrapped(&ring, &[1]);
    for sealed in [&[][..], &[2], &[0; 60], &[3; 60]] {
        assert_eq!(ring.tenant(tenant(1), &all).open(&place(2), sealed), Err(SealError::Format));
    }
}

proptest! {
    #[test]
    fn every_secret_comes_back_from_its_place(
        secret in prop::collection::vec(any::<u8>(), 0..200),
        row in any::<u128>(),
        version in any::<u32>(),
        table in "[a-z_]{0,12}",
        column in "[a-z_]{0,12}",
    ) {
        let ring = ring(KEY);
        let keys = [(version, ring.new_data_key(tenant(row), version, &OsEntropy).0)];
        let keys = ring.tenant(tenant(row), &keys);
        let place = SealedFor { tenant: tenant(row), table: &table, column: &column, row: Uuid::from_u128(row) };
        let sealed = keys.seal(&place, &secret, &OsEntropy).unwrap();
        prop_assert_eq!(sealed.len(), HEADER_BYTES + secret.len() + 16);
        prop_assert_eq!(keys.open(&place, &sealed).unwrap().to_vec(), secret);
        // What moves from column to table moves the place.
        if let Some((first, rest)) = column.split_at_checked(1).filter(|(first, _)| !first.is_empty()) {
            let moved = SealedFor { table: &format!("{table}{first}"), column: rest, ..place };
            prop_assert_eq!(keys.open(&moved, &sealed), Err(SealError::Rejected));
        }
    }
}
