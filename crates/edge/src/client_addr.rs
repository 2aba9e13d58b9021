//! Who the client is, when proxies stand between.
//!
//! `X-Forwarded-For` is written by anyone; only what the hops we trust appended to it is true, and they append on
//! the right. So it is read from the right, and only as far as trust reaches. The first address that no trusted
//! hop vouches for is the client.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;

/// A block of addresses, as `10.0.0.0/8` or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address or a block such as 10.0.0.0/8, not {0:?}")]
pub struct BadNetwork(pub String);

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| bad())?)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(widest);
        if prefix > widest {
            return Err(bad());
        }
        Ok(Self { address, prefix })
    }
}

impl Network {
    /// Whether the block holds the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Whose word about the client's address is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrustedProxies {
    /// Nobody's: the peer of the connection is the client.
    #[default]
    None,
    /// Every request comes through this many proxies of ours, whatever their addresses. Only right where nobody
    /// can reach this port without them.
    Hops(u8),
    /// Proxies at these addresses.
    Networks(Vec<Network>),
}

impl TrustedProxies {
    /// Whether the peer of a connection is a proxy of ours.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        match self {
            Self::None => false,
            Self::Hops(hops) => *hops > 0,
            Self::Networks(networks) => networks.iter().any(|network| network.contains(peer)),
        }
    }

    /// The client's address. A word that is no address ends the search: the hop before it is the last we know.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let mut hops_left = match self {
            Self::Hops(hops) => usize::from(*hops),
            _ => usize::MAX,
        };
        let mut client = peer;
        let lines = headers.get_all("x-forwarded-for");
        for entry in lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
            let vouched = match self {
                Self::Networks(networks) => networks.iter().any(|network| network.contains(client)),
                _ => hops_left > 0,
            };
            let Some(address) = parse_entry(entry).filter(|_| vouched) else { break };
            client = address;
            hops_left = hops_left.saturating_sub(1);
        }
        client
    }
}

/// `1.2.3.4`, `1.2.3.4:5678`, `::1` or `[::1]:5678`.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address: IpAddr =
        bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()?;
    Some(address.to_canonical())
}
