//! Every call of the API, by what it is about.
//!
//! This room knows paths and shapes, and nothing of how a request is sent.

mod agents;
mod approvals;
mod bgo;
mod budgets;
mod monitoring;
mod raw;
mod threads;

pub use agents::Agents;
pub use approvals::{Approvals, ApprovalsQuery};
pub use bgo::{Batches, Bgo, BgoRuns, BgoRunsQuery, NewSchedule, Schedules, TaskOptions, Tasks};
pub use budgets::{BudgetQuery, Budgets};
pub use monitoring::{Monitoring, RunsQuery};
pub use raw::{RawAnswer, RawRequest};
pub use threads::{NewThread, Threads, ThreadsQuery};

use serde::de::DeserializeOwned;

use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::Call;

impl PlatosClient {
    /// One thing, or `None` where the platform says that there is none. A 404 that is a page comes from
    /// something else than the platform, and stays an error.
    async fn find<T: DeserializeOwned>(&self, call: Call) -> Result<Option<T>, Error> {
        match self.send(call).await {
            Ok(answer) if answer.value()?.is_null() => Ok(None),
            Ok(answer) => answer.one().map(Some),
            Err(Error::NotFound(response)) if !response.body.trim_start().starts_with('<') => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the platform sends back where it sends anything of that kind.
    async fn perhaps<T: DeserializeOwned>(&self, call: Call) -> Result<Option<T>, Error> {
        self.send(call).await?.perhaps()
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
