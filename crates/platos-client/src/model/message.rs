//! What is said about messages, and sent with them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Extra, lenient, text, whole};

/// What a user thinks of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rating {
    /// 1 or -1.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub rating: Option<i64>,
    /// Why.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What users think of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Ratings {
    /// What the caller thinks.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub user_rating: Option<Rating>,
    /// How many think what.
    #[serde(default)]
    pub aggregate: RatingCounts,
}

/// How many users think what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RatingCounts {
    /// For it.
    #[serde(default)]
    pub ups: u64,
    /// Against it.
    #[serde(default)]
    pub downs: u64,
}

/// Where a file is to be sent. `Debug` does not show the URL, which anybody can send to.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PresignedUpload {
    /// What messages name the file by.
    pub attachment_id: String,
    /// Where it goes.
    pub upload_url: String,
    /// The most bytes that it may have.
    #[serde(default, deserialize_with = "whole")]
    pub max_bytes: Option<u64>,
    /// Until when it can be sent.
    #[serde(default, deserialize_with = "text")]
    pub expires_at: Option<String>,
    /// The headers to send it with.
    #[serde(default)]
    pub headers: Extra,
}

impl fmt::Debug for PresignedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedUpload")
            .field("attachment_id", &self.attachment_id)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// A session token for somebody who did not log in. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GuestToken {
    /// The token, for [`session_token`](crate::ClientBuilder::session_token).
    pub token: String,
    /// Who the guest is.
    #[serde(default, deserialize_with = "text")]
    pub guest_id: Option<String>,
    /// Until when it is valid, in seconds since 1970.
    #[serde(default, deserialize_with = "whole")]
    pub expires_at: Option<u64>,
    /// The only agent that it is for.
    #[serde(default, deserialize_with = "text")]
    pub agent_id: Option<String>,
}

impl fmt::Debug for GuestToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestToken")
            .field("guest_id", &self.guest_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
