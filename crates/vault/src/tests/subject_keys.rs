use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::tests::{Fixed, KEY, NEWER, master, now, ring, tenant};
use crate::{Keyring, OsEntropy, WrappedKey};

const ANNA: Uuid = Uuid::from_u128(0xa);
const BERT: Uuid = Uuid::from_u128(0xb);

fn place(row: u128) -> SealedFor<'static> {
    SealedFor {
        tenant: tenant(1),
        table: "request_body",
        column: "sealed_request",
        row: Uuid::from_u128(row),
    }
}

fn wrapped(ring: &Keyring, subject: Uuid, version: u32) -> (u32, Vec<u8>) {
    (version, now(ring.make_subject_key((tenant(1), subject), version, &OsEntropy)).unwrap().0)
}

#[test]
fn one_subjects_key_opens_nothing_of_another() {
    let ring = ring(KEY);
    let (of_anna, of_bert) = (wrapped(&ring, ANNA, 1), wrapped(&ring, BERT, 1));
    let anna = ring.subject(tenant(1), ANNA, std::slice::from_ref(&of_anna));
    let bert = ring.subject(tenant(1), BERT, std::slice::from_ref(&of_bert));
    let (hers, his) = (
        anna.seal(&place(2), b"the same prompt", &Fixed).unwrap(),
        bert.seal(&place(2), b"the same prompt", &Fixed).unwrap(),
    );
    assert_ne!(hers, his, "the same text with the same nonce");
    assert_eq!(anna.open(&place(2), &hers).unwrap().as_slice(), b"the same prompt");
    assert_eq!(bert.open(&place(2), &hers), Err(SealError::Rejected));
    // Whoever gets hold of her wrapped key as his own has nothing either: it is bound to whom it belongs to.
    let stolen = ring.subject(tenant(1), BERT, std::slice::from_ref(&of_anna));
    assert_eq!(stolen.open(&place(2), &hers), Err(SealError::Rejected));
    let elsewhere = ring.subject(tenant(9), ANNA, &[of_anna]);
    assert_eq!(elsewhere.open(&SealedFor { tenant: tenant(9), ..place(2) }, &hers), Err(SealError::Rejected));
}

#[test]
fn a_text_that_changed_places_does_not_open() {
    let ring = ring(KEY);
    let keys = ring.subject(tenant(1), ANNA, &[wrapped(&ring, ANNA, 1)]);
    let sealed = keys.seal(&place(2), b"a prompt", &OsEntropy).unwrap();
    for elsewhere in [
        place(3),
        SealedFor { column: "sealed_response", ..place(2) },
        SealedFor { table: "other", ..place(2) },
        SealedFor { tenant: tenant(9), ..place(2) },
    ] {
        assert_eq!(keys.open(&elsewhere, &sealed), Err(SealError::Rejected), "{elsewhere:?}");
    }
}

#[test]
fn a_destroyed_version_opens_nothing_and_a_later_one_goes_on() {
    let ring = ring(KEY);
    let (first, second) = (wrapped(&ring, ANNA, 1), wrapped(&ring, ANNA, 2));
    let old = ring.subject(tenant(1), ANNA, std::slice::from_ref(&first));
    let sealed = old.seal(&place(2), b"a prompt", &OsEntropy).unwrap();
    let both = ring.subject(tenant(1), ANNA, &[first, second.clone()]);
    assert_eq!((both.newest(), both.subject()), (Ok(2), ANNA));
    assert_eq!(both.open(&place(2), &sealed).unwrap().as_slice(), b"a prompt");
    assert_eq!(both.seal(&place(3), b"x", &OsEntropy).unwrap()[..5], [3, 0, 0, 0, 2]);
    let left = ring.subject(tenant(1), ANNA, &[second]);
    assert_eq!(left.open(&place(2), &sealed), Err(SealError::OtherKey));
    let none = ring.subject::<Vec<u8>>(tenant(1), ANNA, &[]);
    assert_eq!(none.open(&place(2), &sealed), Err(SealError::NoKey));
    assert_eq!(none.newest(), Err(SealError::NoKey));
}

#[test]
fn another_master_key_takes_over_what_the_older_one_wrapped() {
    let old_ring = ring(KEY);
    let (version, key) = wrapped(&old_ring, ANNA, 4);
    let sealed =
        old_ring.subject(tenant(1), ANNA, &[(version, &key)]).seal(&place(2), b"x", &OsEntropy).unwrap();
    let both = Keyring::new(master(NEWER)).with_older(vec![master(KEY)]);
    assert!(!both.is_current(&key));
    let WrappedKey(anew) = now(both.rewrap_subject((tenant(1), ANNA), version, &key, &OsEntropy)).unwrap();
    assert!(both.is_current(&anew));
    let alone = ring(NEWER);
    assert_eq!(alone.subject(tenant(1), ANNA, &[(version, &key)]).newest(), Err(SealError::OtherKey));
    assert_eq!(
        alone.subject(tenant(1), ANNA, &[(version, &anew)]).open(&place(2), &sealed).unwrap().as_slice(),
        b"x"
    );
    // A tenant's own key is none of a subject's, whatever its bytes.
    let WrappedKey(of_tenant) = old_ring.new_data_key(tenant(1), 4, &OsEntropy);
    assert_eq!(old_ring.subject(tenant(1), ANNA, &[(4, of_tenant)]).newest(), Err(SealError::Rejected));
}

#[test]
fn a_sealed_text_is_what_an_independent_implementation_makes() {
    let ring = ring(KEY);
    let WrappedKey(key) = now(ring.make_subject_key((tenant(1), ANNA), 7, &Fixed)).unwrap();
    let sealed = ring.subject(tenant(1), ANNA, &[(7, &key)]).seal(&place(2), b"a prompt", &Fixed).unwrap();
    assert_eq!((hex::encode(key), hex::encode(sealed)), (WRAPPED.to_owned(), SEALED.to_owned()));
}

const WRAPPED: &str = "010cb8e023424242424242424242424242f7684415075f85d73e66e21c184c5c78ae2e725d49904d298b439501fa0dcef1ba5dbbdc4f48a2f1a5ccd0441d7d6c3e1301169461f520cd475dcd6e919428f3b086d3c3568b0f3b274674da1fe9e24c";
const SEALED: &str = "0300000007424242424242424242424242de7175e791679be780a634597daffc29d318c021f8a39e85";

proptest! {
    #[test]
    fn whatever_is_sealed_opens_and_any_flipped_bit_is_noticed(
        text in proptest::collection::vec(any::<u8>(), 0..200), place_of in 0_u128..9, bit in any::<proptest::sample::Index>(),
    ) {
        let ring = ring(KEY);
        let keys = ring.subject(tenant(1), ANNA, &[wrapped(&ring, ANNA, 1)]);
        let mut sealed = keys.seal(&place(place_of), &text, &OsEntropy).unwrap();
        let opened = keys.open(&place(place_of), &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), text.as_slice());
        let bit = bit.index(sealed.len() * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(keys.open(&place(place_of), &sealed).is_err());
    }
}
