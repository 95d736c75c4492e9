//! What handlers report on their way, to the client.

// The protocol's newest version has no messages of this kind any more; the older ones live on.
#![expect(deprecated, reason = "clients of older versions take log messages")]

use rmcp::RoleServer;
use rmcp::model::{
    LoggingLevel, LoggingMessageNotification, LoggingMessageNotificationParam, ProgressNotification,
    ProgressNotificationParam, ProgressToken, ServerNotification,
};
use rmcp::service::Peer;
use tokio_util::sync::CancellationToken;

use crate::caller::{LogLevel, Report, Reports};

/// Who hears the reports of a call.
pub(super) struct Client<'a> {
    pub(super) peer: &'a Peer<RoleServer>,
    pub(super) token: Option<ProgressToken>,
    /// The least severe message that it wants.
    pub(super) level: Option<LogLevel>,
    pub(super) tool: &'a str,
}

/// Sends reports as they come, and at `stop` those that wait.
pub(super) async fn forward(
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
        // A call that began before its session was known takes every level.
        let is_wanted = match &report {
            Report::Message { level, .. } => client.level.is_some_and(|least| *level >= least),
            Report::Step { .. } => true,
        };
        if !is_wanted {
            continue;
        }
        let Some(notification) = notification(report, client.token.as_ref(), client.tool) else { continue };
        if client.peer.send_notification(notification).await.is_err() {
            // Nobody listens; the call goes on.
            reports.close();
            return;
        }
    }
}

/// The next report, until those that wait at `stop` are through.
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

/// A report as the protocol has it; a step is for a client that gave a token.
pub(super) fn notification(
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

/// The level that a client asked for.
pub(super) fn level(level: LoggingLevel) -> LogLevel {
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
