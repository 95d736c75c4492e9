//! What is wrong with a file: where, which key, and what to do about it.

use std::fmt;

/// A mistake in the file, or something in it that is allowed and probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The line, from 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// The key with what it belongs to, such as ``` `url` of [[tool.http]] `lookup_order` ```; empty where there is none.
    pub key: String,
    /// What is wrong and what to write instead. Never a secret, nor the text of the line.
    pub message: String,
}

impl Problem {
    /// A problem of the file as a whole.
    pub(crate) fn of_file(message: impl Into<String>) -> Self {
        Self { line: None, key: String::new(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Why a file is not used: everything that is wrong with it, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: String,
    /// What is wrong, at least one thing.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// The problems sorted by their lines, doubles dropped.
    pub(crate) fn new(file: impl Into<String>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.line);
        problems.dedup();
        Self { file: file.into(), problems }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(
            f,
            "the file `{}` cannot be used ({count} problem{}):",
            self.file,
            if count == 1 { "" } else { "s" }
        )?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
