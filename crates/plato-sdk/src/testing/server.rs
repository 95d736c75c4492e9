//! Listening, recording, failing by order, and finding out whose request it is.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::UPGRADE;
use axum::http::{Response, request};
use futures_util::stream;
use platools_net::BodyLimits;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::fault::Effect;
use super::record::{Asked, RecordedRequest};
use super::reply::Reply;
use super::world::{Shared, World};
use super::{agent, app, chrome, control};

/// The largest body that is read.
const MAX_BODY: usize = 64 << 20;

/// How often silent sessions are looked for.
const LOOK: Duration = Duration::from_millis(20);

/// Starts the thread, and says where it listens.
pub(super) fn start(shared: Arc<Shared>, port: u16, stop: CancellationToken) -> std::io::Result<String> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    listener.set_nonblocking(true)?;
    let base = format!("http://{}", listener.local_addr()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let handler = Arc::clone(&shared);
        let router = Router::new().fallback(move |request: Request| {
            let shared = Arc::clone(&handler);
            async move { answer(shared, request).await }
        });
        let silence = async {
            loop {
                tokio::time::sleep(LOOK).await;
                shared.with(World::end_silent_sessions);
            }
        };
        tokio::select! {
            served = axum::serve(listener, router).into_future() => served,
            () = silence => Ok(()),
            () = stop.cancelled() => Ok(()),
        }
    };
    let work = move || {
        if let Err(error) = runtime.block_on(serve) {
            tracing::error!(%error, "the fake Plato stopped");
        }
        // Whoever hangs is not waited for.
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name("fake-plato".to_owned()).spawn(work)?;
    Ok(base)
}

async fn answer(shared: Arc<Shared>, request: Request) -> Response<Body> {
    if request.headers().contains_key(UPGRADE) {
        return chrome::upgrade(&shared, request).await;
    }
    let (head, body) = request.into_parts();
    let Ok(body) = BodyLimits::new(MAX_BODY).read(body).await else {
        return Reply::detail(413, "the body is too large").into_response();
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let asked = record(&shared, &head, text);
    let path: Vec<_> = asked.path.iter().map(String::as_str).collect();
    let fault = shared.with(|world| {
        let fault =
            world.faults.iter_mut().find(|fault| fault.times > 0 && fault.matches(&asked.method, &path))?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times = fault.times.saturating_sub(1);
        Some(fault.clone())
    });
    let Some(fault) = fault else { return done(&shared, &asked).await.into_response() };
    let reply = if fault.after { Some(done(&shared, &asked).await) } else { None };
    match fault.effect {
        Effect::Answer(reply) => reply.into_response(),
        Effect::Hang => std::future::pending().await,
        Effect::Disconnect => {
            // A body that breaks off takes its connection with it.
            let broken = Err::<Vec<u8>, _>(std::io::Error::other("cut by order"));
            Response::new(Body::from_stream(stream::iter([broken])))
        }
        Effect::Delay(time) => {
            tokio::time::sleep(time).await;
            match reply {
                Some(reply) => reply.into_response(),
                None => done(&shared, &asked).await.into_response(),
            }
        }
    }
}

fn record(shared: &Shared, head: &request::Parts, text: String) -> Asked {
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let body: Option<Value> = serde_json::from_str(&text).ok();
    let query = head.uri.query().map(str::to_owned);
    let path = head.uri.path().to_owned();
    let pairs = query.as_deref().unwrap_or_default();
    let asked = Asked {
        method: head.method.as_str().to_owned(),
        path: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        query: url::form_urlencoded::parse(pairs.as_bytes()).into_owned().collect(),
        body: body.clone().unwrap_or(Value::Null),
        text,
        key: headers.iter().find(|(name, _)| name == "x-api-key").map(|(_, key)| key.clone()),
    };
    let request = RecordedRequest { method: asked.method.clone(), path, query, body, headers };
    shared.with(|world| world.requests.push(request));
    asked
}

async fn done(shared: &Shared, asked: &Asked) -> Reply {
    let path: Vec<_> = asked.path.iter().map(String::as_str).collect();
    match path[..] {
        ["api", "v2", ref rest @ ..] => control::answer(shared, asked, rest).await,
        ["_desktop", job, "9224", ref rest @ ..] => chrome::answer(shared, job, rest).await,
        ["_desktop", job, "6080"] => app::liveview(shared, job),
        ["_desktop", job, "json", what] => chrome::answer(shared, job, &["json", what]).await,
        ["_desktop", job, "9000", ref rest @ ..] | ["_desktop", job, ref rest @ ..] => {
            agent::answer(shared, asked, job, rest).await
        }
        ["_app", job, ref rest @ ..] => app::answer(shared, asked, job, rest),
        _ => Reply::detail(404, "Not Found"),
    }
}
