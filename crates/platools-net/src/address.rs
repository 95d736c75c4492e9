//! Which IP addresses are public, and which address another notation stands for.
//!
//! Must not know names or sockets: names are judged by the addresses that they resolve to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns the address that is reached in the end: IPv6 has several notations for an IPv4 address (mapped,
/// compatible, NAT64, 6to4).
pub fn reached_address(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    let embedded = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into();
    match v6.segments() {
        [0x64, 0xff9b, .., high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Compatible addresses are obsolete; `::` and `::1` are none.
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => embedded(high, low),
        _ => address,
    }
}

/// Returns whether an address is public: not private, loopback, link-local, shared (CGNAT), multicast, reserved, or for
/// documentation and tests, in any notation.
///
/// ```
/// use platools_net::address::is_public_address;
///
/// assert!(is_public_address([93, 184, 216, 34].into()));
/// assert!(!is_public_address([10, 0, 0, 1].into()));
/// assert!(!is_public_address("::ffff:127.0.0.1".parse().unwrap()));
/// ```
pub fn is_public_address(address: IpAddr) -> bool {
    match reached_address(address) {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_reserved = match address.octets() {
        [0 | 240..=255, ..] | [192, 0, 0, _] | [192, 88, 99, _] => true,
        [100, second, ..] => (64..128).contains(&second),
        [198, second, ..] => matches!(second, 18 | 19),
        _ => false,
    };
    !(is_reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_site_local = first & 0xffc0 == 0xfec0;
    let is_documentation = (first, second) == (0x2001, 0xdb8);
    !(is_site_local
        || is_documentation
        || address.is_unspecified()
        || address.is_loopback()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public_however_they_are_written() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::10.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "2001:db8::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public_address(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "93.184.216.34",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public_address(address.parse().unwrap()), "{address}");
        }
    }
}
