//! A `[[tool.command]]`: from the arguments of a call to a command line.

use platools::ToolError;
use serde_json::Value;

use crate::template::{Placeholder, Template, Values, as_text};

/// How a command line is made.
#[derive(Debug)]
pub(crate) struct CommandTemplate {
    pub(crate) args: Vec<ArgTemplate>,
    /// Whether what the agent gives may begin with a dash.
    pub(crate) allow_dash: bool,
}

/// One argument of the program, or several that are left out together.
#[derive(Debug)]
pub(crate) enum ArgTemplate {
    One(Template),
    Several(Vec<Template>),
}

impl CommandTemplate {
    /// The texts of it.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.args.iter().flat_map(|arg| match arg {
            ArgTemplate::One(template) => std::slice::from_ref(template),
            ArgTemplate::Several(templates) => templates,
        })
    }

    /// The arguments of the program.
    ///
    /// # Errors
    /// `invalid arguments: …` for values that the program would take for something else; `denied: …` when something is
    /// missing of the caller.
    pub(crate) fn fill(&self, values: Values<'_>) -> Result<Vec<String>, ToolError> {
        values.require_caller(self.templates())?;
        let mut line = Vec::new();
        for arg in &self.args {
            match arg {
                ArgTemplate::One(template) => {
                    if let Some(words) = self.words(template, values, &line)? {
                        line.extend(words);
                    }
                }
                ArgTemplate::Several(templates) => {
                    let mut together = Vec::new();
                    let before = line.clone();
                    let is_whole = templates.iter().try_fold(true, |whole, template| {
                        let all_before: Vec<String> = before.iter().chain(&together).cloned().collect();
                        Ok::<_, ToolError>(match self.words(template, values, &all_before)? {
                            Some(words) => {
                                together.extend(words);
                                whole
                            }
                            None => false,
                        })
                    })?;
                    if is_whole {
                        line.extend(together);
                    }
                }
            }
        }
        Ok(line)
    }

    /// What one text becomes; a list that is all of it becomes several words.
    fn words(
        &self,
        template: &Template,
        values: Values<'_>,
        before: &[String],
    ) -> Result<Option<Vec<String>>, ToolError> {
        let words = match template.only_placeholder().map(|only| values.get(only)) {
            Some(None) => return Ok(None),
            Some(Some(value)) => match &*value {
                Value::Array(items) => items.iter().map(|item| as_text(item).into_owned()).collect(),
                value => vec![as_text(value).into_owned()],
            },
            None => match template.fill(values) {
                Some(word) => vec![word],
                None => return Ok(None),
            },
        };
        for word in &words {
            let problem = if word.contains('\0') {
                "may not hold a null character"
            } else if template.begins_with_placeholder() && self.is_option(word, before) {
                "may not begin with a dash: the program would take it for an option"
            } else {
                continue;
            };
            let name = template.placeholders().next().map(Placeholder::quoted).unwrap_or_default();
            return Err(ToolError::invalid_arguments(format!("{name}: {problem}")));
        }
        Ok(Some(words))
    }

    /// Whether the program might take a word for an option. Behind `--` nothing is one.
    fn is_option(&self, word: &str, before: &[String]) -> bool {
        word.starts_with('-') && !self.allow_dash && !before.iter().any(|word| word == "--")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::caller::Caller;

    fn fill(args: &[&[&str]], allow_dash: bool, arguments: &Value) -> Result<Vec<String>, String> {
        let parse = |text: &&str| Template::parse(text).unwrap();
        let args = args.iter().map(|arg| match arg {
            [one] => ArgTemplate::One(parse(one)),
            several => ArgTemplate::Several(several.iter().map(parse).collect()),
        });
        let template = CommandTemplate { args: args.collect(), allow_dash };
        let caller = Caller::nobody();
        let values = Values { arguments: arguments.as_object().unwrap(), caller: &caller };
        template.fill(values).map_err(|error| error.to_string())
    }

    #[test]
    fn every_value_is_one_word_whatever_is_in_it() {
        let arguments = json!({"path": "a b; rm -rf / $(x) `y` \"z\"", "n": 3});
        let line = fill(&[&["-n{n}"], &["{path}"], &["{{}}"]], false, &arguments).unwrap();
        assert_eq!(line, ["-n3", "a b; rm -rf / $(x) `y` \"z\"", "{}"]);
    }

    #[test]
    fn what_is_absent_is_left_out_with_what_belongs_to_it() {
        let args: &[&[&str]] = &[&["--limit", "{limit}"], &["--all"], &["{names}"]];
        assert_eq!(fill(args, false, &json!({})).unwrap(), ["--all"]);
        let line = fill(args, false, &json!({"limit": 3, "names": ["a", "b c"]})).unwrap();
        assert_eq!(line, ["--limit", "3", "--all", "a", "b c"]);
        assert_eq!(fill(&[&["{names}"]], false, &json!({"names": []})).unwrap(), [""; 0]);
    }

    #[test]
    fn an_option_in_disguise_is_refused_where_the_program_would_see_one() {
        let arguments = json!({"path": "--output=/etc/passwd", "list": ["a", "-x"]});
        for args in [&[&["{path}"][..]][..], &[&["{list}"]], &[&["-f", "{path}"]]] {
            let error = fill(args, false, &arguments).unwrap_err();
            assert!(error.contains("may not begin with a dash"), "{error}");
        }
        assert!(fill(&[&["{path}"]], true, &arguments).is_ok());
        assert!(fill(&[&["--"], &["{path}"]], false, &arguments).is_ok());
        assert!(fill(&[&["--file={path}"]], false, &arguments).is_ok());
        let error = fill(&[&["--"], &["{path}"]], false, &json!({"path": "--", "x": 1}));
        assert_eq!(error.unwrap(), ["--", "--"]);
        let early = fill(&[&["{a}"], &["{b}"]], false, &json!({"a": "--", "b": "-x"})).unwrap_err();
        assert!(early.contains("`a`"), "nobody gives the double dash but the file: {early}");
        assert!(fill(&[&["a{x}"]], false, &json!({"x": "\u{0}"})).unwrap_err().contains("null character"));
    }
}
