//! Sealed texts, tokens of links and master keys, from bytes that we did not make: nothing opens, nothing is believed.

use costlens_domain::TenantId;
use costlens_domain::ports::Entropy;
use costlens_vault::{Keyring, LinkPurpose, MasterKey, SealedFor, Sealer, link_token, read_link_token};
use uuid::Uuid;

const MASTER: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Always the same: what is sealed under it is known to the test alone.
#[derive(Debug)]
struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x42);
    }
}

pub(crate) fn check(input: &[u8]) {
    let master = MasterKey::parse(MASTER).unwrap();
    let sealer = Sealer::new(&master);
    let ring = Keyring::new(master);
    let tenant = TenantId::from(Uuid::from_u128(1));
    let place = SealedFor { tenant, table: "connection", column: "sealed_secret", row: Uuid::from_u128(2) };

    let wrapped = ring.new_data_key(tenant, 1, &Fixed);
    let keys = ring.tenant(tenant, &[(1, wrapped.0.clone())]);
    let ours = keys.seal(&place, b"secret", &Fixed).unwrap();
    match keys.open(&place, input) {
        // The seeds hold what was sealed for this place, in both formats.
        Ok(secret) => {
            let known = [b"secret".as_slice(), b"sk-live"].contains(&secret.as_slice());
            let is_ours = input == ours || input == sealer.seal(&place, &secret, &Fixed);
            assert!(known && is_ours, "a made-up text opens");
        }
        Err(_) => assert_ne!(input, ours, "what was sealed does not open"),
    }
    let other_row = SealedFor { row: Uuid::from_u128(3), ..place };
    assert!(keys.open(&other_row, input).is_err(), "a text opens in another row");
    assert!(sealer.open(&other_row, input).is_err());
    // The input in the place of a wrapped key opens nothing either.
    let strange = ring.tenant(tenant, &[(1, input.to_vec())]);
    assert_eq!(strange.open(&place, &ours).is_ok(), input == wrapped.0.as_slice());

    let Ok(text) = std::str::from_utf8(input) else { return };
    for purpose in [LinkPurpose::Confirm, LinkPurpose::Unsubscribe, LinkPurpose::KeepAccount] {
        if let Some((tenant, row)) = read_link_token(&ring, purpose, text) {
            assert_eq!(link_token(&ring, purpose, tenant, row), text, "a token has a second spelling");
            assert_eq!((tenant, row), (place.tenant, place.row), "a made-up token is believed");
        }
    }
    let _any = MasterKey::parse(text);
}
