//! The source of the service secret, which is loaded again after a rotation.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platools_net::SecretText;
use platools_net::secret::{MAX_FILE_BYTES, SecretFileError};

use super::{Secret, SecretError};

/// Where a host gets its service secret from. It is asked again when the platform rotates the secret.
///
/// ```
/// use platools::verify::SecretSource;
///
/// let source = SecretSource::text("b7f1c2d3e4f5a6978899aabbccddeeff");
/// assert_eq!(source.load()?.expose().len(), 32);
/// assert!(SecretSource::file("/nowhere/secret").load().is_err());
/// # Ok::<(), platools::verify::SecretError>(())
/// ```
#[derive(Clone)]
pub struct SecretSource(Source);

#[derive(Clone)]
enum Source {
    Text(SecretText),
    /// The value of a variable that a configuration was read from.
    Variable(&'static str, SecretText),
    Environment(String),
    File(PathBuf),
    Callback(Callback),
}

type Callback = Arc<dyn Fn() -> Result<String, Box<dyn Error + Send + Sync>> + Send + Sync>;

impl SecretSource {
    /// A fixed secret, which cannot follow a rotation.
    pub fn text(secret: impl Into<String>) -> Self {
        Self(Source::Text(secret.into().into()))
    }

    /// A fixed secret that was the value of this environment variable.
    pub(crate) fn of_variable(variable: &'static str, secret: String) -> Self {
        Self(Source::Variable(variable, secret.into()))
    }

    /// An environment variable.
    pub fn environment(variable: impl Into<String>) -> Self {
        Self(Source::Environment(variable.into()))
    }

    /// A file that contains only the secret, with an optional trailing line break. Every [`load`](Self::load) reads the
    /// file, so it follows a rotation.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// A function that loads the secret, for example from a vault. It runs on a thread of its own and may take up to
    /// 10 s; while the host is built, it runs on the current thread.
    ///
    /// ```
    /// use platools::SecretSource;
    ///
    /// let source = SecretSource::callback(|| Ok(std::fs::read_to_string("/run/vault/token")?));
    /// assert!(source.load().is_err());
    /// ```
    pub fn callback(
        get: impl Fn() -> Result<String, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        Self(Source::Callback(Arc::new(get)))
    }

    /// Returns whether loading the secret may block.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self.0, Source::Callback(_))
    }

    /// Returns whether the secret never changes.
    #[cfg(feature = "jwt")]
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self.0, Source::Text(_) | Source::Variable(..))
    }

    /// Loads the current secret.
    ///
    /// # Errors
    /// If the secret is missing or invalid. The error names the variable or the file.
    pub fn load(&self) -> Result<Secret, SecretError> {
        self.load_with(|variable| env::var_os(variable))
    }

    fn load_with(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Secret, SecretError> {
        let origin = self.to_string();
        let text = match &self.0 {
            Source::Text(text) | Source::Variable(_, text) => text.clone(),
            Source::Environment(name) => {
                let value = variable(name).ok_or_else(|| SecretError::Missing { variable: name.clone() })?;
                match value.into_string() {
                    Ok(text) => text.into(),
                    Err(_) => return Err(SecretError::NotText { origin }),
                }
            }
            Source::File(path) => read_file(path, &origin)?,
            Source::Callback(get) => {
                let text = get().map_err(|error| SecretError::Callback { problem: error.to_string() })?;
                SecretText::from(text).trim_line_breaks()
            }
        };
        Secret::from_origin(text, &origin)
    }
}

/// The text of a secret file, without the line break at its end.
fn read_file(path: &Path, origin: &str) -> Result<SecretText, SecretError> {
    let shown = || path.display().to_string();
    SecretText::read_file(path).map_err(|error| match error {
        SecretFileError::Unreadable(error) => {
            SecretError::Unreadable { path: shown(), problem: error.to_string() }
        }
        SecretFileError::TooLarge => SecretError::TooLarge { path: shown(), limit: MAX_FILE_BYTES },
        SecretFileError::NotText => SecretError::NotText { origin: origin.to_owned() },
    })
}

impl fmt::Display for SecretSource {
    /// Writes the source, never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Text(_) => f.write_str("the service secret"),
            Source::Variable(variable, _) => {
                write!(f, "the service secret in environment variable `{variable}`")
            }
            Source::Environment(variable) => {
                write!(f, "the service secret in environment variable `{variable}`")
            }
            Source::File(path) => write!(f, "the service secret in file `{}`", path.display()),
            Source::Callback(_) => f.write_str("the service secret of the callback"),
        }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSource({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SECRET: &str = "s3cret-s3cret-s3cret";

    /// A file that is deleted on drop.
    struct TemporaryFile(PathBuf);

    impl TemporaryFile {
        fn new(name: &str, content: &[u8]) -> Self {
            let path = env::temp_dir().join(format!("platools-{}-{name}", std::process::id()));
            fs::write(&path, content).unwrap();
            Self(path)
        }
    }

    impl Drop for TemporaryFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_file_is_read_each_time_and_its_line_break_dropped() {
        let file = TemporaryFile::new("rotated", format!("{SECRET}\r\n").as_bytes());
        let source = SecretSource::file(&file.0);
        assert_eq!(source.load().unwrap().expose(), SECRET);
        fs::write(&file.0, "another-s3cret-s3cret\n").unwrap();
        assert_eq!(source.load().unwrap().expose(), "another-s3cret-s3cret");
    }

    #[test]
    fn a_file_without_a_secret_is_named() {
        for (name, content) in [
            ("empty", b"".to_vec()),
            ("line", b"\n".to_vec()),
            ("two-lines", b"s3cret-s3cret\ns3cret-s3cret\n".to_vec()),
            ("short", b"s3cret\n".to_vec()),
            ("binary", b"\xff\xfes3cret-s3cret-s3cret".to_vec()),
            ("large", vec![b's'; 70_000]),
        ] {
            let file = TemporaryFile::new(name, &content);
            let error = SecretSource::file(&file.0).load().unwrap_err().to_string();
            assert!(error.contains(&*file.0.to_string_lossy()), "{error}");
            assert!(!error.contains("s3cret-s3cret"), "{error}");
        }
        let error = SecretSource::file("/nowhere/at/all").load().unwrap_err();
        assert!(
            matches!(&error, SecretError::Unreadable { path, .. } if path == "/nowhere/at/all"),
            "{error:?}"
        );
        assert!(SecretSource::file(env::temp_dir()).load().is_err(), "a directory is not a secret");
    }

    #[test]
    fn a_variable_without_a_secret_is_named() {
        let source = SecretSource::environment("SOME_SECRET");
        assert_eq!(source.load_with(|_| Some(SECRET.into())).unwrap().expose(), SECRET);
        for value in [None, Some(""), Some("short")] {
            let error = source.load_with(|_| value.map(Into::into)).unwrap_err().to_string();
            assert!(error.contains("`SOME_SECRET`"), "{error}");
        }
    }

    #[test]
    fn a_callback_is_called_each_time() {
        let count = std::sync::atomic::AtomicU32::new(0);
        let source = SecretSource::callback(move || {
            let time = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if time == 0 { Err("the vault is sealed".into()) } else { Ok(format!("{SECRET}-{time}\n")) }
        });
        let error = source.load().unwrap_err().to_string();
        assert!(error.contains("the vault is sealed"), "{error}");
        assert_eq!(source.load().unwrap().expose(), format!("{SECRET}-1"));
        assert_eq!(source.load().unwrap().expose(), format!("{SECRET}-2"));
        assert!(!format!("{source:?}").contains("s3cret"));
    }

    #[test]
    fn debug_shows_the_source_but_not_the_secret() {
        assert!(!format!("{:?}", SecretSource::text(SECRET)).contains("s3cret"));
        assert!(format!("{:?}", SecretSource::environment("A")).contains("`A`"));
    }
}
