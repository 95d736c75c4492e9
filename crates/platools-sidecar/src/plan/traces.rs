//! `[traces]`: from the file to where the spans of calls go.

use std::time::Duration;

use super::client::PlannedClient;
use super::{Planner, address};
use crate::config::Entry;
use crate::fingerprint::Fingerprinter;
use crate::traces::TracesPlan;

/// What collectors call the sidecar unless said otherwise.
const SERVICE: &str = "platools-sidecar";

/// Where collectors take traces, unless a path is given.
const PATH: &str = "/v1/traces";

const CONNECT: Duration = Duration::from_secs(5);

impl Planner<'_> {
    pub(super) fn traces(&mut self) -> Option<TracesPlan> {
        let sections = self.sections;
        let Entry { at, value: file } = sections.traces.as_ref()?;
        let sample_ratio = file.sample_ratio.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample_ratio) {
            self.wrong(
                &at.key("sample_ratio"),
                "write a number from 0.0, for no trace, to 1.0, for every one",
            );
        }
        let endpoint_at = at.key("endpoint");
        let endpoint = address::server(&file.endpoint, &sections.egress);
        let fingerprint = Fingerprinter::default().add(file);
        let no_template = "no call fills these headers: leave the placeholders out";
        let (headers, fingerprint) = self.fixed_headers(at, &file.headers, no_template, fingerprint);
        let mut endpoint = self.noted(&endpoint_at, endpoint)?;
        if headers.values().any(http::HeaderValue::is_sensitive) {
            self.warn_in_the_clear(&at.key("headers"), &endpoint, "the collector's token");
        }
        if endpoint.path() == "/" {
            endpoint.set_path(PATH);
        }
        let PlannedClient { client, made_of, .. } =
            self.client(at, &endpoint, file.ca_file.as_deref(), Some(CONNECT))?;
        let service_name = file.service_name.clone().unwrap_or_else(|| SERVICE.to_owned());
        let fingerprint = fingerprint.add(&made_of.as_bytes()).finish();
        Some(TracesPlan { endpoint, headers, client, service_name, sample_ratio, fingerprint })
    }
}
