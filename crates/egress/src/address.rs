//! Which addresses belong to the public Internet.
//!
//! Lists of forbidden ranges are always one range short, so this asks the opposite: is the address one that the
//! IANA registries call globally reachable unicast? IPv6 is 2000::/3 less its special blocks; IPv4 is everything
//! less the special-purpose registry, multicast and the reserved top. Addresses that carry an IPv4 address inside
//! (mapped, NAT64, 6to4, Teredo, ISATAP) are refused whatever they carry: nobody serves an API on one, and what
//! the inner address reaches depends on the network we stand in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Network and prefix length of every IPv4 block that is not globally reachable unicast.
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),            // this network (RFC 791)
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private (RFC 1918)
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // carrier NAT (RFC 6598), with Alibaba's metadata service
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's wire server: public by number, private by routing
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local, with the cloud metadata services
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments, with Oracle's metadata service
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays, withdrawn (RFC 7526)
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, with the limited broadcast
];

/// The one IPv6 block from which global unicast addresses are handed out.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Blocks inside 2000::/3 that are something else.
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, ORCHID, benchmarking, AMT
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation (RFC 9637)
];

/// Whether the address is global unicast: reachable by anyone, special to no one.
#[must_use]
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|block| within_v4(v4, *block)),
        IpAddr::V6(v6) => {
            within_v6(v6, GLOBAL_V6)
                && !SPECIAL_V6.iter().any(|block| within_v6(v6, *block))
                && !is_isatap(v6)
        }
    }
}

fn within_v4(address: Ipv4Addr, (network, prefix): (Ipv4Addr, u32)) -> bool {
    let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
    address.to_bits() & mask == network.to_bits() & mask
}

fn within_v6(address: Ipv6Addr, (network, prefix): (Ipv6Addr, u32)) -> bool {
    let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
    address.to_bits() & mask == network.to_bits() & mask
}

/// An interface identifier `[02]00:5efe:a.b.c.d` (RFC 5214) tunnels to the IPv4 address in its tail.
fn is_isatap(address: Ipv6Addr) -> bool {
    let interface = address.to_bits() & 0xffff_ffff_0000_0000;
    interface == 0x0000_5efe_0000_0000 || interface == 0x0200_5efe_0000_0000
}
