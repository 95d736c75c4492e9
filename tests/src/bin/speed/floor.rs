//! The least: the id is found, and a constant is answered.

use memchr::memmem::Finder;

use super::loop_host::Answer;

pub(crate) struct Floor(Finder<'static>);

impl Default for Floor {
    fn default() -> Self {
        Self(Finder::new("\"call_id\":\""))
    }
}

impl Answer for Floor {
    fn answer(&mut self, frame: &str) -> Option<String> {
        let start = self.0.find(frame.as_bytes())? + "\"call_id\":\"".len();
        let end = start + frame[start..].find('"')?;
        let id = &frame[start..end];
        Some(format!(r#"{{"type":"tool_result","call_id":"{id}","result":3,"latency_ms":0}}"#))
    }
}
