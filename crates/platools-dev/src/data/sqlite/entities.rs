//! Entities and their secrets.

use std::collections::{BTreeMap, BTreeSet};

use platools::verify::Secret;
use rusqlite::{Connection, params};

use super::file::File;
use crate::error::DevError;
use crate::options::DevPlatformOptions;
use crate::random;

/// The kept entities and those of the options, which win and are kept from now on; and the default one: the first
/// that the options name, or else the first that was ever kept.
pub(super) fn merge(
    file: &mut File,
    options: &DevPlatformOptions,
) -> Result<(BTreeMap<String, Secret>, String), DevError> {
    let kept = read(file)?;
    let default = match kept.first() {
        Some((first, _)) if options.entities.is_empty() => first.clone(),
        _ => options.default_entity.clone(),
    };
    let mut secrets: BTreeMap<String, Secret> = kept.into_iter().collect();
    let mut changed = BTreeSet::new();
    let wanted = options.entities.iter().map(|(slug, secret)| (slug, secret.as_ref()));
    // The default one first, since the first of the file is the default one next time.
    let first = (&default, options.entities.get(&default).and_then(Option::as_ref));
    for (slug, secret) in std::iter::once(first).chain(wanted) {
        let secret = match (secret, secrets.get(slug)) {
            (None, Some(_)) => continue,
            (Some(secret), Some(kept)) if secret == kept => continue,
            (Some(secret), _) => secret.clone(),
            (None, None) => random::secret()?,
        };
        secrets.insert(slug.clone(), secret);
        changed.insert(slug.clone());
    }
    let save = |connection: &mut Connection| {
        let transaction = connection.transaction()?;
        for slug in std::iter::once(&default).chain(changed.iter().filter(|slug| **slug != default)) {
            if let (true, Some(secret)) = (changed.contains(slug), secrets.get(slug)) {
                write(&transaction, slug, secret)?;
            }
        }
        transaction.commit()
    };
    save(&mut file.connection).map_err(|error| file.explain(&error))?;
    Ok((secrets, default))
}

/// The kept entities, in the order in which they came.
fn read(file: &File) -> Result<Vec<(String, Secret)>, DevError> {
    let read = || {
        let mut statement = file.connection.prepare("SELECT slug, secret FROM entities ORDER BY position")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<(String, String)>>>()
    };
    let rows = read().map_err(|error| file.explain(&error))?;
    let entities = rows.into_iter().map(|(slug, secret)| {
        let secret = Secret::new(secret)
            .map_err(|_| file.damaged(&format!("the secret of its entity `{slug}` cannot be used")))?;
        Ok((slug, secret))
    });
    entities.collect()
}

/// Keeps the secret of an entity that is there already or comes last.
pub(super) fn write(connection: &Connection, slug: &str, secret: &Secret) -> rusqlite::Result<()> {
    let keep = "INSERT INTO entities (slug, secret) VALUES (?1, ?2) \
                ON CONFLICT (slug) DO UPDATE SET secret = excluded.secret";
    connection.execute(keep, params![slug, secret.expose()]).map(|_| ())
}
