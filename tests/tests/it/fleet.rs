//! Fleets on a real NATS server: members in this process, and as processes that are killed and suspended.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use platools::host::HostState;
use platools::prelude::*;
use platools::verify::Secret;
use platools::wire::HealthStatus;
use platools::{HostConfig, SecretSource, Tool, ToolCall, ToolOutput, ToolSpec};
use platools_dev::{ConnectedEntity, DevPlatform};
use platools_fleet::{Fleet, MemberRole, Operator};
use serde_json::{Value, json};
use tests::nats::Nats;
use tests::proxy::{Flow, Proxy};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::http::{Signed, serve};
use super::interop::{library, skip};
use super::support::{GUARD, Running, answer, builder, error, program, until};

/// A new gateway is there within this time, whatever happens to the one before.
const TAKE_OVER: Duration = Duration::from_secs(6);

/// A NATS server, or `None` where none is installed, which is said loudly.
fn nats() -> Option<Nats> {
    nats_with(&[])
}

pub(super) fn nats_with(more: &[&str]) -> Option<Nats> {
    let program = Nats::program();
    if program.is_none() {
        skip("nats");
    }
    Some(Nats::start(&program?, more).unwrap())
}

/// A member in this process.
pub(super) struct Member {
    fleet: Fleet,
    host: Running,
}

impl Member {
    async fn start(entity: &ConnectedEntity, nats: &str, name: &str) -> Self {
        Self::with(entity, fleet(nats, name), |host| host).await
    }

    pub(super) async fn with(
        entity: &ConnectedEntity,
        fleet: Fleet,
        more: impl FnOnce(Platools) -> Platools,
    ) -> Self {
        let host = more(builder(entity).tool(whoami_here(&fleet))).coordinator(fleet.clone());
        let host = Running::start(host.build().unwrap());
        let this = Self { fleet, host };
        until(|| this.fleet.is_attached() || this.host.task.is_finished()).await;
        if !this.host.task.is_finished() {
            return this;
        }
        panic!("it does not join: {:?}", this.host.ended().await)
    }

    /// Waits until the gateway, which this has to be, knows so many members.
    pub(super) async fn knows(&self, count: usize) {
        until(|| self.fleet.is_gateway() && self.fleet.status().unwrap().members.len() == count).await;
    }

    pub(super) async fn stop(self) {
        self.host.handle.shutdown().await;
        self.host.ended().await.unwrap();
    }
}

pub(super) fn fleet(nats: &str, name: &str) -> Fleet {
    Fleet::new(nats).unwrap().with_name(name).with_build("1")
}

/// Says at which member it runs.
fn whoami_here(fleet: &Fleet) -> Tool {
    let name = format!("{fleet:?}").split("name: \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    Tool::new(ToolSpec::new("where").read_only(true), move |_| {
        let name = name.clone();
        async move { Ok(ToolOutput::text(name)) }
    })
}

/// Members with these names; the first is the gateway.
async fn members(entity: &ConnectedEntity, nats: &str, names: &[&str]) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for name in names {
        members.push(Member::start(entity, nats, name).await);
        entity.wait_for_tool("where").await.unwrap();
    }
    members[0].knows(names.len()).await;
    members
}

/// A tool that begins, says so, and ends when it may.
#[derive(Clone)]
struct Gate {
    begun: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { begun: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    fn tool(&self, name: &str, member: &str, read_only: bool) -> Tool {
        let (gate, member) = (self.clone(), member.to_owned());
        Tool::new(ToolSpec::new(name).read_only(read_only), move |_| {
            let (gate, member) = (gate.clone(), member.clone());
            async move {
                gate.begun.add_permits(1);
                gate.open.acquire().await?.forget();
                Ok(ToolOutput::text(member))
            }
        })
    }

    async fn begun(&self, count: u32) {
        timeout(GUARD, self.begun.acquire_many(count)).await.expect("in time").unwrap().forget();
    }
}

fn calling(platform: &Arc<DevPlatform>, tool: &'static str) -> tokio::task::JoinHandle<Value> {
    let platform = Arc::clone(platform);
    tokio::spawn(async move { answer(&platform, tool, json!({})).await })
}

async fn operator(entity: &ConnectedEntity, nats: &str) -> Operator {
    let mut host = HostConfig::default();
    host.url = Some(entity.url());
    host.secret = Some(SecretSource::text(entity.secret().expose()));
    Operator::connect(&Fleet::new(nats).unwrap(), &host).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_run_at_all_members_with_all_that_belongs_to_them() {
    let Some(nats) = nats() else { return };
    let platform = DevPlatform::start().await.unwrap();
    let members = members(&platform, &nats.url(), &["a", "b", "c"]).await;
    assert_eq!(platform.counters().connected, 1, "one connection");
    let calls = (0..60).map(|_| answer(&platform, "sleep", json!({"ms": 30})));
    assert!(futures_util::future::join_all(calls).await.iter().all(|slept| slept == 30));
    let ran = futures_util::future::join_all((0..60).map(|_| answer(&platform, "where", json!({})))).await;
    let ran: HashSet<String> = ran.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(ran, ["a", "b", "c"].map(str::to_owned).into(), "by free places");

    // Caller, context, errors, large answers and arguments are the same wherever a call runs.
    for _ in 0..6 {
        let report =
            platform.calling("whoami").user("usr_7").context(json!({"tier": "gold"})).send().await.unwrap();
        let who = report.into_result().unwrap();
        assert_eq!((&who[0], &who[3]["tier"]), (&json!("usr_7"), &json!("gold")));
        assert_eq!(error(&platform, "fail", json!({"inside": false})).await, "not today");
        let internal = error(&platform, "fail", json!({"inside": true})).await;
        assert!(internal.starts_with("internal error (call ") && !internal.contains("hunter2"), "{internal}");
        let text = "é".repeat(700_000);
        assert_eq!(answer(&platform, "length", json!({"text": text})).await, json!(1_400_000));
    }
    for _ in 0..3 {
        let large = platform.call("huge", json!({"bytes": 3 << 20})).await.unwrap();
        assert!(large.reply.unwrap().len() > 3 << 20, "more than NATS takes in one message");
    }
    let unknown = error(&platform, "nothing", json!({})).await;
    assert_eq!(unknown, "unknown tool: nothing");
    let panicked = error(&platform, "panic", json!({})).await;
    assert!(panicked.starts_with("internal error"), "{panicked}");

    let mut operator = operator(&platform, &nats.url()).await;
    let status = operator.status().await.unwrap();
    let roles: Vec<_> = status.members.iter().map(|member| (member.name.as_str(), member.role)).collect();
    assert_eq!(roles, [("a", MemberRole::Gateway), ("b", MemberRole::Member), ("c", MemberRole::Member)]);
    assert!(status.members.iter().all(|member| member.build == "1" && member.tools == 10 && member.free > 0));
    for member in members {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_change_of_the_gateway_loses_nothing_and_answers_no_error() {
    let Some(nats) = nats() else { return };
    let platform = Arc::new(DevPlatform::start().await.unwrap());
    let mut members = members(&platform, &nats.url(), &["a", "b", "c"]).await;
    let stop = Arc::new(Semaphore::new(0));
    let steady = tokio::spawn({
        let (platform, stop) = (Arc::clone(&platform), Arc::clone(&stop));
        async move {
            let mut calls = Vec::new();
            while stop.available_permits() == 0 {
                let platform = Arc::clone(&platform);
                calls.push(tokio::spawn(async move { answer(&platform, "sleep", json!({"ms": 400})).await }));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for call in calls {
                assert_eq!(call.await.unwrap(), 400);
            }
        }
    });
    // Twice: the gateway, and the one that followed.
    for _ in 0..2 {
        let index = members.iter().position(|member| member.fleet.is_gateway()).unwrap();
        let gateway = members.remove(index);
        let (connection, began) = (platform.connection_id(), Instant::now());
        gateway.stop().await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(platform.is_connected() && platform.connection_id() != connection);
        platform.wait_visible(true).await.unwrap();
        until(|| members.iter().any(|member| member.fleet.is_gateway())).await;
    }
    stop.add_permits(1);
    timeout(GUARD, steady).await.unwrap().unwrap();
    assert_eq!(platform.counters().superseded, 2, "the successor dials before the old connection ends");
    let alone = members.remove(0);
    alone.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_another_member_outlives_the_gateway_that_took_the_call() {
    let Some(nats) = nats() else { return };
    let platform = Arc::new(DevPlatform::start().await.unwrap());
    let gate = Gate::new();
    let gateway =
        Member::with(&platform, fleet(&nats.url(), "a").with_gateway_serving(false), |host| host).await;
    let tool = gate.tool("gated", "b", false);
    let other = Member::with(&platform, fleet(&nats.url(), "b"), |host| host.tool(tool)).await;
    platform.wait_for_tool("gated").await.unwrap();
    let call = calling(&platform, "gated");
    let address = serve(&other.host).await;
    let over_http = Signed::new(&platform.secret(), "gated", "{}");
    let over_http = tokio::spawn(async move { over_http.post(address, &[]).await });
    gate.begun(2).await;
    let began = Instant::now();
    // Nothing is handed over: the tasks end where they are.
    gateway.host.task.abort();
    until(|| other.fleet.is_gateway() && platform.is_connected()).await;
    assert!(began.elapsed() < TAKE_OVER, "{:?}", began.elapsed());
    // Its client waited at the one that is lost.
    let lost = timeout(GUARD, over_http).await.unwrap().unwrap();
    assert!(lost.status == 503 && lost.body.contains("may have run"), "{lost:?}");
    assert!(began.elapsed() < TAKE_OVER && !lost.head.to_lowercase().contains("retry-after"), "{lost:?}");
    gate.open.add_permits(2);
    assert_eq!(timeout(GUARD, call).await.unwrap().unwrap(), "b");
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_member_s_calls_run_again_if_they_may_and_are_answered_at_once_if_not() {
    let Some(nats) = nats() else { return };
    let platform = Arc::new(DevPlatform::start().await.unwrap());
    let proxy = Proxy::start(nats.address()).await.unwrap();
    let (gate, safe) = (Gate::new(), Gate::new());
    let serving = fleet(&nats.url(), "a").with_gateway_serving(false);
    let tools = [gate.tool("gated", "a", false), safe.tool("safe", "a", true)];
    let gateway =
        Member::with(&platform, serving, |host| tools.iter().cloned().fold(host, Platools::tool)).await;
    let far = fleet(&proxy.url(&nats.url()), "b");
    let tools = [gate.tool("gated", "b", false), safe.tool("safe", "b", true)];
    let far = Member::with(&platform, far, |host| tools.iter().cloned().fold(host, Platools::tool)).await;
    gateway.knows(2).await;
    let once = {
        let platform = Arc::clone(&platform);
        tokio::spawn(async move { error(&platform, "gated", json!({})).await })
    };
    let twice = calling(&platform, "safe");
    gate.begun(1).await;
    safe.begun(1).await;
    let began = Instant::now();
    proxy.set_both(Flow::Swallowed);
    let lost = timeout(GUARD, once).await.unwrap().unwrap();
    assert!(
        lost.starts_with("unavailable: the replica that ran the call was lost, and the call may have run"),
        "{lost}"
    );
    assert!(began.elapsed() < Duration::from_secs(5), "at once: {:?}", began.elapsed());
    // Nobody else is there, so that the gateway runs it although it is not meant to.
    safe.begun(1).await;
    safe.open.add_permits(2);
    assert_eq!(timeout(GUARD, twice).await.unwrap().unwrap(), "a");
    far.host.task.abort();
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_before_is_refused_by_whoever_has_the_connection_next() {
    let Some(nats) = nats() else { return };
    let platform = DevPlatform::start().await.unwrap();
    let refused = async |reason: &str| {
        let replayed = platform.faults().replay_last_call().await.unwrap();
        let error = replayed.error().expect("it is refused").to_owned();
        assert!(error.starts_with(reason), "{error}");
    };
    let first = Member::start(&platform, &nats.url(), "first").await;
    platform.wait_for_tool("where").await.unwrap();
    assert_eq!(answer(&platform, "where", json!({})).await, "first");
    // The one that is given the lease is given the nonces.
    let second = Member::start(&platform, &nats.url(), "second").await;
    first.knows(2).await;
    first.stop().await;
    until(|| second.fleet.is_gateway() && platform.is_connected()).await;
    refused("nonce_replay").await;
    assert_eq!(answer(&platform, "where", json!({})).await, "second");
    // Nobody is left to give them to: the record of the lease says until when calls may have been accepted.
    second.stop().await;
    let third = Member::start(&platform, &nats.url(), "third").await;
    until(|| third.fleet.is_gateway() && platform.is_connected()).await;
    refused("signed_before_restart").await;
    assert_eq!(answer(&platform, "where", json!({})).await, "third");
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_without_nats_serves_alone_and_everything_resumes() {
    let Some(mut nats) = nats() else { return };
    for keeps_store in [true, false] {
        let platform = DevPlatform::start().await.unwrap();
        let members = members(&platform, &nats.url(), &["a", "b"]).await;
        let connection = platform.connection_id();
        nats.kill();
        if !keeps_store {
            nats.forget().unwrap();
        }
        until(|| members[0].fleet.status().unwrap().alone).await;
        let ran =
            futures_util::future::join_all((0..20).map(|_| answer(&platform, "where", json!({})))).await;
        assert!(ran.iter().all(|name| name == "a"), "the gateway serves alone: {ran:?}");
        nats.resume().unwrap();
        until(|| !members[0].fleet.status().unwrap().alone).await;
        members[0].knows(2).await;
        let mut ran = HashSet::new();
        while ran.len() < 2 {
            let calls = (0..20).map(|_| answer(&platform, "where", json!({})));
            ran.extend(futures_util::future::join_all(calls).await.iter().map(ToString::to_string));
        }
        assert_eq!(platform.connection_id(), connection, "the connection was never given up");
        for member in members {
            member.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_cut_off_gives_way_to_a_member_that_is_not() {
    let Some(nats) = nats() else { return };
    let platform = DevPlatform::start().await.unwrap();
    let proxy = Proxy::start(nats.address()).await.unwrap();
    let cut_off = Member::start(&platform, &proxy.url(&nats.url()), "a").await;
    platform.wait_for_tool("where").await.unwrap();
    let other = Member::start(&platform, &nats.url(), "b").await;
    cut_off.knows(2).await;
    let began = Instant::now();
    proxy.set_both(Flow::Swallowed);
    until(|| other.fleet.is_gateway() && platform.counters().connected == 2).await;
    assert!(began.elapsed() < TAKE_OVER, "{:?}", began.elapsed());
    assert_eq!(answer(&platform, "where", json!({})).await, "b");
    cut_off.host.reaches(HostState::Standby).await;
    proxy.set_both(Flow::Open);
    other.knows(2).await;
    assert_eq!(platform.counters().connected, 2, "nobody dials without the lease");
    cut_off.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_secret_and_another_entity_do_not_mix() {
    let Some(nats) = nats() else { return };
    let platform = DevPlatform::options()
        .entity_with_random_secret("orders")
        .entity_with_random_secret("billing")
        .start()
        .await
        .unwrap();
    let orders = platform.entity_in("orders", "dev").unwrap();
    let billing = platform.entity_in("billing", "dev").unwrap();
    let first = Member::start(&orders, &nats.url(), "orders").await;
    let second = Member::start(&billing, &nats.url(), "billing").await;
    orders.wait_for_tool("where").await.unwrap();
    billing.wait_for_tool("where").await.unwrap();
    for _ in 0..10 {
        assert_eq!(answer(&orders, "where", json!({})).await, "orders");
        assert_eq!(answer(&billing, "where", json!({})).await, "billing");
    }
    // One with another secret hears nothing, and is not heard.
    let mut host = HostConfig::default();
    host.url = Some(orders.url());
    host.secret = Some(SecretSource::text("some other secret of somebody"));
    let mut stranger = Operator::connect(&Fleet::new(&nats.url()).unwrap(), &host).await.unwrap();
    let refused = stranger.status().await.unwrap_err().to_string();
    assert!(refused.contains("PLATOS_SECRET") && !refused.contains("somebody"), "{refused}");
    // What goes through NATS shows nothing, and what is sent again is refused.
    let spy = async_nats::connect(nats.url()).await.unwrap();
    let mut seen = spy.subscribe("platools.>").await.unwrap();
    let third = Member::start(&orders, &nats.url(), "third").await;
    first.knows(2).await;
    let calls = (0..30).map(|_| orders.calling("whoami").user("usr_secret").user_token("tok_secret"));
    let calls =
        futures_util::future::join_all(calls.map(|call| async move { call.send().await.unwrap() })).await;
    assert!(calls.iter().all(|report| report.error().is_none()));
    let mut heard = Vec::new();
    // The members report all the time.
    while heard.len() < 30 {
        let message = timeout(GUARD, seen.next()).await.expect("in time").unwrap();
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        assert!(!text.contains("usr_secret") && !text.contains("tok_secret") && !text.contains("whoami"));
        if message.subject.contains(".m.") {
            heard.push(message);
        }
    }
    let all = [&first, &second, &third];
    let refused = || all.iter().map(|member| member.fleet.status().unwrap().refused).sum::<u64>();
    assert_eq!(refused(), 0);
    let count = heard.len() as u64;
    for message in heard {
        spy.publish(message.subject, message.payload).await.unwrap();
    }
    until(|| refused() >= count).await;
    assert_eq!(refused(), count);
    assert_eq!(answer(&orders, "add", json!({"a": 1, "b": 2})).await, 3, "nothing came of that");
    for member in [first, second, third] {
        member.stop().await;
    }
}

fn versioned(name: &str, description: &str, member: &str) -> Tool {
    let member = member.to_owned();
    Tool::new(ToolSpec::new(name).description(description), move |_: ToolCall| {
        let member = member.clone();
        async move { Ok(ToolOutput::text(member)) }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_declaration_counts_while_a_member_has_it() {
    let Some(nats) = nats() else { return };
    let platform = DevPlatform::start().await.unwrap();
    let declared = |name: &str| platform.tool(name).map(|tool| tool.description);
    let old = Member::with(&platform, fleet(&nats.url(), "old"), |host| {
        host.tool(versioned("greet", "Greet.", "old")).tool(versioned("only_old", "Old.", "old"))
    });
    let old = old.await;
    platform.wait_for_tool("only_old").await.unwrap();
    let new = Member::with(&platform, fleet(&nats.url(), "new").with_build("10"), |host| {
        host.tool(versioned("greet", "Greet anybody.", "new")).tool(versioned("only_new", "New.", "new"))
    });
    let new = new.await;
    until(|| declared("greet").as_deref() == Some("Greet anybody.") && declared("only_new").is_some()).await;
    for _ in 0..10 {
        assert_eq!(answer(&platform, "greet", json!({})).await, "new", "only members with that declaration");
        assert_eq!(answer(&platform, "only_new", json!({})).await, "new");
        assert_eq!(answer(&platform, "only_old", json!({})).await, "old");
    }
    new.stop().await;
    until(|| declared("greet").as_deref() == Some("Greet.")).await;
    assert_eq!(answer(&platform, "greet", json!({})).await, "old");
    assert!(declared("only_new").is_some(), "not pruned, since members come and go during a deploy");
    let gone = error(&platform, "only_new", json!({})).await;
    assert!(gone.starts_with("unavailable: no replica that has this tool is running"), "{gone}");
    old.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_is_down_when_it_is_at_all_members_that_have_it() {
    let Some(nats) = nats() else { return };
    let platform = DevPlatform::start().await.unwrap();
    let switches = [false, false].map(|down| Arc::new(AtomicBool::new(down)));
    let mut members = Vec::new();
    for (name, switch) in ["a", "b"].into_iter().zip(&switches) {
        let switch = Arc::clone(switch);
        let fragile = versioned("fragile", "Break.", name)
            .down_while(move || switch.load(Ordering::Relaxed).then(|| "it is broken".to_owned()));
        let often = Duration::from_millis(100);
        members.push(
            Member::with(&platform, fleet(&nats.url(), name), |host| {
                host.heartbeat_interval(often).tool(fragile)
            })
            .await,
        );
        platform.wait_for_tool("fragile").await.unwrap();
    }
    members[0].knows(2).await;
    let is_down =
        || platform.health().get("fragile").is_some_and(|health| health.status == HealthStatus::Down);
    switches[0].store(true, Ordering::Relaxed);
    // Long enough for both to have told it.
    let heartbeats = platform.counters().heartbeats;
    until(|| platform.counters().heartbeats > heartbeats + 15).await;
    assert!(!is_down(), "the other member has it");
    switches[1].store(true, Ordering::Relaxed);
    until(is_down).await;
    switches[0].store(false, Ordering::Relaxed);
    until(|| !is_down()).await;
    for member in members {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tools_of_another_member_are_declared_and_called() {
    let Some(nats) = nats() else { return };
    let platform = DevPlatform::start().await.unwrap();
    let first = Member::start(&platform, &nats.url(), "a").await;
    platform.wait_for_tool("where").await.unwrap();
    let second = Member::with(&platform, fleet(&nats.url(), "b"), |host| {
        (0..1_000).fold(host, |host, index| host.tool(tests::small_tool(index)))
    });
    let second = second.await;
    platform.wait_for_tool("tool_00999").await.unwrap();
    assert_eq!(platform.tools().len(), 1_010);
    let calls = (0..200).map(|index| {
        let name = format!("tool_{:05}", index * 5);
        let platform = &platform;
        async move { platform.call(&name, json!({"id": "x"})).await.unwrap() }
    });
    let reports = futures_util::future::join_all(calls).await;
    assert!(reports.iter().all(|report| report.error().is_none()));
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_nats_is_an_error_unless_it_is_optional() {
    let platform = DevPlatform::start().await.unwrap();
    let nowhere = "nats://127.0.0.1:9";
    let host = builder(&platform).coordinator(fleet(nowhere, "a")).build().unwrap();
    let failed = Running::start(host).ended().await.unwrap_err().to_string();
    for part in ["NATS server of the fleet", "PLATOOLS_FLEET", "PLATOOLS_FLEET_OPTIONAL=true"] {
        assert!(failed.contains(part), "{failed}");
    }
    let Some(mut nats) = nats() else { return };
    let url = nats.url();
    nats.kill();
    let waiting = fleet(&url, "a").with_optional(true);
    let host = Running::start(builder(&platform).coordinator(waiting.clone()).build().unwrap());
    host.reaches(HostState::Standby).await;
    assert!(!waiting.is_attached());
    nats.resume().unwrap();
    until(|| waiting.is_gateway()).await;
    platform.wait_for_tool("add").await.unwrap();
    host.handle.shutdown().await;
    host.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_drains_a_member_and_is_told_who_there_is() {
    let Some(nats) = nats() else { return };
    let platform = DevPlatform::start().await.unwrap();
    let members = members(&platform, &nats.url(), &["a", "b", "c", "c"]).await;
    let mut operator = operator(&platform, &nats.url()).await;
    let missing = operator.drain("z").await.unwrap_err().to_string();
    assert!(missing.contains("\"z\"") && missing.contains("a, b, c, c"), "{missing}");
    let several = operator.drain("c").await.unwrap_err().to_string();
    assert!(several.contains("several members \"c\"") && several.matches("(c)").count() == 2, "{several}");
    let drains = |at: &Member, name: &str| {
        let status = at.fleet.status().unwrap().members;
        status.iter().filter(|member| member.name == name && member.role == MemberRole::Draining).count()
    };
    assert_eq!(operator.drain("b").await.unwrap(), "b");
    assert_eq!(drains(&members[1], "b"), 1, "it has heard of it");
    let status = operator.status().await.unwrap();
    for id in status.members.iter().filter(|member| member.name == "c").map(|member| &member.id[..20]) {
        assert_eq!(operator.drain(id).await.unwrap(), "c");
    }
    until(|| drains(&members[0], "b") + drains(&members[0], "c") == 3).await;
    let ran = futures_util::future::join_all((0..20).map(|_| answer(&platform, "where", json!({})))).await;
    assert!(ran.iter().all(|name| name == "a"), "{ran:?}");
    for member in members {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_over_http_reach_any_member_and_are_checked_at_the_gateway() {
    let Some(nats) = nats() else { return };
    let platform = DevPlatform::start().await.unwrap();
    let gateway = Member::start(&platform, &nats.url(), "a").await;
    platform.wait_for_tool("where").await.unwrap();
    let other = fleet(&nats.url(), "b");
    let other = Member::with(&platform, other, |host| host.tool(versioned("only_b", "Run at b.", "b"))).await;
    platform.wait_for_tool("only_b").await.unwrap();
    let members = [gateway, other];
    let (gateway, member) = (serve(&members[0].host).await, serve(&members[1].host).await);
    let call = Signed::new(&platform.secret(), "add", r#"{"a":1,"b":2}"#);
    let headers = [("X-Platos-Call-Id", "call-http")];
    let answered = call.post(member, &headers).await;
    assert_eq!((answered.status, answered.body.as_str()), (200, "3"), "{answered:?}");
    // The nonce is known everywhere, and the id, too.
    for address in [gateway, member] {
        let again = call.post(address, &headers).await;
        assert!(again.status == 401 && again.body.starts_with("nonce_replay"), "{again:?}");
        let other = Signed::new(&platform.secret(), "add", r#"{"a":1,"b":2}"#).post(address, &headers).await;
        assert_eq!(other.status, 409, "{other:?}");
    }
    let forged = Signed::new(&Secret::new("the secret of somebody else").unwrap(), "add", "{}");
    assert_eq!(forged.post(member, &[]).await.status, 401);
    let failed = Signed::new(&platform.secret(), "fail", r#"{"inside":false}"#).post(member, &[]).await;
    assert_eq!((failed.status, failed.body.as_str()), (422, "not today"));
    // The gateway hands them over as it does those of the socket.
    for address in [gateway, member] {
        let answered = Signed::new(&platform.secret(), "only_b", "{}").post(address, &[]).await;
        assert_eq!((answered.status, answered.body.as_str()), (200, "\"b\""), "{answered:?}");
    }
    for member in members {
        member.stop().await;
    }
}

// --- processes

/// A member as a process of its own.
struct Process(Child);

impl Process {
    fn start(entity: &ConnectedEntity, nats: &str) -> Self {
        Self::with(entity, nats, &[])
    }

    /// Starts a member whose wall clock is wrong by `offset`, such as `+120s`; its monotonic clock is not.
    fn with_clock(entity: &ConnectedEntity, nats: &str, library: &Path, offset: &str) -> Self {
        let library = library.to_str().unwrap();
        let clock = [("LD_PRELOAD", library), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        Self::with(entity, nats, &clock)
    }

    fn with(entity: &ConnectedEntity, nats: &str, more: &[(&str, &str)]) -> Self {
        let (url, secret) = (entity.url(), entity.secret());
        let mut variables =
            vec![("PLATOS_URL", &*url), ("PLATOS_SECRET", secret.expose()), ("PLATOOLS_FLEET", nats)];
        variables.extend(more);
        let mut command = program(env!("CARGO_BIN_EXE_fleet"), &variables);
        Self(command.arg("member").stdout(std::process::Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// The process that answers a call.
async fn serves(entity: &ConnectedEntity) -> u32 {
    answer(entity, "process", json!({})).await.as_u64().unwrap() as u32
}

/// The platform's clock is in between. Both members are within the five minutes that it allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_whose_clocks_differ_take_over_and_refuse_only_what_was_accepted_before() {
    let Some(nats) = nats() else { return };
    let Some(library) = library("faketime") else { return };
    let platform = DevPlatform::start().await.unwrap();
    for [first, second] in [["+140s", "-140s"], ["-140s", "+140s"]] {
        let first = Process::with_clock(&platform, &nats.url(), &library, first);
        platform.wait_for_tool("process").await.unwrap();
        let mut operator = operator(&platform, &nats.url()).await;
        let second = Process::with_clock(&platform, &nats.url(), &library, second);
        let mut members = 0;
        while members < 2 {
            members = operator.status().await.map_or(0, |status| status.members.len());
        }
        // What the gateway knows of the platform's clock is in the record of its lease with the next second.
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3) {
            serves(&platform).await;
        }
        let connected = platform.counters().connected;
        let killed = Instant::now();
        first.signal("KILL");
        until(|| platform.counters().connected > connected).await;
        assert!(killed.elapsed() < TAKE_OVER, "{:?}", killed.elapsed());
        let replayed = platform.faults().replay_last_call().await.unwrap();
        let refused = format!("{:?}", replayed.outcome);
        assert!(refused.contains("signed_before_restart"), "{refused}");
        assert_eq!(serves(&platform).await, second.0.id(), "a call that is signed now");
        drop((first, second));
        platform.wait_disconnected().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_killed_or_suspended_is_replaced_and_does_nothing_when_it_wakes() {
    let Some(nats) = nats() else { return };
    let platform = DevPlatform::start().await.unwrap();
    for signal in ["KILL", "STOP"] {
        let first = Process::start(&platform, &nats.url());
        platform.wait_for_tool("process").await.unwrap();
        let mut operator = operator(&platform, &nats.url()).await;
        let second = Process::start(&platform, &nats.url());
        let mut members = 0;
        while members < 2 {
            members = operator.status().await.map_or(0, |status| status.members.len());
        }
        let connected = platform.counters().connected;
        let began = Instant::now();
        first.signal(signal);
        until(|| platform.counters().connected > connected).await;
        assert!(began.elapsed() < TAKE_OVER, "SIG{signal}: {:?}", began.elapsed());
        assert_eq!(serves(&platform).await, second.0.id());
        if signal == "STOP" {
            let before = platform.counters();
            let connection = platform.connection_id();
            first.signal("CONT");
            let mut ran = HashSet::new();
            while ran.len() < 2 {
                ran.extend(futures_util::future::join_all((0..10).map(|_| serves(&platform))).await);
            }
            let after = platform.counters();
            assert_eq!(platform.connection_id(), connection, "it takes nothing back");
            assert_eq!((after.connected, after.unknown_answers), (before.connected, before.unknown_answers));
        }
        drop((first, second));
        platform.wait_disconnected().await.unwrap();
    }
}
