//! nginx as the backend: what a real HTTP server does between the sidecar and an application.
//!
//! Each of them runs in a folder and on a port of its own, with a configuration that is written here; it is never a
//! service of the machine.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use platools_dev::{ConnectedEntity, DevPlatform};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::backend::{Backend, client};
use crate::identity::verifies;
use crate::sidecar::{Folder, GUARD, Running, entity, outcome};

const KEY: &str = "a-key-of-the-sidecar-alone";

/// Where it keeps what is on its way; the places that it was built with are the machine's.
const TEMPORARY: &str = "client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
                         uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n";

/// What the application answers; long enough for nginx to find it worth packing.
fn order(id: &str) -> Value {
    json!({"id": id, "note": "x".repeat(4_000)})
}

/// The program: the one that `tests/interop/install nginx` has fetched, or the machine's.
fn program() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let fetched = root.join("target/interop/nginx/usr/sbin/nginx");
    let places = [fetched, "/usr/sbin/nginx".into(), "/usr/local/sbin/nginx".into(), "/usr/bin/nginx".into()];
    let found = places.into_iter().find(|place| place.exists());
    if found.is_none() {
        let hint = "there is no nginx: run tests/interop/install nginx";
        assert!(std::env::var_os("PLATOOLS_INTEROP").is_none_or(|value| value != "required"), "{hint}");
        // Written past the capture of a test that passes, or nobody would see it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {hint}");
    }
    found
}

/// One nginx, with the processes that it starts.
struct Nginx {
    program: PathBuf,
    folder: Folder,
    address: String,
    child: Child,
}

impl Nginx {
    /// One whose server has these directives, `{address}` being its own.
    async fn start(program: &Path, directives: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        let folder = Folder::new();
        let directives = directives.replace("{address}", &free);
        folder.write(
            "nginx.conf",
            format!(
                "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr warn;\nevents {{}}\nhttp {{\n\
                 {TEMPORARY}access_log off;\nserver {{\nlisten {free};\n{directives}\n}}\n}}\n"
            ),
        );
        let child = Self::spawn(program, &folder);
        let mut this = Self { program: program.to_owned(), folder, address: free, child };
        this.is_there().await;
        this
    }

    fn spawn(program: &Path, folder: &Folder) -> Child {
        let log = std::fs::File::create(folder.path("error.log")).unwrap();
        let home = folder.path("");
        let mut command = Command::new(program);
        // Relative paths of the configuration are in the prefix; before it is read, the log is here.
        command.arg("-p").arg(&home).arg("-c").arg(folder.path("nginx.conf")).args(["-e", "stderr"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0).spawn().unwrap()
    }

    async fn is_there(&mut self) {
        let answers = async {
            while TcpStream::connect(&self.address).await.is_err() {
                let ended = self.child.try_wait().unwrap();
                let log = || std::fs::read_to_string(self.folder.path("error.log")).unwrap();
                assert!(ended.is_none(), "nginx does not start: {}", log());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(GUARD, answers).await.expect("nginx listens");
    }

    /// Ends it with all its processes, without a word.
    fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(i32::try_from(self.child.id()).unwrap()) {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// Starts it again, where it was.
    async fn restart(&mut self) {
        self.child = Self::spawn(&self.program, &self.folder);
        self.is_there().await;
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there are, apart from the one that asks.
    async fn connections(&self) -> usize {
        let text = client().get(format!("{}/status", self.url())).send().await.unwrap().text().await.unwrap();
        let active = text.lines().next().and_then(|line| line.strip_prefix("Active connections: "));
        active.unwrap().trim().parse::<usize>().unwrap() - 1
    }
}

impl Drop for Nginx {
    /// In order, so that its first process collects the others.
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let _ = self.child.wait();
    }
}

/// The application: another nginx, which answers by itself.
async fn application(program: &Path) -> Nginx {
    let answer = order("$1").to_string();
    Nginx::start(
        program,
        &format!(
            "default_type application/json;\nlocation ~ ^/orders/([a-z0-9-]+)$ {{ return 200 '{answer}'; }}\n"
        ),
    )
    .await
}

/// The server that stands before an application, and before one that says what came to it.
async fn front(program: &Path, application: &str, echo: &str) -> Nginx {
    let document = json!({
        "openapi": "3.1.0", "info": {"title": "Orders", "version": "1"},
        "paths": {
            "/orders/{id}": {"get": {"operationId": "getOrder", "summary": "Look up an order",
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]}},
            "/echo": {"post": {"operationId": "echo", "summary": "Say what came",
                "requestBody": {"required": true, "content": {"application/json": {"schema": {
                    "type": "object", "properties": {"text": {"type": "string"}}}}}}}},
        },
    });
    let front = Nginx::start(
        program,
        &format!(
            "gzip on;\ngzip_types application/json;\ngzip_proxied any;\nkeepalive_timeout 100ms;\n\
             client_max_body_size 64k;\n\
             location = /status {{ stub_status; }}\n\
             location = /openapi.json {{ default_type application/json; alias openapi.json; }}\n\
             location = /orders/moved {{ return 301 /orders/new; }}\n\
             location = /orders/away {{ return 302 http://169.254.169.254/latest/; }}\n\
             location /orders/ {{ proxy_pass {application}; proxy_connect_timeout 2s; }}\n\
             location /echo {{ proxy_pass {echo}; }}\n"
        ),
    )
    .await;
    front.folder.write("openapi.json", document.to_string());
    front
}

/// A platform, and a sidecar with the tools of the server.
async fn connected(front: &str, folder: &Folder) -> (DevPlatform, Running) {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let text = format!(
        "{}[backend.shop]\nurl = \"{front}\"\nforward = [\"user_id\", \"call_id\"]\nsign = \"{KEY}\"\n\
         [[tool.http]]\nname = \"lookup\"\ndescription = \"d\"\nbackend = \"shop\"\nurl = \"/orders/{{id}}\"\n\
         [[tool.http]]\nname = \"post\"\ndescription = \"d\"\nbackend = \"shop\"\nmethod = \"POST\"\nurl = \"/echo\"\n\
         arguments.text = {{ type = \"string\" }}\n\
         [[openapi]]\nname = \"api\"\ndocument = \"{front}/openapi.json\"\nbackend = \"shop\"\nprefix = \"api_\"\n",
        entity(&platform, "orders")
    );
    let file = folder.write("platools.toml", text);
    let sidecar = Running::start(&file, folder, &[]);
    sidecar.says("the platform has the tools").await;
    (platform, sidecar)
}

async fn call(entity: &ConnectedEntity, tool: &str, arguments: Value) -> Result<Value, String> {
    let report = tokio::time::timeout(GUARD, entity.calling(tool).arguments(arguments).send()).await;
    outcome(report.expect("a call ends").unwrap())
}

#[tokio::test]
async fn what_nginx_packs_cuts_into_chunks_moves_and_refuses_is_understood() {
    let Some(program) = program() else { return };
    let (echo, application) = (Backend::echo().await, application(&program).await);
    let front = front(&program, &application.url(), &echo.url).await;
    let folder = Folder::new();
    let (platform, sidecar) = connected(&front.url(), &folder).await;
    let entity = platform.entity_in("orders", "dev").unwrap();

    // It does pack, and it does not say how much there is.
    let bare = client().get(format!("{}/orders/ord-1", front.url())).header("accept-encoding", "gzip");
    let bare = bare.send().await.unwrap();
    let headers: BTreeMap<&str, &str> =
        bare.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!((headers["content-encoding"], headers["transfer-encoding"]), ("gzip", "chunked"));
    assert_eq!(call(&entity, "lookup", json!({"id": "ord-1"})).await, Ok(order("ord-1")));
    assert_eq!(call(&entity, "api_getOrder", json!({"id": "ord-2"})).await, Ok(order("ord-2")));
    assert_eq!(call(&entity, "lookup", json!({"id": "moved"})).await, Ok(order("new")), "it was moved there");

    let missing = call(&entity, "lookup", json!({"id": "No_Such"})).await.unwrap_err();
    assert!(
        missing.contains("the backend `shop` answered 404 Not Found") && !missing.contains('<'),
        "{missing}"
    );
    let away = call(&entity, "lookup", json!({"id": "away"})).await.unwrap_err();
    assert!(away.contains("redirected to another server (169.254.169.254)"), "{away}");
    let out = call(&entity, "lookup", json!({"id": "../status"})).await.unwrap_err();
    assert!(out.contains("invalid arguments"), "{out}");
    let large = call(&entity, "post", json!({"text": "x".repeat(200_000)})).await.unwrap_err();
    assert!(large.contains("413 Payload Too Large") && !large.contains('<'), "{large}");

    for tool in ["post", "api_echo"] {
        let answer = call(&entity, tool, json!({"text": "é"})).await.unwrap();
        assert_eq!(answer["body"], "{\"text\":\"é\"}");
        let came = echo.came().pop().unwrap();
        assert_eq!((came.method.as_str(), came.target.as_str()), ("POST", "/echo"));
        assert!(verifies(&came, KEY), "what the sidecar signed arrives as it was signed: {came:?}");
    }
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn connections_that_nginx_closes_between_calls_cost_nothing() {
    let Some(program) = program() else { return };
    let (echo, application) = (Backend::echo().await, application(&program).await);
    let front = front(&program, &application.url(), &echo.url).await;
    let folder = Folder::new();
    let (platform, sidecar) = connected(&front.url(), &folder).await;
    let entity = platform.entity_in("orders", "dev").unwrap();
    for number in 0..5 {
        // A POST is never sent twice, so it has to be the right connection at once.
        let answer = call(&entity, "post", json!({"text": number.to_string()})).await.unwrap();
        assert_eq!(answer["body"], format!("{{\"text\":\"{number}\"}}"));
        let closed = async {
            while front.connections().await > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(GUARD, closed).await.expect("nginx closes what nobody uses");
    }
    assert_eq!(echo.came().len(), 5);
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn an_application_and_a_server_that_are_killed_are_said_and_found_again() {
    let Some(program) = program() else { return };
    let (echo, mut application) = (Backend::echo().await, application(&program).await);
    let mut front = front(&program, &application.url(), &echo.url).await;
    let folder = Folder::new();
    let (platform, sidecar) = connected(&front.url(), &folder).await;
    let entity = platform.entity_in("orders", "dev").unwrap();
    let lookup = async || call(&entity, "api_getOrder", json!({"id": "ord-1"})).await;
    assert_eq!(lookup().await, Ok(order("ord-1")));

    application.kill();
    let error = lookup().await.unwrap_err();
    assert!(error.contains("the backend `shop` answered 502 Bad Gateway") && !error.contains('<'), "{error}");
    application.restart().await;
    assert_eq!(lookup().await, Ok(order("ord-1")));

    front.kill();
    let error = lookup().await.unwrap_err();
    assert!(error.contains("the backend `shop` cannot be reached at the moment: try again later"), "{error}");
    front.restart().await;
    assert_eq!(lookup().await, Ok(order("ord-1")));
    assert_eq!(sidecar.stop().await, Some(0));
}
