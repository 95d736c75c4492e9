//! `[traces]`, in a program without the feature.

use super::Planner;
use crate::config::Entry;
use crate::traces::TracesPlan;

impl Planner<'_> {
    /// Says what is missing.
    pub(super) fn traces(&mut self) -> Option<TracesPlan> {
        let Entry { at, .. } = self.sections.traces.as_ref()?;
        self.wrong(
            at,
            "this program was built without traces: build it with `--features otlp`, or leave the section out",
        );
        None
    }
}
