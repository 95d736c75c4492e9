//! Resetting a session, looking at what happened in it, and scoring that (plato-api §6.6).

use std::collections::BTreeMap;

use serde_json::Value;

use super::handle::Session;
use crate::error::{EnvFailure, Error, Result};
use crate::types::{Evaluation, Outcome, Outcomes, ResetRequest, State};

impl Session {
    /// Puts the data of all environments back, and begins to note what is changed.
    ///
    /// # Errors
    /// [`Error::EnvironmentsFailed`] with the environments that could not be reset: scores of them would mean
    /// nothing. [`reset_each`](Self::reset_each) tells of all.
    pub async fn reset(&self) -> Result<()> {
        self.reset_for(None, None).await
    }

    /// Resets the session for a task, by its number, and for a model, whose record the session is added to.
    ///
    /// # Errors
    /// As [`reset`](Self::reset).
    pub async fn reset_for(&self, task_id: Option<i64>, model: Option<&str>) -> Result<()> {
        let reset = self.ask_reset(task_id, model).await?;
        let (success, message) = (reset.success, reset.message);
        let problem = |message: Option<String>| message.unwrap_or_else(|| "no reason was given".to_owned());
        let mut environments: Vec<_> = self
            .by_alias(reset.results)
            .into_iter()
            .filter(|(_, outcome)| !outcome.success)
            .map(|(alias, outcome)| EnvFailure::new(alias, &problem(outcome.message)))
            .collect();
        if environments.is_empty() && success == Some(false) {
            environments.push(EnvFailure::new("the session", &problem(message)));
        }
        if environments.is_empty() {
            return Ok(());
        }
        Err(Error::EnvironmentsFailed { action: "reset", environments })
    }

    /// Resets all environments and returns the outcomes by alias: an environment that could not be reset is no error here.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn reset_each(&self) -> Result<BTreeMap<String, Outcome>> {
        Ok(self.by_alias(self.ask_reset(None, None).await?.results))
    }

    async fn ask_reset(&self, task_id: Option<i64>, model: Option<&str>) -> Result<Outcomes> {
        self.shared().usable()?;
        let request = ResetRequest { task_id, source: "SDK", model: model.map(str::to_owned) };
        self.api().reset_session(self.id(), &request).await
    }

    /// The state of all environments, by alias, with what was changed since the last reset. Machines write what they
    /// have noted down first.
    ///
    /// ```no_run
    /// # async fn run(session: plato_sdk::Session) -> plato_sdk::Result<()> {
    /// for (alias, state) in session.state().await? {
    ///     println!("{alias}: {} changes", state.mutations().len());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the server says no.
    pub async fn state(&self) -> Result<BTreeMap<String, State>> {
        self.states(false).await
    }

    /// The state of all environments, by alias, with the changes of each record merged into one.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn merged_state(&self) -> Result<BTreeMap<String, State>> {
        self.states(true).await
    }

    async fn states(&self, merge: bool) -> Result<BTreeMap<String, State>> {
        self.shared().usable()?;
        Ok(self.by_alias(self.api().session_state(self.id(), merge).await?.results))
    }

    /// Scores the session by a testcase from now on. The server lets few keys do that and answers others with 403;
    /// start the session with [`testcase`](super::SessionRequest::testcase) instead.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn link_testcase(&self, testcase_id: &str) -> Result<()> {
        self.shared().usable()?;
        self.api().link_testcase(self.id(), testcase_id).await.map(drop)
    }

    /// Scores the session: what was changed in it, and `value`, which is the answer that the testcase asks for, as
    /// a JSON object. The state is asked for first, so that machines write down what they have noted.
    ///
    /// ```no_run
    /// # async fn run(session: plato_sdk::Session) -> plato_sdk::Result<()> {
    /// use serde_json::json;
    ///
    /// let evaluation = session.evaluate(Some(&json!({"total": 42}))).await?;
    /// println!("{:?} of 1: {}", evaluation.score, evaluation.reason.unwrap_or_default());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the value is no object; otherwise when the server says no. This is never asked
    /// twice.
    pub async fn evaluate(&self, value: Option<&Value>) -> Result<Evaluation> {
        if let Some(value) = value.filter(|value| !value.is_object()) {
            let kind = match value {
                Value::Null => "null",
                Value::Bool(_) => "a boolean",
                Value::Number(_) => "a number",
                Value::String(_) => "a text",
                _ => "an array",
            };
            return Err(Error::InvalidInput(format!(
                "a session is scored with a JSON object, not with {kind}: wrap it, such as {{\"answer\": …}}, as \
                 the testcase says"
            )));
        }
        self.state().await?;
        self.api().evaluate(self.id(), value).await
    }
}
