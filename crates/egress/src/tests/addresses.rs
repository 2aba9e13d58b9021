//! Both edges of every block, and what lies one step outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::is_global;

/// First and last address of each IPv4 block that must be refused.
const REFUSED_V4: &[(&str, &str)] = &[
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "239.255.255.255"),
    ("240.0.0.0", "255.255.255.255"),
];

/// First and last address of each IPv6 block that must be refused.
const REFUSED_V6: &[(&str, &str)] = &[
    ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

/// The IPv4 addresses that a block's neighbour must not be, because it is refused for another reason.
fn listed_v4(address: Ipv4Addr) -> bool {
    REFUSED_V4.iter().any(|(first, last)| {
        let (first, last): (Ipv4Addr, Ipv4Addr) = (first.parse().unwrap(), last.parse().unwrap());
        (first..=last).contains(&address)
    })
}

fn listed_v6(address: Ipv6Addr) -> bool {
    REFUSED_V6.iter().any(|(first, last)| {
        let (first, last): (Ipv6Addr, Ipv6Addr) = (first.parse().unwrap(), last.parse().unwrap());
        (first..=last).contains(&address)
    })
}

#[test]
fn every_ipv4_block_is_refused_to_its_edges_and_not_beyond() {
    for (first, last) in REFUSED_V4 {
        let (first, last): (Ipv4Addr, Ipv4Addr) = (first.parse().unwrap(), last.parse().unwrap());
        let middle = Ipv4Addr::from_bits(first.to_bits() + (last.to_bits() - first.to_bits()) / 2);
        for address in [first, middle, last] {
            assert!(!is_global(IpAddr::V4(address)), "{address} passed");
        }
        for outside in [first.to_bits().checked_sub(1), last.to_bits().checked_add(1)].into_iter().flatten() {
            let outside = Ipv4Addr::from_bits(outside);
            assert_eq!(is_global(IpAddr::V4(outside)), !listed_v4(outside), "{outside}");
        }
    }
}

#[test]
fn every_ipv6_block_is_refused_to_its_edges_and_not_beyond() {
    for (first, last) in REFUSED_V6 {
        let (first, last): (Ipv6Addr, Ipv6Addr) = (first.parse().unwrap(), last.parse().unwrap());
        let middle = Ipv6Addr::from_bits(first.to_bits() + (last.to_bits() - first.to_bits()) / 2);
        for address in [first, middle, last] {
            assert!(!is_global(IpAddr::V6(address)), "{address} passed");
        }
        for outside in [first.to_bits().checked_sub(1), last.to_bits().checked_add(1)].into_iter().flatten() {
            let outside = Ipv6Addr::from_bits(outside);
            assert_eq!(is_global(IpAddr::V6(outside)), !listed_v6(outside), "{outside}");
        }
    }
}

#[test]
fn every_way_to_carry_a_private_ipv4_address_inside_ipv6_is_refused() {
    let inner =
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.100.100.200", "168.63.129.16"];
    for text in inner {
        let v4: Ipv4Addr = text.parse().unwrap();
        let bits = u128::from(v4.to_bits());
        let carriers = [
            ("mapped", 0xffff_u128 << 32 | bits),
            ("compatible", bits),
            ("translated (SIIT)", 0xffff_u128 << 48 | bits),
            ("NAT64", 0x0064_ff9b_u128 << 96 | bits),
            ("local NAT64", 0x0064_ff9b_0001_u128 << 80 | bits),
            ("6to4", 0x2002_u128 << 112 | bits << 80 | 1),
            ("Teredo", 0x2001_u128 << 112 | (bits ^ 0xffff_ffff)),
            ("ISATAP", 0x2600_1f18_0000_0000_u128 << 64 | 0x5efe_u128 << 32 | bits),
            ("ISATAP, universal", 0x2600_1f18_0000_0000_u128 << 64 | 0x0200_5efe_u128 << 32 | bits),
        ];
        for (how, bits) in carriers {
            let address = Ipv6Addr::from_bits(bits);
            assert!(!is_global(IpAddr::V6(address)), "{how}: {address} for {text} passed");
        }
    }
}

#[test]
fn known_dangers_are_refused_and_known_providers_pass() {
    for refused in [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "100::1",
        "5f00::1",
        "64:ff9b::a9fe:a9fe",
    ] {
        assert!(!is_global(refused.parse().unwrap()), "{refused} passed");
    }
    for passed in [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "104.18.7.192",
        "160.79.104.10",
        "162.159.140.245",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "223.255.255.255",
        "2606:4700::6812:7c0",
        "2607:6bc0::10",
        "2620:4f:8000::1",
        "2a00:1450:4001::1",
    ] {
        assert!(is_global(passed.parse().unwrap()), "{passed} was refused");
    }
}
