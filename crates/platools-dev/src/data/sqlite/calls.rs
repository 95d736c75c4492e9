//! The table of calls.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Row, params};

use super::file::File;
use crate::call::report::{CallStage, Transport};
use crate::call::tamper::Tamper;
use crate::error::DevError;
use crate::history::{History, HistoryEntry, HistoryLimits};
use crate::key::EntityKey;

/// Reads the newest calls within limits, oldest first, and the largest id that was ever given.
pub(super) fn read(file: &File, limits: HistoryLimits) -> Result<(Vec<HistoryEntry>, u64), DevError> {
    let read = || {
        let mut statement = file.connection.prepare("SELECT * FROM calls ORDER BY id DESC LIMIT ?1")?;
        let mut rows = statement.query(params![i64::try_from(limits.calls).unwrap_or(i64::MAX)])?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let entry = entry(row)?;
            bytes += entry.bytes();
            if bytes > limits.bytes {
                break;
            }
            entries.push(entry);
        }
        entries.reverse();
        let last = "SELECT max((SELECT max(id) FROM last_call), (SELECT ifnull(max(id), 0) FROM calls))";
        let last_id: i64 = file.connection.query_row(last, [], |row| row.get(0))?;
        Ok((entries, last_id.unsigned_abs()))
    };
    read().map_err(|error: rusqlite::Error| file.explain(&error))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    let tamper: Option<String> = row.get("tamper")?;
    let sent: String = row.get("sent")?;
    let reply: Option<String> = row.get("reply")?;
    let entity: String = row.get("entity")?;
    let environment: String = row.get("environment")?;
    let host_latency: Option<i64> = row.get("host_latency_ns")?;
    let late: Option<i64> = row.get("late_ns")?;
    let stage: Option<String> = row.get("stage")?;
    let stage = match stage {
        Some(name) => named("stage", CallStage::ALL, CallStage::as_str, &name)?,
        // Format version 2 had no others.
        None if reply.is_some() => CallStage::Answered,
        None => CallStage::TimedOut,
    };
    let nanoseconds = |number: i64| Duration::from_nanos(number.unsigned_abs());
    Ok(HistoryEntry {
        id: row.get::<_, i64>("id")?.unsigned_abs(),
        at: UNIX_EPOCH + nanoseconds(row.get("at_ns")?),
        key: EntityKey::new(&entity, &environment),
        call_id: row.get("call_id")?,
        tool: row.get("tool")?,
        tamper: tamper.map(|name| named("tamper", Tamper::ALL, Tamper::as_str, &name)).transpose()?,
        repeated: row.get("repeated")?,
        stage,
        // Its caller ended with the process.
        abandoned: stage == CallStage::Running || row.get("abandoned")?,
        ok: row.get("ok")?,
        latency: nanoseconds(row.get("latency_ns")?),
        late: late.map(nanoseconds),
        host_latency: host_latency.map(nanoseconds),
        transport: match row.get("http_url")? {
            Some(url) => Transport::Http { url, status: row.get("http_status")? },
            None => Transport::WebSocket,
        },
        sent: sent.into(),
        reply: reply.map(Into::into),
    })
}

/// Finds a value by its name.
fn named<T: Copy, const N: usize>(
    column: &str,
    all: [T; N],
    name_of: impl Fn(T) -> &'static str,
    name: &str,
) -> rusqlite::Result<T> {
    let found = all.into_iter().find(|known| name_of(*known) == name);
    found.ok_or_else(|| rusqlite::Error::InvalidColumnName(column.to_owned()))
}

/// Writes the changes of the history since the revision `written`. Returns the revision that the file then has.
pub(super) fn write(connection: &Connection, history: &History, written: u64) -> rusqlite::Result<u64> {
    let changes = history.changes_since(written);
    connection.execute("DELETE FROM calls WHERE id < ?1", params![signed(changes.oldest_id)])?;
    let mut insert = connection.prepare(
        "INSERT OR REPLACE INTO calls (id, at_ns, entity, environment, call_id, tool, tamper, repeated, ok, latency_ns, \
         host_latency_ns, sent, reply, http_url, http_status, stage, abandoned, late_ns) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?;
    for entry in &changes.entries {
        let (http_url, http_status) = match &entry.transport {
            Transport::Http { url, status } => (Some(url), *status),
            Transport::WebSocket => (None, None),
        };
        insert.execute(params![
            signed(entry.id),
            nanoseconds(entry.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            entry.key.entity,
            entry.key.environment,
            entry.call_id,
            entry.tool,
            entry.tamper.map(Tamper::as_str),
            entry.repeated,
            entry.ok,
            nanoseconds(entry.latency),
            entry.host_latency.map(nanoseconds),
            &*entry.sent,
            entry.reply.as_deref(),
            http_url,
            http_status,
            entry.stage.as_str(),
            entry.abandoned,
            entry.late.map(nanoseconds),
        ])?;
    }
    connection.execute("UPDATE last_call SET id = ?1", params![signed(changes.last_id)])?;
    Ok(changes.revision)
}

/// SQLite's whole numbers have a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
