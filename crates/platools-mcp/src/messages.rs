//! Sends the reports of handlers to the client as notifications.

// The newest version of the protocol has no log messages; older versions do.
#![expect(deprecated, reason = "clients of older versions take log messages")]

use rmcp::RoleServer;
use rmcp::model::{
    LoggingLevel, LoggingMessageNotification, LoggingMessageNotificationParam, ProgressNotification,
    ProgressNotificationParam, ProgressToken, ServerNotification,
};
use rmcp::service::Peer;
use tokio_util::sync::CancellationToken;

use platools::caller::{LogLevel, Report, Reports};

/// The recipient of the reports of a call.
pub(crate) struct Client<'a> {
    pub(crate) peer: &'a Peer<RoleServer>,
    pub(crate) token: Option<ProgressToken>,
    /// The least severe level that it wants.
    pub(crate) level: Option<LogLevel>,
    pub(crate) tool: &'a str,
}

/// Sends reports as they come until `stop`, then those that are left.
pub(crate) async fn forward(
    mut first: Option<Report>,
    reports: &mut Reports,
    client: &Client<'_>,
    stop: &CancellationToken,
) {
    loop {
        let report = match first.take() {
            Some(first) => first,
            None => match next(reports, stop).await {
                Some(report) => report,
                None => return,
            },
        };
        // A call that was started before the level was known reports every level.
        let is_wanted = match &report {
            Report::Message { level, .. } => client.level.is_some_and(|least| *level >= least),
            _ => true,
        };
        if !is_wanted {
            continue;
        }
        let Some(notification) = notification(report, client.token.as_ref(), client.tool) else { continue };
        if client.peer.send_notification(notification).await.is_err() {
            // The client is gone; the call goes on.
            reports.close();
            return;
        }
    }
}

/// Returns the next report; after `stop`, those that are left.
async fn next(reports: &mut Reports, stop: &CancellationToken) -> Option<Report> {
    tokio::select! {
        biased;
        report = reports.next() => report,
        () = stop.cancelled() => {
            reports.close();
            reports.next().await
        }
    }
}

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
