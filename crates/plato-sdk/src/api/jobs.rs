//! Requests about one job, which is one virtual machine (plato-api §4.2).

use std::time::Duration;

use serde_json::json;

use super::{Api, id};
use crate::error::Error;
use crate::secrets::JobId;
use crate::types::{
    CommandOutput, DateOutput, Flow, JobInfo, KeyAdded, Outcome, Readiness, ResetRequest, RoutingInfo,
    Snapshot, SnapshotKind, SnapshotOptions, State, UrlResult,
};

impl Api {
    /// The server holds the answer back for up to `seconds`.
    pub(crate) async fn job_ready(&self, job: &JobId, seconds: u64) -> Result<Readiness, Error> {
        let ready = self.endpoint("GET /jobs/{job_id}/wait_for_ready", &[id(job)]);
        let ready = ready.query("timeout", seconds.to_string()).holding(Duration::from_secs(seconds));
        self.ask(ready).await
    }

    pub(crate) async fn job_info(&self, job: &JobId) -> Result<JobInfo, Error> {
        self.ask(self.endpoint("GET /jobs/{job_id}/info", &[id(job)])).await
    }

    pub(crate) async fn reset_job(&self, job: &JobId, body: &ResetRequest) -> Result<Outcome, Error> {
        self.tell(self.endpoint("POST /jobs/{job_id}/reset", &[id(job)]), body).await
    }

    pub(crate) async fn job_state(&self, job: &JobId, since: Option<&str>) -> Result<State, Error> {
        let state = self.endpoint("GET /jobs/{job_id}/state", &[id(job)]);
        self.ask(state.query("merge_mutations", "false").query_if("since", since)).await
    }

    pub(crate) async fn job_execute(
        &self,
        job: &JobId,
        command: &str,
        timeout: Duration,
    ) -> Result<CommandOutput, Error> {
        let execute = self.endpoint("POST /jobs/{job_id}/execute", &[id(job)]).holding(timeout);
        self.tell(execute, &json!({"command": command, "timeout": timeout.as_secs()})).await
    }

    pub(crate) async fn job_set_date(
        &self,
        job: &JobId,
        date: &str,
        timeout: Duration,
    ) -> Result<DateOutput, Error> {
        let set = self.endpoint("POST /jobs/{job_id}/set_date", &[id(job)]).holding(timeout);
        self.tell(set, &json!({"datetime": date, "timeout": timeout.as_secs()})).await
    }

    pub(crate) async fn job_snapshot(
        &self,
        job: &JobId,
        kind: SnapshotKind,
        options: &SnapshotOptions,
    ) -> Result<Snapshot, Error> {
        let snapshot = match kind {
            SnapshotKind::Full => "POST /jobs/{job_id}/snapshot",
            SnapshotKind::Store => "POST /jobs/{job_id}/snapshot_store",
            SnapshotKind::Disk => "POST /jobs/{job_id}/disk_snapshot",
            SnapshotKind::Checkpoint => "POST /jobs/{job_id}/checkpoint",
        };
        self.tell(self.endpoint(snapshot, &[id(job)]), options).await
    }

    pub(crate) async fn close_job(&self, job: &JobId) -> Result<Outcome, Error> {
        self.ask(self.endpoint("POST /jobs/{job_id}/close", &[id(job)]).repeatable()).await
    }

    pub(crate) async fn job_public_url(&self, job: &JobId, port: Option<u16>) -> Result<UrlResult, Error> {
        let url = self.endpoint("GET /jobs/{job_id}/public_url", &[id(job)]);
        self.ask(url.query_if("port", port.map(|port| port.to_string()))).await
    }

    pub(crate) async fn flows(&self, job: &JobId) -> Result<Vec<Flow>, Error> {
        self.ask(self.endpoint("GET /jobs/{job_id}/flows", &[id(job)])).await
    }

    pub(crate) async fn job_add_ssh_key(
        &self,
        job: &JobId,
        key: &str,
        user: &str,
    ) -> Result<KeyAdded, Error> {
        let add = self.endpoint("POST /jobs/{job_id}/add_ssh_key", &[id(job)]);
        self.tell(add, &json!({"public_key": key, "username": user})).await
    }

    pub(crate) async fn routing_info(&self, job: &JobId) -> Result<RoutingInfo, Error> {
        self.ask(self.endpoint("GET /jobs/{job_id}/connect_routing_info", &[id(job)])).await
    }
}
