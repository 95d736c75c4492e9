//! Several hosts on one platform, each behind a proxy of its own, with tools that keep a ledger.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use platools::host::HostError;
use platools::prelude::*;
use platools::{HostHandle, tools};
use platools_dev::{ConnectedEntity, DevPlatform, DevPlatformOptions};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::ledger::{Ledger, Tally};
use crate::proxy::Proxy;

/// How often connections are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Sleep, then answer.
#[tool(register = false)]
async fn work(ctx: CallContext, ledger: State<Ledger>, ms: u64) -> u64 {
    ledger.started(ctx.call_id());
    tokio::time::sleep(Duration::from_millis(ms)).await;
    ledger.finished(ctx.call_id());
    ms
}

/// Block a thread, then answer.
#[tool(register = false)]
fn block(ctx: CallContext, ledger: State<Ledger>, ms: u64) -> u64 {
    ledger.started(ctx.call_id());
    std::thread::sleep(Duration::from_millis(ms));
    ledger.finished(ctx.call_id());
    ms
}

/// Answer with a long text.
#[tool(register = false)]
async fn long(ctx: CallContext, ledger: State<Ledger>, bytes: usize) -> String {
    ledger.started(ctx.call_id());
    ledger.finished(ctx.call_id());
    "x".repeat(bytes)
}

/// Fail.
#[tool(register = false)]
async fn fail(ctx: CallContext, ledger: State<Ledger>) -> Result<(), String> {
    ledger.started(ctx.call_id());
    ledger.finished(ctx.call_id());
    Err("not today".to_owned())
}

/// A host, its entity, and the network between it and the platform.
#[derive(Debug)]
pub struct Member {
    /// Its side of the platform.
    pub entity: ConnectedEntity,
    /// The network before it.
    pub proxy: Proxy,
    /// Its calls.
    pub ledger: Arc<Ledger>,
    /// The host.
    pub handle: HostHandle,
    host: JoinHandle<Result<(), HostError>>,
    watch: JoinHandle<()>,
}

/// Several hosts on one platform.
#[derive(Debug)]
pub struct Fleet {
    /// The platform.
    pub platform: DevPlatform,
    /// The hosts.
    pub members: Vec<Arc<Member>>,
}

impl Fleet {
    /// Starts a platform with these options and as many hosts, and waits until they are connected.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn start(mut options: DevPlatformOptions, hosts: usize) -> Result<Self, Box<dyn Error>> {
        let name = |index: usize| format!("host-{index}");
        for index in 0..hosts {
            options = options.entity_with_random_secret(name(index));
        }
        let platform = options.start().await?;
        let mut members = Vec::new();
        for index in 0..hosts {
            members.push(Arc::new(Member::start(&platform, &name(index)).await?));
        }
        Ok(Self { platform, members })
    }

    /// Sends as many calls a second as are wanted until it is time, to hosts and tools at random, and waits
    /// until each is settled. Returns how many could not be sent, since their host was not connected.
    pub async fn load(&self, per_second: u32, until: Instant, seed: u64) -> u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut calls = JoinSet::new();
        let mut tick = interval(Duration::from_secs(1) / per_second.max(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut unsent = 0;
        while Instant::now() < until {
            tick.tick().await;
            let Some(member) = self.someone(&mut random) else { continue };
            let (tool, arguments) = some_call(&mut random);
            calls.spawn(async move { member.call(tool, arguments).await });
            while let Some(sent) = calls.try_join_next() {
                unsent += u64::from(!sent.unwrap_or_default());
            }
        }
        while let Some(sent) = calls.join_next().await {
            unsent += u64::from(!sent.unwrap_or_default());
        }
        unsent
    }

    /// A host at random: one that is connected, if there is any.
    fn someone(&self, random: &mut fastrand::Rng) -> Option<Arc<Member>> {
        let connected: Vec<_> = self.members.iter().filter(|member| member.entity.is_connected()).collect();
        random.choice(connected).or_else(|| random.choice(&self.members)).cloned()
    }

    /// What became of the calls of all hosts.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for member in &self.members {
            tally.add(member.ledger.tally());
        }
        tally
    }
}

/// A call of any of the tools.
fn some_call(random: &mut fastrand::Rng) -> (&'static str, Value) {
    match random.u8(0..20) {
        0 => ("block", json!({"ms": random.u64(0..100)})),
        1 => ("fail", json!({})),
        2 => ("long", json!({"bytes": random.usize(0..200_000)})),
        _ => ("work", json!({"ms": random.u64(0..400)})),
    }
}

impl Member {
    async fn start(platform: &DevPlatform, name: &str) -> Result<Self, Box<dyn Error>> {
        let entity = platform.entity_in(name, "dev")?;
        let proxy = Proxy::start(platform.address()).await?;
        let ledger = Arc::new(Ledger::default());
        let host = Platools::builder()
            .url(proxy.url(&entity.url()))
            .secret(entity.secret().expose())
            .heartbeat_interval(Duration::from_millis(500))
            .shared_state(Arc::clone(&ledger))
            .tools(tools![work, block, long, fail])
            .build()?;
        let handle = host.handle();
        let host = tokio::spawn(host.run_until(std::future::pending()));
        entity.wait_for_tool("work").await?;
        let watch = tokio::spawn({
            let (entity, ledger) = (entity.clone(), Arc::clone(&ledger));
            async move {
                loop {
                    ledger.connected(entity.connection_id());
                    sleep(LOOK).await;
                }
            }
        });
        Ok(Self { entity, proxy, ledger, handle, host, watch })
    }

    /// Makes a call and enters what became of it. `false` when it could not be sent.
    async fn call(&self, tool: &str, arguments: Value) -> bool {
        let sent = Instant::now();
        match self.entity.call(tool, arguments).await {
            // No host is connected, and there is no callback.
            Ok(report) if report.transport.is_http() => false,
            Ok(report) => {
                self.ledger.settle(sent, &report);
                true
            }
            Err(_) => false,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.host.abort();
        self.watch.abort();
    }
}
