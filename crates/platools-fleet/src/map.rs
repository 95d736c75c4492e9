//! Maps without an order. In tests their order is the same in every run, so that a schedule can be repeated.

#[cfg(test)]
pub(crate) type State = foldhash::fast::FixedState;
#[cfg(not(test))]
pub(crate) type State = foldhash::fast::RandomState;

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, State>;
pub(crate) type HashSet<K> = std::collections::HashSet<K, State>;
