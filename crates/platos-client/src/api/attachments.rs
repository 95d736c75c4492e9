//! Files that are sent with messages.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::client::PlatosClient;
use crate::config::check_header;
use crate::error::{ConfigError, Error};
use crate::http::{Call, Progress};
use crate::model::PresignedUpload;

/// The most bytes that a file may have (platform's own limit).
const MAX_BYTES: usize = 20 << 20;

/// Calls about files; from [`PlatosClient::attachments`].
#[derive(Debug, Clone, Copy)]
pub struct Attachments<'a> {
    pub(crate) client: &'a PlatosClient,
}

/// A file to upload, for a thread that there is.
///
/// ```
/// use platos_client::NewAttachment;
///
/// let file = NewAttachment::new("agt_1", "thr_1", "text/plain", "milk\n").filename("list.txt");
/// # let _ = file;
/// ```
#[derive(Debug, Clone)]
pub struct NewAttachment {
    agent_id: String,
    thread_id: String,
    mime_type: String,
    filename: Option<String>,
    bytes: Bytes,
}

impl NewAttachment {
    /// A file of a type such as `image/png`, at most 20 MiB.
    pub fn new(
        agent_id: impl Into<String>,
        thread_id: impl Into<String>,
        mime_type: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            agent_id: agent_id.into(),
            thread_id: thread_id.into(),
            mime_type: mime_type.into(),
            filename: None,
            bytes: Bytes::from(bytes.into()),
        }
    }

    /// What people call it.
    pub fn filename(mut self, name: impl Into<String>) -> Self {
        self.filename = Some(name.into());
        self
    }
}

impl PresignedUpload {
    /// The headers that the URL is signed for.
    fn signed_headers(&self, mime_type: &str) -> HeaderMap {
        let own = [(CONTENT_TYPE.as_str(), mime_type)];
        let given = self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        // What cannot be a header is not signed either.
        let header = |(name, value): (&str, &str)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in own.into_iter().chain(given).filter_map(header) {
            headers.insert(name, value);
        }
        headers
    }
}

impl Attachments<'_> {
    /// Asks where a file is to be sent. [`upload`](Self::upload) does that and sends it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn presign(&self, file: &NewAttachment) -> Result<PresignedUpload, Error> {
        let mut body = json!({"agentId": file.agent_id, "threadId": file.thread_id, "mimeType": file.mime_type,
            "bytes": file.bytes.len()});
        if let Some(name) = &file.filename {
            body["filename"] = name.as_str().into();
        }
        let nearest = "older ones take files only in their web application";
        self.client.send_rare(Call::once(&["attachments", "presigned"]).body(body), nearest).await?.one()
    }

    /// Uploads a file, and gives back the id for [`NewMessage::attachment`](crate::NewMessage::attachment). `progress`
    /// is told how many bytes are on their way, and of how many.
    ///
    /// ```
    /// # async fn example(client: platos_client::PlatosClient) -> Result<(), platos_client::Error> {
    /// use platos_client::{NewAttachment, NewMessage};
    ///
    /// let file = NewAttachment::new("agt_1", "thr_1", "text/plain", "milk\n").filename("list.txt");
    /// let id = client.attachments().upload(&file, |sent, all| println!("{sent} of {all} bytes")).await?;
    /// let message = NewMessage::new("What is on the list?").attachment(id);
    /// let turn = client.threads().send("thr_1", message).collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Error`]. A file of more than 20 MiB is not sent.
    pub async fn upload(
        &self,
        file: &NewAttachment,
        progress: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Result<String, Error> {
        if file.bytes.len() > MAX_BYTES {
            let expected = "at most 20 MiB: send it in parts, or smaller";
            return Err(ConfigError::Setting { setting: "attachment", expected }.into());
        }
        check_header("the media type of the attachment", &file.mime_type)?;
        let place = self.presign(file).await?;
        // The URL is signed for exactly these headers and the length, and is somebody else's: no credential goes there.
        let headers = place.signed_headers(&file.mime_type);
        self.client.put_file(&place.upload_url, headers, file.bytes.clone(), Progress::new(progress)).await?;
        Ok(place.attachment_id)
    }
}
