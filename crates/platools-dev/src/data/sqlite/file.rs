//! The file: made, recognised, locked, and explained when it cannot be used.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::error::DevError;

/// The file's name in the folder.
const NAME: &str = "platools-dev.sqlite3";

/// Marks a database as this program's: `pldv`.
const APPLICATION_ID: i32 = 0x706c_6476;

/// The version of the tables below.
const VERSION: i32 = 3;

/// The largest write-ahead log that is left behind, in bytes.
const LOG_BYTES: u32 = 4 * 1024 * 1024;

const SCHEMA: &str = "
    CREATE TABLE entities (
        position INTEGER PRIMARY KEY,
        slug TEXT NOT NULL UNIQUE,
        secret TEXT NOT NULL
    ) STRICT;
    CREATE TABLE calls (
        id INTEGER PRIMARY KEY,
        at_ns INTEGER NOT NULL,
        entity TEXT NOT NULL,
        environment TEXT NOT NULL,
        call_id TEXT NOT NULL,
        tool TEXT NOT NULL,
        tamper TEXT,
        repeated INTEGER NOT NULL,
        ok INTEGER NOT NULL,
        latency_ns INTEGER NOT NULL,
        host_latency_ns INTEGER,
        sent TEXT NOT NULL,
        reply TEXT,
        http_url TEXT,
        http_status INTEGER,
        stage TEXT,
        abandoned INTEGER NOT NULL DEFAULT 0,
        late_ns INTEGER
    ) STRICT;
    CREATE TABLE last_call (id INTEGER NOT NULL) STRICT;
    INSERT INTO last_call VALUES (0);
";

/// Adds the columns that the tables of format version 1 do not have.
const SINCE_VERSION_1: &str = "
    ALTER TABLE calls ADD COLUMN http_url TEXT;
    ALTER TABLE calls ADD COLUMN http_status INTEGER;
";

/// Adds the columns that the tables of format version 2 do not have.
const SINCE_VERSION_2: &str = "
    ALTER TABLE calls ADD COLUMN stage TEXT;
    ALTER TABLE calls ADD COLUMN abandoned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN late_ns INTEGER;
";

/// A database that is open exclusively.
pub(super) struct File {
    pub(super) connection: Connection,
    path: PathBuf,
}

impl File {
    /// Opens the database in this folder; both are made where they are missing.
    pub(super) fn open(folder: &Path) -> Result<Self, DevError> {
        let path = make(folder).map_err(|error| DevError::Data {
            file: folder.join(NAME),
            problem: format!("{error}; {OTHER_FOLDER}"),
        })?;
        // A link could lead out of the folder, to a file with other permissions.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(&path, flags).map_err(|error| explain(&path, &error))?;
        let mut file = Self { connection, path };
        file.prepare()?;
        Ok(file)
    }

    fn prepare(&mut self) -> Result<(), DevError> {
        let version = self.claim().map_err(|error| self.explain(&error))?;
        if version > VERSION {
            return Err(self.problem(format!(
                "a newer platools wrote it (format {version}, this one knows {VERSION}); update platools, or use \
                 another folder"
            )));
        }
        self.set_up(version).map_err(|error| self.explain(&error))?;
        Ok(())
    }

    /// Locks the file, and tells the version of its tables: 0 if there are none. Whose it is comes first, so that
    /// nothing is changed in a file of others.
    fn claim(&self) -> rusqlite::Result<i32> {
        let connection = &self.connection;
        connection.busy_timeout(Duration::ZERO)?;
        // Held as long as the connection lives, and gone with the process however that ends.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        // The lock writes the first page, and what that says of this stays.
        if fs::metadata(&self.path).is_ok_and(|found| found.len() == 0) {
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (number("application_id")?, number("user_version")?) {
            (APPLICATION_ID, version @ 1..) => Ok(version),
            (0, 0) if tables == 0 => Ok(0),
            _ => Err(foreign()),
        }
    }

    fn set_up(&mut self, version: i32) -> rusqlite::Result<()> {
        let connection = &mut self.connection;
        // What is deleted held tokens.
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        if version < VERSION {
            let creation = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let steps: &[&str] = match version {
                0 => &[SCHEMA],
                1 => &[SINCE_VERSION_1, SINCE_VERSION_2],
                _ => &[SINCE_VERSION_2],
            };
            for step in steps {
                creation.execute_batch(step)?;
            }
            creation.pragma_update(None, "application_id", APPLICATION_ID)?;
            creation.pragma_update(None, "user_version", VERSION)?;
            creation.commit()?;
        }
        Ok(())
    }

    /// Gives the room of what was deleted back, and empties the write-ahead log.
    pub(super) fn shrink(&self) -> rusqlite::Result<()> {
        let mut vacuum = self.connection.prepare("PRAGMA incremental_vacuum")?;
        let mut steps = vacuum.query([])?;
        // Each step frees one page.
        while steps.next()?.is_some() {}
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// An error of this file, in words that say what to do.
    pub(super) fn explain(&self, error: &rusqlite::Error) -> DevError {
        explain(&self.path, error)
    }

    /// Something in the file that this program did not write.
    pub(super) fn damaged(&self, what: &str) -> DevError {
        self.problem(format!("{what}; {MOVE_AWAY}"))
    }

    pub(super) fn problem(&self, problem: String) -> DevError {
        DevError::Data { file: self.path.clone(), problem }
    }
}

const MOVE_AWAY: &str = "move it away to start anew, with new secrets, or use another folder";
const OTHER_FOLDER: &str = "look at the permissions of the folder and who owns it, or use another folder";

/// Creates the folder and the file, for this user alone. A folder that is there already stays as it is.
fn make(folder: &Path) -> std::io::Result<PathBuf> {
    let mut builder = fs::DirBuilder::new();
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        builder.mode(0o700);
        options.mode(0o600);
    }
    builder.recursive(true).create(folder)?;
    // Links on the way to the folder are the user's own, and SQLite would refuse them too.
    let path = fs::canonicalize(folder)?.join(NAME);
    match options.write(true).create_new(true).open(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => narrow(&path)?,
        Err(error) => return Err(error),
    }
    Ok(path)
}

/// Takes the permissions of others away from a file that was there, such as one that was copied.
fn narrow(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let found = fs::symlink_metadata(path)?;
        if found.is_file() && found.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

/// Returns the SQLite error that stands for a database of another program.
fn foreign() -> rusqlite::Error {
    rusqlite::Error::InvalidQuery
}

fn explain(path: &Path, error: &rusqlite::Error) -> DevError {
    let problem = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another platform uses it; stop that one, or use another folder".to_owned()
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => format!("{error}; {MOVE_AWAY}"),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            format!("{error}; {OTHER_FOLDER}")
        }
        Some(ErrorCode::DiskFull) => format!("{error}; make room, or use another folder"),
        _ if *error == foreign() => format!("it is a database of another program; {MOVE_AWAY}"),
        _ => format!("{error}; {MOVE_AWAY}"),
    };
    DevError::Data { file: path.to_owned(), problem }
}
