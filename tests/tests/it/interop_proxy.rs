//! Everything that dials, through a real proxy: tinyproxy, which asks for a name and a password.
//!
//! Loopback never goes through a proxy. So the servers are asked at `0.0.0.0`, which is no loopback address by its
//! text, and leads to this machine all the same.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plato_sdk::TestcaseFilter;
use plato_sdk::testing::FakePlato;
use platools::caller::{Authenticator as _, Credentials, JwtAuthenticator};
use platools::host::{CheckDepth, HostConfig, ProxyConfig};
use platools::session_token::{RemoteMint, SessionClaims, SessionScope, SessionTokens};
use platools::verify::Secret;
use platools::{CallContext, SecretSource};
use platools_dev::{DevPlatform, DevPlatformOptions};
use platos_client::testing::{PlatosDouble, Script};
use platos_client::{NewMessage, PlatosClient};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::interop::server;
use super::support::{Folder, GUARD, Running, answer, builder};
use super::tls::certificates;

/// The host of every server behind the proxy.
const ANY: &str = "0.0.0.0";

const PASSWORD: &str = "s3cretPassw0rd";

struct Tinyproxy {
    folder: Folder,
    address: SocketAddr,
    child: Child,
}

impl Tinyproxy {
    /// `None` when it is not installed.
    async fn start(name: &str) -> Option<Self> {
        let program = server("tinyproxy", "bin")?;
        let folder = Folder::new(name);
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let log = folder.path("log");
        let text = format!(
            "Port {}\nListen 127.0.0.1\nTimeout 60\nLogFile \"{log}\"\nLogLevel Connect\nBasicAuth build {PASSWORD}\n",
            address.port()
        );
        let file = folder.file("tinyproxy.conf", &text);
        let mut command = Command::new(program);
        command.args(["-d", "-c", &file]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                assert!(child.try_wait().unwrap().is_none(), "tinyproxy does not start");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(GUARD, listens).await.expect("tinyproxy listens");
        Some(Self { folder, address, child })
    }

    fn config(&self, password: &str) -> ProxyConfig {
        ProxyConfig::new(&format!("http://build:{password}@{}", self.address)).unwrap()
    }

    /// Whether it was asked for this.
    fn was_asked(&self, request: &str) -> bool {
        std::fs::read_to_string(self.folder.path("log")).unwrap().contains(request)
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An encrypted platform, and the file with its issuer.
async fn platform(folder: &Folder) -> (DevPlatform, String) {
    let (authority, certificate, key) = certificates(ANY);
    let token = Secret::new("plt_ent_0123456789abcdef").unwrap();
    let options = DevPlatformOptions::new().host_name(ANY).tls_pem(certificate, key).api_token(token);
    (options.start().await.unwrap(), folder.file("ca.pem", &authority))
}

#[tokio::test]
async fn a_host_connects_through_it_and_wrong_credentials_are_named() {
    let Some(proxy) = Tinyproxy::start("proxy-host").await else { return };
    let (platform, trusted) = platform(&proxy.folder).await;
    let through = proxy.config(PASSWORD);
    let host = Running::start(builder(&platform).ca_file(&trusted).proxy(through.clone()).build().unwrap());
    platform.wait_for_tool("add").await.unwrap();
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    let connect = format!("CONNECT {ANY}:{} ", platform.address().port());
    assert!(proxy.was_asked(&connect), "{connect}");
    host.handle.shutdown().await;

    let mut config = HostConfig::default();
    config.url = Some(platform.url());
    config.secret = Some(SecretSource::text(platform.secret().expose()));
    config.ca_file = Some(trusted.into());
    config.proxy = Some(through);
    let checks = config.check_connection(CheckDepth::Authenticate).await;
    let found = |what: &str| checks.iter().find(|check| check.what == what).unwrap().found.clone();
    assert_eq!(found("proxy"), Ok(format!("http://{}, with credentials", proxy.address)));
    assert!(found("welcome").is_ok(), "{checks:?}");
    assert!(!format!("{checks:?} {config:?}").contains(PASSWORD));

    config.proxy = Some(proxy.config("Wr0ng"));
    let checks = config.check_connection(CheckDepth::Reach).await;
    let error = checks.last().unwrap().found.clone().unwrap_err();
    let said =
        format!("the proxy http://{} refuses the user name and the password of its URL", proxy.address);
    assert!(error.contains(&said) && !error.contains("Wr0ng"), "{error}");

    config.proxy = Some(ProxyConfig::new(&format!("http://{}", proxy.address)).unwrap());
    let checks = config.check_connection(CheckDepth::Reach).await;
    let error = checks.last().unwrap().found.clone().unwrap_err();
    assert!(error.contains("wants a user name and a password (407)"), "{error}");

    // A port where nobody listens: tinyproxy answers that it cannot connect.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    config.url = Some(format!("wss://{ANY}:{free}/?entity=local"));
    config.proxy = Some(proxy.config(PASSWORD));
    let checks = config.check_connection(CheckDepth::Reach).await;
    let error = checks.last().unwrap().found.clone().unwrap_err();
    assert!(error.contains("does not connect to that host and port (5"), "{error}");
}

#[tokio::test]
async fn tokens_are_minted_and_keys_fetched_through_it() {
    let Some(proxy) = Tinyproxy::start("proxy-tokens").await else { return };
    let (platform, trusted) = platform(&proxy.folder).await;
    let scope = SessionScope::try_from(platform.scope()).unwrap();
    let bearer = || SecretSource::text("plt_ent_0123456789abcdef");
    let mint = RemoteMint::builder(platform.http_url(), bearer(), scope.clone());
    let mint = mint.ca_file(&trusted).proxy(proxy.config(PASSWORD)).build().unwrap();
    SessionTokens::new(mint).mint(SessionClaims::for_user("usr_7")).await.unwrap();
    let connect = format!("CONNECT {ANY}:{} ", platform.address().port());
    assert!(proxy.was_asked(&connect));

    let mint = RemoteMint::builder(platform.http_url(), bearer(), scope);
    let mint = mint.ca_file(&trusted).proxy(proxy.config("Wr0ng")).build().unwrap();
    let error = SessionTokens::new(mint).mint(SessionClaims::for_user("usr_7")).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("or it refuses the user name and the password") && !shown.contains("Wr0ng"),
        "{shown}"
    );

    // Nobody trusts the issuer here, so the keys are not read; they are asked for.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let url = format!("https://{ANY}:{free}/keys");
    let keys = JwtAuthenticator::jwks_url_through(&url, proxy.config(PASSWORD)).unwrap();
    let credentials = Credentials::new().with_user_token("eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AA");
    keys.authenticate(&credentials).await.unwrap_err();
    assert!(proxy.was_asked(&format!("CONNECT {ANY}:{free} ")));
}

#[tokio::test]
async fn clients_of_platos_and_of_plato_go_through_it() {
    let Some(proxy) = Tinyproxy::start("proxy-clients").await else { return };
    let platos = PlatosDouble::start().await.unwrap();
    platos.script(Script::new().token("hello").done());
    let url = platos.url().replace("127.0.0.1", ANY);
    let client = PlatosClient::builder(&url).session_token(platos.session_token()).allow_insecure(true);
    let client = client.proxy(proxy.config(PASSWORD)).build().unwrap();
    client.agents().list().await.unwrap();
    assert!(proxy.was_asked(&format!("GET {url}/")), "requests");
    let text = client.threads().send("thr_1", NewMessage::new("hi").agent("agt_1")).text().await.unwrap();
    assert_eq!(text, "hello");
    assert!(proxy.was_asked(&format!("CONNECT {} ", url.trim_start_matches("http://"))), "streams");

    let plato = FakePlato::start();
    let url = plato.base_url().replace("127.0.0.1", ANY);
    let client = plato.client_builder().base_url(&url).allow_insecure().proxy(proxy.config(PASSWORD));
    client.build().unwrap().testcases(&TestcaseFilter::default()).await.unwrap();
    assert!(proxy.was_asked(&format!("GET {}", url.trim_end_matches('/'))));
}

/// The file names the proxy; the rules of `[egress]` let the address pass that these tests use.
#[tokio::test]
async fn servers_of_a_sidecar_are_asked_through_it() {
    let Some(proxy) = Tinyproxy::start("proxy-sidecar").await else { return };
    let platos = PlatosDouble::start().await.unwrap();
    let url = platos.url().replace("127.0.0.1", ANY);
    proxy.folder.file("proxy", &format!("http://build:{PASSWORD}@{}", proxy.address));
    let text = format!(
        "[proxy]\nurl = \"file:proxy\"\nno_proxy = [\"direct.example\"]\n[egress]\nallow = [\"{ANY}\"]\n\
         [[tool.http]]\nname = \"ask\"\ndescription = \"d\"\nurl = \"{url}/nothing\"\nerror_text = \"all\"\n\
         [[mcp]]\nname = \"m\"\nurl = \"http://{ANY}:9/mcp\"\n"
    );
    let file = proxy.folder.file("platools.toml", &text);
    let report = platools_sidecar::check(file.as_ref()).await.unwrap();
    assert_eq!(report.proxy.as_deref(), Some(&*format!("http://{}, with credentials", proxy.address)));
    let local = platools_sidecar::local(file.as_ref()).await.unwrap();
    let context = CallContext::builder().build();
    let answer = local.host().call("ask", json!({}).try_into().unwrap(), context).await;
    assert!(answer.is_err(), "there is nothing at that path");
    assert!(proxy.was_asked(&format!("GET {url}/nothing ")));
    local.stop().await;
}
