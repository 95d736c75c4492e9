//! Declarations of tools: complete each time, and not too often (protocol §3, §4).

pub(crate) mod declaration;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use platools::wire::platform::{DeclaredTool, HostDeclaration, RegistrationCounts};
use tokio::time::Instant;

/// The time over which registrations are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// The tools of one entity in one environment.
#[derive(Debug, Default)]
pub(crate) struct Registration {
    tools: BTreeMap<String, DeclaredTool>,
    callback_url: Option<String>,
    /// Whether the tools can be called over a WebSocket, as far as the platform knows.
    is_dispatchable: bool,
    applied: u64,
    recent: VecDeque<Instant>,
    /// Number of declarations that are still to be throttled on purpose, and the delay.
    throttles: Option<(u32, Duration)>,
    /// Number of declarations that are still to be refused on purpose, and the text.
    refusals: Option<(u32, String)>,
}

/// Why a declaration is not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotApplied {
    /// There were too many; the next one is welcome after this time.
    Throttled(Duration),
    /// It is refused, with this text.
    Refused(String),
}

/// The rules for declarations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) per_minute: u32,
    /// Whether an edited tool counts as a new one, as at the server, where its id depends on its content.
    pub(crate) counts_as_server: bool,
}

impl Registration {
    /// Applies a declaration, or says why not. Only what is applied counts against the limit.
    pub(crate) fn declare(
        &mut self,
        declaration: HostDeclaration,
        rules: Rules,
        now: Instant,
    ) -> Result<RegistrationCounts, NotApplied> {
        if let Some((left, delay)) = self.throttles {
            self.throttles = (left > 1).then_some((left - 1, delay));
            return Err(NotApplied::Throttled(delay));
        }
        while self.recent.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            self.recent.pop_front();
        }
        if self.recent.len() >= rules.per_minute as usize {
            let wait =
                self.recent.front().map_or(WINDOW, |first| WINDOW.saturating_sub(now.duration_since(*first)));
            return Err(NotApplied::Throttled(wait));
        }
        if let Some((left, text)) = self.refusals.take() {
            self.refusals = (left > 1).then(|| (left - 1, text.clone()));
            return Err(NotApplied::Refused(text));
        }
        declaration::check_names(&declaration.tools).map_err(NotApplied::Refused)?;
        self.recent.push_back(now);
        self.applied += 1;
        self.callback_url = declaration.callback_url;
        self.is_dispatchable = true;
        Ok(self.replace(declaration.tools, rules.counts_as_server))
    }

    fn replace(&mut self, tools: Vec<DeclaredTool>, counts_as_server: bool) -> RegistrationCounts {
        let before = std::mem::take(&mut self.tools);
        let mut counts = RegistrationCounts { count: tools.len() as u64, ..RegistrationCounts::default() };
        let (mut same, mut edited) = (0, 0);
        for tool in tools {
            match before.get(&tool.name) {
                Some(old) if *old == tool => same += 1,
                Some(_) => edited += 1,
                None => {}
            }
            self.tools.insert(tool.name.clone(), tool);
        }
        let known = if counts_as_server { same } else { same + edited };
        counts.new_tools = counts.count - known;
        counts.updated = if counts_as_server { known } else { edited };
        counts.pruned = before.len() as u64 - known;
        counts
    }

    /// Throttles the next declarations.
    pub(crate) fn throttle_next(&mut self, declarations: u32, retry_after: Duration) {
        self.throttles = (declarations > 0).then_some((declarations, retry_after));
    }

    /// Refuses the next declarations that are not throttled.
    pub(crate) fn refuse_next(&mut self, declarations: u32, text: String) {
        self.refusals = (declarations > 0).then_some((declarations, text));
    }

    /// Number of declarations that are still to be throttled or refused on purpose.
    pub(crate) fn refusals_left(&self) -> u32 {
        let throttles = self.throttles.map_or(0, |(left, _)| left);
        throttles + self.refusals.as_ref().map_or(0, |(left, _)| *left)
    }

    /// The tools, by name.
    pub(crate) fn tools(&self) -> &BTreeMap<String, DeclaredTool> {
        &self.tools
    }

    /// Number of declarations that were applied.
    pub(crate) fn applied(&self) -> u64 {
        self.applied
    }

    /// Where the tools are called while no host is connected, if the host stated it.
    pub(crate) fn callback_url(&self) -> Option<&str> {
        self.callback_url.as_deref()
    }

    /// A host connected, which makes its tools visible, or a connection of it closed, which hides them, even if another
    /// one is open (protocol §2).
    pub(crate) fn set_dispatchable(&mut self, is_dispatchable: bool) {
        self.is_dispatchable = is_dispatchable;
    }

    /// Whether agents see tools. Those that can be called over HTTP are visible without a connection.
    pub(crate) fn is_visible(&self) -> bool {
        let is_http = |url: &str| ["http:", "https:"].iter().any(|scheme| url.starts_with(scheme));
        !self.tools.is_empty() && (self.is_dispatchable || self.callback_url().is_some_and(is_http))
    }
}

#[cfg(test)]
mod tests {
    use platools::wire::platform::HostFrame;

    use super::*;

    const RULES: Rules = Rules { per_minute: 6, counts_as_server: false };

    fn declared(names: &[&str], description: &str) -> HostDeclaration {
        let tools: Vec<String> = names
            .iter()
            .map(|name| format!(r#"{{"name":"{name}","description":"{description}","input_schema":{{}}}}"#))
            .collect();
        let frame = format!(r#"{{"type":"tool_register","tools":[{}]}}"#, tools.join(","));
        match HostFrame::parse(&frame).unwrap() {
            HostFrame::ToolRegister(declaration) => declaration,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_declaration_is_complete() {
        for (counts_as_server, of_an_edit) in [(false, (2, 1, 1, 1)), (true, (2, 2, 0, 2))] {
            let rules = Rules { per_minute: 100, counts_as_server };
            let mut registration = Registration::default();
            let mut declare = |names: &[&str], description: &str| {
                let counts =
                    registration.declare(declared(names, description), rules, Instant::now()).unwrap();
                (counts.count, counts.new_tools, counts.updated, counts.pruned)
            };
            assert_eq!(declare(&["a", "b"], "x"), (2, 2, 0, 0));
            let unchanged = if counts_as_server { 2 } else { 0 };
            assert_eq!(declare(&["a", "b"], "x"), (2, 0, unchanged, 0));
            assert_eq!(declare(&["b", "c"], "y"), of_an_edit);
            assert_eq!(declare(&[], ""), (0, 0, 0, 2));
        }
    }

    #[test]
    fn names_that_the_server_refuses_are_refused_and_nothing_changes() {
        let mut registration = Registration::default();
        registration.declare(declared(&["a"], ""), RULES, Instant::now()).unwrap();
        for (names, text) in [(&["b", "b"], "duplicate_tool_name:b"), (&["b", " "], "tool_name_required")] {
            let refused = registration.declare(declared(names, ""), RULES, Instant::now());
            assert_eq!(refused, Err(NotApplied::Refused(text.to_owned())));
        }
        assert!(registration.tools().contains_key("a") && registration.applied() == 1);
    }

    #[test]
    fn tools_are_visible_while_they_can_be_called() {
        let mut registration = Registration::default();
        let mut with_callback = declared(&["a"], "");
        with_callback.callback_url = Some("https://a.example/".to_owned());
        registration.declare(declared(&["a"], ""), RULES, Instant::now()).unwrap();
        assert!(registration.is_visible());
        registration.set_dispatchable(false);
        assert!(!registration.is_visible());
        registration.declare(with_callback, RULES, Instant::now()).unwrap();
        registration.set_dispatchable(false);
        assert!(registration.is_visible(), "the callback");
        registration.declare(declared(&["a"], ""), RULES, Instant::now()).unwrap();
        registration.set_dispatchable(false);
        assert!(!registration.is_visible(), "the callback is gone with the declaration");
    }

    #[test]
    fn six_in_a_minute_and_no_seventh() {
        let mut registration = Registration::default();
        let start = Instant::now();
        for second in 0..6 {
            registration.declare(declared(&[], ""), RULES, start + Duration::from_secs(second)).unwrap();
        }
        let wait =
            registration.declare(declared(&[], ""), RULES, start + Duration::from_secs(10)).unwrap_err();
        assert_eq!(wait, NotApplied::Throttled(Duration::from_secs(50)));
        assert!(registration.declare(declared(&[], ""), RULES, start + Duration::from_secs(60)).is_ok());
        assert!(
            registration.declare(declared(&[], ""), RULES, start + Duration::from_millis(60_500)).is_err()
        );
        assert_eq!(registration.applied(), 7);
    }

    #[test]
    fn refusals_can_be_asked_for() {
        let mut registration = Registration::default();
        registration.throttle_next(2, Duration::from_millis(5));
        registration.refuse_next(1, "entity_not_found_in_scope".to_owned());
        for _ in 0..2 {
            let refused = registration.declare(declared(&[], ""), RULES, Instant::now());
            assert_eq!(refused, Err(NotApplied::Throttled(Duration::from_millis(5))));
        }
        let refused = registration.declare(declared(&[], ""), RULES, Instant::now());
        assert_eq!(refused, Err(NotApplied::Refused("entity_not_found_in_scope".to_owned())));
        assert_eq!(registration.refusals_left(), 0);
        assert!(registration.declare(declared(&[], ""), RULES, Instant::now()).is_ok());
    }
}
