//! Finds the path to platools in the crate that uses the macro.
//!
//! The name comes from `cargo metadata`, which resolves workspace inheritance, renames and target-specific
//! dependencies.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Path as SynPath;
use tinyjson::JsonValue;

/// Name of the library's package, and of its dependency unless it is renamed.
const PACKAGE: &str = "platools";

/// Returns the path to `platools::__private`: below `given`, or below the name of the dependency on platools.
///
/// Falls back to `::platools` without Cargo, or if platools is not a direct dependency. If that name does not
/// resolve, rustc reports an undeclared crate, and the user writes `crate = …`.
pub(crate) fn private(given: Option<&SynPath>) -> TokenStream {
    let krate = given.map_or_else(found, ToTokens::to_token_stream);
    quote!(#krate::__private)
}

fn found() -> TokenStream {
    let name = name().unwrap_or_else(|| PACKAGE.to_owned());
    let name = Ident::new(&name, Span::call_site());
    quote!(::#name)
}

/// Returns the dependency's name in the manifest of the crate being compiled. Cached per manifest and modification
/// time: rustc compiles one crate per process, but an editor's macro server expands many while they are edited.
fn name() -> Option<String> {
    type Names = HashMap<PathBuf, (Option<SystemTime>, Option<String>)>;
    static NAMES: Mutex<Option<Names>> = Mutex::new(None);

    let (cargo, manifest) = (std::env::var_os("CARGO")?, std::env::var_os("CARGO_MANIFEST_PATH")?);
    let manifest = PathBuf::from(manifest);
    let changed = manifest.metadata().and_then(|file| file.modified()).ok();
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    match names.get(&manifest) {
        Some((seen, name)) if *seen == changed => name.clone(),
        _ => {
            let name = ask(Path::new(&cargo), &manifest).and_then(|answer| name_in(&answer, &manifest));
            names.insert(manifest, (changed, name.clone()));
            name
        }
    }
}

/// Runs `cargo metadata --no-deps` for a manifest, which resolves and downloads nothing.
fn ask(cargo: &Path, manifest: &Path) -> Option<JsonValue> {
    let mut command = Command::new(cargo);
    command
        .args(["metadata", "--no-deps", "--offline", "--format-version=1", "--manifest-path"])
        .arg(manifest);
    String::from_utf8(command.output().ok()?.stdout).ok()?.parse().ok()
}

/// Returns the dependency's name from Cargo's output, if the package of `manifest` depends on platools.
fn name_in(answer: &JsonValue, manifest: &Path) -> Option<String> {
    let package = list(answer, "packages")?
        .iter()
        .find(|package| text(package, "manifest_path").map(Path::new) == Some(manifest))?;
    let dependencies = list(package, "dependencies")?;
    // The kind of a normal dependency is null. Build dependencies are not visible to the crate itself.
    let of_kind = |kind: Option<&str>| {
        dependencies
            .iter()
            .find(|dependency| text(dependency, "name") == Some(PACKAGE) && text(dependency, "kind") == kind)
    };
    let dependency = of_kind(None).or_else(|| of_kind(Some("dev")))?;
    Some(text(dependency, "rename").unwrap_or(PACKAGE).replace('-', "_"))
}

fn member<'a>(object: &'a JsonValue, name: &str) -> Option<&'a JsonValue> {
    object.get::<HashMap<String, JsonValue>>()?.get(name)
}

fn list<'a>(object: &'a JsonValue, name: &str) -> Option<&'a Vec<JsonValue>> {
    member(object, name)?.get()
}

fn text<'a>(object: &'a JsonValue, name: &str) -> Option<&'a str> {
    member(object, name)?.get::<String>().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn named(dependencies: &Value) -> Option<String> {
        let answer = json!({"packages": [
            {"manifest_path": "/w/other/Cargo.toml", "dependencies": [{"name": "platools", "rename": "wrong", "kind": null}]},
            {"manifest_path": "/w/tools/Cargo.toml", "dependencies": dependencies},
        ]});
        name_in(&answer.to_string().parse().unwrap(), Path::new("/w/tools/Cargo.toml"))
    }

    #[test]
    fn a_normal_dependency_precedes_a_dev_dependency_and_build_dependencies_are_ignored() {
        let platools =
            |rename: Value, kind: Value| json!({"name": "platools", "rename": rename, "kind": kind});
        let (usual, none) = (Value::Null, Value::Null);
        assert_eq!(named(&json!([platools(usual.clone(), none.clone())])).as_deref(), Some("platools"));
        assert_eq!(named(&json!([platools("my-agents".into(), none.clone())])).as_deref(), Some("my_agents"));
        let dev = platools("agents".into(), "dev".into());
        assert_eq!(named(&json!([dev])).as_deref(), Some("agents"));
        assert_eq!(named(&json!([dev, platools(usual, none)])).as_deref(), Some("platools"));
        assert_eq!(named(&json!([platools("agents".into(), "build".into())])), None);
        assert_eq!(named(&json!([{"name": "serde", "rename": null, "kind": null}])), None);
    }

    #[test]
    fn the_name_comes_from_cargo_metadata() {
        let cargo = std::env::var_os("CARGO").expect("these tests are run by Cargo");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let named = |manifest: &Path| name_in(&ask(Path::new(&cargo), manifest)?, manifest);
        let renamed = folder.join("tests/fixtures/renamed/Cargo.toml");
        assert_eq!(named(&renamed).as_deref(), Some("agents"));
        assert_eq!(named(&folder.join("examples/Cargo.toml")).as_deref(), Some("platools"));
        assert_eq!(named(&folder.join("nowhere/Cargo.toml")), None);
        assert_eq!(ask(Path::new("/nowhere/cargo"), &renamed), None);
    }
}
