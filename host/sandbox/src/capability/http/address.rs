//! Which addresses belong to the public internet, and which to this machine, its network, or no one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a public name must not resolve to this address; `None` for an address of the public internet. After the
/// IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890).
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("an unspecified address"),
        [127, ..] => Some("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("a private address"),
        [169, 254, ..] => Some("a link-local address"),
        [100, 64..=127, ..] => Some("an address of a carrier's own network"),
        [224..=239, ..] => Some("a multicast address"),
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

/// Everything outside of the internet's own 2000::/3 is refused, known or not.
fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    /// NAT64 and similar networks have the IPv4 address within the IPv6 address.
    const REACHES_IPV4: &str = "an address that stands for one of IPv4";
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        [0, 0, 0, 0, 0, 0, ..] => Some(REACHES_IPV4),
        // NAT64 (RFC 6052): how a machine without IPv4 of its own reaches the rest.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            not_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0xfc00..=0xfdff, ..] => Some("a unique-local address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // Teredo and 6to4.
        [0x2001, 0, ..] | [0x2002, ..] => Some(REACHES_IPV4),
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => {
            Some("a reserved address")
        }
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Networks by their first address and the length of their prefix.
    const NOT_PUBLIC: &[(&str, u32)] = &[
        ("0.0.0.0", 8),
        ("10.0.0.0", 8),
        ("100.64.0.0", 10),
        ("127.0.0.0", 8),
        ("169.254.0.0", 16),
        ("172.16.0.0", 12),
        ("192.0.0.0", 24),
        ("192.0.2.0", 24),
        ("192.88.99.0", 24),
        ("192.168.0.0", 16),
        ("198.18.0.0", 15),
        ("198.51.100.0", 24),
        ("203.0.113.0", 24),
        ("224.0.0.0", 4),
        ("240.0.0.0", 4),
    ];

    fn is_listed(address: Ipv4Addr) -> bool {
        NOT_PUBLIC.iter().any(|(first, length)| {
            let first: Ipv4Addr = first.parse().unwrap();
            (first.to_bits() ^ address.to_bits()) >> (32 - length) == 0
        })
    }

    #[test]
    fn the_borders_of_each_network_are_right() {
        for (first, length) in NOT_PUBLIC {
            let first = first.parse::<Ipv4Addr>().unwrap().to_bits();
            let last = first | (u32::MAX.checked_shr(*length).unwrap_or(0));
            let around = [first.wrapping_sub(1), first, last, last.wrapping_add(1)];
            for address in around.map(Ipv4Addr::from_bits) {
                let told = not_public(address.into());
                assert_eq!(told.is_some(), is_listed(address), "{address}: {told:?}");
            }
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for address in [
            "1.1.1.1",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "2a00::1",
            "64:ff9b::1.1.1.1",
        ] {
            assert_eq!(not_public(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn other_addresses_of_ipv6_are_not() {
        for (address, told) in [
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::127.0.0.1", "IPv4"),
            ("::ffff:169.254.169.254", "link-local"),
            ("64:ff9b::10.0.0.1", "private"),
            ("64:ff9b:1::1", "reserved"),
            ("2002:7f00:1::", "IPv4"),
            ("2001::1", "IPv4"),
            ("2001:db8::1", "reserved"),
            ("fc00::1", "unique-local"),
            ("fd12::1", "unique-local"),
            ("fe80::1", "link-local"),
            ("fec0::1", "reserved"),
            ("ff02::1", "multicast"),
            ("100::1", "reserved"),
            ("4000::1", "reserved"),
        ] {
            let kind = not_public(address.parse().unwrap()).unwrap_or_default();
            assert!(kind.contains(told), "{address} is {kind:?}");
        }
    }

    proptest! {
        #[test]
        fn an_address_of_ipv4_is_the_same_however_it_is_written(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let told = not_public(address.into());
            prop_assert_eq!(told.is_some(), is_listed(address));
            prop_assert_eq!(not_public(address.to_ipv6_mapped().into()), told);
            let nat64 = Ipv6Addr::from_bits(0x64_ff9b_u128 << 96 | u128::from(bits));
            prop_assert_eq!(not_public(nat64.into()), told);
        }

        #[test]
        fn no_address_outside_of_the_internets_own_is_public(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            let is_global = bits >> 125 == 1;
            let is_nat64 = bits >> 32 == 0x64_ff9b_u128 << 64;
            let is_mapped = address.to_ipv4_mapped().is_some();
            if !is_global && !is_nat64 && !is_mapped {
                prop_assert!(not_public(address.into()).is_some());
            }
        }
    }
}
