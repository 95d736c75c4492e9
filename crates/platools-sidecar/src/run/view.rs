//! What can be seen of a running sidecar: pictures that the sidecar makes, and others look at.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use platools::{HostHandle, ToolSpec};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::documents::{DocumentView, Documents};
use super::fleet::Fleet;
use super::host::{RunningHost, Told};
use super::upstreams::{Shelf, UpstreamView};
use crate::plan::{Plan, PlannedTool};

/// What the admin listener shows. Clones show the same.
#[derive(Debug, Clone)]
pub(super) struct View(Arc<RwLock<Picture>>);

#[derive(Debug)]
struct Picture {
    file: String,
    started: Instant,
    started_at: SystemTime,
    is_ready: bool,
    is_stopping: bool,
    entities: Vec<Observed>,
    upstreams: Vec<UpstreamView>,
    documents: Vec<DocumentView>,
    /// Those of the file, described when somebody asks: all schemas a second time are megabytes.
    tools: Arc<Vec<PlannedTool>>,
    /// Those of MCP servers, which come and go.
    shelves: Vec<Shelf>,
    warnings: Vec<String>,
    /// What the plan says of the sidecar itself.
    settings: Map<String, Value>,
    reload: Option<Reload>,
}

#[derive(Debug, Clone, Serialize)]
struct EntityView {
    name: String,
    state: String,
    ready: bool,
    /// Since when the connection is in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Why there is no connection, or why the platform has not these tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What the first declaration of the tools waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waits_for: Vec<String>,
    tools: usize,
    calls_in_flight: usize,
}

/// An entity, of which the rest is asked when somebody wants to know: lists of tools are long.
#[derive(Debug)]
struct Observed {
    name: String,
    handle: HostHandle,
    ready: bool,
    told: Option<Told>,
    waits_for: Vec<String>,
}

impl Observed {
    fn view(&self) -> EntityView {
        EntityView {
            name: self.name.clone(),
            state: self.handle.state().to_string(),
            ready: self.ready,
            since: self.told.as_ref().map(|told| shown(told.since)),
            problem: self.told.as_ref().and_then(|told| told.problem.clone()),
            waits_for: self.waits_for.clone(),
            tools: self.handle.tools().registry().len(),
            calls_in_flight: self.handle.in_flight(),
        }
    }
}

impl Picture {
    fn entities(&self) -> Vec<EntityView> {
        self.entities.iter().map(Observed::view).collect()
    }
}

fn shown(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

/// A tool as it is declared.
fn described(spec: &ToolSpec, source: &str, entities: Option<&[String]>) -> Value {
    json!({
        "name": spec.name,
        "source": source,
        "description": spec.description,
        "entities": entities,
        "auth": spec.auth.as_str(),
        "roles": spec.roles,
        "annotations": spec.annotations,
        "input_schema": spec.input_schema,
    })
}

/// What a plan says of the sidecar itself; no secrets are among it.
fn settings(plan: &Plan) -> Map<String, Value> {
    let callbacks = plan.entities.iter().filter_map(|entity| {
        let callback = entity.callback.as_ref()?;
        Some(json!({"entity": entity.name, "url": callback.shown, "listen": callback.listen}))
    });
    let settings = [
        ("state_dir", json!(plan.running.state_dir)),
        ("watch", json!(plan.running.watch)),
        ("mcp_wait_ms", json!(plan.running.mcp_wait().as_millis() as u64)),
        ("proxy", json!(plan.proxy)),
        ("traces", json!(plan.traces.is_some())),
        ("authenticator", json!(plan.authenticator.is_some())),
        ("callbacks", callbacks.collect()),
    ];
    settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// How the latest reload went.
#[derive(Debug, Clone, Serialize)]
struct Reload {
    at: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl View {
    pub(super) fn new(file: &str) -> Self {
        Self(Arc::new(RwLock::new(Picture {
            file: file.to_owned(),
            started: Instant::now(),
            started_at: SystemTime::now(),
            is_ready: false,
            is_stopping: false,
            entities: Vec::new(),
            upstreams: Vec::new(),
            documents: Vec::new(),
            tools: Arc::default(),
            shelves: Vec::new(),
            warnings: Vec::new(),
            settings: Map::new(),
            reload: None,
        })))
    }

    fn change(&self, change: impl FnOnce(&mut Picture)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn look<T>(&self, look: impl FnOnce(&Picture) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The plan is another one.
    pub(super) fn planned(&self, plan: &Plan) {
        let tools = plan.tools.clone();
        let settings = settings(plan);
        let warnings = plan.warnings.iter().map(ToString::to_string).collect();
        self.change(|picture| {
            picture.tools = Arc::new(tools);
            picture.warnings = warnings;
            picture.settings = settings;
        });
    }

    /// How the entities are.
    pub(super) fn observed(&self, fleet: &Fleet, documents: &Documents) {
        let observed = |host: &RunningHost| Observed {
            name: host.name.clone(),
            handle: host.handle.clone(),
            ready: host.is_ready(),
            told: Some(host.told()),
            waits_for: fleet.awaited_by(host),
        };
        let running = fleet.hosts.iter().map(observed);
        let retiring = fleet.retiring().map(observed);
        let draining = fleet.draining().map(|leaving| Observed {
            name: leaving.name.clone(),
            handle: leaving.handle.clone(),
            ready: false,
            told: None,
            waits_for: Vec::new(),
        });
        let entities = running.chain(retiring).chain(draining).collect();
        let (upstreams, shelves) = (fleet.upstreams.views(), fleet.upstreams.shelves());
        let (is_ready, documents) = (fleet.is_ready(), documents.views());
        self.change(|picture| {
            picture.entities = entities;
            picture.upstreams = upstreams;
            picture.documents = documents;
            picture.shelves = shelves;
            picture.is_ready = is_ready;
        });
    }

    /// A reload is over.
    pub(super) fn reloaded(&self, problem: Option<String>) {
        let at = shown(SystemTime::now());
        self.change(|picture| picture.reload = Some(Reload { at, ok: problem.is_none(), problem }));
    }

    /// The end has begun.
    pub(super) fn stopping(&self) {
        self.change(|picture| {
            picture.is_stopping = true;
            picture.is_ready = false;
        });
    }

    pub(super) fn is_ready(&self) -> bool {
        self.look(|picture| picture.is_ready && !picture.is_stopping)
    }

    pub(super) fn readiness(&self) -> Value {
        self.look(|picture| {
            json!({"ready": picture.is_ready && !picture.is_stopping, "entities": picture.entities()})
        })
    }

    pub(super) fn tools(&self) -> Value {
        let (tools, shelves) = self.look(|picture| (Arc::clone(&picture.tools), picture.shelves.clone()));
        let of_file = |tool: &PlannedTool| described(tool.tool.spec(), tool.source, tool.entities.as_deref());
        let mut all: Vec<Value> = tools.iter().map(of_file).collect();
        for shelf in shelves {
            for tool in shelf.tools() {
                let mut described = described(tool.spec(), "mcp", shelf.entities());
                described["server"] = shelf.server().into();
                all.push(described);
            }
        }
        all.into()
    }

    pub(super) fn state(&self) -> Value {
        self.look(|picture| {
            json!({
                "version": env!("CARGO_PKG_VERSION"),
                "file": picture.file,
                "uptime_seconds": picture.started.elapsed().as_secs(),
                "ready": picture.is_ready && !picture.is_stopping,
                "stopping": picture.is_stopping,
                "entities": picture.entities(),
                "mcp": picture.upstreams,
                "documents": picture.documents,
                "tools": picture.tools.len(),
                "warnings": picture.warnings,
                "last_reload": picture.reload,
                "pid": std::process::id(),
                "started": shown(picture.started_at),
                "settings": picture.settings,
            })
        })
    }
}
