//! The path to platools in the crate that uses the macro.
//!
//! Cargo is asked what the crate's manifest calls it: whatever can be written there, in the workspace or for one
//! target, it reads as it means it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use serde_json::Value;
use syn::Path as SynPath;

/// What the library is called where nothing else is said.
const USUAL: &str = "platools";

/// `given`, or the name under which the calling crate depends on platools.
///
/// Without Cargo, or when platools comes through another crate, it is `::platools`; then rustc's message
/// about an undeclared crate and `crate = …` are the way on.
pub(crate) fn private(given: Option<&SynPath>) -> TokenStream {
    let krate = given.map_or_else(found, ToTokens::to_token_stream);
    quote!(#krate::__private)
}

fn found() -> TokenStream {
    let name = name().unwrap_or_else(|| USUAL.to_owned());
    let name = Ident::new(&name, Span::call_site());
    quote!(::#name)
}

/// The name in the manifest of the crate that is compiled, asked for once: rustc compiles one crate in a process, an
/// editor many, while they are changed.
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

/// What Cargo says about the workspace of a manifest. It reads the manifests, and neither resolves nor fetches anything.
fn ask(cargo: &Path, manifest: &Path) -> Option<Value> {
    let mut command = Command::new(cargo);
    command
        .args(["metadata", "--no-deps", "--offline", "--format-version=1", "--manifest-path"])
        .arg(manifest);
    serde_json::from_slice(&command.output().ok()?.stdout).ok()
}

/// The name in Cargo's answer, if the package of `manifest` depends on platools.
fn name_in(answer: &Value, manifest: &Path) -> Option<String> {
    let packages = answer.get("packages")?.as_array()?;
    let package =
        packages.iter().find(|package| package["manifest_path"].as_str().map(Path::new) == Some(manifest))?;
    let dependencies = package["dependencies"].as_array()?;
    // A dependency of all targets has no kind. One of the build script is not there for the rest.
    let of_kind = |kind: Option<&str>| {
        dependencies
            .iter()
            .find(|dependency| dependency["name"] == USUAL && dependency["kind"].as_str() == kind)
    };
    let dependency = of_kind(None).or_else(|| of_kind(Some("dev")))?;
    Some(dependency["rename"].as_str().unwrap_or(USUAL).replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(dependencies: &Value) -> Option<String> {
        let answer = json!({"packages": [
            {"manifest_path": "/w/other/Cargo.toml", "dependencies": [{"name": "platools", "rename": "wrong", "kind": null}]},
            {"manifest_path": "/w/tools/Cargo.toml", "dependencies": dependencies},
        ]});
        name_in(&answer, Path::new("/w/tools/Cargo.toml"))
    }

    #[test]
    fn the_name_is_the_one_of_the_dependency_that_the_code_sees() {
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
    fn cargo_is_asked() {
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
