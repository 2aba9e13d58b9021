use super::*;
use crate::OsEntropy;
use crate::tests::{Fixed, KEY, NEWER, master, now, place, ring, tenant};

fn of_tenant(tenant_number: u128, version: u32) -> Owner {
    Owner { tenant: tenant(tenant_number), subject: None, version }
}

#[test]
fn a_wrapped_key_is_what_an_independent_implementation_makes() {
    assert_eq!(hex::encode(ring(KEY).new_data_key(tenant(1), 7, &Fixed).0), WRAPPED);
}

#[test]
fn a_tag_is_what_an_independent_implementation_makes() {
    let tag = ring(KEY).tag("unsubscribe", &[b"a@example.com", b"budgets"]);
    assert_eq!(hex::encode(tag), "507555f85c25b838b047191d55cc6ea9eef41e12b698282515a6aa05a3ebcc9c");
}

// HMAC-SHA256 and AES-256-GCM of another library, over the layout that this file's head describes.
const WRAPPED: &str = "010cb8e0234242424242424242424242420e064cc5d43beb7d21566063484acb2db0a1189eb46f56a3cd79ca0eb3519d\
                       10ad23ee71d46325cfad3d7e96628fa83e1301169461f520cd475dcd6e919428f3b086d3c3568b0f3b274674da1fe9e24c";

#[test]
fn a_data_key_opens_for_its_own_tenant_and_version_only() {
    let ring = ring(KEY);
    let WrappedKey(wrapped) = ring.new_data_key(tenant(1), 3, &OsEntropy);
    assert!(ring.unwrap(&of_tenant(1, 3), &wrapped).is_ok());
    assert_eq!(ring.unwrap(&of_tenant(2, 3), &wrapped).err(), Some(SealError::Rejected));
    assert_eq!(ring.unwrap(&of_tenant(1, 4), &wrapped).err(), Some(SealError::Rejected));
}

#[test]
fn any_changed_byte_and_any_cut_of_a_wrapped_key_is_noticed() {
    let ring = ring(KEY);
    let WrappedKey(wrapped) = ring.new_data_key(tenant(1), 3, &OsEntropy);
    for index in 0..wrapped.len() {
        for bit in 0..8 {
            let mut changed = wrapped.clone();
            changed[index] ^= 1 << bit;
            assert!(ring.unwrap(&of_tenant(1, 3), &changed).is_err(), "byte {index}, bit {bit}");
        }
    }
    for length in 0..wrapped.len() {
        assert_eq!(
            ring.unwrap(&of_tenant(1, 3), &wrapped[..length]).err(),
            Some(SealError::Format),
            "{length}"
        );
    }
    assert_eq!(ring.unwrap(&of_tenant(1, 3), &[&wrapped[..], &[0]].concat()).err(), Some(SealError::Format));
}

#[test]
fn a_commitment_to_another_key_is_refused() {
    let ring = ring(KEY);
    let (mut one, two) =
        (ring.new_data_key(tenant(1), 3, &OsEntropy), ring.new_data_key(tenant(1), 3, &OsEntropy));
    let start = one.0.len() - 32;
    one.0[start..].copy_from_slice(&two.0[start..]);
    assert_eq!(ring.unwrap(&of_tenant(1, 3), &one.0).err(), Some(SealError::Rejected));
}

#[test]
fn after_a_change_of_the_master_key_the_old_one_opens_until_all_is_wrapped_anew() {
    let before = ring(KEY);
    let old = before.new_data_key(tenant(1), 1, &OsEntropy);
    let sealed = before.tenant(tenant(1), &[(1, &old.0)]).seal(&place(2), b"sk-live", &OsEntropy).unwrap();

    let alone = ring(NEWER);
    assert_eq!(alone.tenant(tenant(1), &[(1, &old.0)]).open(&place(2), &sealed), Err(SealError::OtherKey));
    let both = ring(NEWER).with_older(vec![master(KEY)]);
    assert_eq!(
        both.tenant(tenant(1), &[(1, &old.0)]).open(&place(2), &sealed).unwrap().as_slice(),
        b"sk-live"
    );
    assert!(!both.is_current(&old.0));

    let new = now(both.rewrap(tenant(1), 1, &old.0, &OsEntropy)).unwrap();
    assert!(both.is_current(&new.0) && new.0.starts_with(&both.wrapped_header()));
    assert_eq!(
        alone.tenant(tenant(1), &[(1, &new.0)]).open(&place(2), &sealed).unwrap().as_slice(),
        b"sk-live"
    );
    assert_eq!(before.tenant(tenant(1), &[(1, &new.0)]).open(&place(2), &sealed), Err(SealError::OtherKey));
    assert_eq!(now(alone.rewrap(tenant(1), 1, &old.0, &OsEntropy)), Err(SealError::OtherKey));
    assert_eq!(now(both.rewrap(tenant(2), 1, &old.0, &OsEntropy)), Err(SealError::Rejected));
}

#[test]
fn a_tag_is_good_for_its_purpose_and_parts_only_and_outlives_the_master_key() {
    let ring = ring(KEY);
    let tag = ring.tag("unsubscribe", &[b"ab", b"c"]);
    assert!(ring.verify_tag("unsubscribe", &[b"ab", b"c"], &tag));
    assert!(!ring.verify_tag("pseudonym", &[b"ab", b"c"], &tag));
    assert!(!ring.verify_tag("unsubscribe", &[b"a", b"bc"], &tag));
    assert!(!ring.verify_tag("unsubscribe", &[b"abc"], &tag));
    for length in 0..32 {
        assert!(!ring.verify_tag("unsubscribe", &[b"ab", b"c"], &tag[..length]), "{length}");
        let mut changed = tag;
        changed[length] ^= 1;
        assert!(!ring.verify_tag("unsubscribe", &[b"ab", b"c"], &changed), "{length}");
    }
    let newer = Keyring::new(master(NEWER));
    assert!(!newer.verify_tag("unsubscribe", &[b"ab", b"c"], &tag));
    assert!(newer.with_older(vec![master(KEY)]).verify_tag("unsubscribe", &[b"ab", b"c"], &tag));
}

#[test]
fn a_keyring_and_a_wrapped_key_tell_nothing_of_themselves() {
    let ring = ring(KEY).with_older(vec![master(NEWER)]);
    assert_eq!(
        format!("{ring:?} {:?}", ring.new_data_key(tenant(1), 1, &OsEntropy)),
        "Keyring(…) WrappedKey(…)"
    );
    let keys = ring.tenant::<Vec<u8>>(tenant(1), &[]);
    assert!(!format!("{keys:?}").contains("keys"));
}
