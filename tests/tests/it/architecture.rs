//! What pages say about the code: ARCHITECTURE.md names functions, types and files, and docs/security.md the tests that
//! show each claim. All of them exist.

use std::collections::HashSet;
use std::path::Path;

/// The links of the page: what is shown, and the path behind it.
fn links(page: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find("[`") {
        rest = &rest[start + 2..];
        let Some((shown, after)) = rest.split_once("`](") else { continue };
        let Some((path, after)) = after.split_once(')') else { continue };
        links.push((shown, path));
        rest = after;
    }
    links
}

/// Whether `code` has `words`, and not only as the beginning of a longer name.
fn has_word(code: &str, words: &str) -> bool {
    let ends = |after: &str| !after.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
    code.split(words).skip(1).any(ends)
}

#[test]
fn every_function_and_type_that_the_page_names_is_where_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let links = links(&page);
    assert!(links.len() > 40, "{}", links.len());
    for (shown, path) in links {
        if root.join(path).is_dir() {
            continue;
        }
        let code = std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        // A file or a folder is shown by its own path.
        let is_path = shown.contains('/') || path.ends_with(&format!("/{shown}"));
        if is_path || path.ends_with(&format!("/{shown}.rs")) {
            continue;
        }
        for name in shown.split("::") {
            let defined = ["fn ", "struct ", "enum ", "trait ", "mod "]
                .iter()
                .any(|keyword| has_word(&code, &format!("{keyword}{name}")));
            let is_file = path.ends_with(&format!("/{name}.rs"));
            // The methods of a type may stand in another file than the type.
            let implemented = has_word(&code, &format!("for {name}"))
                || has_word(&code, &format!("impl {name}"))
                || has_word(&code, &format!("> {name}"));
            assert!(defined || is_file || implemented, "{path} has no `{name}` of `{shown}`");
        }
    }
}

/// Adds the names of the functions below a folder.
fn functions(folder: &Path, names: &mut HashSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = std::fs::read_to_string(&path).unwrap();
            let name = |after: &str| after.split(['(', '<']).next().unwrap_or_default().to_owned();
            names.extend(code.split("fn ").skip(1).map(name));
        }
    }
}

#[test]
fn every_test_that_shows_a_claim_about_security_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut names = HashSet::new();
    for folder in ["platools", "platools-macros", "crates", "examples", "tests"] {
        functions(&root.join(folder), &mut names);
    }
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    // Tests are named in sentences: the last column of a table, and what follows "Shown by".
    let claimed: Vec<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.matches('_').count() >= 3)
        .filter(|name| {
            name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        })
        .collect();
    assert!(claimed.len() > 50, "{}", claimed.len());
    for name in claimed {
        assert!(
            names.contains(name) || name == "timestamp_skew_exceeded",
            "docs/security.md names `{name}`, which is no test"
        );
    }
}
