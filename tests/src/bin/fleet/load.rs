//! Calls at a steady rate, while members are replaced and killed; and what became of each.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use platools::HostConfig;
use platools_dev::{CallReport, DevPlatform, Outcome};
use platools_fleet::{Fleet, MemberRole, Operator};
use serde_json::json;
use tests::nats::Nats;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

use super::process::{Process, Runs};

/// The platform waits so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer that was made needs this long at most, where a gateway is: a new one is there after 6 s.
const ENOUGH: Duration = Duration::from_secs(8);

pub(crate) struct Options {
    pub(crate) time: Duration,
    pub(crate) rate: u32,
    pub(crate) kills: u32,
    pub(crate) updates: u32,
}

enum Incident {
    Update,
    Kill,
}

pub(crate) async fn operator(platform: &DevPlatform, nats: &str) -> Operator {
    operator_at(&platform.url(), platform.secret().expose(), nats).await
}

pub(crate) async fn operator_at(url: &str, secret: &str, nats: &str) -> Operator {
    let mut host = HostConfig::default();
    host.url = Some(url.to_owned());
    host.secret = Some(platools::SecretSource::text(secret));
    Operator::connect(&Fleet::new(nats).unwrap(), &host).await.unwrap()
}

/// The process that has the connection.
async fn gateway(operator: &mut Operator) -> u32 {
    loop {
        if let Ok(status) = operator.status().await
            && let Some(gateway) = status.members.iter().find(|member| member.role == MemberRole::Gateway)
            && let Some((_, id)) = gateway.name.rsplit_once(':')
        {
            return id.parse().unwrap();
        }
        sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn run(options: &Options) {
    let program = Nats::program().expect("no nats-server: run tests/interop/install nats");
    let nats = Nats::start(&program, &[]).unwrap();
    let url = nats.url();
    let platform = DevPlatform::options().pending_time(PATIENCE).start().await.unwrap();
    let runs = Runs::default();
    let mut build = 1;
    let mut members: Vec<Process> = Vec::new();
    for _ in 0..3 {
        members.push(Process::start(&platform, &url, &format!("build-{build}"), &runs));
    }
    for member in &members {
        member.attached().await;
    }
    platform.wait_for_tool("work").await.unwrap();
    let mut operator = operator(&platform, &url).await;
    let platform = Arc::new(platform);

    let (reports, mut reported) = mpsc::unbounded_channel::<(Instant, CallReport)>();
    let begin = Instant::now();
    let calling = tokio::spawn(call(Arc::clone(&platform), options.rate, begin + options.time, reports));

    let mut incidents = Vec::new();
    for number in 0..options.updates.max(options.kills) {
        if number < options.updates {
            incidents.push(Incident::Update);
        }
        if number < options.kills {
            incidents.push(Incident::Kill);
        }
    }
    let pause = options.time / (incidents.len() as u32 + 1);
    let mut killed: Vec<(u32, Instant)> = Vec::new();
    let mut gone = Vec::new();
    for (number, incident) in incidents.into_iter().enumerate() {
        sleep_until((begin + pause * (number as u32 + 1)).into()).await;
        match incident {
            Incident::Update => {
                build += 1;
                println!("{:>5.1} s  rolling update to build {build}", begin.elapsed().as_secs_f64());
                for _ in 0..members.len() {
                    let new = Process::start(&platform, &url, &format!("build-{build}"), &runs);
                    new.attached().await;
                    members.push(new);
                    gone.push(tokio::spawn(members.remove(0).stop()));
                }
            }
            Incident::Kill => {
                let victim = gateway(&mut operator).await;
                println!("{:>5.1} s  kill -9 of the gateway", begin.elapsed().as_secs_f64());
                let index = members.iter().position(|member| member.id() == victim);
                let Some(index) = index else {
                    println!("the gateway is about to stop, and is left alone");
                    continue;
                };
                let mut member = members.remove(index);
                let (connection, at) = (platform.connection_id(), Instant::now());
                member.kill();
                killed.push((victim, at));
                while platform.connection_id() == connection || !platform.is_connected() {
                    assert!(at.elapsed() < PATIENCE, "no new gateway within {PATIENCE:?}");
                    sleep(Duration::from_millis(5)).await;
                }
                println!("         a new gateway after {:.1} s", at.elapsed().as_secs_f64());
                members.push(Process::start(&platform, &url, &format!("build-{build}"), &runs));
            }
        }
    }
    let unsent = calling.await.unwrap();
    let mut all = Vec::new();
    while let Some(report) = reported.recv().await {
        all.push(report);
    }
    for gone in gone {
        gone.await.unwrap();
    }
    drop(members);
    tally(&all, unsent, &runs, &killed);
}

/// Calls tools at this rate until `until`. Returns how many calls were not sent, since no gateway was connected.
async fn call(
    platform: Arc<DevPlatform>,
    rate: u32,
    until: Instant,
    reports: mpsc::UnboundedSender<(Instant, CallReport)>,
) -> u64 {
    let mut tick = interval(Duration::from_secs(1) / rate.max(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut unsent = 0;
    let mut random = fastrand::Rng::with_seed(7);
    while Instant::now() < until {
        tick.tick().await;
        if !platform.is_connected() {
            unsent += 1;
            continue;
        }
        // Log-uniform from 1 ms to 8 s.
        let ms = Duration::from_secs_f64(8_000_f64.powf(random.f64()) / 1_000.0).as_millis();
        let tool = if random.u8(0..4) == 0 { "again" } else { "work" };
        let arguments = json!({"ms": u64::try_from(ms).expect("at most 8000")});
        let (platform, reports) = (Arc::clone(&platform), reports.clone());
        tokio::spawn(async move {
            let sent = Instant::now();
            if let Ok(report) = platform.call(tool, arguments).await {
                let _ = reports.send((sent, report));
            }
        });
    }
    unsent
}

fn tally(all: &[(Instant, CallReport)], unsent: u64, runs: &Runs, killed: &[(u32, Instant)]) {
    let runs = runs.0.lock().unwrap();
    let mut builds: BTreeMap<String, u64> = BTreeMap::new();
    let mut errors: BTreeMap<String, u64> = BTreeMap::new();
    let mut never = 0_u64;
    let (mut in_killed, mut lost, mut late) = (0_u64, Vec::new(), 0_u64);
    let dead: HashSet<u32> = killed.iter().map(|(id, _)| *id).collect();
    for (sent, report) in all {
        match &report.outcome {
            Outcome::Result(build) => {
                *builds.entry(build.as_str().unwrap_or("?").to_owned()).or_default() += 1;
            }
            Outcome::Error(error) => *errors.entry(error.clone()).or_default() += 1,
            _ => match runs.get(&report.call_id) {
                // It was with the gateway that was killed.
                None => never += 1,
                Some(run) => match run.ended {
                    None if run.began.iter().all(|id| dead.contains(id)) => in_killed += 1,
                    // It ended there, and the answer died with the process.
                    Some(_) if run.began.iter().all(|id| dead.contains(id)) => in_killed += 1,
                    Some(ended) if ended + ENOUGH > *sent + PATIENCE => late += 1,
                    _ => lost.push(report.call_id.clone()),
                },
            },
        }
    }
    let work: HashSet<&str> = all
        .iter()
        .filter(|(_, report)| report.tool == "work")
        .map(|(_, report)| report.call_id.as_str())
        .collect();
    let twice = runs.iter().filter(|(id, run)| run.began.len() > 1 && work.contains(id.as_str())).count();
    let again = runs.iter().filter(|(id, run)| run.began.len() > 1 && !work.contains(id.as_str())).count();
    let answered: u64 = builds.values().sum();
    println!("sent {}, answered {answered}, errors {}", all.len(), errors.values().sum::<u64>());
    for (error, count) in errors {
        println!("    {count} × {error}");
    }
    println!("not sent, since no gateway was connected: {unsent}");
    println!("lost that had time: {}", lost.len());
    for call_id in lost.iter().take(5) {
        println!("    {call_id}: {:?}", runs.get(call_id));
    }
    println!(
        "without an answer: {in_killed} ran in a killed process, {never} had reached no member, {late} too late"
    );
    println!("run twice: {twice} that may not, {again} that may");
    for (build, count) in builds {
        println!("{build}: {count} calls");
    }
}
