//! Requests and streams over TLS, with a certificate authority of one's own.

use std::path::PathBuf;
use std::sync::Arc;

use platos_client::testing::{PlatosDouble, Script};
use platos_client::{Error, NewThread, PlatosClient, ReconnectPolicy, RetryPolicy, StreamLimits};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::support::hi;

/// A double behind TLS, and the file with the certificate of the authority that vouches for it.
async fn encrypted(platos: &PlatosDouble, name: &str) -> (String, PathBuf) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();

    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let behind = platos.url().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    let path = std::env::temp_dir().join(format!("platos-client-{name}-{}.pem", std::process::id()));
    std::fs::write(&path, authority_certificate.pem()).unwrap();
    (url, path)
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_for_requests_and_streams() {
    let platos = PlatosDouble::start().await.unwrap();
    let (url, ca_file) = encrypted(&platos, "trusted").await;
    let limits = StreamLimits::default().poll_interval(std::time::Duration::from_millis(20));
    let client = PlatosClient::builder(url).session_token(platos.session_token()).stream_limits(limits);
    let client = client.ca_file(&ca_file).build().unwrap();
    std::fs::remove_file(ca_file).unwrap();
    let thread = client.threads().create(NewThread::with_agent("agt_writer")).await.unwrap();
    platos.script(Script::new().token("encrypted").drop_connection().token(" twice").done());
    assert_eq!(client.threads().send(&thread.id, "Hi").text().await.unwrap(), "encrypted twice");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let platos = PlatosDouble::start().await.unwrap();
    let (url, ca_file) = encrypted(&platos, "unknown").await;
    std::fs::remove_file(ca_file).unwrap();
    let builder = PlatosClient::builder(url).session_token("t");
    let client = builder.retry(RetryPolicy::never()).reconnect(ReconnectPolicy::never()).build().unwrap();
    let error = client.agents().list().await.unwrap_err();
    assert!(matches!(error, Error::Network(_)) && error.to_string().contains("certificate"), "{error}");
    let error = client.threads().send("thr_1", hi()).text().await.unwrap_err();
    assert!(matches!(error, Error::Network(_)) && error.to_string().contains("certificate"), "{error}");
    assert!(platos.requests().is_empty());
}
