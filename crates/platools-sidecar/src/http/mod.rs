//! Requests to backends: how they are made out of arguments, where they may go, and what is made of the answers.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `egress` | which addresses may be reached; asked again at every connection |
//! | `client` | connections: TLS of our own, no proxy, no redirects by itself |
//! | `encode` | values in a path or a query, which they cannot leave |
//! | `outgoing` | one request, before it has a server |
//! | `signature` | what a backend can check: that a call came through its sidecar, for whom |
//! | `backend` | a server: its headers, its secrets, its limits; sends requests to it |
//! | `body` | what is read of an answer, unpacked |
//! | `answer` | what comes back, as a tool's result |
//! | `template` | a `[[tool.http]]`: arguments to a request |
//!
//! Operations of `OpenAPI` documents go the same way from `outgoing` on.

pub(crate) mod answer;
pub(crate) mod backend;
mod body;
pub(crate) mod client;
pub(crate) mod egress;
pub(crate) mod encode;
pub(crate) mod outgoing;
pub(crate) mod signature;
pub(crate) mod template;
