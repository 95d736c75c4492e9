//! ARCHITECTURE.md names functions, types and files: all of them exist.

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
                .any(|keyword| code.contains(&format!("{keyword}{name}")));
            let is_file = path.ends_with(&format!("/{name}.rs"));
            // The methods of a type may stand in another file than the type.
            let implemented = code.contains(&format!("for {name}"))
                || code.contains(&format!("impl {name}"))
                || code.contains(&format!("> {name}"));
            assert!(defined || is_file || implemented, "{path} has no `{name}` of `{shown}`");
        }
    }
}
