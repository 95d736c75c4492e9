//! Names for tools, out of operation ids or out of method and path.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

/// The longest name that a tool may have.
const MAX: usize = 64;

/// The name of a tool: valid, and the same for the same operation each time.
pub(crate) fn of(prefix: &str, operation_id: Option<&str>, method: &str, path: &str) -> String {
    let words = match operation_id.filter(|id| id.chars().any(char::is_alphanumeric)) {
        Some(id) => id.to_owned(),
        None => format!("{}_{path}", method.to_ascii_lowercase()),
    };
    let allowed = |next: &char| next.is_ascii_alphanumeric() || matches!(next, '_' | '.' | '-');
    let mut name: String = prefix.chars().filter(allowed).take(MAX / 2).collect();
    let start = name.len();
    for next in words.chars() {
        if allowed(&next) {
            name.push(next);
        } else if name.len() > start && !name.ends_with('_') {
            name.push('_');
        }
    }
    let mut name = name.trim_end_matches('_').to_owned();
    if !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        name.insert(0, '_');
    }
    if name.len() <= MAX {
        return name;
    }
    shorten(&name, &words)
}

/// A name that is not taken yet.
pub(crate) fn free(name: &str, taken: &HashSet<String>) -> String {
    let mut number = 2_u32;
    loop {
        let end = format!("_{number}");
        let room = name.len().min(MAX - end.len());
        let candidate = format!("{}{end}", &name[..room]);
        if !taken.contains(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

/// The beginning, and eight digits that tell it from others with the same beginning. Names are ASCII here.
fn shorten(name: &str, words: &str) -> String {
    let digest = Sha256::digest(words.as_bytes());
    let digits: String =
        digest.iter().take(4).fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
    format!("{}_{digits}", &name[..MAX - digits.len() - 1])
}

#[cfg(test)]
mod tests {
    use platools::tool::check_name;

    use super::*;

    #[test]
    fn names_are_valid_whatever_the_document_says() {
        for (prefix, id, expected) in [
            ("", Some("listPets"), "listPets"),
            ("gh_", Some("repos/get-content"), "gh_repos_get-content"),
            ("", Some("9lives"), "_9lives"),
            ("", Some("wie geht's?"), "wie_geht_s"),
            ("", Some("日本"), "_"),
            ("", Some(""), "get_pets_petId_toys"),
            ("", None, "get_pets_petId_toys"),
        ] {
            let name = of(prefix, id, "GET", "/pets/{petId}/toys");
            check_name(&name).unwrap();
            assert_eq!(name, expected);
        }
    }

    #[test]
    fn long_names_stay_apart_and_the_same() {
        let [a, b] = ["a", "b"].map(|end| of("p_", Some(&format!("{}{end}", "x".repeat(80))), "GET", "/"));
        assert!(a.len() == MAX && b.len() == MAX && a != b, "{a} {b}");
        check_name(&a).unwrap();
        assert_eq!(free(&a, &HashSet::new()).len(), MAX);
        let taken = ["a_2".to_owned()].into();
        assert_eq!(free("a", &taken), "a_3");
    }
}
