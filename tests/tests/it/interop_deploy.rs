//! What stands in `deploy/`, judged by those who have to take it: hadolint, the Kubernetes API's schemas, systemd.
//!
//! Each of them is shown a spoiled copy, too: a judge that finds nothing anywhere is none.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::interop::python;
use super::support::Folder;

fn deployed(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// The text with one thing in it changed.
fn spoiled(text: &str, right: &str, wrong: &str) -> String {
    assert_eq!(text.matches(right).count(), 1, "{right:?} stands there once");
    text.replace(right, wrong)
}

/// Runs a program over a file; whether it was content, and what it said.
fn judged(program: &Path, arguments: &[&str], file: impl AsRef<Path>) -> (bool, String) {
    let output = Command::new(program).args(arguments).arg(file.as_ref()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A program of the Python set `deploy`.
fn tool(name: &str) -> Option<PathBuf> {
    Some(python("deploy")?.with_file_name(name))
}

#[test]
fn the_dockerfile_has_nothing_for_hadolint_and_builds_with_the_oldest_rust() {
    let (path, text) = deployed("Dockerfile");
    let manifest = std::fs::read_to_string(path.with_file_name("../Cargo.toml")).unwrap();
    let oldest = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    assert!(text.contains(&format!("FROM rust:{}-", oldest.trim_matches('"'))), "not Rust {oldest}");
    for part in ["-p platools-cli --features otlp\n", "\nHEALTHCHECK ", "\"sidecar\", \"health\"]"] {
        assert!(text.contains(part), "{part}");
    }
    let Some(hadolint) = tool("hadolint") else { return };
    let (is_clean, said) = judged(&hadolint, &["--no-color"], path);
    assert!(is_clean, "{said}");
    let folder = Folder::new("deploy-docker");
    let wrong = spoiled(&text, "WORKDIR /src", "WORKDIR src\nRUN cd / && sudo true");
    let (is_clean, said) = judged(&hadolint, &["--no-color"], folder.file("Dockerfile", &wrong));
    assert!(!is_clean && said.contains("DL3000") && said.contains("DL3004"), "{said}");
}

#[test]
fn the_kubernetes_manifest_is_what_the_api_takes() {
    let (path, text) = deployed("kubernetes.yaml");
    // One on /readyz would take the backend out of its service while the platform is away.
    assert!(!text.contains("readinessProbe") && !text.contains("startupProbe"));
    let Some(validate) = tool("kubernetes-validate") else { return };
    // Containers that are sidecars are on by default since 1.29.
    for version in ["1.29", "1.37"] {
        let (is_valid, said) = judged(&validate, &["--strict", "-k", version], &path);
        assert!(
            is_valid && said.contains("deployment/orders") && said.contains("configmap/orders-tools"),
            "{said}"
        );
    }
    let folder = Folder::new("deploy-kubernetes");
    for (right, wrong) in [("livenessProbe", "livenesProbe"), ("containerPort: 8700", "containerPort: admin")]
    {
        let file = folder.file("wrong.yaml", &spoiled(&text, right, wrong));
        let (is_valid, said) = judged(&validate, &["--strict"], file);
        assert!(!is_valid, "{wrong} is taken: {said}");
    }
}

#[tokio::test]
async fn the_file_in_the_kubernetes_manifest_can_be_used() {
    let (_, text) = deployed("kubernetes.yaml");
    let (_, behind) = text.split_once("  platools.toml: |\n").unwrap();
    let (block, _) = behind.split_once("\n---\n").unwrap();
    let lines: Vec<&str> = block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    let folder = Folder::new("deploy-file");
    let secret = folder.file("secret", "0123456789abcdef0123456789abcdef");
    // As the manifest's `defaultMode` has it.
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o440)).unwrap();
    let file =
        folder.file("platools.toml", &spoiled(&lines.join("\n"), "/run/secrets/platos/secret", &secret));
    let report = platools_sidecar::check(Path::new(&file)).await.unwrap();
    assert_eq!(
        (report.entities.join(" "), report.tools[0].name.as_str()),
        ("orders-prod".to_owned(), "lookup_order")
    );
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}

#[test]
fn the_unit_is_one_that_systemd_starts() {
    let (_, text) = deployed("platools-sidecar.service");
    for setting in ["EnvironmentFile=-/etc/platools/environment\n", "SystemCallFilter=@system-service\n"] {
        assert!(text.contains(setting), "{setting}");
    }
    let analyze = Path::new("/usr/bin/systemd-analyze");
    if !analyze.exists() {
        // Written past the capture of a test that passes, or nobody would see it. Nothing installs systemd.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no systemd-analyze, the unit is not verified");
        return;
    }
    // The program need not be installed where this runs.
    let text = text.replace("/usr/local/bin/platools", "/bin/true");
    let folder = Folder::new("deploy-systemd");
    let verified = |text: &str| judged(analyze, &["verify"], folder.file("platools-sidecar.service", text));
    let (is_right, said) = verified(&text);
    assert!(is_right && !said.contains("platools-sidecar.service"), "{said}");
    for (right, wrong) in [
        ("WatchdogSec=90", "WatchdogSeconds=90"),
        ("Type=notify", "Type=notifying"),
        ("ExecReload=/bin/kill", "ExecReload=/no/such/kill"),
    ] {
        let (_, said) = verified(&spoiled(&text, right, wrong));
        assert!(said.contains("platools-sidecar.service"), "{wrong} is taken: {said}");
    }
}
