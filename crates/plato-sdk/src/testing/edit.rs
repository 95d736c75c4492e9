//! `POST /edit`: reading and changing files (plato-api §8.5).

use serde_json::Value;

use super::machine::Machine;

/// Runs an edit command, or returns the agent's complaint about it.
pub(super) fn edit(machine: &mut Machine, request: &Value) -> Result<String, String> {
    let text = |name: &str| request[name].as_str().ok_or_else(|| format!("`{name}` is required"));
    let path = text("path")?;
    if !path.starts_with('/') {
        return Err(format!("the path {path} is not absolute"));
    }
    match text("command")? {
        "view" => return view(&read(machine, path)?, path, &request["view_range"]),
        "create" => change(machine, path, text("file_text")?.to_owned()),
        "str_replace" => {
            let (old, new) = (text("old_str")?, text("new_str").unwrap_or_default());
            let whole = read(machine, path)?;
            match whole.matches(old).count() {
                1 => change(machine, path, whole.replacen(old, new, 1)),
                0 => return Err(format!("`{old}` does not appear in {path}")),
                times => return Err(format!("`{old}` appears {times} times in {path}: make it unique")),
            }
        }
        "insert" => {
            let line = request["insert_line"].as_u64().ok_or("`insert_line` is required")? as usize;
            let new = text("new_str")?.trim_end_matches('\n').to_owned() + "\n";
            let whole = read(machine, path)?;
            let mut lines: Vec<&str> = whole.split_inclusive('\n').collect();
            if line > lines.len() {
                return Err(format!("`insert_line` is {line}, and {path} has {} lines", lines.len()));
            }
            lines.insert(line, &new);
            change(machine, path, lines.concat());
        }
        "undo_edit" => {
            let before = machine.undo.get_mut(path).and_then(Vec::pop);
            match before.ok_or_else(|| format!("there is no edit of {path} to undo"))? {
                Some(bytes) => machine.files.insert(path.to_owned(), bytes),
                None => machine.files.remove(path),
            };
        }
        command => return Err(format!("there is no command `{command}`")),
    }
    Ok(format!("The file {path} has been edited successfully"))
}

fn view(whole: &str, path: &str, range: &Value) -> Result<String, String> {
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

fn read(machine: &Machine, path: &str) -> Result<String, String> {
    let bytes = machine.files.get(path).ok_or_else(|| format!("{path}: No such file or directory"))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn change(machine: &mut Machine, path: &str, text: String) {
    let before = machine.files.insert(path.to_owned(), text.into_bytes());
    machine.undo.entry(path.to_owned()).or_default().push(before);
}
