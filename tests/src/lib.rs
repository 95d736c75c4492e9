//! What whole-system tests and the programs beside them share: a network that breaks on demand, hosts
//! behind it, a ledger of what became of every call, and processes that are measured.

pub mod fleet;
pub mod ledger;
pub mod process;
pub mod proxy;
