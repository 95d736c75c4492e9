//! Rate limits per user and per address, in bounded memory.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::run::rate::{self, Quota, Rate};
use crate::tool::RateLimit;

/// Maximum number of tracked users or addresses, about 200 bytes each. Beyond it the least active are evicted, which
/// resets their limit.
const CAPACITY: usize = 20_000;

/// A rate limit per key.
pub(super) struct Limit<K> {
    quota: Quota,
    rates: Cache<K, Arc<Rate>>,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    pub(super) fn new(rate: RateLimit) -> Self {
        Self { quota: Quota::new(rate), rates: Cache::new(CAPACITY) }
    }

    /// Admits one request, or returns the time until the next one is allowed.
    pub(super) fn check(&self, key: &K) -> Result<(), Duration> {
        let new = || Ok::<_, std::convert::Infallible>(Arc::new(Rate::new(self.quota)));
        let Ok(rate) = self.rates.get_or_insert_with(key, new);
        rate.check(rate::now())
    }
}

/// Returns the key of a client: an IPv4 address, or the /64 of an IPv6 address, which one client usually owns.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_limit_and_wait_time() {
        let limit = Limit::new(RateLimit::per(2, Duration::from_secs(60)));
        for key in ["a", "b"] {
            limit.check(&key).unwrap();
            limit.check(&key).unwrap();
            let wait = limit.check(&key).unwrap_err();
            assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(30), "{wait:?}");
        }
    }

    #[test]
    fn many_other_keys_neither_fill_the_memory_nor_reset_a_limited_key() {
        let limit = Limit::new(RateLimit::per(1, Duration::from_secs(3_600)));
        limit.check(&0_u32).unwrap();
        for stranger in 1..5 * CAPACITY as u32 {
            let _ = limit.check(&stranger);
            if stranger % 100 == 0 {
                assert!(limit.check(&0).is_err(), "{stranger}");
            }
        }
        assert!(limit.rates.len() <= CAPACITY);
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
