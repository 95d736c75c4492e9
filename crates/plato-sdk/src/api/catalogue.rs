//! Requests about what there is to run (plato-api §4.3).

use super::{Api, commas};
use crate::error::Error;
use crate::types::{Artifact, SimulatorArtifacts, TestcaseFilter, TestcasePage};

impl Api {
    pub(crate) async fn artifact(&self, artifact: &str) -> Result<Artifact, Error> {
        self.ask(self.endpoint("GET /artifacts/{artifact_id}", &[artifact])).await
    }

    pub(crate) async fn testcases(&self, filter: &TestcaseFilter) -> Result<TestcasePage, Error> {
        let list = self
            .endpoint("GET /testcases", &[])
            .query_if("simulator_ids", commas(&filter.simulator_ids))
            .query_if("name", filter.name.as_deref())
            .query_if("prompt", filter.prompt.as_deref())
            .query_if("tags", commas(&filter.tags))
            .query_if("has_scoring_config", filter.has_scoring_config.map(|has| has.to_string()))
            .query_if("scoring_config_type", filter.scoring_config_type.as_ref().map(ToString::to_string))
            .query_if("testcase_statuses", commas(&filter.testcase_statuses))
            .query_if("work_order_item_id", filter.work_order_item_id.as_deref())
            .query_if("status", filter.status.as_deref())
            .query("page", filter.page.to_string())
            .query("page_size", filter.page_size.to_string());
        self.ask(list).await
    }

    pub(crate) async fn simulator_artifacts(
        &self,
        simulator: &str,
        testcases_only: bool,
    ) -> Result<SimulatorArtifacts, Error> {
        let list = self.endpoint("GET /simulators/{name}/artifacts", &[simulator]);
        self.ask(list.query("testcases_only", testcases_only.to_string())).await
    }
}
