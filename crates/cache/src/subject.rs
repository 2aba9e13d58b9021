//! Whom a limit counts: an address, an account, a token. Neither Redis nor this process' memory of counters holds
//! them in clear; a counter's name is an HMAC of its subject, which cannot be tried out without the secret.

use std::net::{IpAddr, Ipv6Addr};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a counter is called.
pub(crate) type Key = [u8; 16];

/// One client's address as a subject: IPv4 as it is, also where it comes as an IPv6 address, and of IPv6 the first 64
/// bits, all below which are one customer's of a provider (RFC 6177).
#[must_use]
pub fn address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// An e-mail address or a user's name as a subject: upper and lower case, and blanks around, are one.
#[must_use]
pub fn account(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The name of a subject's counter under a rule: the first half of HMAC-SHA256.
pub(crate) fn key(secret: &[u8; 32], rule: &str, subject: &str) -> Key {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of 32 bytes");
    // A rule's name has no zero byte, so that no other pair gives the same text.
    mac.update(rule.as_bytes());
    mac.update(&[0]);
    mac.update(subject.as_bytes());
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    let mut key = Key::default();
    key.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_customer_is_one_subject_and_ipv4_is_ipv4_however_it_comes() {
        let shown = |text: &str| address(text.parse().unwrap());
        assert_eq!(shown("203.0.113.7"), "203.0.113.7");
        assert_eq!(shown("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(shown("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(shown("2001:db8:1:2::1"), shown("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(shown("2001:db8:1:2::1"), shown("2001:db8:1:3::1"));
    }

    #[test]
    fn spellings_of_an_account_are_one_subject() {
        assert_eq!(account(" Ada@Example.COM "), "ada@example.com");
    }

    #[test]
    fn a_counters_name_depends_on_secret_rule_and_subject_alone() {
        let one = key(&[1; 32], "login", "ada@example.com");
        assert_eq!(one, key(&[1; 32], "login", "ada@example.com"));
        for other in [
            key(&[2; 32], "login", "ada@example.com"),
            key(&[1; 32], "logi", "nada@example.com"),
            key(&[1; 32], "login", "bob@example.com"),
        ] {
            assert_ne!(one, other);
        }
    }
}
