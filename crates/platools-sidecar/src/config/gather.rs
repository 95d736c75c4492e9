//! Reads one value and finds everything that is wrong with it, though serde stops at the first mistake.
//!
//! After each mistake the value is read once more without it: a misspelt key is renamed, what cannot be read is removed,
//! and what is missing is guessed. Guesses only keep the reading going: a value with one in it is not used.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::document::{Document, Path, explain, nearest, quoted};
use super::problem::Problem;

/// How many mistakes of one value are looked for.
const MOST: usize = 50;

/// Values for a key that is missing, of the kinds that required keys have.
const GUESSES: &str = r#"guesses = ["x", "1s", "127.0.0.1:1", 1, true, [], {}]"#;

/// A mistake as serde tells it.
struct Mistake {
    /// Where, from the value that is read.
    at: Vec<String>,
    message: String,
}

/// A value that is mended.
struct Draft<'a> {
    value: Spanned<DeValue<'a>>,
    /// The keys as they are read now, with the names that they have in the file.
    renamed: Vec<(Vec<String>, String)>,
    /// What was taken out, by its place in the file.
    removed: Vec<Vec<String>>,
    /// The keys that were guessed, and how often each was.
    guessed: Vec<(Vec<String>, usize)>,
}

impl<'a> Document<'a> {
    /// Reads one value as a `T`, with everything that is wrong with it: each with its line, its key and, for a key that does
    /// not exist, the nearest one. There is a `T` unless something of it is missing; whether nothing had to be left out of it
    /// stands beside it.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        path: &Path,
        value: &Spanned<DeValue<'a>>,
    ) -> (Option<(T, bool)>, Vec<Problem>) {
        let (value, mut problems) = (value.clone(), Vec::new());
        let mut draft = Draft { value, renamed: Vec::new(), removed: Vec::new(), guessed: Vec::new() };
        for _ in 0..MOST {
            match draft.read() {
                Ok(value) => {
                    let (is_whole, is_real) = (draft.removed.is_empty(), draft.guessed.is_empty());
                    return (is_real.then_some((value, is_whole)), problems);
                }
                Err(mistake) => {
                    if !draft.mend(self, path, &mistake, &mut problems) {
                        break;
                    }
                }
            }
        }
        (None, problems)
    }
}

impl<'a> Draft<'a> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, Mistake> {
        let deserializer = ValueDeserializer::from(self.value.clone());
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let steps = error.path().iter().filter_map(|segment| match segment {
                Segment::Seq { index } => Some(index.to_string()),
                Segment::Map { key } => Some(key.clone()),
                Segment::Enum { variant } => Some(variant.clone()),
                Segment::Unknown => None,
            });
            Mistake { at: steps.collect(), message: error.inner().message().to_owned() }
        })
    }

    /// Notes a mistake, and mends it. Returns whether there may be others.
    fn mend(
        &mut self,
        document: &Document<'a>,
        path: &Path,
        mistake: &Mistake,
        problems: &mut Vec<Problem>,
    ) -> bool {
        let Mistake { at, message } = mistake;
        let place = |steps: &[String]| steps.iter().fold(path.clone(), |path, step| path.key(step));
        let original = self.original(at);
        if let Some(rest) = message.strip_prefix("unknown field ") {
            let mut names = quoted(rest).into_iter();
            let Some(key) = names.next() else { return false };
            let known: Vec<String> = names.collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            // The place is that of the key, or of the table that it is in.
            let at = at.strip_suffix(std::slice::from_ref(&key)).unwrap_or(at);
            let place = place(&self.original(at)).key(&key);
            problems.push(document.problem(&place, explain(message)));
            let Some(DeValue::Table(table)) = find(&mut self.value, at) else { return false };
            let Some((name, value)) = table.remove_entry(key.as_str()) else { return false };
            if let Some(nearest) = nearest(&key, &known).filter(|nearest| !table.contains_key(*nearest)) {
                table.insert(Spanned::new(name.span(), nearest.to_owned().into()), value);
                self.renamed.push(([at, &[nearest.to_owned()]].concat(), key));
            }
            return true;
        }
        if let Some(key) =
            message.strip_prefix("missing field ").and_then(|rest| quoted(rest).into_iter().next())
        {
            let missing = [at.as_slice(), std::slice::from_ref(&key)].concat();
            // What is there and cannot be read has been told.
            if !self.removed.contains(&self.original(&missing)) {
                problems.push(document.problem(&place(&original), explain(message)));
            }
            self.guessed.push((missing, 0));
            return self.guess();
        }
        if let Some(guessed) = self.guessed.iter().position(|(guessed, _)| at.starts_with(guessed)) {
            self.guessed[guessed].1 += 1;
            let guessed = self.guessed.remove(guessed);
            self.guessed.push(guessed);
            return self.guess();
        }
        problems.push(document.problem(&place(&original), explain(message)));
        let Some((last, above)) = at.split_last() else { return false };
        self.removed.push(original);
        match find(&mut self.value, above) {
            Some(DeValue::Table(table)) => table.remove(last.as_str()).is_some(),
            Some(DeValue::Array(items)) => {
                let (index, before) = (last.parse().unwrap_or(usize::MAX), items.len());
                let mut kept = DeArray::new();
                for (_, item) in items.iter().enumerate().filter(|(number, _)| *number != index) {
                    kept.push(item.clone());
                }
                *items = kept;
                items.len() < before
            }
            _ => false,
        }
    }

    /// Puts the next guess in the place of the latest key that is missing. Returns whether there is one.
    fn guess(&mut self) -> bool {
        let Some((at, times)) = self.guessed.last() else { return false };
        let Some((key, above)) = at.split_last() else { return false };
        let Ok(guesses) = DeTable::parse(GUESSES) else { return false };
        let guesses = guesses.get_ref().get("guesses").and_then(|guesses| guesses.get_ref().as_array());
        let Some(guess) = guesses.and_then(|guesses| guesses.get(*times)) else { return false };
        let (key, guess) = (key.clone(), guess.clone());
        let Some(DeValue::Table(table)) = find(&mut self.value, above) else { return false };
        table.insert(Spanned::new(0..0, key.into()), guess);
        true
    }

    /// Where something stands in the file: under the name that it has there, and behind what was taken out.
    fn original(&self, at: &[String]) -> Vec<String> {
        let mut original: Vec<String> = Vec::with_capacity(at.len());
        for (index, step) in at.iter().enumerate() {
            let renamed = self.renamed.iter().find(|(renamed, _)| renamed == &at[..=index]);
            let step = match (renamed, step.parse::<usize>()) {
                (Some((_, name)), _) => name.clone(),
                (None, Ok(mut number)) => {
                    let mut before: Vec<usize> = self
                        .removed
                        .iter()
                        .filter_map(|removed| removed.strip_prefix(original.as_slice()))
                        .filter_map(|rest| if let [number] = rest { number.parse().ok() } else { None })
                        .collect();
                    before.sort_unstable();
                    for removed in before {
                        number += usize::from(removed <= number);
                    }
                    number.to_string()
                }
                (None, Err(_)) => step.clone(),
            };
            original.push(step);
        }
        original
    }
}

/// What is at a place in a value.
fn find<'v, 'a>(value: &'v mut Spanned<DeValue<'a>>, at: &[String]) -> Option<&'v mut DeValue<'a>> {
    let mut value = value.as_mut();
    for step in at {
        value = match value {
            DeValue::Table(table) => table.get_mut(step.as_str())?.as_mut(),
            DeValue::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?.as_mut(),
            _ => return None,
        };
    }
    Some(value)
}
