//! The playground: files that are part of the program. They hold no secret: everybody who reaches the port gets them.

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::extract::Path;

/// The page.
const PAGE: &str = include_str!("../../assets/index.html");

/// Lists the files under `assets/` that are served, with their media types.
macro_rules! assets {
    ($($media_type:literal: $($name:literal),+;)+) => {
        const ASSETS: &[(&str, &str, &str)] =
            &[$($(($name, $media_type, include_str!(concat!("../../assets/", $name)))),+),+];
    };
}

assets! {
    "image/svg+xml": "icon.svg";
    "text/css; charset=utf-8":
        "css/base.css",
        "css/call.css",
        "css/door.css",
        "css/layout.css",
        "css/text.css",
        "css/views.css";
    "text/javascript; charset=utf-8":
        "js/answer.js",
        "js/api.js",
        "js/blocks.js",
        "js/clamp.js",
        "js/confirm.js",
        "js/copy-as.js",
        "js/dom.js",
        "js/door.js",
        "js/form/compound.js",
        "js/form/constraints.js",
        "js/form/field.js",
        "js/form/fields.js",
        "js/form/form.js",
        "js/form/schema.js",
        "js/form/simple.js",
        "js/form/texts.js",
        "js/form/variants.js",
        "js/format.js",
        "js/frames.js",
        "js/json.js",
        "js/main.js",
        "js/markdown.js",
        "js/plot.js",
        "js/roving.js",
        "js/signature.js",
        "js/state.js",
        "js/stream.js",
        "js/tabs.js",
        "js/theme.js",
        "js/tree.js",
        "js/views/call.js",
        "js/views/caller.js",
        "js/views/connect.js",
        "js/views/copy-menu.js",
        "js/views/definition.js",
        "js/views/drafts.js",
        "js/views/events.js",
        "js/views/faults.js",
        "js/views/health.js",
        "js/views/help.js",
        "js/views/history.js",
        "js/views/session.js",
        "js/views/tools.js";
}

/// `GET /`
pub(super) async fn page() -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response()
}

/// `GET /assets/{*path}`
pub(super) async fn asset(Path(path): Path<String>) -> Result<Response, ApiError> {
    let Some((_, media_type, text)) = ASSETS.iter().find(|(name, ..)| *name == path) else {
        return Err(ApiError::not_found("no_such_path", format!("the playground has no file `{path}`")));
    };
    // Another version of the platform may stand at this port tomorrow.
    let cached = HeaderValue::from_static("no-cache");
    let media_type = HeaderValue::from_static(media_type);
    Ok(([(CONTENT_TYPE, media_type), (CACHE_CONTROL, cached)], *text).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn files(folder: &Path, below: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                files(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_file_is_served_and_every_reference_leads_to_one() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let mut found = BTreeSet::new();
        files(&folder, "", &mut found);
        assert!(found.remove("index.html"));
        let served: BTreeSet<String> = ASSETS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(served, found);
        for reference in PAGE.split('"').filter_map(|text| text.strip_prefix("/assets/")) {
            assert!(served.contains(reference), "{reference}");
        }
        for (name, _, text) in ASSETS.iter().filter(|(name, ..)| name.starts_with("js/")) {
            for imported in text.lines().filter_map(|line| line.split_once(" from \"")?.1.strip_suffix("\";"))
            {
                let target = folder.join(name).parent().unwrap().join(imported);
                assert!(target.exists(), "{name} imports {imported}");
            }
        }
    }

    #[test]
    fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
        for inline in ["<style", " style=", "<script>", " onclick", " onload", "javascript:"] {
            assert!(!PAGE.contains(inline), "{inline}");
        }
        for (name, _, text) in ASSETS.iter().chain([&("index.html", "", PAGE)]) {
            for (at, _) in text.match_indices("http") {
                let rest = &text[at..];
                let is_address = rest.starts_with("http://") || rest.starts_with("https://");
                assert!(!is_address || rest.starts_with("http://www.w3.org/"), "{name}: {rest:.60}");
            }
        }
    }
}
