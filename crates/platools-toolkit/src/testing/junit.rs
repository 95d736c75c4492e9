//! The report as JUnit XML, which build servers read.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::report::{CaseReport, Outcome, SuiteReport};

impl SuiteReport {
    /// Returns the report as JUnit XML: one `testcase` per case, with the tool as its class. `suite` names the suite,
    /// for example by its file.
    ///
    /// ```
    /// use platools_toolkit::testing::{RunOptions, Suite, run};
    /// # use platools::Platools;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> platools::Result<()> {
    /// let local = Platools::builder().tools([]).build_local()?;
    /// let report = run(&local, &Suite::default(), &RunOptions::default(), |_| {}).await;
    /// assert!(report.junit("platools-tests.yaml").contains(r#"<testsuite name="platools-tests.yaml" tests="0""#));
    /// # Ok(())
    /// # }
    /// ```
    pub fn junit(&self, suite: &str) -> String {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        // Writing into memory cannot fail.
        let _ = self.write(&mut writer, suite);
        let mut text = String::from_utf8_lossy(&writer.into_inner()).into_owned();
        text.push('\n');
        text
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>, suite: &str) -> std::io::Result<()> {
        let seconds = seconds(self.cases.iter().map(|case| case.latency).sum());
        let [tests, failed, skipped] =
            [self.cases.len(), self.failed(), self.skipped()].map(|count| count.to_string());
        let suite = readable(suite);
        let counts = || {
            [
                ("tests", &*tests),
                ("failures", &*failed),
                ("errors", "0"),
                ("skipped", &*skipped),
                ("time", &*seconds),
            ]
        };
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let suites = writer.create_element("testsuites").with_attribute(("name", "platools"));
        suites.with_attributes(counts()).write_inner_content(|writer| {
            let element = writer.create_element("testsuite").with_attribute(("name", &*suite));
            element.with_attributes(counts()).write_inner_content(|writer| {
                self.cases.iter().try_for_each(|case| write_case(writer, case))
            })?;
            Ok(())
        })?;
        Ok(())
    }
}

fn write_case(writer: &mut Writer<Vec<u8>>, case: &CaseReport) -> std::io::Result<()> {
    let (tool, title, seconds) = (readable(&case.tool), readable(&case.title()), seconds(case.latency));
    let line = case.line.map(|line| line.to_string());
    let attributes = [("classname", &*tool), ("name", &*title), ("time", &*seconds)];
    let element = writer
        .create_element("testcase")
        .with_attributes(attributes.into_iter().chain(line.as_deref().map(|line| ("line", line))));
    if case.outcome.is_passed() && case.notes.is_empty() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|writer| {
        match &case.outcome {
            Outcome::Failed(failures) => {
                let message = readable(failures.first().map_or("", String::as_str));
                let text = readable(&failures.join("\n"));
                let failure = writer.create_element("failure").with_attribute(("message", &*message));
                failure.write_text_content(BytesText::new(&text))?;
            }
            Outcome::Skipped => {
                writer.create_element("skipped").write_empty()?;
            }
            Outcome::Passed => {}
        }
        if !case.notes.is_empty() {
            let notes = readable(&case.notes.join("\n"));
            writer.create_element("system-out").write_text_content(BytesText::new(&notes))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{:.6}", duration.as_secs_f64())
}

/// Replaces characters that XML 1.0 cannot hold, not even escaped.
fn readable(text: &str) -> String {
    let is_fit = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if is_fit(c) { c } else { '\u{fffd}' }).collect()
}
