//! Takes standard input and output away from the rest of the program.

use std::io;
use std::pin::Pin;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

type Reader = Pin<Box<dyn AsyncRead + Send>>;
type Writer = Pin<Box<dyn AsyncWrite + Send>>;
/// Ends when the reader of the output is gone, where that can be detected.
type Gone = BoxFuture<'static, ()>;

/// The size of the buffer between the reading thread and the runtime, in bytes.
const BUFFER: usize = 64 << 10;

/// Takes input and output for the protocol.
#[cfg(unix)]
pub(super) fn take() -> io::Result<(Reader, Writer, Gone)> {
    use std::os::fd::AsFd as _;

    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    // Tools read an empty input, and print to standard error.
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    let reader = unix::reader(input)?;
    let (writer, gone) = unix::writer(output)?;
    Ok((reader, writer, gone))
}

/// Returns input and output, shared with the rest of the program: they cannot be taken away on this system.
#[cfg(not(unix))]
pub(super) fn take() -> io::Result<(Reader, Writer, Gone)> {
    let reader = read_in_thread(io::stdin())?;
    Ok((Box::pin(reader), Box::pin(tokio::io::stdout()), Box::pin(std::future::pending())))
}

/// Reads in a thread of its own, which unlike a thread of the runtime does not keep the process from ending.
fn read_in_thread(mut from: impl io::Read + Send + 'static) -> io::Result<DuplexStream> {
    use tokio::io::AsyncWriteExt as _;

    let (mut to, reader) = tokio::io::duplex(BUFFER);
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("mcp-input".to_owned()).spawn(move || {
        let mut buffer = vec![0; BUFFER];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => {
                    if runtime.block_on(to.write_all(&buffer[..read])).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, "the input cannot be read any more");
                    return;
                }
            }
        }
    })?;
    Ok(reader)
}

#[cfg(unix)]
mod unix {
    //! Pipes and sockets, which clients usually start servers with, need no thread.

    use std::fs::File;
    use std::io;
    use std::os::fd::{AsRawFd as _, OwnedFd};
    use std::os::unix::fs::FileTypeExt as _;
    use std::os::unix::net::UnixStream as StdUnixStream;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncWrite, Interest, Ready};
    use tokio::net::UnixStream;
    use tokio::net::unix::pipe;

    use super::{Gone, Reader, Writer, read_in_thread};

    pub(super) fn reader(input: OwnedFd) -> io::Result<Reader> {
        let file = File::from(input);
        let kind = file.metadata()?.file_type();
        if kind.is_fifo() {
            let reopened = pipe::OpenOptions::new().open_receiver(own_path(&file));
            return Ok(Box::pin(reopened.or_else(|_| pipe::Receiver::from_file(file))?));
        }
        if kind.is_socket() {
            return Ok(Box::pin(socket(file)?));
        }
        Ok(Box::pin(read_in_thread(file)?))
    }

    pub(super) fn writer(output: OwnedFd) -> io::Result<(Writer, Gone)> {
        let file = File::from(output);
        let kind = file.metadata()?.file_type();
        if kind.is_fifo() {
            let reopened = pipe::OpenOptions::new().open_sender(own_path(&file));
            let pipe = Arc::new(reopened.or_else(|_| pipe::Sender::from_file(file))?);
            let watched = Arc::clone(&pipe);
            let gone = async move {
                if watched.ready(Interest::ERROR).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            return Ok((Box::pin(SharedPipe(pipe)), Box::pin(gone)));
        }
        if kind.is_socket() {
            let (reader, writer) = socket(file)?.into_split();
            let gone = async move {
                // No data comes in this direction: it is readable only once it is closed.
                let _ = reader.ready(Interest::READABLE).await;
                // A client may close its own direction alone and read on. Readiness for writing is reported only
                // when it is asked for; this wait ends at once.
                let both = reader.ready(Interest::READABLE | Interest::WRITABLE).await;
                if !both.is_ok_and(Ready::is_write_closed) {
                    std::future::pending::<()>().await;
                }
            };
            return Ok((Box::pin(writer), Box::pin(gone)));
        }
        Ok((Box::pin(tokio::fs::File::from_std(file)), Box::pin(std::future::pending())))
    }

    /// Returns the path under which Linux reopens a pipe, so that it can be non-blocking here without being so for
    /// other processes that share it.
    fn own_path(file: &File) -> String {
        format!("/proc/self/fd/{}", file.as_raw_fd())
    }

    fn socket(file: File) -> io::Result<UnixStream> {
        let socket = StdUnixStream::from(OwnedFd::from(file));
        socket.set_nonblocking(true)?;
        UnixStream::from_std(socket)
    }

    /// A pipe that is written here and watched elsewhere.
    struct SharedPipe(Arc<pipe::Sender>);

    impl AsyncWrite for SharedPipe {
        fn poll_write(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            loop {
                std::task::ready!(self.0.poll_write_ready(context))?;
                match self.0.try_write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => return Poll::Ready(written),
                }
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[cfg(test)]
    mod tests {
        use std::io::Read as _;
        use std::net::Shutdown;
        use std::time::Duration;

        use futures_util::FutureExt as _;
        use tokio::io::AsyncWriteExt as _;
        use tokio::time::timeout;

        use super::*;

        /// Only ends a test that hangs.
        const GUARD: Duration = Duration::from_secs(30);

        #[tokio::test]
        async fn a_client_at_the_other_end_of_a_socket_is_gone_once_it_closes_it() {
            let (client, server) = StdUnixStream::pair().unwrap();
            let (_writer, gone) = writer(server.into()).unwrap();
            drop(client);
            timeout(GUARD, gone).await.expect("it is noticed");
        }

        #[tokio::test]
        async fn a_client_that_only_says_it_sends_nothing_reads_on() {
            let (mut client, server) = StdUnixStream::pair().unwrap();
            let (mut writer, mut gone) = writer(server.into()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
                assert!((&mut gone).now_or_never().is_none());
            }
            writer.write_all(b"still there").await.unwrap();
            let mut read = [0; 11];
            client.read_exact(&mut read).unwrap();
            assert_eq!(&read, b"still there");
        }

        #[tokio::test]
        async fn a_client_at_the_other_end_of_a_pipe_is_gone_once_it_closes_it() {
            let (client, server) = io::pipe().unwrap();
            let (_writer, gone) = writer(server.into()).unwrap();
            drop(client);
            timeout(GUARD, gone).await.expect("it is noticed");
        }
    }
}
