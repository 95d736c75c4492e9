//! Values that are text in the file and something else behind it: times, sizes, limits, references to secrets.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use platools::SecretSource;
use platools::tool::RateLimit;
use platools_net::SecretText;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::document::refuse;
use crate::disk;

/// The longest time that can be written.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

macro_rules! text_value {
    ($name:ident, $title:literal, $expected:literal, $pattern:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(refuse)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                match $pattern {
                    Some::<&str>(pattern) => json_schema!({"type": "string", "pattern": pattern}),
                    None => json_schema!({"type": "string"}),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

/// A time such as `10s` or `1m 30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

text_value!(Time, "Duration", "a time such as \"10s\", in quotes", None);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .ok()
            .filter(|time| !time.is_zero() && *time <= LONGEST)
            .map(Self)
            .ok_or_else(|| {
                "this is not a time: write one up to 24h, such as \"10s\", \"500ms\" or \"1m 30s\"".to_owned()
            })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A number of bytes such as `64 KiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

text_value!(Size, "Size", "a size such as \"1 MiB\", in quotes", Some(r"^[0-9]+ ?(B|KiB|MiB)$"));

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() - text.trim_start_matches(|next: char| next.is_ascii_digit()).len();
        let unit = match text[digits..].trim() {
            "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            _ => None,
        };
        let bytes = || text[..digits].parse::<usize>().ok()?.checked_mul(unit?);
        bytes().filter(|bytes| (1..=1 << 30).contains(bytes)).map(Self).ok_or_else(|| {
            "this is not a size: write one up to 1024 MiB, such as \"64 KiB\" or \"1 MiB\"".to_owned()
        })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 20) == 0 => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes % (1 << 10) == 0 => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} B"),
        }
    }
}

/// A rate such as `60/min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) RateLimit);

text_value!(Rate, "RateLimit", "a rate such as \"60/min\"", None);

impl FromStr for Rate {
    type Err = platools::tool::InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a secret is: `env:NAME`, `file:PATH`, or, with a warning, the secret itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SecretRef {
    Environment(String),
    File(PathBuf),
    Inline(SecretText),
}

text_value!(SecretRef, "SecretReference", "where the secret is: \"env:NAME\" or \"file:PATH\"", None);

impl FromStr for SecretRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.strip_prefix("env:"), text.strip_prefix("file:")) {
            (Some(""), _) => Err("the variable's name is missing: write \"env:NAME\"".to_owned()),
            (Some(name), _) if name.contains(['=', '\0']) => Err("this is no name of a variable".to_owned()),
            (Some(name), _) => Ok(Self::Environment(name.to_owned())),
            (_, Some("")) => Err("the file's path is missing: write \"file:PATH\"".to_owned()),
            (_, Some(path)) => Ok(Self::File(path.into())),
            _ if text.is_empty() => {
                Err("the secret is empty: write \"env:NAME\" or \"file:PATH\"".to_owned())
            }
            _ => Ok(Self::Inline(text.into())),
        }
    }
}

impl SecretRef {
    /// Whether the text refers to something, rather than being it.
    pub(crate) fn is_reference(text: &str) -> bool {
        text.starts_with("env:") || text.starts_with("file:")
    }

    /// The same with a relative path taken from a folder.
    pub(crate) fn within(&self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            other => other.clone(),
        }
    }

    pub(crate) fn is_inline(&self) -> bool {
        matches!(self, Self::Inline(_))
    }

    /// The same for the library, which reads the secret again when it is refused.
    pub(crate) fn source(&self) -> SecretSource {
        match self {
            Self::Environment(name) => SecretSource::environment(name),
            Self::File(path) => SecretSource::file(path),
            Self::Inline(text) => SecretSource::text(text.expose()),
        }
    }

    /// The secret as it is now.
    ///
    /// # Errors
    /// What is missing and what to do, without the secret.
    pub(crate) fn load(&self) -> Result<SecretText, String> {
        let text = match self {
            Self::Inline(text) => text.clone(),
            Self::Environment(name) => match std::env::var(name) {
                Ok(text) => text.into(),
                Err(std::env::VarError::NotPresent) => {
                    return Err(format!(
                        "the environment variable `{name}` is not set: set it for the sidecar"
                    ));
                }
                Err(_) => return Err(format!("the environment variable `{name}` is not valid UTF-8")),
            },
            Self::File(path) => disk::with(path, SecretText::read_file)
                .unwrap_or_else(|error| Err(error.into()))
                .map_err(|error| format!("the file `{}` {error}", path.display()))?,
        };
        if text.is_empty() {
            return Err(format!("{self} is empty: put the secret there"));
        }
        Ok(text)
    }
}

impl fmt::Display for SecretRef {
    /// Says where, never what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Inline(_) => f.write_str("[inline]"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_and_write_alike() {
        for text in ["10s", "500ms", "1m 30s"] {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        }
        for text in ["", "10", "0s", "25h", "soon", "-1s"] {
            assert!(text.parse::<Time>().unwrap_err().contains("10s"), "{text}");
        }
        for (text, bytes) in [("7 B", 7), ("64 KiB", 65_536), ("1 MiB", 1 << 20)] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, text));
        }
        for text in ["", "1", "1MB", "0 B", "MiB", "99999999999999999999 MiB", "2000 MiB", "é"] {
            assert!(text.parse::<Size>().unwrap_err().contains("64 KiB"), "{text}");
        }
    }

    #[test]
    fn a_secret_is_found_where_it_is_said_to_be_and_never_shown() {
        let folder = std::env::temp_dir().join(format!("platools-sidecar-secret-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("key"), "s3cret\r\n").unwrap();
        std::fs::write(folder.join("empty"), "\n").unwrap();
        let secret = |text: &str| text.parse::<SecretRef>().unwrap().within(&folder);
        assert_eq!(secret("file:key").load().unwrap().expose(), "s3cret");
        assert_eq!(secret("s3cret").load().unwrap().expose(), "s3cret");
        for (reference, part) in [
            ("file:empty", "is empty"),
            ("file:absent", "cannot be read"),
            ("env:PLATOOLS_NO_SUCH_VARIABLE", "`PLATOOLS_NO_SUCH_VARIABLE` is not set"),
        ] {
            assert!(secret(reference).load().unwrap_err().contains(part), "{reference}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(!format!("{:?} {}", secret("s3cret"), secret("s3cret")).contains("s3cret"));
        for text in ["", "env:", "file:", "env:A=B"] {
            assert!(text.parse::<SecretRef>().is_err(), "{text}");
        }
    }
}
