//! What happens, one line each.

use anstyle::{AnsiColor, Style};
use jiff::Zoned;
use platools_dev::{DevPlatform, Ending, EntityKey, Event, Events};
use platools_toolkit::cli::output::{Output, WriteError, one_line};
use serde_json::json;

use super::print_line;

const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const ODD: Style = AnsiColor::Yellow.on_default();

/// How many characters of what happened are told.
const LONGEST: usize = 500;

/// A line: who it is about, how good it is, and what happened.
struct Line {
    key: Option<EntityKey>,
    style: Style,
    kind: &'static str,
    text: String,
}

/// Tells what happens until the platform is gone.
pub(super) async fn run(
    mut events: Events,
    platform: &DevPlatform,
    output: &Output,
    as_json: bool,
) -> Result<(), WriteError> {
    while let Some(event) = events.next().await {
        let is_repetition = matches!(
            &event,
            Event::Registered { counts, .. } if counts.new_tools + counts.updated + counts.pruned == 0
        );
        let Some(Line { key, style, kind, text }) = line(event, platform) else { continue };
        let text = shortened(text);
        if as_json {
            let at = jiff::Timestamp::now().to_string();
            let (entity, environment) = key.map(|key| (key.entity, key.environment)).unzip();
            let told =
                json!({"at": at, "event": kind, "entity": entity, "environment": environment, "text": text});
            print_line(output, &told)?;
            continue;
        }
        // A host declares its tools again and again; people want to know what changed.
        if is_repetition {
            continue;
        }
        let time = Zoned::now().strftime("%H:%M:%S").to_string();
        let whose = key.map(|key| format!("{}/{}  ", key.entity, key.environment)).unwrap_or_default();
        output.print(&written(&time, &whose, style, &text))?;
    }
    Ok(())
}

/// The beginning of a text, for a host may have much to say. The history has all of it.
fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A line for people. Names, reasons and errors are the host's own words.
fn written(time: &str, whose: &str, style: Style, text: &str) -> String {
    let text = one_line(text);
    format!("{DIM}{time}{DIM:#}  {whose}{style}{text}{style:#}\n")
}

fn line(event: Event, platform: &DevPlatform) -> Option<Line> {
    let line = |key: EntityKey, style, kind, text: String| Some(Line { key: Some(key), style, kind, text });
    match event {
        Event::Connected { key, .. } => line(key, GOOD, "connected", "connected".to_owned()),
        Event::Refused { reason } => {
            let text = format!("a host was refused: {reason}");
            Some(Line { key: None, style: BAD, kind: "refused", text })
        }
        Event::Disconnected { key, ending, .. } => {
            line(key, ODD, "disconnected", format!("disconnected: {}", ended(&ending)))
        }
        Event::Registered { key, counts } => {
            let plural = if counts.count == 1 { "" } else { "s" };
            let (count, new, gone) = (counts.count, counts.new_tools, counts.pruned);
            let text = format!("{count} tool{plural} ({new} new, {gone} gone)");
            line(key, Style::new(), "registered", text)
        }
        Event::Throttled { key, retry_after } => {
            let text = format!("registers too often; may again in {} s", retry_after.as_secs());
            line(key, ODD, "throttled", text)
        }
        Event::RegistrationRefused { key, text } => {
            line(key, BAD, "registration_refused", format!("its tools are refused: {text}"))
        }
        Event::Visibility { key, visible } => {
            let (style, text) = if visible {
                (GOOD, "agents see its tools")
            } else {
                (ODD, "agents no longer see its tools")
            };
            line(key, style, "visibility", text.to_owned())
        }
        // A call is told of when it is over, with its answer.
        Event::Recorded { key, id, .. } => {
            let call = platform.recorded(id)?;
            let took = call.latency.as_secs_f64() * 1_000.0;
            let (style, how) = match (&call.reply, call.ok) {
                (None, _) => (BAD, "no answer".to_owned()),
                (Some(_), true) => (GOOD, "ok".to_owned()),
                (Some(_), false) => (BAD, call.report().error().unwrap_or("an error").to_owned()),
            };
            let way = if call.transport.is_http() { "  over HTTP" } else { "" };
            line(key, style, "called", format!("{}{way}  {took:.1} ms  {how}", call.tool))
        }
        Event::SecretRotated { entity } => {
            let text = format!("entity {entity} has a new secret");
            Some(Line { key: None, style: ODD, kind: "secret_rotated", text })
        }
        Event::FaultInjected { key, fault } => line(key, ODD, "fault", format!("fault: {fault}")),
        Event::MalformedFrame { key, problem } => {
            line(key, BAD, "malformed_frame", format!("a frame that cannot be read: {problem}"))
        }
        Event::UnexpectedAnswer { key, call_id, .. } => {
            line(key, ODD, "unexpected_answer", format!("an answer that nobody waits for (call {call_id})"))
        }
        _ => None,
    }
}

fn ended(ending: &Ending) -> String {
    let closed = |who: &str, code: Option<u16>, reason: &str| {
        let code = code.map(|code| format!(" {code}")).unwrap_or_default();
        let reason = if reason.is_empty() { String::new() } else { format!(" {reason:?}") };
        format!("closed by the {who}{code}{reason}")
    };
    match ending {
        Ending::ClosedByHost { code, reason } => closed("host", *code, reason),
        Ending::ClosedByPlatform { code, reason } => closed("platform", Some(*code), reason),
        Ending::Cut => "cut".to_owned(),
        Ending::FrameTooLarge => "the host sent a frame over 10 MiB".to_owned(),
        Ending::Broken { problem } => problem.clone(),
        _ => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_stays_on_its_line_and_commands_no_terminal() {
        let line = written("12:00:00", "local/dev  ", Style::new(), "boom\u{1b}[2J\r\nnot a line of ours");
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert_eq!(shortened("é".repeat(LONGEST)), "é".repeat(LONGEST));
        assert_eq!(shortened("é".repeat(LONGEST + 1)), format!("{}…", "é".repeat(LONGEST)));
        assert!(line.ends_with("boom\\u{1b}[2J\\r\\nnot a line of ours\n"), "{line:?}");
    }
}
