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

/// How much of a list is asked for at once; no platform gives more of every list.
const PER_PAGE: u32 = 100;

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

    /// All of a list, by as many requests as it takes: the first page as the platform cuts it, the others as large as it
    /// gives any. `older` is the route of platforms that do not have the newer one, `keys` what generations call the list.
    async fn all<T: DeserializeOwned + PartialEq>(
        &self,
        newer: Call,
        older: Option<Call>,
        keys: &[&str],
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut cursor): (Vec<T>, Option<String>) = (Vec::new(), None);
        loop {
            let offset = (!all.is_empty() && cursor.is_none()).then_some(all.len());
            let limit = (!all.is_empty()).then_some(PER_PAGE);
            let page = |call: &Call| {
                let call = call.clone().query("limit", limit);
                call.query("offset", offset).query("cursor", cursor.as_deref())
            };
            let answer = match &older {
                Some(older) => self.send_or(page(&newer), page(older)).await?,
                None => self.send(page(&newer)).await?,
            };
            let listed: Vec<T> = answer.list_of(keys)?;
            // A platform that knows no offset begins anew.
            let is_last = listed.is_empty() || listed.first() == all.first();
            if !is_last {
                all.extend(listed);
            }
            let said = answer.value()?;
            cursor = said["nextCursor"].as_str().map(ToOwned::to_owned);
            let total = said["total"].as_u64().unwrap_or_default();
            if is_last || (cursor.is_none() && all.len() as u64 >= total) {
                return Ok(all);
            }
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
