//! A TCP proxy between a host and a platform that does to bytes what networks do: it cuts, stalls, loses
//! the second half, slows down and splits. It knows nothing of what the bytes mean.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How long [`Proxy::wait_for`] waits. It only ends what hangs.
const WAIT_LIMIT: Duration = Duration::from_secs(60);
/// How much is read at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// How often a slow proxy writes.
const TICK: Duration = Duration::from_millis(20);
/// How long the two sides may take to read what was written before an orderly end.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// A direction through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the host to the platform.
    ToPlatform,
    /// From the platform to the host.
    ToHost,
}

/// How a connection is cut, on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// With RST: the next read or write is an error.
    Reset,
    /// With FIN: what was delivered can be read, and then there is no more.
    Finish,
}

/// What becomes of the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// They are delivered.
    Open,
    /// They are not even taken; the sender's buffers fill up.
    Stalled,
    /// They are taken, as a network takes them, and never delivered.
    Swallowed,
    /// They are delivered at this rate.
    Slow {
        /// The rate.
        bytes_per_second: usize,
    },
    /// They are delivered one at a time.
    SingleBytes,
    /// Of what is read next, the first half is delivered; then the connection is cut and bytes flow again
    /// on the next one.
    HalfThenCut(Cut),
}

/// The bytes of one direction, over all connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// How many the sender got rid of.
    pub taken: u64,
    /// How many were written to the receiver.
    pub delivered: u64,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were accepted and put through.
    pub connections: u64,
    /// Connections that were accepted and dropped, since there is no platform or none is wanted.
    pub refused: u64,
    /// Connections that are put through now.
    pub live: u64,
    /// Connections that the proxy cut.
    pub cut: u64,
    /// Bytes from the host to the platform.
    pub to_platform: Bytes,
    /// Bytes from the platform to the host.
    pub to_host: Bytes,
}

/// What the proxy is told.
#[derive(Debug, Clone, Copy)]
struct Orders {
    to_platform: Flow,
    to_host: Flow,
    refusing: bool,
    /// Cuts so far, with how the last one is to be done.
    cuts: (u64, Cut),
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    orders: watch::Sender<Orders>,
    counts: watch::Sender<Counts>,
}

/// A proxy on a free port of this machine. Dropping it drops its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl Proxy {
    /// Starts a proxy to `target`, with everything open.
    ///
    /// # Errors
    /// When this machine has no port to give.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let orders =
            Orders { to_platform: Flow::Open, to_host: Flow::Open, refusing: false, cuts: (0, Cut::Finish) };
        let shared = Arc::new(Shared {
            target,
            orders: watch::Sender::new(orders),
            counts: watch::Sender::new(Counts::default()),
        });
        let accepting = tokio::spawn(accept(Arc::clone(&shared), listener)).abort_handle();
        Ok(Self { address, shared, accepting })
    }

    /// A platform's URL, changed so that it leads through the proxy.
    pub fn url(&self, platform: &str) -> String {
        platform.replacen(&self.shared.target.to_string(), &self.address.to_string(), 1)
    }

    /// Changes what becomes of the bytes of one direction, on live connections and on later ones.
    pub fn set(&self, way: Way, flow: Flow) {
        self.shared.orders.send_modify(|orders| match way {
            Way::ToPlatform => orders.to_platform = flow,
            Way::ToHost => orders.to_host = flow,
        });
    }

    /// Changes both directions.
    pub fn set_both(&self, flow: Flow) {
        self.shared.orders.send_modify(|orders| (orders.to_platform, orders.to_host) = (flow, flow));
    }

    /// Drops new connections, or puts them through again.
    pub fn refuse(&self, refuse: bool) {
        self.shared.orders.send_modify(|orders| orders.refusing = refuse);
    }

    /// Cuts all live connections.
    pub fn cut(&self, how: Cut) {
        self.shared.orders.send_modify(|orders| orders.cuts = (orders.cuts.0 + 1, how));
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until the counts are as wished, and returns them.
    ///
    /// # Errors
    /// When they are not within a minute.
    pub async fn wait_for(&self, mut wish: impl FnMut(&Counts) -> bool) -> io::Result<Counts> {
        let mut counts = self.shared.counts.subscribe();
        match timeout(WAIT_LIMIT, counts.wait_for(|counts| wish(counts))).await {
            Ok(Ok(counts)) => Ok(*counts),
            _ => Err(io::Error::new(io::ErrorKind::TimedOut, format!("waited in vain: {:?}", self.counts()))),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }

    fn count_bytes(&self, way: Way, change: impl FnOnce(&mut Bytes)) {
        self.count(|counts| {
            change(match way {
                Way::ToPlatform => &mut counts.to_platform,
                Way::ToHost => &mut counts.to_host,
            });
        });
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((host, _)) => drop(connections.spawn(connection(Arc::clone(&shared), host))),
                Err(_) => sleep(TICK).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Puts one connection through until one side ends it or the proxy cuts it.
async fn connection(shared: Arc<Shared>, mut host: TcpStream) {
    let mut orders = shared.orders.subscribe();
    let before = orders.borrow().cuts.0;
    let refusing = orders.borrow().refusing;
    let platform = if refusing { None } else { TcpStream::connect(shared.target).await.ok() };
    let Some(mut platform) = platform else {
        shared.count(|counts| counts.refused += 1);
        let _ = host.set_zero_linger();
        return;
    };
    let _ = (host.set_nodelay(true), platform.set_nodelay(true));
    shared.count(|counts| {
        counts.connections += 1;
        counts.live += 1;
    });
    let how = {
        let (from_host, into_host) = host.split();
        let (from_platform, into_platform) = platform.split();
        tokio::select! {
            biased;
            Ok(orders) = orders.wait_for(|orders| orders.cuts.0 > before) => Some(orders.cuts.1),
            ended = async {
                tokio::try_join!(
                    pump(&shared, Way::ToPlatform, from_host, into_platform),
                    pump(&shared, Way::ToHost, from_platform, into_host),
                )
            } => match ended {
                Ok(_) => None,
                Err(Broken::Cut(how)) => Some(how),
                Err(Broken::Io) => Some(Cut::Reset),
            },
        }
    };
    if how == Some(Cut::Reset) {
        let _ = (host.set_zero_linger(), platform.set_zero_linger());
    } else {
        finish(&mut host, &mut platform).await;
    }
    drop((host, platform));
    shared.count(|counts| {
        counts.live -= 1;
        counts.cut += u64::from(how.is_some());
    });
}

/// Ends both sides in order. What they still send is read, since a socket that is dropped with unread
/// bytes resets its connection.
async fn finish(host: &mut TcpStream, platform: &mut TcpStream) {
    let _ = (host.shutdown().await, platform.shutdown().await);
    let read_out = async |stream: &mut TcpStream| {
        let mut rest = [0; 1024];
        while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
    };
    let _ = timeout(CLOSE_TIME, async { tokio::join!(read_out(host), read_out(platform)) }).await;
}

/// Why bytes no longer flow.
enum Broken {
    Cut(Cut),
    Io,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// Carries the bytes of one direction until the sender has no more.
async fn pump(
    shared: &Shared,
    way: Way,
    mut from: impl AsyncRead + Unpin,
    mut into: impl AsyncWrite + Unpin,
) -> Result<(), Broken> {
    let mut orders = shared.orders.subscribe();
    let flow = |orders: &Orders| match way {
        Way::ToPlatform => orders.to_platform,
        Way::ToHost => orders.to_host,
    };
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        if flow(&orders.borrow_and_update()) == Flow::Stalled {
            let _ = orders.changed().await;
            continue;
        }
        let read = tokio::select! {
            biased;
            _ = orders.changed() => continue,
            read = from.read(&mut buffer) => read?,
        };
        if read == 0 {
            into.shutdown().await?;
            return Ok(());
        }
        shared.count_bytes(way, |bytes| bytes.taken += read as u64);
        let mut rest = &buffer[..read];
        // The orders may change while a part is on its way.
        while !rest.is_empty() {
            let flow_now = flow(&orders.borrow_and_update());
            let (now, pause) = match flow_now {
                Flow::Open => (rest.len(), None),
                Flow::Stalled => {
                    let _ = orders.changed().await;
                    continue;
                }
                Flow::Swallowed => break,
                Flow::Slow { bytes_per_second } => {
                    let part = bytes_per_second / (1000 / TICK.as_millis() as usize);
                    (part.clamp(1, rest.len()), Some(TICK))
                }
                Flow::SingleBytes => (1, Some(Duration::ZERO)),
                Flow::HalfThenCut(how) => {
                    into.write_all(&rest[..rest.len() / 2]).await?;
                    shared.count_bytes(way, |bytes| bytes.delivered += rest.len() as u64 / 2);
                    shared.orders.send_modify(|orders| match way {
                        Way::ToPlatform => orders.to_platform = Flow::Open,
                        Way::ToHost => orders.to_host = Flow::Open,
                    });
                    return Err(Broken::Cut(how));
                }
            };
            into.write_all(&rest[..now]).await?;
            rest = &rest[now..];
            shared.count_bytes(way, |bytes| bytes.delivered += now as u64);
            match pause {
                None => {}
                Some(Duration::ZERO) => tokio::task::yield_now().await,
                Some(pause) => sleep(pause).await,
            }
        }
    }
}
