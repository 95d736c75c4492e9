//! Values in a path or a query: whatever they are, they stay where they were put.

pub(super) use platools_openapi::url_text::check_path;
use platools_openapi::url_text::{BadSegment, check_segment, encoded};

/// A value as a piece of one segment of a path. Slashes are encoded; what would climb out of the path once a
/// careless server decodes it is refused.
pub(crate) fn segment(value: &str) -> Result<String, BadSegment> {
    // Said before all else that is wrong with a value.
    if value.chars().any(char::is_control) {
        return Err(BadSegment::Control);
    }
    check_segment(value)?;
    Ok(encoded(value).to_string())
}

/// Adds a parameter to an encoded query.
pub(crate) fn push_parameter(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.extend(encoded(name));
    query.push('=');
    query.extend(encoded(value));
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    #[test]
    fn what_would_leave_its_segment_is_encoded_or_refused() {
        for (value, expected) in [
            ("ord-1042", Ok("ord-1042")),
            ("feature/x", Ok("feature%2Fx")),
            ("%2f", Ok("%252f")),
            ("a@b", Ok("a%40b")),
            ("http://evil.example/?x#y", Ok("http%3A%2F%2Fevil.example%2F%3Fx%23y")),
            ("né", Ok("n%C3%A9")),
            ("...", Ok("...")),
            ("1.2", Ok("1.2")),
            ("a\\b", Ok("a%5Cb")),
            ("..", Err(BadSegment::Dots)),
            (".", Err(BadSegment::Dots)),
            ("../admin", Err(BadSegment::Dots)),
            ("a/../../b", Err(BadSegment::Dots)),
            ("..\\admin", Err(BadSegment::Dots)),
            ("..;/admin", Err(BadSegment::Dots)),
            ("%2e%2e%2fadmin", Err(BadSegment::Dots)),
            ("%252e%252e/admin", Err(BadSegment::Dots)),
            ("", Err(BadSegment::Empty)),
            ("a\r\nb", Err(BadSegment::Control)),
            ("a%0d%0ab", Err(BadSegment::Control)),
            ("a\0", Err(BadSegment::Control)),
        ] {
            assert_eq!(segment(value).as_deref(), expected.as_deref(), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_value_changes_anything_but_its_own_segment(value in ".{0,40}") {
            let Ok(encoded) = segment(&value) else { return Ok(()) };
            let url = Url::parse(&format!("http://127.0.0.1:81/orders/{encoded}/lines?a=1")).unwrap();
            prop_assert_eq!(url.host_str(), Some("127.0.0.1"));
            prop_assert_eq!((url.port(), url.query(), url.fragment()), (Some(81), Some("a=1"), None));
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments, ["orders", encoded.as_str(), "lines"]);
            let decoded = percent_decode_str(&encoded).decode_utf8().unwrap();
            prop_assert_eq!(decoded.as_ref(), value.as_str());
        }

        #[test]
        fn no_value_leaves_its_parameter(name in ".{1,10}", value in ".{0,40}") {
            let mut query = String::new();
            push_parameter(&mut query, &name, &value);
            push_parameter(&mut query, "last", "1");
            let url = Url::parse(&format!("http://127.0.0.1/?{query}")).unwrap();
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(pairs, [(name, value), ("last".to_owned(), "1".to_owned())]);
        }
    }
}
