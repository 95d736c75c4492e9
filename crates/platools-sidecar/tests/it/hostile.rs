//! What an attacker or a bad day does to a sidecar: silent connections, files that never answer.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use platools_dev::{ConnectedEntity, DevPlatform};
use rustix::fs::{CWD, FileType, Mode};
use rustix::process::Signal;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::backend::{Backend, client, json_answer};
use crate::sidecar::{Folder, GUARD, Running, entity, outcome, problems};

/// The limits of descriptors that a sidecar starts with, and may have.
const SOFT: usize = 48;
const HARD: usize = 112;

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn call(entity: &ConnectedEntity, tool: &str) -> serde_json::Value {
    outcome(entity.calling(tool).arguments(json!({})).send().await.unwrap()).unwrap()
}

#[tokio::test]
async fn silent_connections_take_no_descriptor_from_tools_probes_tokens_and_the_platform() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let backend = Backend::echo().await;
    let (admin, tokens) = (free_address().await, free_address().await);
    let folder = Folder::new();
    // The program waits until it has the limit of before: it is given to it right after its start.
    let text = format!(
        "{}[[tool.http]]\nname = \"t\"\ndescription = \"d\"\nurl = \"{}\"\n\
         [[tool.command]]\nname = \"limit\"\ndescription = \"d\"\nprogram = \"sh\"\n\
         args = [\"-c\", \"until [ $(ulimit -S -n) = {SOFT} ]; do :; done; ulimit -S -n\"]\n\
         [admin]\nlisten = \"{admin}\"\n\
         [session_tokens]\nlisten = \"{tokens}\"\norganization_id = \"o\"\nproject_id = \"p\"\n\
         environment_id = \"e\"\nshared_secret = \"a-secret-of-two-servers\"\n",
        entity(&platform, "orders"),
        backend.url
    );
    let file = folder.write("platools.toml", text);
    let sidecar = Running::start_limited(&file, &folder, SOFT, HARD);
    sidecar.says("the platform has the tools").await;
    sidecar.says("there are few file descriptors").await;
    let mut silent = Vec::new();
    for address in [admin, tokens] {
        for _ in 0..2 * HARD {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
    }
    let everything_works = async || {
        let answer = client().get(format!("http://{admin}/livez")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let asked = client()
            .post(format!("http://{tokens}/api/platos-session"))
            .bearer_auth("a-secret-of-two-servers")
            .header("x-platos-user-id", "usr_7");
        assert_eq!(asked.send().await.unwrap().status(), 200);
        let entity = platform.entity_in("orders", "dev").unwrap();
        call(&entity, "t").await;
        assert_eq!(call(&entity, "limit").await, json!(SOFT));
    };
    tokio::time::timeout(GUARD, everything_works()).await.expect("it answers");
    platform.crash().await;
    platform.resume().await.unwrap();
    sidecar.says_times("the platform has the tools", 2).await;
    tokio::time::timeout(GUARD, everything_works()).await.expect("it answers");
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn the_platform_comes_back_while_calls_hold_every_descriptor() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let hang = b"HTTP/1.1 200 OK\r\nx-test: hang\r\ncontent-length: 9\r\n\r\n";
    let backend = Backend::start(|_| Some(hang.to_vec())).await;
    let folder = Folder::new();
    let text = format!(
        "{}[[tool.http]]\nname = \"t\"\ndescription = \"d\"\nurl = \"{}\"\n",
        entity(&platform, "orders"),
        backend.url
    );
    let file = folder.write("platools.toml", text);
    let sidecar = Running::start_limited(&file, &folder, SOFT, HARD);
    sidecar.says("the platform has the tools").await;
    let calls: Vec<_> = (0..2 * HARD)
        .map(|_| {
            let entity = platform.entity_in("orders", "dev").unwrap();
            tokio::spawn(async move { entity.calling("t").arguments(json!({})).send().await.map(drop) })
        })
        .collect();
    sidecar.says("Too many open files").await;
    platform.crash().await;
    platform.resume().await.unwrap();
    sidecar.says_times("the platform has the tools", 2).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    drop(backend);
}

fn make_pipe(path: &Path) {
    let new = path.with_extension("pipe");
    rustix::fs::mknodat(CWD, &new, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::fs::rename(&new, path).unwrap();
}

#[tokio::test]
async fn a_named_file_that_becomes_a_pipe_stops_neither_later_reloads_nor_the_end() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    folder.write("schema.json", "{\"type\": \"object\"}");
    folder.write("secret", platform.entity_in("orders", "dev").unwrap().secret().expose());
    let url = platform.entity_in("orders", "dev").unwrap().url();
    let text = format!(
        "[[entity]]\nname = \"orders\"\nurl = \"{url}\"\nsecret = \"file:secret\"\n\
         [[tool.http]]\nname = \"t\"\ndescription = \"d\"\nurl = \"http://127.0.0.1:1/\"\nschema_file = \"schema.json\"\n"
    );
    let file = folder.write("platools.toml", &text);
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let refused = "the file is not used, everything stays as it was";
    for (count, name) in ["schema.json", "secret", "platools.toml"].into_iter().enumerate() {
        let good = std::fs::read(folder.path(name)).unwrap();
        // The watch finds it by itself, and every reload after it is made.
        make_pipe(&folder.path(name));
        sidecar.says_times(refused, 2 * count + 1).await;
        sidecar.signal(Signal::HUP);
        sidecar.says_times(refused, 2 * count + 2).await;
        assert!(sidecar.log().contains("a pipe or a device, not a regular file"), "{}", sidecar.log());
        if name == "platools.toml" {
            break;
        }
        folder.write(name, good);
        sidecar.says_times("the file is in use as it is now", count + 1).await;
    }
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn a_file_without_an_end_is_not_read() {
    let backend = "[backend.b]\nurl = \"http://127.0.0.1:1\"\n";
    let tool = "[[tool.http]]\nname = \"t\"\nurl = \"http://127.0.0.1:1/\"\n";
    for text in [
        format!("{backend}[[openapi]]\nname = \"o\"\nbackend = \"b\"\ndocument = \"/dev/zero\""),
        format!("{tool}schema_file = \"/dev/zero\""),
        format!("{tool}ca_file = \"/dev/zero\""),
        format!("{tool}bearer = \"file:/dev/zero\""),
        "[authenticator]\npublic_key_file = \"/dev/zero\"".to_owned(),
    ] {
        let found = problems(&text).await;
        assert!(found[0].contains("`/dev/zero` cannot be read: it is a pipe or a device"), "{found:?}");
    }
    let error = platools_sidecar::check("/dev/zero".as_ref()).await.unwrap_err().to_string();
    assert!(error.contains("a pipe or a device"), "{error}");
    let folder = Folder::new();
    // Sparse: it takes no room.
    let large = std::fs::File::create(folder.path("large")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    for (key, limit) in [("schema_file", "16 MiB"), ("document", "64 MiB")] {
        let path = folder.path("large").display().to_string();
        let text = match key {
            "document" => {
                format!("{backend}[[openapi]]\nname = \"o\"\nbackend = \"b\"\ndocument = \"{path}\"")
            }
            key => format!("{tool}{key} = \"{path}\""),
        };
        let found = problems(&text).await;
        assert!(found[0].contains(&format!("it is larger than {limit}")), "{found:?}");
    }
}

/// The memory of a process, in bytes: `VmRSS` for now, `VmHWM` for the most it had.
fn memory(sidecar: &Running, key: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sidecar.child.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[tokio::test]
async fn calls_that_wait_for_a_slow_backend_take_the_memory_of_their_arguments_once() {
    const CALLS: usize = 600;
    const ARGUMENTS: usize = 200_000;
    const LIMIT: usize = 64 << 20;
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let hang = b"HTTP/1.1 200 OK\r\nx-test: hang\r\ncontent-length: 9\r\n\r\n";
    let backend = Backend::start(|_| Some(hang.to_vec())).await;
    let folder = Folder::new();
    let text = format!(
        "{}max_argument_bytes = {LIMIT}\n[[tool.http]]\nname = \"t\"\ndescription = \"d\"\nmethod = \"POST\"\n\
         url = \"{}\"\narguments.text = {{ type = \"string\" }}\n",
        entity(&platform, "orders"),
        backend.url
    );
    let file = folder.write("platools.toml", text);
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    let before = memory(&sidecar, "VmRSS");
    let refused = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let (entity, refused) = (platform.entity_in("orders", "dev").unwrap(), Arc::clone(&refused));
            tokio::spawn(async move {
                let arguments = json!({"text": "x".repeat(ARGUMENTS)});
                let report = entity.calling("t").arguments(arguments).send().await.unwrap();
                let problem = outcome(report).unwrap_err();
                assert!(problem.contains("the arguments of the calls in flight exceed 64 MiB"), "{problem}");
                refused.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    let settled = async {
        while backend.count() + refused.load(Ordering::Relaxed) < CALLS {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let settled = tokio::time::timeout(GUARD, settled).await;
    let (reached, refused) = (backend.count(), refused.load(Ordering::Relaxed));
    assert!(settled.is_ok(), "of {CALLS} calls {reached} reach the backend, {refused} are refused");
    let (now, most) = (memory(&sidecar, "VmRSS") - before, memory(&sidecar, "VmHWM") - before);
    println!("{} of {CALLS} calls wait: {} MiB, at most {} MiB", backend.count(), now >> 20, most >> 20);
    assert!(backend.count() > LIMIT / ARGUMENTS * 9 / 10, "{} are there", backend.count());
    assert!(most < LIMIT * 3 / 2, "{} MiB for {} MiB of arguments", most >> 20, LIMIT >> 20);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_flood_of_large_calls_fits_into_a_small_container() {
    const CALLS: usize = 800;
    const ARGUMENTS: usize = 200_000;
    // Half of what the shipped manifests give, so that less has to be sent.
    const MEMORY: usize = 128 << 20;
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let hang = b"HTTP/1.1 200 OK\r\nx-test: hang\r\ncontent-length: 9\r\n\r\n";
    let backend = Backend::start(|_| Some(hang.to_vec())).await;
    let admin = free_address().await;
    let folder = Folder::new();
    let text = format!(
        "{}[[tool.http]]\nname = \"t\"\ndescription = \"d\"\nmethod = \"POST\"\nurl = \"{}\"\n\
         arguments.text = {{ type = \"string\" }}\n[admin]\nlisten = \"{admin}\"\n",
        entity(&platform, "orders"),
        backend.url
    );
    let file = folder.write("platools.toml", text);
    let Some((sidecar, group)) = Running::start_in_group(&file, &folder, MEMORY) else { return };
    sidecar.says("the platform has the tools").await;
    let refused = Arc::new(AtomicUsize::new(0));
    let arguments = json!({"text": "x".repeat(ARGUMENTS)});
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let (entity, refused) = (platform.entity_in("orders", "dev").unwrap(), Arc::clone(&refused));
            let arguments = arguments.clone();
            tokio::spawn(async move {
                let report = entity.calling("t").arguments(arguments).send().await.unwrap();
                // Those that reach the backend end much later, if at all.
                if outcome(report).unwrap_err().contains("overloaded: ") {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let settled = async {
        while backend.count() + refused.load(Ordering::Relaxed) < CALLS {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let settled = tokio::time::timeout(GUARD, settled).await;
    let (reached, refused) = (backend.count(), refused.load(Ordering::Relaxed));
    assert!(settled.is_ok(), "of {CALLS} calls {reached} reach the backend, {refused} are refused");
    let most = memory(&sidecar, "VmHWM");
    println!("{} of {CALLS} calls wait, at most {} MiB", backend.count(), most >> 20);
    assert!(group.killed() == 0 && most < MEMORY * 3 / 4, "{} MiB", most >> 20);
    let answer = client().get(format!("http://{admin}/livez")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    drop(sidecar);
}

#[tokio::test]
async fn the_noise_of_an_mcp_server_does_not_fill_the_log() {
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let folder = Folder::new();
    // Words for the log, what is no message, and what MCP did not ask for; and then silence.
    let script = "for line in noise '{\"jsonrpc\":\"2.0\",\"method\":\"notifications/noise\"}'; do\n\
                  yes \"$line\" | head -n 30000; yes \"$line\" | head -n 30000 >&2; done; : > \"$0.made\"; exec cat > /dev/null";
    let script = folder.write("noise.sh", script);
    let text = format!(
        "{}[[tool.command]]\nname = \"own\"\ndescription = \"d\"\nprogram = \"true\"\n\
         [[mcp]]\nname = \"m\"\ncommand = \"sh\"\nargs = [\"{}\"]\n",
        entity(&platform, "orders"),
        script.display()
    );
    let file = folder.write("platools.toml", text);
    let began = std::time::Instant::now();
    let sidecar = Running::start(&file, &folder, &[]);
    let made = async {
        while !folder.path("noise.sh.made").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(GUARD, made).await.expect("it says all of it");
    sidecar.says("the platform has the tools").await;
    let entity = platform.entity_in("orders", "dev").unwrap();
    call(&entity, "own").await;
    // 200 lines at once and 10 a second, and the libraries' own of 20 in 10 s, although it is started again.
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let (lines, most) = (sidecar.log().lines().count(), 200 + 10 * seconds + 100);
    println!("{lines} lines in {seconds} s");
    assert!((200..most).contains(&lines), "{}", sidecar.log());
    assert_eq!(sidecar.stop().await, Some(0));
}

#[tokio::test]
async fn calls_that_fail_without_end_do_not_fill_the_log() {
    const CALLS: usize = 100;
    // Of each ration: 20 in 10 s.
    const LINES: usize = 20;
    let platform = DevPlatform::options().entity_with_random_secret("orders").start().await.unwrap();
    let backend = Backend::start(|_| Some(json_answer(500, &json!({})))).await;
    let folder = Folder::new();
    let gone = folder.write("gone.sh", "#!/bin/sh\n");
    std::fs::set_permissions(&gone, std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = format!(
        "{}[[tool.http]]\nname = \"backend\"\ndescription = \"d\"\nurl = \"{}\"\n\
         [[tool.command]]\nname = \"program\"\ndescription = \"d\"\nprogram = \"false\"\n\
         [[tool.command]]\nname = \"gone\"\ndescription = \"d\"\nprogram = \"{}\"\n\
         [sidecar]\nwatch = false\n",
        entity(&platform, "orders"),
        backend.url,
        gone.display()
    );
    let file = folder.write("platools.toml", text);
    let began = std::time::Instant::now();
    let sidecar = Running::start(&file, &folder, &[]);
    sidecar.says("the platform has the tools").await;
    std::fs::remove_file(&gone).unwrap();
    let entity = platform.entity_in("orders", "dev").unwrap();
    for (tool, level, line) in [
        ("backend", "WARN", "a backend failed"),
        ("program", "WARN", "a program failed"),
        ("gone", "ERROR", "internal error: it cannot be started"),
    ] {
        for _ in 0..CALLS {
            outcome(entity.calling(tool).arguments(json!({})).send().await.unwrap()).unwrap_err();
        }
        let periods = usize::try_from(began.elapsed().as_secs()).unwrap() / 10 + 1;
        let log = sidecar.log();
        let lines = log.lines().filter(|logged| logged.contains(line));
        let lines = lines.inspect(|line| assert!(line.contains(level), "{line}")).count();
        assert!(
            (1..=LINES * periods).contains(&lines) && lines < CALLS,
            "{lines} of {line}: {}",
            sidecar.log()
        );
    }
    assert_eq!(sidecar.stop().await, Some(0));
}
