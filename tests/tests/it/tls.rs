//! `wss://` with a certificate authority of one's own.

use platools::host::HostState;
use platools_dev::DevPlatformOptions;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;

use super::support::{Folder, Running, answer, builder};

/// A certificate authority in PEM, and a certificate with its key that it signed for `host`.
pub(crate) fn certificates(host: &str) -> (String, String, String) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([host.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    (authority.pem(), leaf.pem(), key.serialize_pem())
}

#[tokio::test]
async fn an_encrypted_connection_works_and_an_untrusted_one_does_not() {
    let (authority, certificate, key) = certificates("localhost");
    let folder = Folder::new("tls");
    let trusted = folder.file("ca.pem", &authority);
    let options = DevPlatformOptions::new().host_name("localhost").tls_pem(certificate, key);
    let platform = options.start().await.unwrap();
    assert!(platform.url().starts_with("wss://localhost:"), "{}", platform.url());

    let host = Running::start(builder(&platform).ca_file(&trusted).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    host.handle.shutdown().await;

    let (another, ..) = certificates("localhost");
    let untrusted = folder.file("other.pem", &another);
    let host = Running::start(builder(&platform).ca_file(&untrusted).build().unwrap());
    host.reaches(HostState::BackingOff).await;
    assert_eq!(platform.counters().connected, 1, "nobody else came through");
    host.handle.shutdown().await;
}
