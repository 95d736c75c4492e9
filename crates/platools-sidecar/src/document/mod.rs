//! `OpenAPI` documents: what is made of one, and those that a server has.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `made` | the operations of a document, with compiled schemas; what did not change is not made again |
//! | `remote` | the request for a document, which asks whether it is still the one that is known |
//! | `copy` | the last good copy of a document, in memory and in the state directory |
//! | `remotes` | all documents of servers: who plans reads what is there, who fetches puts it there |
//!
//! Must not know the plan, nor what runs.

mod copy;
mod made;
mod remote;
mod remotes;

pub(crate) use self::copy::{Copy, forget_unused};
pub(crate) use self::made::{Documents, Made, MadeTool, Refused};
pub(crate) use self::remote::{FETCH, FetchError, Remote};
pub(crate) use self::remotes::{RemoteId, Remotes};

/// The most of a document that is read, in bytes.
pub(crate) const MAX_DOCUMENT: usize = 64 << 20;
