//! Messages: replies, and what users think of them.

use std::collections::BTreeMap;

use serde_json::json;

use crate::client::PlatosClient;
use crate::error::Error;
use crate::http::{Call, id};
use crate::model::{Message, Rating, Ratings};

/// Calls about messages; from [`PlatosClient::messages`]. A message is named by the id of
/// [`MessagePersisted`](crate::MessagePersisted).
#[derive(Debug, Clone, Copy)]
pub struct Messages<'a> {
    pub(crate) client: &'a PlatosClient,
}

impl Messages<'_> {
    /// Says that a message is good, or not. Platforms take that from end users only.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn rate(
        &self,
        message_id: &str,
        is_good: bool,
        comment: Option<&str>,
    ) -> Result<Rating, Error> {
        let mut body = json!({"rating": if is_good { 1 } else { -1 }});
        if let Some(comment) = comment {
            body["comment"] = comment.into();
        }
        let call = Call::change(&["messages", id("message id", message_id)?, "rating"]);
        // Its field `rating` is the record, which has a field of that name in turn.
        let answer: serde_json::Value = self.client.send(call.body(body)).await?.one()?;
        let record = if answer["rating"].is_object() { answer["rating"].clone() } else { answer };
        Ok(serde_json::from_value(record).unwrap_or(Rating {
            rating: Some(if is_good { 1 } else { -1 }),
            comment: None,
            extra: crate::model::Extra::new(),
        }))
    }

    /// What users think of a message.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ratings(&self, message_id: &str) -> Result<Ratings, Error> {
        self.client.send(Call::get(&["messages", id("message id", message_id)?, "rating"])).await?.one()
    }

    /// Takes back what the caller thinks.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn unrate(&self, message_id: &str) -> Result<(), Error> {
        let call = Call::delete(&["messages", id("message id", message_id)?, "rating"]);
        self.client.send(call).await?.done("removed")
    }

    /// The replies to a message.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn replies(&self, thread_id: &str, message_id: &str) -> Result<Vec<Message>, Error> {
        let (thread, message) = (id("thread id", thread_id)?, id("message id", message_id)?);
        self.client
            .send(Call::get(&["threads", thread, "messages", message, "replies"]))
            .await?
            .list("replies")
    }

    /// How many replies each of these messages has.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn reply_counts(
        &self,
        thread_id: &str,
        message_ids: &[&str],
    ) -> Result<BTreeMap<String, u64>, Error> {
        let call = Call::get(&["threads", id("thread id", thread_id)?, "reply-counts"]);
        self.client.send(call.query("messageIds", Some(message_ids.join(",")))).await?.one()
    }
}
