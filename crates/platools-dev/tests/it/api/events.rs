//! The stream of events.

use axum::http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use platools_dev::DevPlatform;
use serde_json::Value;
use tokio::time::timeout;

use super::{Client, PATIENCE};
use crate::host::RawHost;

/// A stream that is being read.
struct Stream {
    body: Incoming,
    text: String,
    last_id: String,
}

impl Stream {
    async fn open(client: &Client<'_>, last_id: Option<&str>) -> Self {
        Self::open_at(client, "/api/v1/events", last_id).await
    }

    async fn open_at(client: &Client<'_>, path: &str, last_id: Option<&str>) -> Self {
        let (host, token) = client.identity();
        let mut headers = vec![("host", &*host), ("authorization", &*token)];
        headers.extend(last_id.map(|id| ("last-event-id", id)));
        let response = client.send(Method::GET, path, &headers, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new(), last_id: String::new() }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let mut data = None;
                for line in event.lines() {
                    if let Some(id) = line.strip_prefix("id: ") {
                        id.clone_into(&mut self.last_id);
                    }
                    data = line.strip_prefix("data: ").map(str::to_owned).or(data);
                }
                self.text = String::from(rest);
                match data {
                    Some(data) => return Some(serde_json::from_str(&data).unwrap()),
                    None => continue,
                }
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.unwrap()?.unwrap();
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    async fn kinds<const N: usize>(&mut self) -> [String; N] {
        let mut kinds = [const { String::new() }; N];
        for kind in &mut kinds {
            self.next().await.unwrap()["type"].as_str().unwrap().clone_into(kind);
        }
        kinds
    }
}

#[tokio::test]
async fn what_happens_is_told_to_all_who_listen() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let mut streams = [Stream::open(&client, None).await, Stream::open(&client, None).await];
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap()["type"], "hello");
    }
    let mut host = RawHost::with_tools(&platform, &["add"]).await;
    let (_, ()) = tokio::join!(platform.call("add", serde_json::json!({})), async {
        let call = host.next_call().await;
        host.answer(&call, serde_json::json!(1)).await;
    });
    client.post(super::local("/faults"), r#"{"fault":"supersede"}"#).await;
    for stream in &mut streams {
        let connected = stream.next().await.unwrap();
        assert_eq!((&connected["type"], &connected["entity"]), (&"connected".into(), &"local".into()));
        assert_eq!(connected["environment"], "dev");
        assert!(connected["at"].as_str().unwrap().ends_with('Z'));
        assert_eq!(stream.kinds().await, ["visibility", "registered", "called", "answered"]);
        assert_eq!(stream.next().await.unwrap()["type"], "recorded");
        assert_eq!(stream.next().await.unwrap()["fault"], "supersede");
    }
}

#[tokio::test]
async fn who_comes_back_goes_on_where_they_were() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let mut stream = Stream::open(&client, None).await;
    assert_eq!(stream.next().await.unwrap()["complete"], false);
    let at_hello = stream.last_id.clone();
    let host = RawHost::connect(&platform).await;
    assert_eq!(stream.kinds().await, ["connected"]);
    let at_connected = stream.last_id.clone();
    drop(stream);
    drop(host);
    platform.wait_disconnected().await.unwrap();

    let mut resumed = Stream::open(&client, Some(&at_connected)).await;
    assert_eq!(resumed.next().await.unwrap()["complete"], true);
    assert_eq!(resumed.kinds().await, ["disconnected"]);
    let mut resumed = Stream::open(&client, Some(&at_hello)).await;
    assert_eq!(resumed.kinds().await, ["hello", "connected", "disconnected"]);
    let _host = RawHost::connect(&platform).await;
    assert_eq!(resumed.kinds().await, ["connected"]);

    for stranger in ["ffffffff-1", "1", "", "nonsense-x"] {
        let mut stream = Stream::open(&client, Some(stranger)).await;
        assert_eq!(stream.next().await.unwrap()["complete"], false, "{stranger}");
    }
}

#[tokio::test]
async fn a_platform_that_stops_ends_the_stream_and_does_not_wait_for_idle_browsers() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    let mut stream = Stream::open(&client, None).await;
    assert_eq!(stream.next().await.unwrap()["type"], "hello");
    // An idle connection that would be used again.
    let idle = tokio::net::TcpStream::connect(platform.address()).await.unwrap();
    let at_hello = stream.last_id.clone();
    let (ended, restarted) = tokio::join!(stream.next(), platform.restart());
    restarted.unwrap();
    assert_eq!(ended, None);
    drop(idle);
    let mut resumed = Stream::open(&client, Some(&at_hello)).await;
    assert_eq!(resumed.next().await.unwrap()["complete"], true);
}

#[tokio::test]
async fn who_comes_for_the_first_time_can_begin_with_what_happened_before() {
    let platform = DevPlatform::start().await.unwrap();
    let client = Client::new(&platform);
    drop(RawHost::connect(&platform).await);
    platform.wait_disconnected().await.unwrap();
    let _host = RawHost::connect(&platform).await;
    let mut stream = Stream::open_at(&client, "/api/v1/events?recent=2", None).await;
    assert_eq!(stream.next().await.unwrap()["complete"], false);
    assert_eq!(stream.kinds().await, ["disconnected", "connected"]);
    let last = stream.last_id.clone();
    let mut resumed = Stream::open_at(&client, "/api/v1/events?recent=2", Some(&last)).await;
    assert_eq!(resumed.next().await.unwrap()["complete"], true, "nothing comes twice");
    let refused = client.get("/api/v1/events?recent=all").await;
    assert_eq!(refused.code(), (400, "invalid_query".to_owned()));
}
