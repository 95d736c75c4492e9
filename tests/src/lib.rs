//! What whole-system tests and the programs beside them share: a network that breaks on demand, hosts
//! behind it, and a ledger of what became of every call.

pub mod fleet;
pub mod ledger;
pub mod proxy;
