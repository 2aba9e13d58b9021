//! Names of AWS' things, each checked once, where it comes in.

use std::fmt;
use std::str::FromStr;

/// Why a text is no such name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(pub &'static str);

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if looks_like_an_access_key(text) {
                    return Err(BadName("looks like an AWS access key, which nobody asks for: access goes by role"));
                }
                $check(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )*};
}

names! {
    /// An account's twelve digits.
    AwsAccountId: account;
    /// The ARN of a role.
    RoleArn: role;
    /// What a role's trust policy asks for besides who comes: made by us, one for each tenant and account, and no secret
    /// (IAM user guide, "Access to AWS accounts owned by third parties").
    ExternalId: external_id;
    /// A bucket's name (S3 user guide, "General purpose bucket naming rules").
    BucketName: bucket;
    /// What keys begin with, without slashes at its ends. Never empty: a role that reads a whole bucket reads too much.
    KeyPrefix: prefix;
    /// A report's or export's name.
    ReportName: report;
    /// A region's code.
    Region: region;
    /// The ARN of a key in AWS KMS.
    KmsKeyArn: kms_key;
}

/// `AKIA` or `ASIA` and sixteen upper-case letters or digits (the IAM documentation's unique identifiers).
#[must_use]
pub fn looks_like_an_access_key(text: &str) -> bool {
    text.as_bytes().windows(20).any(|window| {
        (window.starts_with(b"AKIA") || window.starts_with(b"ASIA"))
            && window.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

fn account(text: &str) -> Result<String, BadName> {
    let is_one = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_one { Ok(text.to_owned()) } else { Err(BadName("must have 12 digits")) }
}

/// Account and name of `arn:aws:iam::<account>:role/<path and name>`.
fn role_parts(text: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, role] = parts.as_slice() else { return None };
    let name = role.strip_prefix("role/")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte);
    let is_name = !name.is_empty() && name.len() <= 576 && name.bytes().all(plain) && !name.ends_with('/');
    (partition.starts_with("aws") && self::account(account).is_ok() && is_name).then_some((account, name))
}

fn role(text: &str) -> Result<String, BadName> {
    match role_parts(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(BadName("is not the ARN of a role, like arn:aws:iam::111122223333:role/Name")),
    }
}

impl RoleArn {
    /// The role that our template makes in an account.
    #[must_use]
    pub fn of_template(account: &AwsAccountId) -> Self {
        Self(format!("arn:aws:iam::{account}:role/{}", super::ROLE_NAME))
    }

    /// The account that it is in.
    #[must_use]
    pub fn account(&self) -> &str {
        role_parts(&self.0).map_or("", |(account, _)| account)
    }
}

fn external_id(text: &str) -> Result<String, BadName> {
    // AWS takes 2 to 1224 characters; ours are never shorter than 32.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if (32..=128).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(BadName("is no ExternalId of ours"))
    }
}

impl ExternalId {
    /// A new one of 160 random bits.
    #[must_use]
    pub fn new(random: [u8; 20]) -> Self {
        use fmt::Write as _;

        let mut text = String::from("costlens-");
        for byte in random {
            let _infallible = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

fn bucket(text: &str) -> Result<String, BadName> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    if (3..=63).contains(&bytes.len())
        && bytes.iter().copied().all(plain)
        && edge(bytes.first())
        && edge(bytes.last())
        && !text.contains("..")
        // What looks like an address is none.
        && text.bytes().any(|byte| !byte.is_ascii_digit() && byte != b'.')
    {
        Ok(text.to_owned())
    } else {
        Err(BadName("is no bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens"))
    }
}

fn prefix(text: &str) -> Result<String, BadName> {
    let text = text.trim_matches('/');
    // What would be a wildcard or a variable in a policy is no part of a prefix here.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!-_.'()/=+@:,".contains(&byte);
    let is_plain = !text.is_empty() && text.len() <= 512 && text.bytes().all(plain);
    let has_dots = text.split('/').any(|part| matches!(part, "" | "." | ".."));
    if is_plain && !has_dots {
        Ok(text.to_owned())
    } else {
        Err(BadName("must name a folder of the bucket, without wildcards and empty parts"))
    }
}

impl KeyPrefix {
    /// Whether a key lies below it, and says so without detours.
    #[must_use]
    pub fn holds(&self, key: &str) -> bool {
        let below = key.strip_prefix(self.as_str()).and_then(|rest| rest.strip_prefix('/'));
        below.is_some_and(|below| {
            below.len() <= 900
                && !below.chars().any(char::is_control)
                && !below.split('/').any(|part| matches!(part, "" | "." | ".."))
        })
    }
}

fn report(text: &str) -> Result<String, BadName> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!-_.'()".contains(&byte);
    if (1..=256).contains(&text.len()) && text.bytes().all(plain) && text != "." && text != ".." {
        Ok(text.to_owned())
    } else {
        Err(BadName("is no report's name: letters, digits and -_.!'()"))
    }
}

fn region(text: &str) -> Result<String, BadName> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (5..=32).contains(&text.len()) && text.bytes().all(plain) && text.contains('-') {
        Ok(text.to_owned())
    } else {
        Err(BadName("is no region's code, like us-east-1"))
    }
}

fn kms_key(text: &str) -> Result<String, BadName> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let bad = BadName("is not the ARN of a key, like arn:aws:kms:us-east-1:111122223333:key/1234abcd-…");
    let ["arn", partition, "kms", in_region, of_account, key] = parts.as_slice() else { return Err(bad) };
    let id = key.strip_prefix("key/").ok_or(bad)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if partition.starts_with("aws")
        && region(in_region).is_ok()
        && account(of_account).is_ok()
        && !id.is_empty()
        && id.bytes().all(plain)
    {
        Ok(text.to_owned())
    } else {
        Err(bad)
    }
}
