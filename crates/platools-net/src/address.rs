//! Which IP addresses are public, and which address another notation stands for.
//!
//! Must not know names or sockets: names are judged by the addresses that they resolve to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns the IPv4 address that an IPv6 address is another notation for (mapped, translated, compatible, NAT64, 6to4),
/// or the address itself.
pub fn reached_address(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // Compatible addresses are obsolete; `::` and `::1` are none.
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => v4(high, low),
        _ => address,
    }
}

/// Returns all addresses that packets to an address may reach: its own, and each IPv4 address that a translator or a
/// tunnel on the way may take out of it. Nobody can know here which of them stand on the way, so judge all of them.
///
/// ```
/// use platools_net::address::reached_addresses;
///
/// let isatap = "fe80::5efe:10.0.0.1".parse().unwrap();
/// assert!(reached_addresses(isatap).eq([isatap, [10, 0, 0, 1].into()]));
/// ```
pub fn reached_addresses(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let mut embedded = [None; 4];
    if let IpAddr::V6(v6) = address {
        let segments @ [_, _, _, fourth, fifth, sixth, seventh, eighth] = v6.segments();
        // The middle of two segments.
        let middle = |high: u16, low: u16| high << 8 | low >> 8;
        match segments {
            // A network's own NAT64 (RFC 8215): the length of its prefix tells where the address is (RFC 6052 §2.2).
            [0x64, 0xff9b, 1, ..] => {
                embedded = [
                    Some(v4(fourth, middle(fifth, sixth))),
                    Some(v4(fourth << 8 | fifth & 0xff, sixth)),
                    Some(v4(middle(fifth, sixth), middle(sixth, seventh))),
                    Some(v4(seventh, eighth)),
                ];
            }
            // Teredo (RFC 4380): the server, and the client with its bits flipped.
            [0x2001, 0, high, low, ..] => {
                embedded = [Some(v4(high, low)), Some(v4(!seventh, !eighth)), None, None];
            }
            // ISATAP (RFC 5214), below any prefix.
            [.., 0 | 0x100 | 0x200 | 0x300, 0x5efe, high, low] => embedded[0] = Some(v4(high, low)),
            _ => {}
        }
        let reached = reached_address(address);
        if reached != address {
            embedded[3] = Some(reached);
        }
    }
    // A mapped address is the IPv4 address to every operating system.
    let is_mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    (!is_mapped).then_some(address).into_iter().chain(embedded.into_iter().flatten())
}

fn v4(high: u16, low: u16) -> IpAddr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
}

/// Returns whether an address is public: not private, loopback, link-local, shared (CGNAT), multicast, reserved, or for
/// documentation and tests; nor is any IPv4 address in it.
///
/// ```
/// use platools_net::address::is_public_address;
///
/// assert!(is_public_address([93, 184, 216, 34].into()));
/// assert!(!is_public_address([10, 0, 0, 1].into()));
/// assert!(!is_public_address("::ffff:127.0.0.1".parse().unwrap()));
/// ```
pub fn is_public_address(address: IpAddr) -> bool {
    reached_addresses(address).all(|address| match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    })
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
    match address.segments() {
        // Protocols (Teredo, benchmarks, ORCHID), and documentation.
        [0x2001, 0..0x200 | 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => false,
        // Only these are in use, and the translators' prefix, whose IPv4 address is judged by itself.
        [0x2000..0x4000, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => true,
        _ => false,
    }
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
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::10.0.0.1",
            "::1.1.1.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "::ffff:0:1.1.1.1",
            "64:ff9b::a00:1",
            "64:ff9b::1:0:a00:1",
            "64:ff9b:1::1.1.1.1",
            "64:ff9b:1:a00:0:100::",
            "100::1",
            "2001::1",
            "2001:0:101:101::fefe:fefe",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2606:4700::5efe:10.0.0.1",
            "2606:4700::200:5efe:192.168.0.1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fe80::5efe:1.1.1.1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ] {
            assert!(!is_public_address(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "93.184.216.34",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2002:101:101::1",
            "2606:4700::1111",
            "2606:4700::5efe:1.1.1.1",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public_address(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn every_address_that_another_one_leads_to_is_found() {
        let metadata: IpAddr = [169, 254, 169, 254].into();
        for address in [
            "169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::ffff:0:a9fe:a9fe",
            "::a9fe:a9fe",
            "64:ff9b::a9fe:a9fe",
            // A network's own NAT64, with prefixes of 48, 56, 64 and 96 bits.
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:a9:fe:a9fe::",
            "64:ff9b:1:0:a9:fea9:fe00:0",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            // Teredo: as its server, and as its client.
            "2001:0:a9fe:a9fe::1",
            "2001:0:101:101::5601:5601",
            "fe80::5efe:a9fe:a9fe",
            "2606:4700::200:5efe:a9fe:a9fe",
        ] {
            let mut reached = reached_addresses(address.parse().unwrap());
            assert!(reached.any(|reached| reached == metadata), "{address}");
        }
        let plain: IpAddr = "2606:4700::a9fe:a9fe".parse().unwrap();
        assert!(reached_addresses(plain).eq([plain]));
    }
}
