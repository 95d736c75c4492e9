//! `POST /edit`: reading and changing files (plato-api §8.5).

use std::collections::HashMap;

use serde_json::Value;

use super::Machine;
use super::files::Files;

/// What files were before, the last change last.
pub(super) type History = HashMap<String, Vec<Option<Vec<u8>>>>;

impl Machine {
    pub(in super::super) fn edit(&mut self, request: &Value) -> Result<String, String> {
        let text =
            |name: &str| request[name].as_str().map(str::to_owned).ok_or(format!("`{name}` is required"));
        let path = text("path")?;
        if !path.starts_with('/') {
            return Err(format!("the path {path} is not absolute"));
        }
        let path = Files::absolute("/", &path);
        match text("command")?.as_str() {
            "view" => self.view(&path, &request["view_range"]),
            "create" => {
                self.change(&path, text("file_text")?)?;
                Ok(format!("File created successfully at: {path}"))
            }
            "str_replace" => {
                let (old, new) = (text("old_str")?, text("new_str").unwrap_or_default());
                let whole = self.text(&path)?;
                match whole.matches(&old).count() {
                    1 => self.change(&path, whole.replacen(&old, &new, 1))?,
                    0 => return Err(format!("`{old}` does not appear in {path}")),
                    times => return Err(format!("`{old}` appears {times} times in {path}: make it unique")),
                }
                Ok(format!("The file {path} has been edited"))
            }
            "insert" => {
                let line = request["insert_line"].as_u64().ok_or("`insert_line` is required")? as usize;
                let new = text("new_str")?;
                let whole = self.text(&path)?;
                let mut lines: Vec<&str> = whole.split_inclusive('\n').collect();
                if line > lines.len() {
                    return Err(format!("`insert_line` is {line}, and {path} has {} lines", lines.len()));
                }
                let new = if new.ends_with('\n') { new } else { format!("{new}\n") };
                lines.insert(line, &new);
                let changed = lines.concat();
                self.change(&path, changed)?;
                Ok(format!("The file {path} has been edited"))
            }
            "undo_edit" => {
                let before = self.undo.get_mut(&path).and_then(Vec::pop);
                match before.ok_or(format!("there is no edit of {path} to undo"))? {
                    Some(bytes) => self.files.write(&path, bytes)?,
                    None => drop(self.files.remove(&path)),
                }
                Ok(format!("The last edit of {path} was undone"))
            }
            command => Err(format!("there is no command `{command}`")),
        }
    }

    fn view(&self, path: &str, range: &Value) -> Result<String, String> {
        if self.files.is_folder(path) {
            return Ok(self.files.list(path).join("\n"));
        }
        let whole = self.text(path)?;
        let count = i64::try_from(whole.lines().count()).unwrap_or(i64::MAX);
        let (first, last) = match (range[0].as_i64(), range[1].as_i64()) {
            (Some(first), Some(-1)) => (first, count),
            (Some(first), Some(last)) => (first, last),
            _ => (1, count),
        };
        if first < 1 || first > count.max(1) || last < first - 1 {
            return Err(format!("`view_range` [{first}, {last}] is not in the {count} lines of {path}"));
        }
        let numbered = (1..).zip(whole.lines()).filter(|(number, _)| (first..=last).contains(number));
        let lines: Vec<_> = numbered.map(|(number, line)| format!("{number:6}\t{line}\n")).collect();
        Ok(lines.concat())
    }

    fn text(&self, path: &str) -> Result<String, String> {
        let bytes = self.files.read(path).map_err(|problem| format!("{path}: {problem}"))?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn change(&mut self, path: &str, text: String) -> Result<(), String> {
        let before = self.files.read(path).ok().map(<[u8]>::to_vec);
        self.files.write(path, text.into_bytes()).map_err(|problem| format!("{path}: {problem}"))?;
        self.undo.entry(path.to_owned()).or_default().push(before);
        Ok(())
    }
}
