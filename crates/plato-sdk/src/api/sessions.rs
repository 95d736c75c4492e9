//! Requests about a whole session (plato-api §4.1).

use std::time::Duration;

use serde_json::{Value, json};

use super::Api;
use crate::error::Error;
use crate::secrets::JobId;
use crate::types::{
    AddJob, AddedJob, Closed, CreateSession, Created, Evaluation, Heartbeat, JobList, Network, Outcomes,
    Removed, ResetRequest, Results, SessionDetails, SnapshotKind, SnapshotOptions, States, Urls, Waiting,
};

/// How long closing and a heartbeat may take, at most: both are tried again.
const SHORT: Duration = Duration::from_secs(30);

impl Api {
    pub(crate) async fn make(&self, body: &CreateSession) -> Result<Created, Error> {
        let make = self.endpoint("POST /sessions/make", &[]);
        self.tell(make.query("wait", "false").query("wait_timeout", "300"), body).await
    }

    /// The server holds the answer back for up to `seconds`.
    pub(crate) async fn session_ready(&self, session: &str, seconds: u64) -> Result<Waiting, Error> {
        let ready = self.endpoint("GET /sessions/{session_id}/wait_for_ready", &[session]);
        let ready = ready.query("timeout", seconds.to_string()).holding(Duration::from_secs(seconds));
        self.ask(ready).await
    }

    pub(crate) async fn connect_network(&self, session: &str) -> Result<Network, Error> {
        self.ask(self.endpoint("POST /sessions/{session_id}/connect_network", &[session])).await
    }

    pub(crate) async fn reset_session(&self, session: &str, body: &ResetRequest) -> Result<Outcomes, Error> {
        self.tell(self.endpoint("POST /sessions/{session_id}/reset", &[session]), body).await
    }

    pub(crate) async fn session_state(&self, session: &str, merge: bool) -> Result<States, Error> {
        let state = self.endpoint("GET /sessions/{session_id}/state", &[session]);
        self.ask(state.query("merge_mutations", merge.to_string())).await
    }

    pub(crate) async fn evaluate(&self, session: &str, value: Option<&Value>) -> Result<Evaluation, Error> {
        let body = value.map_or_else(|| json!({}), |value| json!({"value": value}));
        self.tell(self.endpoint("POST /sessions/{session_id}/evaluate", &[session]), &body).await
    }

    pub(crate) async fn link_testcase(&self, session: &str, testcase: &str) -> Result<Value, Error> {
        let link = self.endpoint("POST /sessions/{session_id}/link-testcase", &[session]);
        self.tell(link, &json!({"testcase_id": testcase})).await
    }

    pub(crate) async fn heartbeat(&self, session: &str) -> Result<Heartbeat, Error> {
        let beat = self.endpoint("POST /sessions/{session_id}/heartbeat", &[session]);
        self.ask(beat.repeatable().within(SHORT)).await
    }

    pub(crate) async fn close(&self, session: &str) -> Result<Closed, Error> {
        let close = self.endpoint("POST /sessions/{session_id}/close", &[session]);
        self.ask(close.repeatable().within(SHORT)).await
    }

    pub(crate) async fn session_execute<T: serde::de::DeserializeOwned>(
        &self,
        session: &str,
        command: &str,
        timeout: Duration,
    ) -> Result<Results<T>, Error> {
        let execute = self.endpoint("POST /sessions/{session_id}/execute", &[session]).holding(timeout);
        self.tell(execute, &json!({"command": command, "timeout": timeout.as_secs()})).await
    }

    pub(crate) async fn session_set_date<T: serde::de::DeserializeOwned>(
        &self,
        session: &str,
        date: &str,
        timeout: Duration,
    ) -> Result<Results<T>, Error> {
        let set = self.endpoint("POST /sessions/{session_id}/set_date", &[session]).holding(timeout);
        self.tell(set, &json!({"datetime": date, "timeout": timeout.as_secs()})).await
    }

    pub(crate) async fn setup_sandbox<T: serde::de::DeserializeOwned>(
        &self,
        session: &str,
        timeout: Duration,
    ) -> Result<Results<T>, Error> {
        let setup = self.endpoint("POST /sessions/{session_id}/setup_sandbox", &[session]).holding(timeout);
        self.tell(setup, &json!({"timeout": timeout.as_secs()})).await
    }

    pub(crate) async fn session_urls(
        &self,
        session: &str,
        kind: UrlKind,
        port: Option<u16>,
    ) -> Result<Urls, Error> {
        let urls = self.endpoint(
            match kind {
                UrlKind::Public => "GET /sessions/{session_id}/public_url",
                UrlKind::Connect => "GET /sessions/{session_id}/connect_url",
                UrlKind::Mcp => "GET /sessions/{session_id}/mcp_url",
                UrlKind::Rdp => "GET /sessions/{session_id}/rdp_url",
            },
            &[session],
        );
        self.ask(urls.query_if("port", port.map(|port| port.to_string()))).await
    }

    pub(crate) async fn add_job(&self, session: &str, body: &AddJob) -> Result<AddedJob, Error> {
        self.tell(self.endpoint("POST /sessions/{session_id}/jobs", &[session]), body).await
    }

    pub(crate) async fn list_jobs(&self, session: &str) -> Result<JobList, Error> {
        self.ask(self.endpoint("GET /sessions/{session_id}/jobs", &[session])).await
    }

    pub(crate) async fn remove_job(&self, session: &str, job: &JobId) -> Result<Removed, Error> {
        let remove = self.endpoint("POST /sessions/{session_id}/remove-job", &[session]);
        self.tell(remove, &json!({"job_id": job})).await
    }

    pub(crate) async fn session_add_ssh_key<T: serde::de::DeserializeOwned>(
        &self,
        session: &str,
        key: &str,
        user: &str,
    ) -> Result<Results<T>, Error> {
        let add = self.endpoint("POST /sessions/{session_id}/add_ssh_key", &[session]);
        self.tell(add, &json!({"public_key": key, "username": user})).await
    }

    pub(crate) async fn session_snapshot<T: serde::de::DeserializeOwned>(
        &self,
        session: &str,
        kind: SnapshotKind,
        options: &SnapshotOptions,
    ) -> Result<Results<T>, Error> {
        let snapshot = match kind {
            SnapshotKind::Full => "POST /sessions/{session_id}/snapshot",
            SnapshotKind::Store => "POST /sessions/{session_id}/snapshot_store",
            SnapshotKind::Disk => "POST /sessions/{session_id}/disk_snapshot",
            SnapshotKind::Checkpoint => "POST /sessions/{session_id}/checkpoint",
        };
        self.tell(self.endpoint(snapshot, &[session]), options).await
    }

    pub(crate) async fn session_details(&self, session: &str) -> Result<SessionDetails, Error> {
        let details = self.endpoint("GET /sessions/{session_id}", &[session]);
        self.ask(details.query("include_mutations", "true").query("session_detail", "true")).await
    }

    pub(crate) async fn logs(&self, session: &str, job: &JobId, limit: u32) -> Result<Value, Error> {
        let logs = self.endpoint("GET /sessions/{session_id}/jobs/{job_id}/logs", &[session, super::id(job)]);
        self.ask(logs.query("limit", limit.to_string())).await
    }
}

/// Which URLs of a session's environments are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UrlKind {
    Public,
    Connect,
    Mcp,
    Rdp,
}

impl UrlKind {
    /// The word for this kind of URL in the text of an error.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Connect => "connect",
            Self::Mcp => "MCP",
            Self::Rdp => "viewer",
        }
    }
}
