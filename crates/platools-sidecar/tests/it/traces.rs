//! `[traces]`: the spans of calls, at a collector.

#[cfg(not(feature = "otlp"))]
#[tokio::test]
async fn a_program_without_traces_says_how_to_get_one_with_them() {
    let text = "[traces]\nendpoint = \"http://127.0.0.1:4318\"\n";
    let found = crate::sidecar::problems(text).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("line 1: `traces`: this program was built without traces"), "{found:?}");
    assert!(found[0].contains("`--features otlp`, or leave the section out"), "{found:?}");
}

#[cfg(feature = "otlp")]
mod with_them {
    use std::sync::{Arc, Mutex};

    use axum::body::Bytes;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
    use platools_dev::DevPlatform;
    use prost::Message as _;
    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;

    use crate::backend::Backend;
    use crate::sidecar::{Folder, GUARD, Running, entity, outcome, problems, server};

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    /// What came to a collector.
    #[derive(Debug, Default)]
    struct Came {
        requests: Vec<HeaderMap>,
        services: Vec<String>,
        spans: Vec<Span>,
        /// As it was sent.
        bytes: Vec<u8>,
    }

    /// A collector of tests, which reads what it is sent by the protocol's own definitions.
    #[derive(Debug, Clone)]
    struct Collector {
        url: String,
        came: Arc<Mutex<Came>>,
    }

    impl Collector {
        async fn start() -> Self {
            let came = Arc::new(Mutex::new(Came::default()));
            let kept = Arc::clone(&came);
            let take = move |headers: HeaderMap, body: Bytes| async move {
                let mut kept = kept.lock().unwrap();
                kept.bytes.extend_from_slice(&body);
                let request = ExportTraceServiceRequest::decode(body).unwrap();
                kept.requests.push(headers);
                for resource in request.resource_spans {
                    let attributes = resource.resource.unwrap().attributes;
                    let service =
                        attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
                    kept.services.push(text(service.value.as_ref().unwrap().value.as_ref().unwrap()));
                    kept.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
                }
                StatusCode::OK
            };
            let router = axum::Router::new().route("/v1/traces", post(take));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(async move { axum::serve(listener, router).await });
            Self { url, came }
        }

        /// The span of a call of a tool, once it is there.
        async fn span(&self, tool: &str) -> Span {
            let wanted = format!("call {tool}");
            let there = async {
                loop {
                    let found =
                        self.came.lock().unwrap().spans.iter().find(|span| span.name == wanted).cloned();
                    if let Some(span) = found {
                        return span;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(GUARD, there).await.expect("the span comes")
        }
    }

    fn text(value: &AnyValue) -> String {
        match value {
            AnyValue::StringValue(text) => text.clone(),
            other => format!("{other:?}"),
        }
    }

    fn attribute(span: &Span, key: &str) -> Option<String> {
        let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
        Some(text(found.value.as_ref()?.value.as_ref()?))
    }

    fn hexadecimal(bytes: &[u8]) -> String {
        let number = bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        format!("{number:0width$x}", width = bytes.len() * 2)
    }

    fn section(collector: &str, more: &str) -> String {
        format!("[traces]\nendpoint = \"{collector}\"\nheaders.x-api-key = \"file:key\"\n{more}")
    }

    #[tokio::test]
    async fn calls_are_told_to_a_collector_and_their_spans_handed_to_the_backend() {
        let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
        let (backend, collector) = (Backend::echo().await, Collector::start().await);
        let folder = Folder::new();
        folder.write("key", "the-collectors-s3cret");
        let text = format!(
            "{}{}[log]\nlevel = \"warn\"\n[backend.b]\nurl = \"{}\"\nforward = [\"traceparent\", \"user_token\"]\n\
             [[tool.http]]\nname = \"lookup\"\ndescription = \"d\"\nbackend = \"b\"\nurl = \"/orders/{{id}}\"\n\
             [[tool.http]]\nname = \"broken\"\ndescription = \"d\"\nurl = \"http://127.0.0.1:1/{{id}}\"\nretries = 0\n",
            entity(&platform, "orders"),
            section(&collector.url, "service_name = \"orders-sidecar\"\n"),
            backend.url
        );
        let sidecar = Running::start(&folder.write("platools.toml", text), &folder, &[]);
        tokio::time::timeout(GUARD, platform.wait_for_tool("lookup")).await.expect("in time").unwrap();
        let entity = platform.entity_in("orders", "dev").unwrap();
        let calling = |tool: &str| {
            let arguments = json!({"id": "s3cret-argument"});
            entity
                .calling(tool)
                .arguments(arguments)
                .user("usr_7")
                .user_token("the-users-s3cret")
                .call_id("call_7")
        };
        outcome(calling("lookup").send().await.unwrap()).unwrap();
        outcome(calling("broken").call_id("call_8").send().await.unwrap()).unwrap_err();
        // What is left is sent at the end.
        assert_eq!(sidecar.stop().await, Some(0));

        let (lookup, broken) = (collector.span("lookup").await, collector.span("broken").await);
        assert_eq!(lookup.parent_span_id, [0; 0], "the WebSocket brings no trace, so one begins");
        let told = &backend.came()[0].headers["traceparent"];
        assert_eq!(
            *told,
            format!("00-{}-{}-01", hexadecimal(&lookup.trace_id), hexadecimal(&lookup.span_id))
        );
        for (key, value) in [
            ("tool", "lookup"),
            ("call_id", "call_7"),
            ("user_id", "usr_7"),
            ("outcome", "ok"),
            ("agent_id", "agent_dev"),
        ] {
            assert_eq!(attribute(&lookup, key).as_deref(), Some(value), "{key}");
        }
        assert!(attribute(&lookup, "latency_ms").is_some() && attribute(&lookup, "traceparent").is_none());
        assert_ne!(lookup.status.unwrap_or_default().code(), SpanStatus::Error);
        assert_eq!(broken.status.unwrap().code(), SpanStatus::Error);
        let came = collector.came.lock().unwrap();
        let headers = &came.requests[0];
        assert_eq!(
            (&headers["x-api-key"], &headers["content-type"]),
            (&"the-collectors-s3cret".parse().unwrap(), &"application/x-protobuf".parse().unwrap())
        );
        assert!(came.services.iter().all(|service| service == "orders-sidecar"), "{:?}", came.services);
        assert!(came.spans.iter().all(|span| span.events.is_empty()), "lines stay in the log");
        let told = String::from_utf8_lossy(&came.bytes);
        assert!(told.contains("usr_7") && !told.contains("s3cret"), "{told}");
    }

    /// What a call of `lookup` over MCP, in these traces, has as parent and hands to the backend.
    async fn over_mcp(text: &str, traceparents: &[&str], folder: &Folder) {
        let mut child = server(&folder.write("platools.toml", text), folder);
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut lines = BufReader::new(stdout).lines();
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18",
            "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}});
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let calls = traceparents.iter().enumerate().map(|(index, traceparent)| {
            json!({"jsonrpc": "2.0", "id": index + 1, "method": "tools/call", "params": {"name": "lookup",
                "arguments": {"id": "a"}, "_meta": {"traceparent": traceparent}}})
        });
        for request in [hello, ready].into_iter().chain(calls) {
            stdin.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        }
        let answered = async {
            let mut left = traceparents.len();
            while left > 0 {
                let line = lines.next_line().await.unwrap().expect("the server answers");
                let Ok(answer) = serde_json::from_str::<Value>(&line) else { continue };
                assert!(answer["error"].is_null(), "{answer}");
                left -= usize::from(answer["id"].as_u64().is_some_and(|id| id > 0));
            }
        };
        tokio::time::timeout(GUARD, answered).await.expect("in time");
        drop(stdin);
        let ended = tokio::time::timeout(GUARD, child.wait()).await.expect("it ends").unwrap();
        assert!(ended.success());
    }

    #[tokio::test]
    async fn a_call_that_is_part_of_a_trace_stays_in_it_and_is_kept_when_that_is() {
        let (backend, collector) = (Backend::echo().await, Collector::start().await);
        let folder = Folder::new();
        folder.write("key", "the-collectors-s3cret");
        // None of those that begin here is kept.
        let text = format!(
            "{}[[tool.http]]\nname = \"lookup\"\ndescription = \"d\"\nurl = \"{}/orders/{{id}}\"\nforward = [\"traceparent\"]\n",
            section(&format!("{}/v1/traces", collector.url), "sample_ratio = 0.0\n"),
            backend.url
        );
        let sampled = format!("00-{TRACE}-{PARENT}-01");
        let unsampled = format!("00-{}-{PARENT}-00", TRACE.replace('0', "1"));
        over_mcp(&text, &[&sampled, &unsampled, "nonsense"], &folder).await;
        let span = collector.span("lookup").await;
        assert_eq!(
            (hexadecimal(&span.trace_id), hexadecimal(&span.parent_span_id)),
            (TRACE.to_owned(), PARENT.to_owned())
        );
        assert_eq!(collector.came.lock().unwrap().spans.len(), 1, "neither the unsampled nor the new one");
        let told: Vec<String> =
            backend.came().iter().map(|came| came.headers["traceparent"].clone()).collect();
        let told = told.iter().find(|told| told.contains(TRACE)).unwrap_or_else(|| panic!("{told:?}"));
        assert_eq!(*told, format!("00-{TRACE}-{}-01", hexadecimal(&span.span_id)));
        assert!(backend.came().iter().all(|came| !came.headers["traceparent"].contains(PARENT)));
    }

    #[tokio::test]
    async fn a_collector_that_is_down_costs_a_warning_and_no_call() {
        let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
        let backend = Backend::echo().await;
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let folder = Folder::new();
        folder.write("key", "the-collectors-s3cret");
        let text = format!(
            "{}{}[[tool.http]]\nname = \"t\"\ndescription = \"d\"\nurl = \"{}\"\n",
            entity(&platform, "orders"),
            section(&format!("http://{free}/?key=s3cret"), ""),
            backend.url
        );
        let sidecar = Running::start(&folder.write("platools.toml", &text), &folder, &[]);
        sidecar.says("the platform has the tools").await;
        let entity = platform.entity_in("orders", "dev").unwrap();
        for _ in 0..20 {
            outcome(entity.calling("t").arguments(json!({})).send().await.unwrap()).unwrap();
        }
        folder.write(
            "platools.toml",
            format!("{text}[traces.headers]\n").replace("headers.x-api-key = \"file:key\"\n", ""),
        );
        sidecar.signal(rustix::process::Signal::HUP);
        sidecar.says("`[traces]` changed: that needs a restart").await;
        sidecar.says("takes no spans, they are lost until it does").await;
        assert!(sidecar.log().contains("Connection refused"), "{}", sidecar.log());
        outcome(entity.calling("t").arguments(json!({})).send().await.unwrap()).unwrap();
        let log = sidecar.log.clone();
        assert_eq!(sidecar.stop().await, Some(0));
        let log = std::fs::read_to_string(log).unwrap();
        assert_eq!(log.matches("takes no spans").count(), 1, "said once: {log}");
        assert!(!log.contains("s3cret"), "{log}");
    }

    #[tokio::test]
    async fn mistakes_in_the_section_have_their_line() {
        for (keys, part) in [
            ("endpoint = \"localhost:4318\"", "only http:// and https://"),
            ("endpoint = \"127.0.0.1:4318\"", "not a URL"),
            ("endpoint = \"http://169.254.169.254\"", "link-local or metadata"),
            ("endpoint = \"http://h\"\nsample_ratio = 1.5", "from 0.0, for no trace, to 1.0"),
            ("endpoint = \"http://h\"\nheaders.x = \"{id}\"", "no call fills these headers"),
            ("endpoint = \"http://h\"\nheaders.x = \"env:PLATOOLS_NO_SUCH\"", "is not set"),
            ("endpoint = \"http://h\"\nservice_nam = \"x\"", "did you mean `service_name`?"),
        ] {
            let found = problems(&format!("[traces]\n{keys}")).await;
            let line = 1 + keys.lines().count();
            let fits =
                |problem: &String| problem.starts_with(&format!("line {line}: ")) && problem.contains(part);
            assert!(found.iter().any(fits), "{part:?} in {found:?}");
        }
    }
}
