//! Several hosts behind one connection, with the smallest coordinator that can do it.

use std::sync::{Arc, Mutex};

use platools::caller::CallContext;
use platools::host::{
    Coordinator, CoordinatorFuture, Gateway, HostState, KeptAnswer, Lead, RequestAnswer, RoutedCall,
    SignedRequest,
};
use platools::intake::CallRequest;
use platools::tool::BoxError;
use platools::tool::Execution;
use platools::verify::Secret;
use platools::{Tool, ToolCall, ToolOutput, ToolSpec};
use platools_dev::DevPlatform;
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};

use super::http::{Signed, serve};
use super::support::{Running, answer, builder, error};

/// What the coordinators of a test know of each other.
#[derive(Debug, Clone, Default)]
struct Board(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    gateways: [Option<Gateway>; 2],
    kept: Vec<KeptAnswer>,
    /// Whether calls over HTTP go to the other host, and how many did.
    forwards: bool,
    forwarded: usize,
}

impl Board {
    fn gateway(&self, index: usize) -> Gateway {
        self.0.lock().unwrap().gateways[index].clone().unwrap()
    }

    /// Gives the connection to a host, and the answers that the other one could not send.
    fn lead(&self, index: usize) {
        self.gateway(index).set_lead(Lead::Yes);
        let kept = std::mem::take(&mut self.0.lock().unwrap().kept);
        for answer in kept {
            self.gateway(index).send(answer).unwrap();
        }
    }
}

/// The coordinator of one host.
#[derive(Debug)]
struct Seat {
    board: Board,
    index: usize,
}

impl Coordinator for Seat {
    fn attach(&self, gateway: Gateway) -> CoordinatorFuture<Result<(), BoxError>> {
        self.board.0.lock().unwrap().gateways[self.index] = Some(gateway);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Remote tools run at the other host, and those that it does not have are dropped.
    fn place(&self, call: RoutedCall) -> Option<RoutedCall> {
        let name = call.call().tool().name.clone();
        let tools = self.board.gateway(self.index).tools().unwrap();
        if tools.get(&name).is_none_or(|tool| tool.execution() == Execution::Local) {
            return Some(call);
        }
        let door = self.board.gateway(1 - self.index).door().unwrap();
        let user = call.call().envelope().user_id.clone().unwrap_or_default();
        let caller = CallContext::builder().call_id(call.call().call_id()).user_id(user).build();
        let request = CallRequest::new(name, call.call().arguments().clone(), caller);
        let running = door.call(request).ok()?;
        tokio::spawn(async move {
            call.answer(running.await);
        });
        None
    }

    fn keep(&self, answers: Vec<KeptAnswer>) {
        self.board.0.lock().unwrap().kept.extend(answers);
    }

    fn forward(&self, call: SignedRequest) -> Option<CoordinatorFuture<RequestAnswer>> {
        let other = self.board.gateway(1 - self.index);
        let mut inner = self.board.0.lock().unwrap();
        inner.forwarded += 1;
        inner.forwards.then(|| Box::pin(async move { other.receive(call).await }) as _)
    }
}

/// Two hosts of one entity, neither of which may dial yet.
async fn pair(platform: &DevPlatform, tools: [Vec<Tool>; 2]) -> (Board, Vec<Running>) {
    let board = Board::default();
    let mut hosts = Vec::new();
    for (index, tools) in tools.into_iter().enumerate() {
        let mut builder = builder(platform).coordinator(Seat { board: board.clone(), index });
        for tool in tools {
            builder = builder.tool(tool);
        }
        let host = Running::start(builder.build().unwrap());
        host.reaches(HostState::Standby).await;
        hosts.push(host);
    }
    (board, hosts)
}

#[tokio::test]
async fn an_answer_outlives_the_lead_of_the_host_that_ran_the_call() {
    let platform = DevPlatform::start().await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let (started, is_started) = oneshot::channel();
    let started = Mutex::new(Some(started));
    let handle = Arc::clone(&gate);
    let gated = Tool::new(ToolSpec::new("gated"), move |_| {
        let (gate, started) = (Arc::clone(&handle), started.lock().unwrap().take().unwrap());
        async move {
            let _ = started.send(());
            gate.acquire().await?.forget();
            Ok(ToolOutput::text("in the end"))
        }
    });
    let (board, hosts) = pair(&platform, [vec![gated.clone()], vec![gated]]).await;
    assert!(platform.tools().is_empty(), "neither may dial");
    board.lead(0);
    platform.wait_for_tool("gated").await.unwrap();
    let mut calling = Box::pin(answer(&platform, "gated", json!({})));
    tokio::select! {
        started = is_started => started.unwrap(),
        early = &mut calling => panic!("{early}"),
    }
    board.gateway(0).set_lead(Lead::No);
    hosts[0].reaches(HostState::Standby).await;
    gate.add_permits(1);
    let in_flight = hosts[0].handle.clone();
    in_flight.door().drained().await;
    assert_eq!(board.0.lock().unwrap().kept.len(), 1, "handed over, since this host may not send it");
    board.lead(1);
    hosts[1].reaches(HostState::Active).await;
    assert_eq!(calling.await, json!("in the end"));
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
}

#[tokio::test]
async fn a_remote_tool_runs_where_it_is_and_a_call_that_is_dropped_is_answered() {
    let platform = DevPlatform::start().await.unwrap();
    let whoami = Tool::new(ToolSpec::new("away"), |call: ToolCall| async move {
        Ok(ToolOutput::text(call.extract::<CallContext>()?.user_id()))
    });
    let remote = |name: &str| Tool::remote(ToolSpec::new(name));
    let (board, hosts) = pair(&platform, [vec![remote("away"), remote("nowhere")], vec![whoami]]).await;
    board.lead(0);
    platform.wait_for_tool("away").await.unwrap();
    let user = platform.call("whoami", json!({})).await.unwrap().into_result().unwrap()[0].clone();
    assert_eq!(answer(&platform, "away", json!({})).await, user, "the other host runs it");
    let dropped = error(&platform, "nowhere", json!({})).await;
    assert_eq!(dropped, "unavailable: no process could run the call, retry later");
    // Calls over HTTP take the same way.
    let address = serve(&hosts[0]).await;
    let scope = platform.scope();
    let headers = [
        ("X-Platos-Organization-Id", scope.organization_id.as_deref().unwrap()),
        ("X-Platos-Project-Id", scope.project_id.as_deref().unwrap()),
        ("X-Platos-Environment-Id", scope.environment_id.as_deref().unwrap()),
        ("X-Platos-Entity-Id", scope.entity_id.as_deref().unwrap()),
        ("X-Platos-User-Id", "usr_7"),
    ];
    let post = async |tool| Signed::new(&platform.secret(), tool, "{}").post(address, &headers).await;
    let answered = post("nowhere").await;
    let text = "unavailable: no process could run the call, retry later";
    assert_eq!((answered.status, answered.body.as_str()), (503, text), "{answered:?}");
    let answered = post("away").await;
    assert_eq!((answered.status, answered.body.as_str()), (200, r#""usr_7""#), "{answered:?}");
    assert_eq!(answer(&platform, "add", json!({"a": 1, "b": 2})).await, json!(3));
    for host in hosts {
        host.handle.shutdown().await;
        host.ended().await.unwrap();
    }
}

#[tokio::test]
async fn a_host_that_wakes_after_its_lead_may_be_over_does_not_dial() {
    let platform = DevPlatform::start().await.unwrap();
    let (board, hosts) = pair(&platform, [vec![], vec![]]).await;
    board.gateway(0).write_until(Some(tokio::time::Instant::now()));
    board.lead(0);
    hosts[0].reaches(HostState::Connecting).await;
    // The other one begins later, and is there first.
    board.lead(1);
    hosts[1].reaches(HostState::Active).await;
    assert_eq!((hosts[0].handle.state(), platform.counters().connected), (HostState::Connecting, 1));
    board.gateway(1).set_lead(Lead::No);
    hosts[1].reaches(HostState::Standby).await;
    board.gateway(0).write_until(None);
    hosts[0].reaches(HostState::Active).await;
    assert_eq!(platform.counters().connected, 2);
}

#[tokio::test]
async fn a_call_over_http_goes_to_whoever_leads_if_it_is_signed() {
    let platform = DevPlatform::start().await.unwrap();
    let tool = |name: &'static str| {
        Tool::new(ToolSpec::new("where"), move |_| async move { Ok(ToolOutput::text(name)) })
    };
    let (board, hosts) = pair(&platform, [vec![tool("first")], vec![tool("second")]]).await;
    board.lead(0);
    hosts[0].reaches(HostState::Active).await;
    board.gateway(0).set_lead(Lead::Keep);
    let address = serve(&hosts[0]).await;
    let post = async |secret: &Secret| Signed::new(secret, "where", "{}").post(address, &[]).await;
    let alone = post(&platform.secret()).await;
    assert_eq!((alone.status, alone.body.as_str()), (200, r#""first""#), "{alone:?}");
    board.0.lock().unwrap().forwards = true;
    let led = post(&platform.secret()).await;
    assert_eq!((led.status, led.body.as_str()), (200, r#""second""#), "{led:?}");
    let forged = post(&Secret::new("the secret of somebody else").unwrap()).await;
    assert!(forged.status == 401 && forged.body.starts_with("signature_mismatch"), "{forged:?}");
    assert_eq!(board.0.lock().unwrap().forwarded, 2, "what is not signed is passed on to nobody");
}
