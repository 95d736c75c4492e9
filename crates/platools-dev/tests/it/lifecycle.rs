//! Starting, stopping, coming back, and TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use platools_dev::{DevError, DevPlatform, Event, Outcome};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::host::{RawHost, Received};

#[tokio::test]
async fn a_platform_stops_with_1001_and_comes_back_on_the_same_port() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let url = platform.url();
    assert_eq!(platform.resume().await, Err(DevError::AlreadyListening));
    tokio::join!(platform.stop(), host.expect_close(1001, "server shutting down"));
    assert!(!platform.is_connected());
    assert!(TcpStream::connect(platform.address()).await.is_err());

    platform.resume().await.unwrap();
    assert_eq!(platform.url(), url);
    let _host = RawHost::connect(&platform).await;
    assert!(platform.tool("add").is_some(), "tools outlive a deploy");
}

#[tokio::test]
async fn a_crash_cuts_and_a_waiting_call_is_settled_after_it() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let (report, ()) = tokio::join!(platform.call("add", json!({})), async {
        let call = host.next_call().await;
        platform.crash().await;
        assert_eq!(host.receive().await, Received::Broken);
        platform.resume().await.unwrap();
        let mut host = RawHost::connect(&platform).await;
        host.answer(&call, json!(1)).await;
        platform.wait_for_counters(|counters| counters.results == 1).await.unwrap();
    });
    assert_eq!(report.unwrap().outcome, Outcome::Result(json!(1)));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_frozen_connection_for_ever() {
    let platform = DevPlatform::start().await.unwrap();
    let mut host = RawHost::connect(&platform).await;
    platform.faults().freeze().unwrap();
    tokio::time::timeout(Duration::from_secs(8), platform.restart()).await.unwrap().unwrap();
    assert_eq!(host.receive().await, Received::Broken);
    RawHost::connect(&platform).await;
}

#[tokio::test]
async fn a_dropped_platform_is_gone() {
    let platform = DevPlatform::start().await.unwrap();
    let address = platform.address();
    let mut events = platform.events();
    let mut host = RawHost::connect(&platform).await;
    drop(platform);
    assert_eq!(host.receive().await, Received::Broken);
    assert!(RawHost::dial(&format!("ws://{address}/ws/sdk"), &[]).await.is_err());
    while let Some(event) = events.next().await {
        assert!(matches!(event, Event::Connected { .. } | Event::Disconnected { .. }), "{event:?}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_clear_error() {
    let platform = DevPlatform::start().await.unwrap();
    let error = DevPlatform::options().address(platform.address()).start().await.unwrap_err();
    let port = platform.address().port();
    for advice in [
        platform.address().to_string(),
        format!("sport = :{port}"),
        format!("lsof -i :{port}"),
        "another port".to_owned(),
    ] {
        assert!(error.to_string().contains(&advice), "{error}");
    }
    // From a block that is set aside for documentation, so it is nobody's.
    let error = DevPlatform::options().address("203.0.113.7:0".parse().unwrap()).start().await.unwrap_err();
    assert!(error.to_string().contains("an address of this machine"), "{error}");
    assert!(!error.to_string().contains("lsof"), "{error}");
    assert!(platform.address().ip().is_loopback());
}

#[tokio::test]
async fn waits_give_up_and_say_for_what() {
    let limit = Duration::from_millis(20);
    let platform = DevPlatform::options().wait_limit(limit).start().await.unwrap();
    let error = platform.wait_for_tool("add").await.unwrap_err().to_string();
    assert!(error.contains("the tool `add` of entity `local` in environment `dev`"), "{error}");
    assert!(platform.wait_connected().await.is_err());
    assert!(platform.wait_for_counters(|counters| counters.calls > 0).await.is_err());
}

#[tokio::test]
async fn a_platform_with_a_certificate_speaks_tls() {
    let mut ca = CertificateParams::new([]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let platform = DevPlatform::options()
        .tls_pem(certificate.pem(), key.serialize_pem())
        .host_name("localhost")
        .start()
        .await
        .unwrap();
    assert!(platform.url().starts_with("wss://localhost:"), "{}", platform.url());

    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream =
        TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], platform.address().port()))).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .unwrap();
    let mut request =
        tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(platform.socket_url())
            .unwrap();
    let bearer = format!("Bearer {}", platform.secret().expose());
    request.headers_mut().insert("authorization", bearer.parse().unwrap());
    let (_socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    platform.wait_connected().await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_none_is_a_clear_error() {
    for (certificate, key) in [("", ""), ("nonsense", "nonsense")] {
        let error = DevPlatform::options().tls_pem(certificate, key).start().await.unwrap_err();
        assert!(matches!(error, DevError::Tls { .. }), "{error}");
    }
}
