//! Certificates that are trusted beside the system's, and changed while the sidecar runs.

use std::time::Duration;

use platools_dev::{DevPlatform, DevPlatformOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use serde_json::json;

use crate::sidecar::{Folder, GUARD, Running, entity, outcome};

/// A certificate authority in PEM, and a platform whose certificate for `localhost` it signed.
async fn platform() -> (String, DevPlatform) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let options = DevPlatformOptions::new().host_name("localhost").entity_with_random_secret("orders");
    let platform = options.tls_pem(leaf.pem(), key.serialize_pem()).start().await.unwrap();
    (authority.pem(), platform)
}

#[tokio::test]
async fn other_certificates_are_trusted_from_the_next_look_on() {
    let (authority, platform) = platform().await;
    let (another, _other) = self::platform().await;
    let folder = Folder::new();
    folder.write("platform.pem", &authority);
    folder.write("backend.pem", &another);
    // The platform is a server that speaks HTTPS, too.
    let url = format!("https://localhost:{}", platform.address().port());
    let file = folder.write(
        "platools.toml",
        format!(
            "{}ca_file = \"platform.pem\"\n[backend.b]\nurl = \"{url}\"\nca_file = \"backend.pem\"\nretries = 0\n\
             [[tool.http]]\nname = \"get\"\ndescription = \"d\"\nbackend = \"b\"\nurl = \"/\"\n",
            entity(&platform, "orders")
        ),
    );
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let orders = platform.entity_in("orders", "dev").unwrap();
    let call = async || outcome(orders.calling("get").arguments(json!({})).send().await.unwrap());
    assert!(call().await.unwrap_err().contains("cannot be reached"));
    folder.write("backend.pem", &authority);
    sidecar.signal(Signal::HUP);
    sidecar.says("the file is in use as it is now").await;
    let page = call().await.unwrap();
    assert!(page.as_str().is_some_and(|page| page.contains("<html")), "{page}");

    let first = orders.connection_id();
    folder.write("platform.pem", format!("{authority}{another}"));
    sidecar.signal(Signal::HUP);
    let anew = async {
        while !orders.is_connected() || orders.connection_id() == first {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(GUARD, anew).await.expect("it is connected with the other certificates");
    assert_eq!(sidecar.stop().await, Some(0));
}
