//! What can be seen of a running sidecar: pictures that the sidecar makes, and others look at.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use platools::{HostHandle, ToolSpec};
use serde::Serialize;
use serde_json::{Value, json};

use super::fleet::Fleet;
use super::upstreams::{Shelf, UpstreamView};
use crate::plan::Plan;

/// What the admin listener shows. Clones show the same.
#[derive(Debug, Clone)]
pub(super) struct View(Arc<RwLock<Picture>>);

#[derive(Debug)]
struct Picture {
    file: String,
    started: Instant,
    is_ready: bool,
    is_stopping: bool,
    entities: Vec<Observed>,
    upstreams: Vec<UpstreamView>,
    /// Those of the file.
    tools: Arc<Vec<Value>>,
    /// Those of MCP servers, which come and go.
    shelves: Vec<Shelf>,
    warnings: Vec<String>,
    reload: Option<Reload>,
}

#[derive(Debug, Clone, Serialize)]
struct EntityView {
    name: String,
    state: String,
    ready: bool,
    tools: usize,
    calls_in_flight: usize,
}

/// An entity, of which the rest is asked when somebody wants to know: lists of tools are long.
#[derive(Debug)]
struct Observed {
    name: String,
    handle: HostHandle,
    ready: bool,
}

impl Observed {
    fn view(&self) -> EntityView {
        EntityView {
            name: self.name.clone(),
            state: self.handle.state().to_string(),
            ready: self.ready,
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
            is_ready: false,
            is_stopping: false,
            entities: Vec::new(),
            upstreams: Vec::new(),
            tools: Arc::default(),
            shelves: Vec::new(),
            warnings: Vec::new(),
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
        let tools: Vec<Value> = plan
            .tools
            .iter()
            .map(|planned| described(planned.tool.spec(), planned.source, planned.entities.as_deref()))
            .collect();
        let warnings = plan.warnings.iter().map(ToString::to_string).collect();
        self.change(|picture| {
            picture.tools = Arc::new(tools);
            picture.warnings = warnings;
        });
    }

    /// How the entities are.
    pub(super) fn observed(&self, fleet: &Fleet) {
        let observed = |name: &String, handle: &HostHandle, ready| Observed {
            name: name.clone(),
            handle: handle.clone(),
            ready,
        };
        let running = fleet.hosts.iter().map(|host| observed(&host.name, &host.handle, host.is_ready()));
        let retiring = fleet.retiring().map(|host| observed(&host.name, &host.handle, host.is_ready()));
        let draining = fleet.draining().map(|leaving| observed(&leaving.name, &leaving.handle, false));
        let entities = running.chain(retiring).chain(draining).collect();
        let (upstreams, shelves) = (fleet.upstreams.views(), fleet.upstreams.shelves());
        let is_ready = fleet.is_ready();
        self.change(|picture| {
            picture.entities = entities;
            picture.upstreams = upstreams;
            picture.shelves = shelves;
            picture.is_ready = is_ready;
        });
    }

    /// A reload is over.
    pub(super) fn reloaded(&self, problem: Option<String>) {
        let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
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
        let mut all = Vec::clone(&tools);
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
                "tools": picture.tools.len(),
                "warnings": picture.warnings,
                "last_reload": picture.reload,
            })
        })
    }
}
