//! A superseded host at a server of npm's `ws`, which the platform is made with: its running calls are answered before
//! the close, directly, with TLS, and with nginx in between.

use std::path::PathBuf;
use std::process::{Child as StdChild, Command as StdCommand, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use load::{SECRET, call, call_number, scope};
use platools::host::HostState;
use platools::wire::platform::{RegistrationCounts, tools_registered, welcome};
use platools::{Platools, Tool, ToolOutput, ToolSpec};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::interop::{node_packages, script, server as machine_server};
use super::support::{Folder, GUARD, Running};
use super::tls::certificates;

/// How many calls run when the host is superseded.
const COUNT: usize = 20;

/// How long each answer is: some of them do not fit into the buffers on the way.
const BYTES: usize = 300_000;

struct Server {
    told: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    port: u64,
    _process: Child,
}

impl Server {
    /// `None` when the package is not installed. With a certificate and its key, it is encrypted.
    async fn start(files: &[String]) -> Option<Self> {
        // The server of Socket.IO brings it.
        let packages = node_packages("socketio")?;
        let mut process = Command::new("node")
            .arg(script("ws_server.mjs"))
            .arg(packages)
            .args(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let told = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut server = Self { told, lines, port: 0, _process: process };
        server.port = server.next().await["port"].as_u64().unwrap();
        Some(server)
    }

    async fn next(&mut self) -> Value {
        let line = timeout(GUARD, self.lines.next_line()).await.expect("the server says something");
        serde_json::from_str(&line.unwrap().expect("the server lives")).unwrap()
    }

    /// The next message that is no heartbeat.
    async fn message(&mut self) -> Value {
        loop {
            let said = self.next().await;
            let text = said["message"].as_str().unwrap_or_else(|| panic!("{said}"));
            let message: Value = serde_json::from_str(text).unwrap();
            if message["type"] != "heartbeat" {
                return message;
            }
        }
    }

    async fn tell(&mut self, what: Value) {
        self.told.write_all(format!("{what}\n").as_bytes()).await.unwrap();
    }

    async fn send(&mut self, message: &str) {
        self.tell(json!({"send": message})).await;
    }
}

/// Supersedes a host that runs [`COUNT`] calls and is connected through `builder`, and looks at the order of what comes.
async fn supersede(server: &mut Server, builder: Platools) {
    let (started, gate) = (Arc::<AtomicUsize>::default(), Arc::new(Semaphore::new(0)));
    let (count, open) = (Arc::clone(&started), Arc::clone(&gate));
    let tool = Tool::new(ToolSpec::new("large"), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let open = Arc::clone(&open);
        async move {
            let _open = open.acquire().await.unwrap();
            Ok(ToolOutput::text("x".repeat(BYTES)))
        }
    });
    let host = Running::start(builder.secret(SECRET).tools([tool]).build().unwrap());
    assert!(server.next().await["open"].is_string());
    server.send(&welcome("speed", &scope())).await;
    assert_eq!(server.message().await["type"], "tool_register");
    let counts = RegistrationCounts { count: 1, new_tools: 1, ..RegistrationCounts::default() };
    server.send(&tools_registered(&scope(), counts)).await;
    host.reaches(HostState::Active).await;
    for number in 0..COUNT {
        server.send(&call("large", "{}", number)).await;
    }
    while started.load(Ordering::SeqCst) < COUNT {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.tell(json!({"close": [1000, "superseded by new connection"]})).await;
    gate.add_permits(COUNT);

    let mut is_answered = [false; COUNT];
    let closed = loop {
        let said = server.next().await;
        let Some(text) = said["message"].as_str() else { break said };
        if text.starts_with("{\"type\":\"tool_result\"") {
            let number = call_number(&text.as_bytes()[..200]).unwrap();
            assert!(!std::mem::replace(&mut is_answered[number], true), "call {number} is answered twice");
        }
    };
    assert_eq!(is_answered, [true; COUNT], "all calls are answered before the close");
    assert_eq!(closed, json!({"closed": [1000, "superseded by new connection"]}));
    host.reaches(HostState::Standby).await;
    host.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_host_answers_its_calls_before_the_close() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let url = format!("ws://127.0.0.1:{}?entity=bursts", server.port);
    supersede(&mut server, Platools::builder().url(url)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_host_answers_its_calls_before_the_close_with_tls() {
    let folder = Folder::new("ws-tls");
    let (authority, certificate, key) = certificates("localhost");
    let files = [folder.file("cert.pem", &certificate), folder.file("key.pem", &key)];
    let Some(mut server) = Server::start(&files).await else { return };
    let url = format!("wss://localhost:{}?entity=bursts", server.port);
    let trusted = folder.file("ca.pem", &authority);
    supersede(&mut server, Platools::builder().url(url).ca_file(trusted)).await;
}

/// An nginx in front of a port, in a folder of its own.
struct Nginx {
    folder: Folder,
    port: u16,
    child: StdChild,
}

impl Nginx {
    async fn start(program: PathBuf, behind: u64) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let folder = Folder::new("ws-nginx");
        // What the documentation of nginx says about WebSockets.
        let text = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\nevents {{}}\nhttp {{\n\
             client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\naccess_log off;\nserver {{\nlisten 127.0.0.1:{port};\n\
             location / {{\nproxy_pass http://127.0.0.1:{behind};\nproxy_http_version 1.1;\n\
             proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection \"upgrade\";\n\
             proxy_read_timeout 60s;\n}}\n}}\n}}\n"
        );
        let file = folder.file("nginx.conf", &text);
        let mut command = StdCommand::new(program);
        command.args(["-p", &folder.path(""), "-c", &file, "-e", "stderr"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut this = Self { folder, port, child };
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                assert!(this.child.try_wait().unwrap().is_none(), "nginx does not start");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(GUARD, listens).await.expect("nginx listens");
        this
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = &self.folder;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_host_answers_its_calls_before_the_close_through_nginx() {
    let Some(program) = machine_server("nginx", "sbin") else { return };
    let Some(mut server) = Server::start(&[]).await else { return };
    let nginx = Nginx::start(program, server.port).await;
    let url = format!("ws://127.0.0.1:{}?entity=bursts", nginx.port);
    supersede(&mut server, Platools::builder().url(url)).await;
}
