//! The listeners at which the platform calls entities over HTTP, while their connection is away.
//!
//! They follow the entities that run: another host of an entity answers from the next request on. As long as an entity
//! waits for its tools, nothing is called.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::http::header::RETRY_AFTER;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse as _;
use platools::HostHandle;
use platools::fallback::HttpFallback;
use tokio::sync::watch;
use tokio::task::Id;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::daemon::SidecarError;
use super::fleet::Fleet;
use super::host::RunningHost;
use super::listener::{listen, serve};

/// The listeners of all entities.
#[derive(Debug)]
pub(super) struct Callbacks {
    listening: HashMap<SocketAddr, Listening>,
    listeners: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Listening {
    /// The host that answers; `None` while there is none.
    host: Option<Id>,
    router: watch::Sender<Router>,
    stop: CancellationToken,
}

impl Callbacks {
    /// None yet. What will listen is one of `listeners`, and ends with `stop`.
    pub(super) fn new(listeners: &TaskTracker, stop: &CancellationToken) -> Self {
        Self { listening: HashMap::new(), listeners: listeners.clone(), stop: stop.clone() }
    }

    /// Listens for the entities that run, and no longer for those that the plan does not have.
    ///
    /// # Errors
    /// When an address cannot be listened on; the others are.
    pub(super) async fn follow(&mut self, fleet: &Fleet) -> Result<(), SidecarError> {
        let wanted = fleet.plan.entities.iter().filter_map(|entity| {
            let callback = entity.callback.as_ref()?;
            Some((callback.listen?, callback.path.as_str(), entity.name.as_str()))
        });
        let wanted: Vec<_> = wanted.collect();
        self.listening.retain(|address, listening| {
            let is_wanted = wanted.iter().any(|(wanted, ..)| wanted == address);
            if !is_wanted {
                tracing::info!(%address, "calls are no longer taken");
                listening.stop.cancel();
            }
            is_wanted
        });
        let mut failed = None;
        for (address, path, entity) in wanted {
            // One that is being drained is still there, and says so to those who call.
            if !fleet.hosts.iter().any(|host| host.name == entity) {
                continue;
            }
            // One that waits for its tools has those of its predecessor beside it, or nothing to call.
            let mut hosts = fleet.hosts.iter().chain(fleet.retiring()).filter(|host| host.name == entity);
            let host = hosts.find(|host| host.waits_until().is_none());
            let (id, handle) = (host.map(RunningHost::id), host.map(|host| &host.handle));
            match self.listening.get_mut(&address) {
                Some(listening) if listening.host == id => {}
                Some(listening) => {
                    drop(listening.router.send_replace(router(handle, path)));
                    listening.host = id;
                }
                None => match listen("entity.callback_listen", address).await {
                    Ok(listener) => {
                        let (router, routers) = watch::channel(router(handle, path));
                        let stop = self.stop.child_token();
                        self.listeners.spawn(serve(listener, move || routers.borrow().clone(), stop.clone()));
                        self.listening.insert(address, Listening { host: id, router, stop });
                    }
                    Err(error) => failed = Some(error),
                },
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Takes the calls of one host, at one path; without a host, nothing is called yet.
fn router(host: Option<&HostHandle>, path: &str) -> Router {
    let calls = match host {
        Some(host) => HttpFallback::new(host).into_router(),
        None => Router::new().fallback(|| async {
            let text = "the tools are not there yet: call again in a moment\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], text)
        }),
    };
    let path = path.to_owned();
    Router::new().fallback(move |mut request: Request| async move {
        if request.uri().path() != path {
            let text = "no calls are taken at this path: compare it with `callback_url`\n";
            return (StatusCode::NOT_FOUND, text).into_response();
        }
        *request.uri_mut() = Uri::from_static("/");
        calls.oneshot(request).await.into_response()
    })
}
