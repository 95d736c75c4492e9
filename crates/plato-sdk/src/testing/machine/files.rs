//! Files in memory.

use std::collections::BTreeMap;

/// Absolute paths, each a folder or a file.
#[derive(Debug, Clone)]
pub(in super::super) struct Files(BTreeMap<String, Node>);

#[derive(Debug, Clone)]
enum Node {
    Folder,
    File(Vec<u8>),
}

impl Files {
    pub(in super::super) fn new() -> Self {
        let mut files = Self(BTreeMap::new());
        for folder in ["/", "/etc", "/home", "/home/user", "/tmp"] {
            files.0.insert(folder.to_owned(), Node::Folder);
        }
        let release = b"NAME=\"FakePlato\"\nID=fakeplato\n".to_vec();
        files.0.insert("/etc/os-release".to_owned(), Node::File(release));
        files.0.insert("/etc/hostname".to_owned(), Node::File(b"fakeplato\n".to_vec()));
        files
    }

    /// A path from the root, seen from a folder, without `.` and `..`.
    pub(in super::super) fn absolute(folder: &str, path: &str) -> String {
        let path = path.strip_prefix("~").map_or_else(|| path.to_owned(), |rest| format!("/home/user{rest}"));
        let from_root = if path.starts_with('/') { path } else { format!("{folder}/{path}") };
        let mut parts: Vec<&str> = Vec::new();
        for part in from_root.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    pub(in super::super) fn read(&self, path: &str) -> Result<&[u8], String> {
        match self.0.get(path) {
            Some(Node::File(bytes)) => Ok(bytes),
            Some(Node::Folder) => Err("Is a directory".to_owned()),
            None => Err("No such file or directory".to_owned()),
        }
    }

    pub(in super::super) fn write(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), String> {
        // What is written there is gone.
        if path == "/dev/null" {
            return Ok(());
        }
        if self.is_folder(path) {
            return Err("Is a directory".to_owned());
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !self.is_folder(if folder.is_empty() { "/" } else { folder }) {
            return Err("No such file or directory".to_owned());
        }
        self.0.insert(path.to_owned(), Node::File(bytes));
        Ok(())
    }

    pub(in super::super) fn append(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        let mut all = self.read(path).map(<[u8]>::to_vec).unwrap_or_default();
        all.extend_from_slice(bytes);
        self.write(path, all)
    }

    pub(in super::super) fn make_folder(&mut self, path: &str) -> Result<(), String> {
        if matches!(self.0.get(path), Some(Node::File(_))) {
            return Err("File exists".to_owned());
        }
        let mut so_far = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            so_far = format!("{so_far}/{part}");
            self.0.entry(so_far.clone()).or_insert(Node::Folder);
        }
        Ok(())
    }

    /// Removes a file, or a folder with all that is in it.
    pub(in super::super) fn remove(&mut self, path: &str) -> bool {
        let before = self.0.len();
        let inside = format!("{path}/");
        self.0.retain(|own, _| own != path && !own.starts_with(&inside));
        self.0.len() != before
    }

    pub(in super::super) fn is_folder(&self, path: &str) -> bool {
        matches!(self.0.get(path), Some(Node::Folder))
    }

    pub(in super::super) fn exists(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The names in a folder.
    pub(in super::super) fn list(&self, path: &str) -> Vec<String> {
        let inside = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let names = self.0.keys().filter_map(|own| own.strip_prefix(&inside));
        names.filter(|name| !name.is_empty() && !name.contains('/')).map(str::to_owned).collect()
    }
}
