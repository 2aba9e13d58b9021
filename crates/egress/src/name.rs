//! Which host names may be looked up at all.
//!
//! Names that can only mean something inside a network are refused before any question leaves the machine: their
//! answer is private by intent, and a resolver with a search list would complete a bare name into one. The input
//! is what IDNA made of the host, in lower case and without the trailing dot.

/// Last labels that never lead to a public host: special-use names (RFC 6761 and the registry it made), names kept
/// for private use, and those that home and company networks took for themselves.
const PRIVATE_SUFFIXES: &[&str] = &[
    "alt",
    "arpa",
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "onion",
    "private",
    "svc",
    "test",
    "workgroup",
];

/// Public names under which clouds offer the credentials of the machine that asks.
const METADATA_HOSTS: &[&str] = &[
    "instance-data.ec2.amazonaws.com",
    "metadata.google.com",
    "metadata.googleapis.com",
    "metadata.azure.com",
    "metadata.oraclecloud.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "metadata.hetzner.cloud",
];

/// Whether the name could be a public host's.
pub(crate) fn is_public(name: &str) -> bool {
    let Some((_, last)) = name.rsplit_once('.') else {
        return false; // a single label is completed by search lists and the hosts file
    };
    name.split('.').all(is_label) && !PRIVATE_SUFFIXES.contains(&last) && !METADATA_HOSTS.contains(&name)
}

/// Letters, digits, hyphen and underscore (which some real hosts carry), at most 63 of them.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
