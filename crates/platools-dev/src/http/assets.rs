//! The files of the playground, which are part of the program. They hold no secret: everybody who reaches the port gets
//! them.

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

use super::error::ApiError;
use super::extract::Path;

#[derive(Embed)]
#[folder = "assets"]
struct Assets;

/// The name of the page.
const PAGE: &str = "index.html";

/// `GET /`
pub(super) async fn page() -> Result<Response, ApiError> {
    file(PAGE)
}

/// `GET /assets/{*path}`
pub(super) async fn asset(Path(path): Path<String>) -> Result<Response, ApiError> {
    if path == PAGE {
        return Err(missing(&path));
    }
    // Another version of the platform may listen on this port tomorrow.
    let cached = HeaderValue::from_static("no-cache");
    Ok(([(CACHE_CONTROL, cached)], file(&path)?).into_response())
}

fn file(path: &str) -> Result<Response, ApiError> {
    let EmbeddedFile { data, .. } = Assets::get(path).ok_or_else(|| missing(path))?;
    let media_type = HeaderValue::from_static(media_type(path));
    Ok(([(CONTENT_TYPE, media_type)], data).into_response())
}

fn missing(path: &str) -> ApiError {
    ApiError::not_found("no_such_path", format!("the playground has no file `{path}`"))
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> impl Iterator<Item = (String, String)> {
        Assets::iter().map(|name| {
            let text = String::from_utf8(Assets::get(&name).unwrap().data.into_owned()).unwrap();
            (name.into_owned(), text)
        })
    }

    #[test]
    fn every_reference_leads_to_a_file_with_a_media_type() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        assert!(files().count() > 50);
        for (name, text) in files() {
            assert_ne!(media_type(&name), "application/octet-stream", "{name}");
            for reference in text.split('"').filter_map(|text| text.strip_prefix("/assets/")) {
                assert!(Assets::get(reference).is_some(), "{name}: {reference}");
            }
            for imported in text.lines().filter_map(|line| line.split_once(" from \"")?.1.strip_suffix("\";"))
            {
                let target = folder.join(&name).parent().unwrap().join(imported);
                assert!(target.exists(), "{name} imports {imported}");
            }
        }
    }

    #[test]
    fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
        let (_, page) = files().find(|(name, _)| name == PAGE).unwrap();
        for inline in ["<style", " style=", "<script>", " onclick", " onload", "javascript:"] {
            assert!(!page.contains(inline), "{inline}");
        }
        for (name, text) in files() {
            for (at, _) in text.match_indices("http") {
                let rest = &text[at..];
                let is_address = rest.starts_with("http://") || rest.starts_with("https://");
                assert!(!is_address || rest.starts_with("http://www.w3.org/"), "{name}: {rest:.60}");
            }
        }
    }
}
