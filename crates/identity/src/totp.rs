//! Codes of an authenticator (RFC 6238): six digits of HMAC-SHA-1, a new one every 30 seconds, which is what every
//! authenticator app knows. A code is taken one step early or late; which step it was is told, so that whoever keeps it
//! can refuse a second use (RFC 6238, section 5.2).

use costlens_domain::ports::Entropy;
use subtle::ConstantTimeEq as _;
use totp_rs::{Algorithm, Secret, TOTP};
use zeroize::Zeroizing;

/// Bytes of a secret: as many as the hash has (RFC 4226, section 4, R6).
const SECRET_BYTES: usize = 20;
const STEP_SECONDS: i64 = 30;
const DIGITS: usize = 6;

/// A second factor's secret.
pub struct Totp(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Totp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Totp(…)")
    }
}

/// What a person needs to set an authenticator up.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSetup {
    /// The secret in base 32, to be typed in.
    pub secret: String,
    /// `otpauth://totp/…`, as a link.
    pub uri: String,
    /// The link as QR code: rows from above, `#` for dark.
    pub qr: Vec<String>,
}

impl std::fmt::Debug for TotpSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSetup(…)")
    }
}

impl Totp {
    /// A fresh one.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut secret = Zeroizing::new(vec![0; SECRET_BYTES]);
        entropy.fill(&mut secret);
        Self(secret)
    }

    /// One that was kept.
    #[must_use]
    pub fn from_bytes(secret: &[u8]) -> Self {
        Self(Zeroizing::new(secret.to_vec()))
    }

    /// To be sealed and kept.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The step of time whose code this is: the present one, or the one before or after it. `None` for a wrong code.
    /// `now` is in seconds since 1970.
    #[must_use]
    pub fn matching_step(&self, code: &str, now: i64) -> Option<i64> {
        let code = code.trim();
        if code.len() != DIGITS || !code.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let totp = self.algorithm();
        let present = now.div_euclid(STEP_SECONDS);
        let mut found = None;
        for step in [present - 1, present, present + 1] {
            let at = u64::try_from(step * STEP_SECONDS).unwrap_or_default();
            if bool::from(totp.generate(at).as_bytes().ct_eq(code.as_bytes())) {
                found = Some(step);
            }
        }
        found
    }

    /// How an authenticator is set up with it, under this account's name.
    #[must_use]
    pub fn setup(&self, account: &str) -> TotpSetup {
        let secret = Secret::Raw(self.0.to_vec()).to_encoded().to_string();
        let account: String = account.bytes().map(escaped).collect();
        let uri = format!("otpauth://totp/Costlens:{account}?secret={secret}&issuer=Costlens");
        let qr = qrcode::QrCode::new(uri.as_bytes()).map(|code| rows(&code)).unwrap_or_default();
        TotpSetup { secret, uri, qr }
    }

    fn algorithm(&self) -> TOTP {
        TOTP::new_unchecked(Algorithm::SHA1, DIGITS, 0, STEP_SECONDS.unsigned_abs(), self.0.to_vec())
    }
}

fn escaped(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    }
}

fn rows(code: &qrcode::QrCode) -> Vec<String> {
    let width = code.width();
    let colors = code.to_colors();
    let row = |row: &[qrcode::Color]| row.iter().map(|color| color.select('#', ' ')).collect();
    colors.chunks(width.max(1)).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let totp = Totp::from_bytes(b"12345678901234567890");
        for (at, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(totp.matching_step(code, at), Some(at / 30), "at {at}");
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_or_late_and_no_more() {
        let totp = Totp::from_bytes(b"12345678901234567890");
        assert_eq!(totp.matching_step("287082", 59), Some(1));
        assert_eq!(totp.matching_step("287082", 89), Some(1));
        assert_eq!(totp.matching_step("287082", 29), Some(1));
        assert_eq!(totp.matching_step("287082", 90), None);
        assert_eq!(totp.matching_step(" 287082 ", 59), Some(1));
        for wrong in ["", "28708", "2870820", "287083", "２８７０８２", "+28708"] {
            assert_eq!(totp.matching_step(wrong, 59), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_authenticator_is_set_up_by_link_and_by_picture() {
        let setup = Totp::from_bytes(b"12345678901234567890").setup("ann+x@example.com");
        assert_eq!(setup.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            setup.uri,
            "otpauth://totp/Costlens:ann%2Bx@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Costlens"
        );
        assert!(setup.qr.len() > 20 && setup.qr.iter().all(|row| row.chars().count() == setup.qr.len()));
        assert!(!format!("{setup:?}").contains("GEZ"));
    }
}
