//! Whose word about the client's address counts.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};

use super::rig::{Rig, config};
use crate::{Arrival, Network, TrustedProxies};

#[tokio::test]
async fn a_spoofed_forwarded_for_changes_nothing() {
    let rig = Rig::start(config()).await;
    let spoof = "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n";
    assert_eq!(rig.get("/who", spoof).await.body, "127.0.0.1");
}

#[tokio::test]
async fn behind_one_trusted_hop_only_the_rightmost_address_counts() {
    let mut config = config();
    config.trusted_proxies = TrustedProxies::Hops(1);
    let rig = Rig::start(config).await;
    let lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7, 9.9.9.9\r\n";
    assert_eq!(rig.get("/who", lines).await.body, "9.9.9.9");
}

#[test]
fn the_search_goes_as_far_as_trust_reaches() {
    let networks = |texts: &[&str]| {
        TrustedProxies::Networks(texts.iter().map(|text| text.parse::<Network>().unwrap()).collect())
    };
    let ours = networks(&["10.0.0.0/8", "2001:db8::/32"]);
    for (proxies, peer, forwarded, client) in [
        (TrustedProxies::None, "1.1.1.1", "6.6.6.6", "1.1.1.1"),
        (TrustedProxies::Hops(0), "1.1.1.1", "6.6.6.6", "1.1.1.1"),
        (TrustedProxies::Hops(1), "1.1.1.1", "6.6.6.6, 2.2.2.2", "2.2.2.2"),
        (TrustedProxies::Hops(2), "1.1.1.1", "6.6.6.6, 2.2.2.2", "6.6.6.6"),
        (TrustedProxies::Hops(9), "1.1.1.1", "6.6.6.6, 2.2.2.2", "6.6.6.6"),
        (TrustedProxies::Hops(1), "1.1.1.1", "6.6.6.6, nonsense", "1.1.1.1"),
        (TrustedProxies::Hops(1), "1.1.1.1", "", "1.1.1.1"),
        (ours.clone(), "10.0.0.1", "6.6.6.6, 5.5.5.5, 10.9.9.9", "5.5.5.5"),
        (ours.clone(), "5.5.5.5", "6.6.6.6", "5.5.5.5"),
        (ours.clone(), "10.0.0.1", "6.6.6.6, nonsense, 10.9.9.9", "10.9.9.9"),
        (ours.clone(), "10.0.0.1", "10.1.1.1", "10.1.1.1"),
        (ours.clone(), "2001:db8::1", "[2620:fe::9]:443", "2620:fe::9"),
        (ours.clone(), "::ffff:10.0.0.1", "::ffff:5.5.5.5", "5.5.5.5"),
        (ours, "10.0.0.1", "5.5.5.5:8080", "5.5.5.5"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_str(forwarded).unwrap());
        let found = proxies.client(peer.parse::<IpAddr>().unwrap(), &headers);
        assert_eq!(found.to_string(), client, "{proxies:?} {peer} {forwarded:?}");
    }
}

#[test]
fn networks_hold_what_they_say() {
    for (network, address, inside) in [
        ("10.0.0.0/8", "10.255.255.255", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "fe80::1", false),
        ("::/0", "10.0.0.1", false),
    ] {
        let network: Network = network.parse().unwrap();
        assert_eq!(network.contains(address.parse().unwrap()), inside, "{network:?} {address}");
    }
    for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "host", "10.0.0.0/x"] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
}

#[test]
fn a_callers_request_id_is_taken_only_if_it_is_fit_to_be_stored() {
    let long = "x".repeat(129);
    for (text, taken) in
        [("abc-123", true), ("", false), ("a b", false), (long.as_str(), false), ("é", false)]
    {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_bytes(text.as_bytes()).unwrap());
        assert_eq!(Arrival::caller_request_id(&headers), taken.then_some(text));
    }
}
