//! Which operations of a document become tools.

use std::borrow::Cow;

use crate::place::Place;
use crate::report::{OpenApiError, Warnings};

/// How many operations are taken unless [`Selection::max_tools`] says otherwise.
const MAX_TOOLS: usize = 2_000;

/// How many bytes operations may have unless [`Selection::max_bytes`] says otherwise.
const MAX_BYTES: usize = 10 << 20;

/// Which operations become tools. Of tags, ids and paths, an operation needs to fit any one; where nothing is said,
/// all do.
///
/// ```
/// use platools_openapi::Selection;
///
/// let mut selection = Selection::default();
/// selection.paths = vec!["/repos/{owner}/{repo}/issues/**".to_owned()];
/// selection.read_only = true;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// Operations with any of these tags.
    pub tags: Vec<String>,
    /// Operations with any of these ids.
    pub operations: Vec<String>,
    /// Operations whose path template fits any of these patterns. `*` stands for anything within a segment, `**` for
    /// any segments; a method may stand before it: `GET /pets/*`.
    pub paths: Vec<String>,
    /// Whether only operations that change nothing are taken.
    pub read_only: bool,
    /// Whether deprecated operations are left out.
    pub skip_deprecated: bool,
    /// The prefix of the tools' names.
    pub prefix: String,
    /// The most operations that are taken; a document with more is an error. 2 000 by default.
    pub max_tools: usize,
    /// The most bytes that the schemas and texts of all operations have together, as JSON; a document with more is an
    /// error. 10 MiB by default, which is also the most that a platform takes.
    pub max_bytes: usize,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            operations: Vec::new(),
            paths: Vec::new(),
            read_only: false,
            skip_deprecated: false,
            prefix: String::new(),
            max_tools: MAX_TOOLS,
            max_bytes: MAX_BYTES,
        }
    }
}

/// An operation that may be selected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) id: Option<&'a str>,
    pub(crate) tags: &'a [String],
}

/// A selection, and which of its words fitted something.
pub(crate) struct Selector<'s> {
    selection: &'s Selection,
    tags: Vec<bool>,
    operations: Vec<bool>,
    paths: Vec<bool>,
}

impl<'s> Selector<'s> {
    /// # Errors
    /// When a pattern fits nothing in any document.
    pub(crate) fn new(selection: &'s Selection) -> Result<Self, OpenApiError> {
        for pattern in &selection.paths {
            if !split(pattern).1.starts_with('/') && !split(pattern).1.starts_with('*') {
                let text = format!(
                    "the path pattern `{pattern}` does not begin with `/`: write something like /pets/*"
                );
                return Err(OpenApiError::new(&Place::ROOT, text));
            }
        }
        Ok(Self {
            selection,
            tags: vec![false; selection.tags.len()],
            operations: vec![false; selection.operations.len()],
            paths: vec![false; selection.paths.len()],
        })
    }

    pub(crate) fn takes(&mut self, candidate: Candidate<'_>) -> bool {
        let selection = self.selection;
        let mut is_taken =
            selection.tags.is_empty() && selection.operations.is_empty() && selection.paths.is_empty();
        for (tag, fitted) in selection.tags.iter().zip(&mut self.tags) {
            let fits = candidate.tags.contains(tag);
            (*fitted, is_taken) = (*fitted | fits, is_taken | fits);
        }
        for (id, fitted) in selection.operations.iter().zip(&mut self.operations) {
            let fits = candidate.id == Some(id);
            (*fitted, is_taken) = (*fitted | fits, is_taken | fits);
        }
        for (pattern, fitted) in selection.paths.iter().zip(&mut self.paths) {
            let (method, pattern) = split(pattern);
            let method_fits = method.is_none_or(|method| method.eq_ignore_ascii_case(candidate.method));
            let fits = method_fits && path_fits(pattern, candidate.path);
            (*fitted, is_taken) = (*fitted | fits, is_taken | fits);
        }
        is_taken
    }

    /// Says which words fitted nothing, and what there is instead.
    pub(crate) fn report(&self, tags: &[String], ids: &[String], warnings: &Warnings) {
        let unfitted = |words: &'s [String], fitted: &[bool]| -> Vec<&'s String> {
            words.iter().zip(fitted).filter(|(_, fitted)| !**fitted).map(|(word, _)| word).collect()
        };
        let add = |text: String| warnings.add(&Place::ROOT, text);
        for tag in unfitted(&self.selection.tags, &self.tags) {
            add(format!("no operation has the tag `{tag}`{}", instead(tag, tags)));
        }
        for id in unfitted(&self.selection.operations, &self.operations) {
            add(format!("no operation has the id `{id}`{}", instead(id, ids)));
        }
        for pattern in unfitted(&self.selection.paths, &self.paths) {
            add(format!("no operation has a path that fits `{pattern}`"));
        }
    }
}

fn instead(word: &str, known: &[String]) -> Cow<'static, str> {
    let nearest = known.iter().map(|known| (strsim::jaro_winkler(word, known), known));
    let nearest = nearest.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, known)) => format!(", did you mean `{known}`?").into(),
        None if known.is_empty() => "".into(),
        None => {
            let listed: Vec<_> = known.iter().take(10).map(|known| format!("`{known}`")).collect();
            let more = if known.len() > 10 { ", …" } else { "" };
            format!("; there are {}{more}", listed.join(", ")).into()
        }
    }
}

/// The method and the path of a pattern.
fn split(pattern: &str) -> (Option<&str>, &str) {
    match pattern.trim().split_once(' ') {
        Some((method, path)) => (Some(method), path.trim_start()),
        None => (None, pattern.trim()),
    }
}

fn path_fits(pattern: &str, path: &str) -> bool {
    let pattern: Vec<_> = pattern.trim_matches('/').split('/').collect();
    let path: Vec<_> = path.trim_matches('/').split('/').collect();
    // Which prefixes of the path fit the pattern so far.
    let mut fits = vec![false; path.len() + 1];
    fits[0] = true;
    for piece in pattern {
        let mut next = vec![false; path.len() + 1];
        if piece == "**" {
            let mut reached = false;
            for (index, fits) in fits.iter().enumerate() {
                reached |= fits;
                next[index] = reached;
            }
        } else {
            for (index, segment) in path.iter().enumerate() {
                next[index + 1] = fits[index] && segment_fits(piece, segment);
            }
        }
        fits = next;
    }
    fits[path.len()]
}

fn segment_fits(piece: &str, segment: &str) -> bool {
    let mut parts = piece.split('*');
    let Some(mut rest) = segment.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_segments_and_paths() {
        for (pattern, path, fits) in [
            ("/pets", "/pets", true),
            ("/pets", "/pets/{id}", false),
            ("/pets/*", "/pets/{id}", true),
            ("/pets/*", "/pets", false),
            ("/pets/**", "/pets", true),
            ("/pets/**", "/pets/{id}/toys", true),
            ("/**/toys", "/pets/{id}/toys", true),
            ("/**/toys", "/toys", true),
            ("**", "/anything/at/all", true),
            ("/p*s", "/pets", true),
            ("/p*s*t", "/pets", false),
            ("/*e*", "/pets", true),
            ("/{id}", "/{id}", true),
        ] {
            assert_eq!(path_fits(pattern, path), fits, "{pattern} {path}");
        }
    }

    #[test]
    fn any_of_the_words_is_enough_and_those_that_fit_nothing_are_said() {
        let selection = Selection {
            tags: vec!["pet".to_owned(), "stor".to_owned()],
            operations: vec!["getUser".to_owned(), "nothing".to_owned()],
            paths: vec!["POST /a/*".to_owned()],
            ..Selection::default()
        };
        let mut selector = Selector::new(&selection).unwrap();
        let tags = ["pet".to_owned()];
        let candidate = Candidate { method: "GET", path: "/a/b", id: None, tags: &tags };
        assert!(selector.takes(candidate));
        assert!(selector.takes(Candidate { tags: &[], id: Some("getUser"), ..candidate }));
        assert!(!selector.takes(Candidate { tags: &[], ..candidate }));
        let warnings = Warnings::default();
        selector.report(&["pet".to_owned(), "store".to_owned()], &["getUser".to_owned()], &warnings);
        let texts: Vec<_> = warnings.into_list().into_iter().map(|warning| warning.text).collect();
        assert_eq!(
            texts,
            [
                "no operation has the tag `stor`, did you mean `store`?",
                "no operation has the id `nothing`; there are `getUser`",
                "no operation has a path that fits `POST /a/*`",
            ]
        );
        assert!(
            Selector::new(&Selection { paths: vec!["pets".to_owned()], ..Selection::default() }).is_err()
        );
    }
}
