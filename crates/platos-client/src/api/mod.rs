//! Every call of the API, by what it is about.
//!
//! This room knows paths and shapes, and nothing of how a request is sent.

mod agents;
mod approvals;
mod attachments;
mod bgo;
mod budgets;
mod entities;
mod guests;
mod jobs;
mod messages;
mod monitoring;
mod raw;
mod threads;
mod tools;

pub use agents::Agents;
pub use approvals::{Approvals, ApprovalsQuery};
pub use attachments::{Attachments, NewAttachment};
pub use bgo::{Batches, Bgo, BgoRuns, BgoRunsQuery, NewSchedule, Schedules, TaskOptions, Tasks};
pub use budgets::{BudgetQuery, Budgets, NewBudget};
pub use entities::{Entities, NewEntity};
pub use guests::Guests;
pub use jobs::{JobChange, Jobs, JobsQuery, NewJob};
pub use messages::Messages;
pub use monitoring::{Monitoring, RunsQuery};
pub use raw::{RawAnswer, RawRequest};
pub use threads::{NewThread, Threads, ThreadsQuery};
pub use tools::{ToolCalls, ToolCallsQuery, Tools};

use serde::de::DeserializeOwned;

use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Answer, Call};

impl PlatosClient {
    /// One thing, or `None` where the platform says that there is none. A 404 that is a page comes from
    /// something else than the platform, and stays an error.
    async fn find<T: DeserializeOwned>(&self, call: Call) -> Result<Option<T>, Error> {
        match self.send(call).await {
            Ok(answer) if answer.value()?.is_null() => Ok(None),
            Ok(answer) => answer.one().map(Some),
            Err(Error::NotFound(response)) if !response.is_page() && !response.is_missing_route() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The newer route, or the older one where the platform does not have it.
    async fn send_or(&self, newer: Call, older: Call) -> Result<Answer, Error> {
        match self.send(newer).await {
            Err(Error::NotFound(response)) if response.is_missing_route() => self.send(older).await,
            answer => answer,
        }
    }

    /// A route that published clients call and no known platform has: where this one does not either, the error says
    /// what comes nearest.
    async fn send_rare(&self, call: Call, nearest: &str) -> Result<Answer, Error> {
        self.send(call).await.map_err(|error| match error {
            Error::NotFound(response) if response.is_missing_route() => {
                Error::NotFound(Box::new(response.not_offered(nearest)))
            }
            error => error,
        })
    }
}

/// Declares the filters of a list: setters for what is optional.
macro_rules! query {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$doc:meta])* $field:ident: $kind:ty = $key:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name {
            $($field: Option<$kind>,)+
        }

        impl $name {
            /// No filter.
            pub fn new() -> Self {
                Self::default()
            }

            $($(#[$doc])*
            pub fn $field(mut self, $field: impl Into<$kind>) -> Self {
                self.$field = Some($field.into());
                self
            })+

            fn apply(self, call: crate::http::Call) -> crate::http::Call {
                call$(.query($key, self.$field))+
            }
        }
    };
}

use query;
