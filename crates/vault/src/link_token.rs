//! Tokens in the links of mails: what the link is for, whose and which row, and a tag that only we can make.
//!
//! Nothing is stored for them, so a copy of the database holds none. They do not expire by themselves; what a link does
//! is safe to do again (stop mail, agree to it), or checks the row's own state and time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use costlens_domain::TenantId;
use uuid::Uuid;

use crate::Keyring;

/// What a link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPurpose {
    /// Agrees to be told.
    Confirm,
    /// Wants to be told nothing more.
    Unsubscribe,
    /// Keeps an account that is being closed.
    KeepAccount,
    /// Makes its addressee a member.
    Invitation,
}

impl LinkPurpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Confirm => "costlens/link/confirm/1",
            Self::Unsubscribe => "costlens/link/unsubscribe/1",
            Self::KeepAccount => "costlens/link/keep-account/1",
            Self::Invitation => "costlens/link/invitation/1",
        }
    }
}

/// The token of a link that does this to this row.
#[must_use]
pub fn link_token(keyring: &Keyring, purpose: LinkPurpose, tenant: TenantId, row: Uuid) -> String {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend(tenant.uuid().as_bytes());
    bytes.extend(row.as_bytes());
    let tag = keyring.tag(purpose.label(), &[tenant.uuid().as_bytes(), row.as_bytes()]);
    bytes.extend(tag);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whose and which row a token is about; `None` for one that we did not make for this purpose.
#[must_use]
pub fn read_link_token(keyring: &Keyring, purpose: LinkPurpose, token: &str) -> Option<(TenantId, Uuid)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (tenant, rest) = bytes.split_first_chunk::<16>()?;
    let (row, tag) = rest.split_first_chunk::<16>()?;
    let valid = keyring.verify_tag(purpose.label(), &[tenant, row], tag);
    valid.then(|| (TenantId::from(Uuid::from_bytes(*tenant)), Uuid::from_bytes(*row)))
}

/// What a link of a person does, which is no tenant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonalPurpose {
    /// Makes its addressee a user.
    Registration,
    /// Sets a new password.
    PasswordReset,
}

impl PersonalPurpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Registration => "costlens/link/registration/1",
            Self::PasswordReset => "costlens/link/password-reset/1",
        }
    }
}

/// The token of a link that does this, by this row.
#[must_use]
pub fn personal_token(keyring: &Keyring, purpose: PersonalPurpose, row: Uuid) -> String {
    let tag = keyring.tag(purpose.label(), &[row.as_bytes()]);
    URL_SAFE_NO_PAD.encode([row.as_bytes().as_slice(), &tag].concat())
}

/// Which row a token is about; `None` for one that we did not make for this purpose.
#[must_use]
pub fn read_personal_token(keyring: &Keyring, purpose: PersonalPurpose, token: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (row, tag) = bytes.split_first_chunk::<16>()?;
    keyring.verify_tag(purpose.label(), &[row], tag).then(|| Uuid::from_bytes(*row))
}

/// A browser in which somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownBrowser {
    /// Who did.
    pub user: Uuid,
    /// The browser, among those of this person.
    pub browser: Uuid,
    /// Until when it is known, in seconds since 1970.
    pub until: i64,
}

const KNOWN_BROWSER: &str = "costlens/known-browser/2";

/// The token by which such a browser is known again.
#[must_use]
pub fn known_browser_token(keyring: &Keyring, known: &KnownBrowser) -> String {
    let (user, browser, until) = (known.user.as_bytes(), known.browser.as_bytes(), known.until.to_be_bytes());
    let tag = keyring.tag(KNOWN_BROWSER, &[user, browser, &until]);
    URL_SAFE_NO_PAD.encode([user.as_slice(), browser, &until, &tag].concat())
}

/// Which browser a token is about; `None` for one that we did not make. Whether its time is over, is the caller's to say.
#[must_use]
pub fn read_known_browser_token(keyring: &Keyring, token: &str) -> Option<KnownBrowser> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (user, rest) = bytes.split_first_chunk::<16>()?;
    let (browser, rest) = rest.split_first_chunk::<16>()?;
    let (until, tag) = rest.split_first_chunk::<8>()?;
    keyring.verify_tag(KNOWN_BROWSER, &[user, browser, until], tag).then(|| KnownBrowser {
        user: Uuid::from_bytes(*user),
        browser: Uuid::from_bytes(*browser),
        until: i64::from_be_bytes(*until),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MasterKey;

    fn ring(byte: &str) -> Keyring {
        Keyring::new(MasterKey::parse(&format!("01{}", byte.repeat(31))).unwrap())
    }

    #[test]
    fn a_personal_token_does_one_thing_by_one_row_and_cannot_be_made_up() {
        let row = Uuid::from_u128(7);
        let token = personal_token(&ring("aa"), PersonalPurpose::PasswordReset, row);
        let read = |ring: &Keyring, purpose, token: &str| read_personal_token(ring, purpose, token);
        assert_eq!(read(&ring("aa"), PersonalPurpose::PasswordReset, &token), Some(row));
        assert_eq!(read(&ring("aa"), PersonalPurpose::Registration, &token), None);
        assert_eq!(read(&ring("bb"), PersonalPurpose::PasswordReset, &token), None);
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(read(&ring("aa"), PersonalPurpose::PasswordReset, &changed), None, "bit {bit}");
        }
    }

    #[test]
    fn a_browser_names_itself_by_nothing_but_its_own_token() {
        let known =
            KnownBrowser { user: Uuid::from_u128(1), browser: Uuid::from_u128(2), until: 1_800_000_000 };
        let token = known_browser_token(&ring("aa"), &known);
        assert_eq!(read_known_browser_token(&ring("aa"), &token), Some(known));
        assert_eq!(read_known_browser_token(&ring("bb"), &token), None);
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(read_known_browser_token(&ring("aa"), &changed), None, "bit {bit}");
        }
        for cut in 0..token.len() {
            assert_eq!(read_known_browser_token(&ring("aa"), &token[..cut]), None);
        }
    }

    #[test]
    fn a_token_does_one_thing_to_one_row_and_cannot_be_made_up() {
        let (tenant, row) = (TenantId::from(Uuid::from_u128(1)), Uuid::from_u128(2));
        let token = link_token(&ring("aa"), LinkPurpose::Unsubscribe, tenant, row);
        let read = |ring: &Keyring, purpose, token: &str| read_link_token(ring, purpose, token);
        assert_eq!(read(&ring("aa"), LinkPurpose::Unsubscribe, &token), Some((tenant, row)));
        assert_eq!(read(&ring("aa"), LinkPurpose::Confirm, &token), None);
        assert_eq!(read(&ring("bb"), LinkPurpose::Unsubscribe, &token), None);
        for cut in 0..token.len() {
            assert_eq!(read(&ring("aa"), LinkPurpose::Unsubscribe, &token[..cut]), None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(read(&ring("aa"), LinkPurpose::Unsubscribe, &changed), None, "byte {index}");
        }
    }
}
