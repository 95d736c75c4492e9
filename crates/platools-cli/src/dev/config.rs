//! The file that names entities.

use std::collections::HashSet;
use std::path::Path;

use platools::SecretSource;
use platools::verify::Secret;
use serde::Deserialize;

/// An entity that the platform shall have.
#[derive(Debug, PartialEq)]
pub(super) struct EntityConfig {
    pub(super) name: String,
    /// A random one, if there is none.
    pub(super) secret: Option<Secret>,
}

impl EntityConfig {
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), secret: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    entity: Vec<Entity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entity {
    name: String,
    secret: Option<String>,
}

/// The entities in a file.
pub(super) fn read(path: &Path) -> Result<Vec<EntityConfig>, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the file `{shown}` cannot be read: {error}"))?;
    parse(&text).map_err(|problem| format!("the file `{shown}`: {problem}"))
}

fn parse(text: &str) -> Result<Vec<EntityConfig>, String> {
    let file: File = toml::from_str(text).map_err(|error| problem(text, &error))?;
    if file.entity.is_empty() {
        return Err("names no entity: write `[[entity]]` and `name = \"orders\"`".to_owned());
    }
    let mut names = HashSet::new();
    let mut entities = Vec::new();
    for Entity { name, secret } in file.entity {
        let name = slug(&name).map_err(|problem| format!("the name {name:?} is not one: {problem}"))?;
        if !names.insert(name.clone()) {
            return Err(format!("the entity `{name}` stands there twice"));
        }
        let secret = secret.map(|secret| load(&secret)).transpose();
        entities.push(EntityConfig {
            secret: secret.map_err(|problem| format!("entity `{name}`: {problem}"))?,
            name,
        });
    }
    Ok(entities)
}

/// A name as entities have them, or what is wrong with it.
pub(super) fn slug(name: &str) -> Result<String, String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
        Ok(name.to_owned())
    } else {
        Err("names have 1 to 64 characters of a-z, A-Z, 0-9, `-` and `_`".to_owned())
    }
}

/// Entities with random secrets.
pub(super) fn named(names: &[String]) -> Result<Vec<EntityConfig>, String> {
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(twice) => Err(format!("--entity names `{twice}` twice")),
        None => Ok(names.iter().map(|name| EntityConfig::named(name)).collect()),
    }
}

fn load(reference: &str) -> Result<Secret, String> {
    let source = if let Some(variable) = reference.strip_prefix("env:") {
        SecretSource::environment(variable)
    } else if let Some(path) = reference.strip_prefix("file:") {
        SecretSource::file(path)
    } else {
        SecretSource::text(reference)
    };
    source.load().map_err(|error| error.to_string())
}

/// What is wrong and where. The line itself is not shown: it may hold a secret.
fn problem(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    match error.span() {
        Some(span) => {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
            format!("line {line}, column {column}: {message}")
        }
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_command_line_are_as_strict_as_in_the_file() {
        assert_eq!(slug("Orders_2-b"), Ok("Orders_2-b".to_owned()));
        for name in ["", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(slug(name).unwrap_err().contains("1 to 64 characters"), "{name}");
        }
        assert_eq!(named(&["a".to_owned(), "b".to_owned()]).unwrap().len(), 2);
        assert!(named(&["a".to_owned(), "a".to_owned()]).unwrap_err().contains("`a` twice"));
    }

    #[test]
    fn entities_have_names_and_perhaps_secrets() {
        let entities =
            parse("[[entity]]\nname = \"a\"\n[[entity]]\nname = \"b\"\nsecret = \"s3cret-s3cret-s3cret\"\n")
                .unwrap();
        assert_eq!(entities[0], EntityConfig::named("a"));
        assert!(entities[1].secret.as_ref().unwrap().matches("s3cret-s3cret-s3cret"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_a_secret() {
        for (text, part) in [
            ("", "names no entity"),
            ("[[entity]]\nname = ", "line 2, column 8: "),
            ("[[entity]]\nname = \"a\"\nsecret = 's3cret-s3cret\n", "line 3, column "),
            ("[[entity]]\nnam = \"a\"", "unknown field `nam`"),
            ("[[entity]]\nsecret = \"s3cret-s3cret-s3cret\"", "missing field `name`"),
            ("[[entity]]\nname = \"a b\"", "is not one"),
            ("[[entity]]\nname = \"a\"\n[[entity]]\nname = \"a\"", "`a` stands there twice"),
            (
                "[[entity]]\nname = \"a\"\nsecret = \"s3cret\"",
                "entity `a`: the service secret has 6 characters",
            ),
            ("[[entity]]\nname = \"a\"\nsecret = \"env:NO_SUCH_VARIABLE\"", "`NO_SUCH_VARIABLE` is not set"),
            ("[[entity]]\nname = \"a\"\nsecret = \"file:/no/such\"", "`/no/such` cannot be read"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
            assert!(!problem.contains("s3cret"), "{problem}");
        }
        assert!(read(Path::new("/no/such.toml")).unwrap_err().contains("`/no/such.toml` cannot be read"));
    }
}
