//! Texts with `{placeholders}`: what stands in them, and what becomes of them in a call.
//!
//! It must not know where a text ends up; whoever puts it into a URL, a header or a command line escapes it.

use std::borrow::Cow;
use std::fmt;

use platools::ToolError;
use platools_net::SecretText;
use serde_json::{Map, Value};

use crate::caller::{Caller, Fact};

/// A text with placeholders. `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A text that is not shown.
    Secret(SecretText),
    Placeholder(Placeholder),
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Secret(_) => f.write_str("[redacted]"),
            Self::Placeholder(placeholder) => placeholder.fmt(f),
        }
    }
}

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// An argument of the call: `{order_id}`.
    Argument(String),
    /// Something about the caller: `{call.user_id}`.
    Caller(Fact),
}

impl Placeholder {
    /// What a message about its value calls it.
    pub(crate) fn quoted(&self) -> String {
        match self {
            Self::Argument(name) => format!("`{name}`"),
            Self::Caller(_) => format!("`{self}`"),
        }
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(name) => write!(f, "{{{name}}}"),
            Self::Caller(fact) => write!(f, "{{call.{}}}", fact.name()),
        }
    }
}

/// What fills placeholders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) arguments: &'a Map<String, Value>,
    pub(crate) caller: &'a Caller,
}

impl<'a> Values<'a> {
    /// Refuses a call whose caller is not known well enough: left out, what a text says about the caller might be the
    /// filter that keeps others' things from them.
    ///
    /// # Errors
    /// `denied: …`, with what is missing.
    pub(crate) fn require_caller<'t>(
        self,
        templates: impl IntoIterator<Item = &'t Template>,
    ) -> Result<(), ToolError> {
        let unknown = templates.into_iter().flat_map(Template::placeholders).find(|placeholder| {
            matches!(placeholder, Placeholder::Caller(fact) if self.caller.fact(*fact).is_none())
        });
        match unknown {
            None => Ok(()),
            Some(unknown) => Err(ToolError::denied(format!(
                "the tool needs `{unknown}`, and that is not known of this caller"
            ))),
        }
    }

    /// The value of a placeholder; `None` when there is none, or it is null.
    pub(crate) fn get(&self, placeholder: &Placeholder) -> Option<Cow<'a, Value>> {
        match placeholder {
            Placeholder::Argument(name) => {
                self.arguments.get(name).filter(|value| !value.is_null()).map(Cow::Borrowed)
            }
            Placeholder::Caller(fact) => self.caller.fact(*fact).map(|text| Cow::Owned(text.into())),
        }
    }
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong with its braces.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            if let Some(after) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
            } else if brace == "}" {
                return Err(
                    "there is a `}` without its `{`; write `}}` where the brace itself is meant".to_owned()
                );
            } else {
                let Some((name, after)) = after.split_once('}') else {
                    return Err("a `{` is not closed; write `{{` where the brace itself is meant".to_owned());
                };
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Placeholder(placeholder(name)?));
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }

    /// A secret as it is, braces and all.
    pub(crate) fn secret(text: SecretText) -> Self {
        Self { pieces: vec![Piece::Secret(text)] }
    }

    /// The secrets in it.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Secret(text) => Some(text.expose()),
            Piece::Text(_) | Piece::Placeholder(_) => None,
        })
    }

    /// Everything it has to be filled with.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(placeholder) => Some(placeholder),
            Piece::Text(_) | Piece::Secret(_) => None,
        })
    }

    /// The text with the same in place of every placeholder.
    pub(crate) fn sample(&self, value: &str) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Secret(_) | Piece::Placeholder(_) => value,
        });
        pieces.collect()
    }

    /// The one placeholder that is all of it.
    pub(crate) fn only_placeholder(&self) -> Option<&Placeholder> {
        match self.pieces.as_slice() {
            [Piece::Placeholder(placeholder)] => Some(placeholder),
            _ => None,
        }
    }

    /// Whether it begins with something that the call gives.
    pub(crate) fn begins_with_placeholder(&self) -> bool {
        matches!(self.pieces.first(), Some(Piece::Placeholder(_)))
    }

    /// The text, each value passed through `escape`; `None` when a value is absent.
    pub(crate) fn render<E>(
        &self,
        values: Values<'_>,
        mut escape: impl FnMut(&Placeholder, &str) -> Result<String, E>,
    ) -> Result<Option<String>, E> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Secret(secret) => text.push_str(secret.expose()),
                Piece::Placeholder(placeholder) => {
                    let Some(value) = values.get(placeholder) else { return Ok(None) };
                    text.push_str(&escape(placeholder, &as_text(&value))?);
                }
            }
        }
        Ok(Some(text))
    }

    /// The text, values as they are; `None` when a value is absent.
    pub(crate) fn fill(&self, values: Values<'_>) -> Option<String> {
        match self.render(values, |_, text| Ok::<_, std::convert::Infallible>(text.to_owned())) {
            Ok(text) => text,
        }
    }
}

/// A value inside a text: a string as it is, anything else as JSON.
pub(crate) fn as_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn placeholder(name: &str) -> Result<Placeholder, String> {
    if let Some(fact) = name.strip_prefix("call.") {
        return Fact::named(fact).map(Placeholder::Caller).ok_or_else(|| {
            let names: Vec<&str> = Fact::NAMED.iter().map(|fact| fact.name()).collect();
            match crate::config::nearest(fact, &names) {
                Some(nearest) => format!("`{{{name}}}` is unknown, did you mean `{{call.{nearest}}}`?"),
                None => format!(
                    "`{{{name}}}` is unknown; of the caller there are {}",
                    crate::config::listed(&names)
                ),
            }
        });
    }
    let allowed = |next: char| next.is_alphanumeric() || matches!(next, '_' | '-');
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(format!(
            "`{{{}}}` is no placeholder: write the name of an argument, such as `{{order_id}}`, or `{{{{` where the \
             brace itself is meant",
            name.chars().take(40).collect::<String>()
        ));
    }
    Ok(Placeholder::Argument(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(text: &str, arguments: &Value) -> Option<String> {
        let caller = Caller::nobody();
        let values = Values { arguments: arguments.as_object().unwrap(), caller: &caller };
        Template::parse(text).unwrap().fill(values)
    }

    #[test]
    fn placeholders_are_filled_and_braces_kept() {
        let arguments = json!({"a": "x", "n": 3, "list": [1, "b"], "nothing": null});
        for (text, expected) in [
            ("plain", Some("plain")),
            ("", Some("")),
            ("{a}-{n}", Some("x-3")),
            ("{{a}} {a}", Some("{a} x")),
            ("{list}", Some("[1,\"b\"]")),
            ("{nothing}", None),
            ("{absent}", None),
        ] {
            assert_eq!(filled(text, &arguments).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_value_with_braces_is_not_filled_again() {
        assert_eq!(filled("{a}", &json!({"a": "{b}", "b": "s3cret"})).as_deref(), Some("{b}"));
    }

    #[test]
    fn a_secret_goes_out_as_it_is_and_is_not_shown() {
        let caller = Caller::nobody();
        let secret = Template::secret("s3cret{a}".to_owned().into());
        let values = Values { arguments: &Map::new(), caller: &caller };
        assert_eq!(secret.fill(values).as_deref(), Some("s3cret{a}"));
        assert!(!format!("{secret:?} {}", secret.sample("x")).contains("s3cret"));
    }

    #[test]
    fn what_is_no_template_is_said() {
        for (text, part) in [
            ("{a", "not closed"),
            ("a}", "without its `{`"),
            ("{}", "no placeholder"),
            ("{a b}", "no placeholder"),
            ("{call.userid}", "did you mean `{call.user_id}`"),
            ("{call.banana}", "there are `user_id`"),
        ] {
            assert!(Template::parse(text).unwrap_err().contains(part), "{text}");
        }
    }
}
