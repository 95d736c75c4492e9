//! Servers with a certificate of an authority of one's own: `ca_file`.

use std::sync::{Arc, Mutex};

use platools_dev::DevPlatform;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::backend::{Backend, json_answer};
use crate::sidecar::{Folder, Running, call, entity, outcome, problems};

/// A server that speaks TLS as `localhost`, and passes on what is in it.
struct Front {
    url: String,
    acceptor: Arc<Mutex<TlsAcceptor>>,
}

impl Front {
    /// One before `url`, and its authority's certificate in PEM.
    async fn before(url: &str) -> (Self, String) {
        let behind = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (acceptor, authority) = certified();
        let acceptor = Arc::new(Mutex::new(acceptor));
        let current = Arc::clone(&acceptor);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behind) = (current.lock().unwrap().clone(), behind.clone());
                tokio::spawn(async move {
                    // Who does not trust it goes away.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut behind = TcpStream::connect(behind).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        (Self { url: format!("https://localhost:{port}"), acceptor }, authority)
    }

    /// Has it show a certificate of another authority from now on.
    fn renew(&self) -> String {
        let (acceptor, authority) = certified();
        *self.acceptor.lock().unwrap() = acceptor;
        authority
    }
}

/// A certificate for `localhost`, and in PEM the one of the authority that signed it.
fn certified() -> (TlsAcceptor, String) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = builder.with_no_client_auth().with_single_cert(vec![leaf.into()], key.into()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

const DOCUMENT: &str = r#"{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/there": {"get":
    {"operationId": "there", "summary": "Say where"}}}}"#;

/// A backend that has a document, too.
async fn backend() -> Backend {
    Backend::start(|came| {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        Some(json_answer(200, &if came.target == "/openapi.json" { document } else { came.echo() }))
    })
    .await
}

#[tokio::test]
async fn tools_backends_and_documents_are_reached_with_the_authority_that_the_file_names() {
    let (front, authority) = Front::before(&backend().await.url).await;
    let folder = Folder::new();
    let trusted = folder.write("ca.pem", &authority).display().to_string();
    let url = &front.url;
    let text = format!(
        "[backend.b]\nurl = \"{url}\"\nca_file = \"{trusted}\"\n\
         [[tool.http]]\nname = \"own\"\nurl = \"{url}/own\"\nca_file = \"{trusted}\"\n\
         [[tool.http]]\nname = \"shared\"\nbackend = \"b\"\nurl = \"/shared\"\n\
         [[tool.http]]\nname = \"without\"\nurl = \"{url}/without\"\nretries = 0\n\
         [[openapi]]\nname = \"o\"\nbackend = \"b\"\ndocument = \"{url}/openapi.json\"\nca_file = \"{trusted}\"\n"
    );
    let local = platools_sidecar::local(&folder.write("platools.toml", text)).await.unwrap();
    local.ready().await;
    let host = local.host();
    for tool in ["own", "shared", "there"] {
        assert_eq!(call(host, tool, json!({})).await.unwrap()["target"], format!("/{tool}"));
    }
    let error = call(host, "without", json!({})).await.unwrap_err();
    assert!(error.contains("the backend cannot be reached"), "{error}");
    let untrusted = format!(
        "[backend.b]\nurl = \"{url}\"\n[[openapi]]\nname = \"o\"\nbackend = \"b\"\ndocument = \"{url}/openapi.json\"\n"
    );
    let found = problems(&untrusted).await;
    assert!(found[0].starts_with("line 6: ") && found[0].contains("is not trusted"), "{found:?}");
    assert!(found[0].contains("give the issuer's certificate with `ca_file`"), "{found:?}");
}

#[tokio::test]
async fn an_mcp_server_is_reached_with_it_and_a_renewed_authority_is_taken_over_by_a_reload() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let (_host, url) = crate::mcp::server(&["who"]).await;
    let (mcp, mcp_authority) = Front::before(&url).await;
    let (backend, authority) = Front::before(&backend().await.url).await;
    let folder = Folder::new();
    folder.write("token", crate::mcp::TOKEN);
    folder.write("ca.pem", &authority);
    let text = format!(
        "{}[[mcp]]\nname = \"m\"\nurl = \"{}/mcp\"\nbearer = \"file:token\"\nca_file = \"mcp.pem\"\nprefix = \"m_\"\n\
         [[tool.http]]\nname = \"t\"\ndescription = \"d\"\nurl = \"{}/t\"\nca_file = \"ca.pem\"\nretries = 0\n\
         [sidecar]\nwatch = false\n",
        entity(&platform, "orders"),
        mcp.url,
        backend.url
    );
    // Another authority than the server's.
    folder.write("mcp.pem", &authority);
    let sidecar = Running::start(&folder.write("platools.toml", text), &folder, &[]);
    sidecar.says("the MCP server is down").await;
    assert!(sidecar.log().contains("the issuer of its certificate is not trusted"), "{}", sidecar.log());
    folder.write("mcp.pem", &mcp_authority);
    sidecar.signal(Signal::HUP);
    let entity = platform.entity_in("orders", "dev").unwrap();
    tokio::time::timeout(crate::sidecar::GUARD, platform.wait_for_tool("m_who")).await.unwrap().unwrap();
    let call = async |tool: &str| outcome(entity.calling(tool).arguments(json!({})).send().await.unwrap());
    assert_eq!(call("m_who").await.unwrap(), json!("who"));

    assert_eq!(call("t").await.unwrap()["target"], "/t");
    let renewed = backend.renew();
    // What was connected before stays connected; a reload that brings other certificates connects anew.
    folder.write("ca.pem", &renewed);
    let reloads = sidecar.log().matches("the file is in use as it is now").count();
    sidecar.signal(Signal::HUP);
    sidecar.says_times("the file is in use as it is now", reloads + 1).await;
    assert_eq!(call("t").await.unwrap()["target"], "/t");
    folder.write("ca.pem", &mcp_authority);
    sidecar.signal(Signal::HUP);
    sidecar.says_times("the file is in use as it is now", reloads + 2).await;
    let error = call("t").await.unwrap_err();
    assert!(error.contains("cannot be reached"), "{error}");
    sidecar.says("no answer of a backend").await;
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn files_that_are_no_certificates_and_places_where_they_say_nothing_are_found() {
    let folder = Folder::new();
    let key = folder.write("key.pem", KeyPair::generate().unwrap().serialize_pem()).display().to_string();
    let text = folder.write("text.pem", "hello").display().to_string();
    let torn = "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
    let torn = folder.write("torn.pem", torn).display().to_string();
    let sections = [
        "[[tool.http]]\nname = \"t\"\nurl = \"https://h.example/\"\n",
        "[[mcp]]\nname = \"m\"\nurl = \"https://h.example/mcp\"\n",
        "[[openapi]]\nname = \"o\"\nbackend = \"b\"\ndocument = \"https://h.example/o.json\"\n",
    ];
    for section in sections {
        for (file, part) in [
            ("/no/such.pem", "`/no/such.pem` cannot be read"),
            (&key, "holds no certificate (a PEM block `BEGIN CERTIFICATE`)"),
            (&text, "holds no certificate"),
            (&torn, "is not PEM"),
        ] {
            let found = problems(&format!("{section}ca_file = \"{file}\"\n")).await;
            let line = format!("line {}: `ca_file` of ", section.lines().count() + 1);
            let fits = |problem: &String| problem.starts_with(&line) && problem.contains(part);
            assert!(found.iter().any(fits), "{line}{part:?} in {found:?}");
        }
    }
    for (text, part) in [
        (
            "[backend.b]\nurl = \"http://h\"\n[[tool.http]]\nname = \"t\"\nbackend = \"b\"\nurl = \"/x\"\nca_file = \"x\"\n",
            "write it under `[backend.b]`",
        ),
        ("[[mcp]]\nname = \"m\"\ncommand = \"true\"\nca_file = \"x\"\n", "this is for a `url`"),
        (
            "[backend.b]\nurl = \"http://h\"\n[[openapi]]\nname = \"o\"\nbackend = \"b\"\ndocument = \"x.json\"\nca_file = \"x\"\n",
            "the document is a file",
        ),
    ] {
        let found = problems(text).await;
        assert!(found.iter().any(|problem| problem.contains(part)), "{part:?} in {found:?}");
    }
}
