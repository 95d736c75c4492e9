//! An HTTP client for `rmcp` whose errors do not quote the URL: `rmcp` logs them, and a URL's query may hold a key.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::Sse;

/// The most of one event, where nothing is said.
const MAX_EVENT: usize = 16 << 20;

type Headers = HashMap<HeaderName, HeaderValue>;
type Failure = StreamableHttpError<reqwest::Error>;

/// `reqwest`'s client, with errors that keep the URL to themselves.
#[derive(Clone)]
pub(crate) struct QuietClient(pub(super) reqwest::Client);

fn quiet(error: Failure) -> Failure {
    match error {
        StreamableHttpError::Client(error) => StreamableHttpError::Client(error.without_url()),
        other => other,
    }
}

impl StreamableHttpClient for QuietClient {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let (id, auth, headers) = (session_id, auth_header, custom_headers);
        self.post_message_with_max_sse_event_size(uri, message, id, auth, headers, MAX_EVENT).await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: Headers,
        max: usize,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let (id, auth, headers) = (session_id, auth_header, custom_headers);
        self.0.post_message_with_max_sse_event_size(uri, message, id, auth, headers, max).await.map_err(quiet)
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<(), Failure> {
        self.0.delete_session(uri, session_id, auth_header, custom_headers).await.map_err(quiet)
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        let (id, auth, headers) = (session_id, auth_header, custom_headers);
        self.get_stream_with_max_sse_event_size(uri, id, last_event_id, auth, headers, MAX_EVENT).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: Headers,
        max: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        let (id, auth, headers) = (session_id, auth_header, custom_headers);
        self.0
            .get_stream_with_max_sse_event_size(uri, id, last_event_id, auth, headers, max)
            .await
            .map_err(quiet)
    }
}
