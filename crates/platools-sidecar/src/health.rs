//! Whether a running sidecar is alive, asked from outside: for health checks of containers without other programs.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::config::{Document, Sections};
use crate::run::read_config;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the sidecar that runs by this file whether it is alive, at the address of its `[admin]`, which is returned; `None`
/// when there is no `[admin]`. Blocks for some seconds at most.
///
/// # Errors
/// When the file cannot be read, or nothing answers as a sidecar that is alive.
pub fn health(file: &Path) -> io::Result<Option<SocketAddr>> {
    let text =
        read_config(file).map_err(|problem| io::Error::other(format!("`{}`: {problem}", file.display())))?;
    let (sections, _) = Sections::read(&Document::parse(&text));
    let Some(admin) = sections.admin else { return Ok(None) };
    let mut address = admin.value.listen;
    // It listens on all addresses, of which the loopback is one.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let status = ask(address)
        .map_err(|error| io::Error::new(error.kind(), format!("nothing answers at {address}: {error}")))?;
    if status.starts_with("HTTP/1.1 200 ") {
        Ok(Some(address))
    } else {
        Err(io::Error::other(format!("what listens at {address} is no sidecar that is alive")))
    }
}

/// The first line of the answer.
fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!("GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut head = [0; 64];
    let mut length = 0;
    while length < head.len() {
        match stream.read(&mut head[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(String::from_utf8_lossy(&head[..length]).lines().next().unwrap_or_default().to_owned())
}
