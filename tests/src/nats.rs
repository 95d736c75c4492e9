//! A NATS server of this machine's own, which tests start, kill and start again.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to start.
const START_TIME: Duration = Duration::from_secs(30);

/// A NATS server with JetStream, and a folder with its store. Both end when this is dropped.
#[derive(Debug)]
pub struct Nats {
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    more: Vec<String>,
    child: Option<Child>,
}

impl Nats {
    /// Where `tests/interop/install nats` has put the program, or where the machine has it.
    pub fn program() -> Option<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
        let places = [
            root.join("target/interop/nats/bin/nats-server"),
            PathBuf::from("/usr/local/bin/nats-server"),
            PathBuf::from("/usr/bin/nats-server"),
            PathBuf::from("/usr/sbin/nats-server"),
        ];
        places.into_iter().find(|place| place.exists())
    }

    /// Starts a server on a free port of this machine.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(program: &Path, more: &[&str]) -> io::Result<Self> {
        let name = format!("platools-nats-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        let more = more.iter().map(|&option| option.to_owned()).collect();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut nats = Self { program: program.to_owned(), folder, address, more, child: None };
        nats.resume()?;
        Ok(nats)
    }

    /// The address of the server, the same after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The id of the server's process, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = (child.kill(), child.wait());
        }
    }

    /// Forgets what the server has stored. It must not run.
    ///
    /// # Errors
    /// When the store cannot be removed.
    pub fn forget(&self) -> io::Result<()> {
        std::fs::remove_dir_all(self.folder.join("store"))
    }

    /// Starts the server, again on the same port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn resume(&mut self) -> io::Result<()> {
        let port = match self.address.port() {
            0 => "-1".to_owned(),
            port => port.to_string(),
        };
        let mut child = Command::new(&self.program)
            .args(["--jetstream", "--addr", "127.0.0.1", "--port", &port, "--store_dir"])
            .arg(self.folder.join("store"))
            .arg("--ports_file_dir")
            .arg(&self.folder)
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let ports = self.folder.join(format!("nats-server_{}.ports", child.id()));
        let started = Instant::now();
        loop {
            if let Some(address) = std::fs::read_to_string(&ports).ok().and_then(|text| client_address(&text))
            {
                self.address = address;
                self.child = Some(child);
                return Ok(());
            }
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("nats-server ended: {status}")));
            }
            if started.elapsed() > START_TIME {
                let _ = (child.kill(), child.wait());
                return Err(io::Error::other("nats-server does not start"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The address for clients in the file of ports, which is JSON.
fn client_address(text: &str) -> Option<SocketAddr> {
    let ports: serde_json::Value = serde_json::from_str(text).ok()?;
    let url = ports["nats"][0].as_str()?;
    url.split("://").nth(1)?.parse().ok()
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
