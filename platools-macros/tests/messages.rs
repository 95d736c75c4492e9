//! What `#[tool]` and `#[toolset]` say about mistakes, and what rustc says about types that do not fit.
//!
//! One mistake per file in `messages/rejected` and `messages/rustc`; those called `many_…` show several.

/// The release whose wording the cases in `rustc` quote.
const QUOTED_RUSTC: &str = "rustc 1.95.";

/// These messages are the macro's own, the same with every compiler.
#[test]
fn mistakes_are_explained_at_their_tokens() {
    trybuild::TestCases::new().compile_fail("tests/messages/rejected/*.rs");
}

/// These are rustc's, with texts and places of ours, so they are compared with one release only.
#[test]
fn types_that_do_not_fit_are_reported_once_and_at_the_parameter() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = std::process::Command::new(rustc).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout);
    if version.starts_with(QUOTED_RUSTC) {
        trybuild::TestCases::new().compile_fail("tests/messages/rustc/*.rs");
    } else {
        eprintln!("not compared: the messages quote {QUOTED_RUSTC}x, and this is {version}");
    }
}

/// Programs that must compile, under lints and names that generated code could trip over.
#[test]
fn generated_code_keeps_to_itself() {
    trybuild::TestCases::new().pass("tests/messages/accepted/*.rs");
}
