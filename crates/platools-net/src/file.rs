//! Files that a configuration names: regular ones only, read up to a limit.
//!
//! Opening a named pipe waits for a writer, and a device may never end. Must not know what is in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// Opens a regular file for reading, without waiting for one that is something else.
///
/// # Errors
/// When it cannot be opened, or is something else.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        use rustix::fs::OFlags;
        options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    }
    let file = options.open(path)?;
    // Of the open file: what the name leads to may change.
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder, not a file"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is a pipe or a device, not a regular file"));
    }
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes, which are counted while it is read: it may grow.
///
/// # Errors
/// When it cannot be opened or read, is something else, or has more bytes ([`ErrorKind::FileTooLarge`]).
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let announced = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    if announced <= limit {
        bytes.reserve_exact(announced + 1);
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    }
    if announced.max(bytes.len()) > limit {
        let shown = if limit >= 1 << 20 { format!("{} MiB", limit >> 20) } else { format!("{limit} bytes") };
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {shown}")));
    }
    Ok(bytes)
}

/// Reads a regular file of at most `limit` bytes as text; see [`read`].
///
/// # Errors
/// As of [`read`], and when it is not UTF-8 ([`ErrorKind::InvalidData`]).
pub fn read_text(path: &Path, limit: usize) -> io::Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    #[test]
    fn regular_files_are_read_up_to_the_limit_and_nothing_else_is_waited_for() {
        let folder = std::env::temp_dir().join(format!("platools-net-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (plain, pipe) = (folder.join("plain"), folder.join("pipe"));
        std::fs::write(&plain, "né").unwrap();
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(read_text(&plain, 3).unwrap(), "né");
        assert_eq!(read(&plain, 2).unwrap_err().kind(), ErrorKind::FileTooLarge);
        std::fs::write(&plain, [0xff]).unwrap();
        assert_eq!(read_text(&plain, 3).unwrap_err().kind(), ErrorKind::InvalidData);
        // Its length is announced as 0.
        assert!(!read("/proc/self/status".as_ref(), 1 << 20).unwrap().is_empty());
        assert_eq!(read("/proc/self/status".as_ref(), 9).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read(&folder, 9).unwrap_err().kind(), ErrorKind::IsADirectory);
        for endless in [pipe.as_path(), "/dev/zero".as_ref(), "/dev/tty".as_ref()] {
            assert!(read(endless, 9).is_err(), "{}", endless.display());
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
