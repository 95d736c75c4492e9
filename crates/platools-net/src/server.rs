//! The loop that every listener of ours runs: accepts connections and serves HTTP/1.1 on them, within bounds.
//!
//! A connection costs a descriptor, and a client that says nothing would keep it for ever. So a request's head has to
//! arrive in time, connections are counted, and above that number the one that has waited longest for a request makes
//! room for the next. Must not know what is served.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long the head of a request may take to arrive, and how long a connection may wait for one.
pub const HEAD_TIME: Duration = Duration::from_secs(10);
/// The maximum number of headers of a request.
const HEADERS: usize = 100;
/// The maximum size of the head of a request, in bytes.
const HEAD_BYTES: usize = 64 << 10;
/// The pause after a connection could not be accepted, most likely for lack of a descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often that is logged at most.
const COMPLAINT: Duration = Duration::from_secs(10);
/// How often requests that take too long are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// The bounds of a listener.
#[derive(Debug, Clone)]
#[must_use = "it does nothing before `serve`"]
pub struct HttpServer {
    connections: usize,
    request_time: Option<Duration>,
}

/// The connections that are left when a listener has stopped.
#[derive(Debug)]
#[must_use = "connections that nobody closes go on"]
pub struct OpenConnections(GracefulShutdown);

impl HttpServer {
    /// Serves at most `connections` at a time; see [`descriptors::share`](crate::descriptors::share).
    pub fn new(connections: usize) -> Self {
        Self { connections: connections.clamp(1, Semaphore::MAX_PERMITS), request_time: None }
    }

    /// Closes a connection whose request is not answered, or whose answer is not read, within this time. Default: none,
    /// for answers that are streams.
    pub fn request_time(mut self, time: Duration) -> Self {
        self.request_time = Some(time);
        self
    }

    /// Serves connections until `stop` is ready, and closes the listener then. `service` makes the service of a
    /// connection of this client.
    pub async fn serve<S, B>(
        self,
        listener: TcpListener,
        service: impl Fn(SocketAddr) -> S,
        stop: impl Future<Output = ()>,
    ) -> OpenConnections
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + Sync + 'static,
        S::Future: Send,
        B: Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.connections));
        let table = Arc::new(Table::default());
        let accept = async {
            let mut complained: Option<Instant> = None;
            loop {
                match listener.accept().await {
                    Ok((stream, client)) => {
                        let place = table.place(&places).await;
                        let seat = Table::seat(&table);
                        let served = served(stream, service(client), Arc::clone(&seat), &graceful);
                        tokio::spawn(async move {
                            // The seat is left before the place is free.
                            let (_place, seat) = (place, seat);
                            tokio::select! {
                                () = served => {}
                                () = seat.cut.cancelled() => tracing::debug!("a connection was closed to make room"),
                            }
                        });
                    }
                    Err(error) => {
                        if complained.is_none_or(|complained| complained.elapsed() > COMPLAINT) {
                            complained = Some(Instant::now());
                            tracing::warn!(%error, "a connection cannot be accepted");
                        }
                        table.cut_idle();
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        let sweep = async {
            let Some(time) = self.request_time else { return std::future::pending().await };
            loop {
                sleep(SWEEP).await;
                table.cut_slow(time);
            }
        };
        tokio::select! {
            () = stop => {}
            () = accept => {}
            () = sweep => {}
        }
        drop(listener);
        OpenConnections(graceful)
    }
}

impl OpenConnections {
    /// Closes them: those that wait for a request at once, the others once they are answered, for at most `time`.
    pub async fn close(self, time: Duration) {
        let _ = timeout(time, self.0.shutdown()).await;
    }
}

fn served<S, B>(
    stream: TcpStream,
    service: S,
    seat: Arc<Seat>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + Sync + 'static,
    S::Future: Send,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        // Taken away meanwhile: the connection closes, and nothing is begun.
        let answering = seat.begin().map(|busy| (busy, service.call(request)));
        async move {
            let Some((busy, answering)) = answering else { return std::future::pending().await };
            let Ok(response) = answering.await;
            Ok::<_, Infallible>(response.map(|body| HeldBody::new(body, busy)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), answer);
    let watched = graceful.watch(connection);
    async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

/// All connections of a listener, by what they do.
#[derive(Debug, Default)]
struct Table {
    inner: Mutex<Inner>,
    /// Notified when a connection begins to wait for a request.
    idle: Notify,
}

/// Numbers are given in the order of time, so the first entry of a map is the oldest.
#[derive(Debug, Default)]
struct Inner {
    next: u64,
    idle: BTreeMap<u64, CancellationToken>,
    busy: BTreeMap<u64, (Instant, CancellationToken)>,
}

/// A connection's entry in the table.
#[derive(Debug)]
struct Seat {
    table: Arc<Table>,
    cut: CancellationToken,
    /// Its number, as long as it is in the table.
    number: Mutex<Option<u64>>,
}

/// A request is being answered, until this is dropped.
#[derive(Debug)]
struct Busy(Arc<Seat>);

impl Table {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(table: &Arc<Self>) -> Arc<Seat> {
        let cut = CancellationToken::new();
        let mut inner = table.inner();
        let number = inner.number();
        inner.idle.insert(number, cut.clone());
        Arc::new(Seat { table: Arc::clone(table), cut, number: Mutex::new(Some(number)) })
    }

    /// A place for one more connection. If all are taken, the connection that has waited longest for a request goes;
    /// if all are being answered, the first that is done.
    async fn place(&self, places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        loop {
            let mut idle = pin!(self.idle.notified());
            // Registered before the look, so that no change is missed.
            idle.as_mut().enable();
            if let Ok(place) = Arc::clone(places).try_acquire_owned() {
                return place;
            }
            let goes = self.cut_idle();
            tokio::select! {
                Ok(place) = Arc::clone(places).acquire_owned() => return place,
                () = idle, if !goes => {}
            }
        }
    }

    /// Closes the connection that has waited longest for a request; returns whether there is one.
    fn cut_idle(&self) -> bool {
        let longest = self.inner().idle.pop_first();
        longest.inspect(|(_, cut)| cut.cancel()).is_some()
    }

    /// Closes the connections whose request takes longer than `time`.
    fn cut_slow(&self, time: Duration) {
        let mut inner = self.inner();
        while let Some(first) = inner.busy.first_entry()
            && first.get().0.elapsed() > time
        {
            first.remove().1.cancel();
        }
    }
}

impl Inner {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Seat {
    /// Notes that a request is being answered; `None` if the connection has been cut.
    fn begin(self: &Arc<Self>) -> Option<Busy> {
        let mut inner = self.table.inner();
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = inner.idle.remove(&number.take()?)?;
        let next = inner.number();
        inner.busy.insert(next, (Instant::now(), cut));
        *number = Some(next);
        Some(Busy(Arc::clone(self)))
    }
}

/// When the connection is over, however it ended: also by a panic of the service.
impl Drop for Seat {
    fn drop(&mut self) {
        let number = self.number.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(number) = number {
            let mut inner = self.table.inner();
            inner.idle.remove(&number);
            inner.busy.remove(&number);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Seat { table, number, .. } = &*self.0;
        let mut inner = table.inner();
        let mut number = number.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = number.take().and_then(|number| inner.busy.remove(&number));
        if let Some((_, cut)) = cut {
            let next = inner.number();
            inner.idle.insert(next, cut);
            *number = Some(next);
            table.idle.notify_one();
        }
    }
}

/// A body that holds a value until it is written or dropped.
#[derive(Debug)]
pub struct HeldBody<B, H> {
    body: B,
    _held: H,
}

impl<B, H> HeldBody<B, H> {
    /// Holds `held` as long as `body`.
    pub fn new(body: B, held: H) -> Self {
        Self { body, _held: held }
    }
}

impl<B: Body + Unpin, H: Unpin> Body for HeldBody<B, H> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full, StreamBody};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinHandle;

    use super::*;

    const GUARD: Duration = Duration::from_secs(60);

    type Bytes = std::io::Cursor<&'static [u8]>;
    type AnyBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

    /// A server whose `/stream` never ends, and whose other paths say "ok".
    async fn server(server: HttpServer) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let stopped = stop.clone().cancelled_owned();
        let service = |_| {
            service_fn(async |request: Request<Incoming>| {
                let body: AnyBody = match request.uri().path() {
                    "/stream" => StreamBody::new(futures_util::stream::pending()).boxed_unsync(),
                    "/large" => Full::new(Bytes::new(vec![b'x'; 32 << 20].leak())).boxed_unsync(),
                    _ => Full::new(Bytes::new(b"ok")).boxed_unsync(),
                };
                Ok(Response::new(body))
            })
        };
        let serving = tokio::spawn(async move {
            server.serve(listener, service, stopped).await.close(GUARD).await;
        });
        (address, stop, serving)
    }

    async fn within<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(GUARD, future).await.expect("it took a minute")
    }

    async fn ask(stream: &mut TcpStream, path: &str) -> String {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; 1_024];
        let length = within(stream.read(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Waits until the server has closed a connection.
    async fn closed(stream: &mut TcpStream) {
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = within(stream.read_to_end(&mut rest)).await;
    }

    #[tokio::test]
    async fn whoever_says_nothing_makes_room_for_who_asks() {
        let (address, stop, serving) = server(HttpServer::new(4)).await;
        let mut kept = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut kept, "/").await.ends_with("ok"));
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut honest = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut honest, "/").await.ends_with("ok"));
        // The oldest went first, and the one that asked last is still there.
        closed(&mut kept).await;
        for silent in silent.iter_mut().take(97) {
            closed(silent).await;
        }
        assert!(ask(&mut honest, "/").await.ends_with("ok"));
        stop.cancel();
        within(serving).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_is_being_answered_keeps_the_connection_and_the_next_one_waits() {
        let (address, stop, serving) = server(HttpServer::new(2)).await;
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert!(ask(&mut stream, "/stream").await.starts_with("HTTP/1.1 200"));
            streams.push(stream);
        }
        let waiting = tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            ask(&mut stream, "/").await
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(streams.pop());
        assert!(within(waiting).await.unwrap().ends_with("ok"));
        drop(streams);
        stop.cancel();
        within(serving).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_whose_service_panics_leaves_nothing_behind() {
        let table = Arc::new(Table::default());
        let seat = Table::seat(&table);
        let broken = tokio::spawn(async move {
            let _busy = seat.begin().expect("it was not cut");
            panic!("as a mistake of ours would");
        });
        within(broken).await.unwrap_err();
        let inner = table.inner();
        assert!(inner.idle.is_empty() && inner.busy.is_empty(), "{inner:?}");
    }

    #[tokio::test]
    async fn whoever_does_not_read_the_answer_is_cut_off() {
        let (address, stop, serving) = server(HttpServer::new(1).request_time(Duration::ZERO)).await;
        let mut stalled = TcpStream::connect(address).await.unwrap();
        stalled.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut next, "/").await.ends_with("ok"));
        stop.cancel();
        within(serving).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_request_is_not_waited_for() {
        let (address, _stop, _serving) = server(HttpServer::new(8)).await;
        for beginning in [&b""[..], b"GET / HT", b"GET / HTTP/1.1\r\nhost: a\r\nx: "] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(beginning).await.unwrap();
            let begun = Instant::now();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert!(begun.elapsed() < 2 * HEAD_TIME, "{beginning:?}");
        }
    }
}
