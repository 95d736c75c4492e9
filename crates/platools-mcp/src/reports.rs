//! Reports of handlers in the form of MCP: notifications, and the levels of log messages.
//!
//! Must not know transports.

// The newest version of the protocol has no log messages; older versions do.
#![expect(deprecated, reason = "clients of older versions take log messages")]

use rmcp::model::{
    LoggingLevel, LoggingMessageNotification, LoggingMessageNotificationParam, ProgressNotification,
    ProgressNotificationParam, ProgressToken, ServerNotification,
};

use platools::caller::{LogLevel, Report};

/// Converts a report into a notification; a step needs the token that the client gave.
pub(crate) fn notification(
    report: Report,
    token: Option<&ProgressToken>,
    tool: &str,
) -> Option<ServerNotification> {
    Some(match report {
        Report::Step { done, total, message } => {
            let mut reached = ProgressNotificationParam::new(token?.clone(), done);
            reached.total = total;
            reached.message = message;
            ServerNotification::ProgressNotification(ProgressNotification::new(reached))
        }
        Report::Message { level, text } => {
            let message = LoggingMessageNotificationParam::new(wire(level), text.into()).with_logger(tool);
            ServerNotification::LoggingMessageNotification(LoggingMessageNotification::new(message))
        }
        // MCP has no other kinds.
        _ => return None,
    })
}

fn wire(level: LogLevel) -> LoggingLevel {
    match level {
        LogLevel::Debug => LoggingLevel::Debug,
        LogLevel::Info => LoggingLevel::Info,
        LogLevel::Notice => LoggingLevel::Notice,
        LogLevel::Warning => LoggingLevel::Warning,
        LogLevel::Error => LoggingLevel::Error,
        LogLevel::Critical => LoggingLevel::Critical,
        LogLevel::Alert => LoggingLevel::Alert,
        LogLevel::Emergency => LoggingLevel::Emergency,
    }
}

/// Converts the level that a client asked for.
pub(crate) fn level(level: LoggingLevel) -> LogLevel {
    match level {
        LoggingLevel::Debug => LogLevel::Debug,
        LoggingLevel::Info => LogLevel::Info,
        LoggingLevel::Notice => LogLevel::Notice,
        LoggingLevel::Warning => LogLevel::Warning,
        LoggingLevel::Error => LogLevel::Error,
        LoggingLevel::Critical => LogLevel::Critical,
        LoggingLevel::Alert => LogLevel::Alert,
        LoggingLevel::Emergency => LogLevel::Emergency,
    }
}
