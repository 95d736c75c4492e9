//! Declarations of tools: complete each time, and not too often (protocol §3, §4).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use platools::wire::platform::{DeclaredTool, RegistrationCounts};
use tokio::time::Instant;

/// The time over which registrations are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// The tools of one entity in one environment.
#[derive(Debug, Default)]
pub(crate) struct Registration {
    tools: BTreeMap<String, DeclaredTool>,
    applied: u64,
    recent: VecDeque<Instant>,
    /// How many more declarations are refused on purpose, and with which delay.
    refusals: Option<(u32, Duration)>,
}

impl Registration {
    /// Applies a declaration, or says when the next one is welcome.
    pub(crate) fn declare(
        &mut self,
        tools: Vec<DeclaredTool>,
        per_minute: u32,
        now: Instant,
    ) -> Result<RegistrationCounts, Duration> {
        if let Some((left, delay)) = self.refusals {
            self.refusals = (left > 1).then_some((left - 1, delay));
            return Err(delay);
        }
        while self.recent.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            self.recent.pop_front();
        }
        if self.recent.len() >= per_minute as usize {
            let wait =
                self.recent.front().map_or(WINDOW, |first| WINDOW.saturating_sub(now.duration_since(*first)));
            return Err(wait);
        }
        self.recent.push_back(now);
        self.applied += 1;
        Ok(self.replace(tools))
    }

    fn replace(&mut self, tools: Vec<DeclaredTool>) -> RegistrationCounts {
        let mut before = std::mem::take(&mut self.tools);
        let mut counts = RegistrationCounts::default();
        for tool in tools {
            match before.remove(&tool.name) {
                None if self.tools.contains_key(&tool.name) => {}
                None => counts.new_tools += 1,
                Some(old) if old != tool => counts.updated += 1,
                Some(_) => {}
            }
            self.tools.insert(tool.name.clone(), tool);
        }
        counts.pruned = before.len() as u64;
        counts.count = self.tools.len() as u64;
        counts
    }

    /// Refuses the next declarations.
    pub(crate) fn refuse_next(&mut self, declarations: u32, retry_after: Duration) {
        self.refusals = (declarations > 0).then_some((declarations, retry_after));
    }

    /// How many more declarations are refused on purpose.
    pub(crate) fn refusals_left(&self) -> u32 {
        self.refusals.map_or(0, |(left, _)| left)
    }

    /// The tools, by name.
    pub(crate) fn tools(&self) -> &BTreeMap<String, DeclaredTool> {
        &self.tools
    }

    /// How many declarations were applied.
    pub(crate) fn applied(&self) -> u64 {
        self.applied
    }
}

#[cfg(test)]
mod tests {
    use platools::wire::platform::HostFrame;

    use super::*;

    fn declared(names: &[&str], description: &str) -> Vec<DeclaredTool> {
        let tools: Vec<String> = names
            .iter()
            .map(|name| format!(r#"{{"name":"{name}","description":"{description}","input_schema":{{}}}}"#))
            .collect();
        let frame = format!(r#"{{"type":"tool_register","tools":[{}]}}"#, tools.join(","));
        match HostFrame::parse(&frame).unwrap() {
            HostFrame::ToolRegister(declaration) => declaration.tools,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_declaration_is_complete() {
        let mut registration = Registration::default();
        let mut declare = |names: &[&str], description: &str| {
            let counts = registration.declare(declared(names, description), 100, Instant::now()).unwrap();
            (counts.count, counts.new_tools, counts.updated, counts.pruned)
        };
        assert_eq!(declare(&["a", "b"], "x"), (2, 2, 0, 0));
        assert_eq!(declare(&["a", "b"], "x"), (2, 0, 0, 0));
        assert_eq!(declare(&["b", "c", "c"], "y"), (2, 1, 1, 1));
        assert_eq!(declare(&[], ""), (0, 0, 0, 2));
    }

    #[test]
    fn six_in_a_minute_and_no_seventh() {
        let mut registration = Registration::default();
        let start = Instant::now();
        for second in 0..6 {
            registration.declare(Vec::new(), 6, start + Duration::from_secs(second)).unwrap();
        }
        let wait = registration.declare(Vec::new(), 6, start + Duration::from_secs(10)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(50));
        assert!(registration.declare(Vec::new(), 6, start + Duration::from_secs(60)).is_ok());
        assert!(registration.declare(Vec::new(), 6, start + Duration::from_millis(60_500)).is_err());
        assert_eq!(registration.applied(), 7);
    }

    #[test]
    fn refusals_can_be_asked_for() {
        let mut registration = Registration::default();
        registration.refuse_next(2, Duration::from_millis(5));
        for _ in 0..2 {
            let refused = registration.declare(Vec::new(), 6, Instant::now());
            assert_eq!(refused, Err(Duration::from_millis(5)));
        }
        assert!(registration.declare(Vec::new(), 6, Instant::now()).is_ok());
    }
}
