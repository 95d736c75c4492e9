//! Where entity, secret and token of a development platform are kept: a file of the user's for each folder in which one is
//! started. Not in the folder itself, since it holds secrets.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// How many bytes of the digest of a folder's path are in the name of its file.
const DIGEST_BYTES: usize = 8;

/// The file for the folder of this process; `None` where the user has no place for such files.
pub(super) fn file() -> Option<PathBuf> {
    let folder = env::current_dir().ok()?;
    let base = base(|variable| env::var_os(variable))?;
    Some(base.join("platools").join("dev").join(name(&folder)))
}

/// Where programs keep what outlives them (XDG Base Directory Specification).
fn base(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("state")))
}

/// The folder's own name, for people, and a digest of its whole path.
fn name(folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let own = folder.file_name().unwrap_or_default().to_string_lossy();
    let own: String = own.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    format!("{own}-{}.json", HEXLOWER.encode(&digest[..DIGEST_BYTES]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_one_name_have_files_of_their_own() {
        let [a, b] = ["/home/ada/shop", "/home/bob/shop"].map(|folder| name(Path::new(folder)));
        assert!(a.starts_with("shop-") && b.starts_with("shop-") && a != b, "{a} {b}");
        assert_eq!(a, name(Path::new("/home/ada/shop")));
        assert!(name(Path::new("/")).starts_with('-'));
    }

    #[cfg(unix)]
    #[test]
    fn the_place_is_the_users() {
        let with = |variables: &'static [(&str, &str)]| {
            base(|wanted| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[("HOME", "/home/ada")]), Some("/home/ada/.local/state".into()));
        assert_eq!(with(&[("HOME", "/home/ada"), ("XDG_STATE_HOME", "/state")]), Some("/state".into()));
        assert_eq!(
            with(&[("HOME", "/home/ada"), ("XDG_STATE_HOME", "state")]),
            with(&[("HOME", "/home/ada")])
        );
        assert_eq!(with(&[]), None);
    }
}
