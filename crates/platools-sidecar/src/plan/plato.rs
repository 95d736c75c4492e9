//! `[[plato]]`: from the file to desktops of Plato as tools.

use std::time::Duration;

use plato_sdk::tools::{DesktopTools, Pictures, SessionPerThread, Sharing, ToolShape};
use plato_sdk::{Env, LoginOptions, Plato, ProxyConfig, Size};
use platools::ToolSpec;

use super::{PlannedTool, Planner, tool};
use crate::config::{self, Entry, Path};
use crate::fingerprint::Fingerprinter;

/// The name of the one environment.
const DESKTOP: &str = "desktop";

/// What a session is made of.
#[derive(Debug, Clone)]
enum Machine {
    Simulator(String),
    Artifact(String),
    Testcase(String),
}

impl Planner<'_> {
    /// The tools of all sections that are right.
    pub(super) fn desktop_tools(&mut self) -> Vec<PlannedTool> {
        let sections = self.sections;
        sections.plato.iter().filter_map(|entry| self.desktop(entry)).flatten().collect()
    }

    fn desktop(&mut self, Entry { at, value: file }: &Entry<config::Plato>) -> Option<Vec<PlannedTool>> {
        let entity = self.only_entity(at, file.entity.as_deref());
        if !file.prefix.is_empty()
            && let Err(error) = platools::tool::check_name(&file.prefix)
        {
            self.wrong(&at.key("prefix"), error.to_string());
        }
        if file.max_sessions == Some(0) {
            self.wrong(&at.key("max_sessions"), "no desktop could ever start: write 1 or more");
        }
        let machine = self.machine(at, file);
        if file.login && file.testcase.is_none() {
            self.odd(
                &at.key("login"),
                "a desktop alone has no apps to log in to: write a `testcase`, whose apps these are",
            );
        }
        let screen = match file.screen.as_deref().map(screen) {
            None => Some(None),
            Some(size) => self.noted(&at.key("screen"), size).map(Some),
        };
        let key = self.secret(&at.key("api_key"), &file.api_key);
        // In place of one that is missing, so that everything else is judged.
        let some_key = key.as_ref().map_or("not-set", |key| key.expose());
        let plato = client(file, some_key, self.proxy.config.clone());
        let plato = self.noted(at, plato)?;
        let (key, machine, screen) = (key?, machine?, screen?);
        let (login, lifetime) = (file.login, file.lifetime.map(|time| time.0));
        let proxy = self.proxy.fingerprint.as_bytes();
        let fingerprint = Fingerprinter::default().add(file).add(&key.expose()).add(&proxy).finish();

        let mut desktops = DesktopTools::per_conversation(&plato, move |plato| {
            let session = plato.session();
            let session = match machine.clone() {
                Machine::Simulator(name) => session.env(Env::simulator(&name).alias(DESKTOP)),
                Machine::Artifact(id) => session.env(Env::artifact(id).alias(DESKTOP)),
                Machine::Testcase(id) => session.testcase(id),
            };
            let session = if login { session.login(LoginOptions::default()) } else { session };
            match lifetime {
                Some(time) => session.lifetime(time),
                None => session,
            }
        });
        desktops = desktops.policy(policy(file)).lifecycle(file.lifecycle).prefix(&file.prefix);
        if let Some(shape) = file.shape {
            desktops = desktops.shape(match shape {
                config::Shape::Computer => ToolShape::Computer,
                config::Shape::Split => ToolShape::Split,
            });
        }
        if let Some(pictures) = file.pictures {
            desktops = desktops.pictures(match pictures {
                config::Pictures::Always => Pictures::Always,
                config::Pictures::OnRequest => Pictures::OnRequest,
            });
        }
        if let Some(size) = screen {
            desktops = desktops.screen(size);
        }
        if let Some(size) = file.max_result {
            desktops = desktops.result_budget(size.0);
        }
        let tools = desktops.build().into_iter().map(|tool| tool.with_spec(|spec| guarded(spec, file)));
        let tools: Vec<PlannedTool> = tools
            .map(|tool| PlannedTool {
                tool,
                entities: entity.clone().map(|entity| vec![entity]),
                fingerprint: fingerprint.clone(),
                source: "plato",
            })
            .collect();
        for planned in &tools {
            self.tool_name(at, planned.tool.name());
        }
        Some(tools)
    }

    /// Conversations are told apart by user and thread, whose ids mean something within one entity only.
    fn only_entity(&mut self, at: &Path, named: Option<&str>) -> Option<String> {
        match named {
            Some(name) => self.entity_name(&at.key("entity"), name),
            None if self.sections.entities.len() > 1 => {
                self.wrong(at, "there are several entities: say with `entity` which one has the desktops");
            }
            None => {}
        }
        named.map(str::to_owned)
    }

    fn machine(&mut self, at: &Path, file: &config::Plato) -> Option<Machine> {
        match (&file.simulator, &file.artifact, &file.testcase) {
            (Some(name), None, None) => Some(Machine::Simulator(name.clone())),
            (None, Some(id), None) => Some(Machine::Artifact(id.clone())),
            (None, None, Some(id)) => Some(Machine::Testcase(id.clone())),
            _ => {
                self.wrong(at, "write one of `simulator`, `artifact` and `testcase`: what the desktop is");
                None
            }
        }
    }
}

fn client(file: &config::Plato, key: &str, proxy: ProxyConfig) -> Result<Plato, String> {
    let mut plato = Plato::builder().api_key(key).proxy(proxy);
    if let Some(url) = &file.base_url {
        plato = plato.base_url(url);
    }
    if let Some(template) = &file.desktop_url {
        plato = plato.desktop_url(template);
    }
    if file.allow_insecure {
        plato = plato.allow_insecure();
    }
    plato.build().map_err(|error| error.to_string())
}

fn policy(file: &config::Plato) -> SessionPerThread {
    let usual = SessionPerThread::default();
    SessionPerThread {
        sharing: match file.sharing {
            None => usual.sharing,
            Some(config::Sharing::Thread) => Sharing::Thread,
            Some(config::Sharing::User) => Sharing::User,
            Some(config::Sharing::Everyone) => Sharing::Everyone,
        },
        idle_timeout: file.idle_timeout.map_or(usual.idle_timeout, |time| time.0.max(Duration::from_secs(1))),
        max_sessions: file.max_sessions.unwrap_or(usual.max_sessions),
        ..usual
    }
}

/// A tool with what the file says of who may call it.
fn guarded(spec: ToolSpec, file: &config::Plato) -> ToolSpec {
    let spec = spec.auth(tool::auth(file.auth)).roles(file.roles.clone());
    match file.rate_limit {
        Some(rate) => spec.rate_limit(rate.0),
        None => spec,
    }
}

/// `1280x800`.
fn screen(text: &str) -> Result<Size, String> {
    let size = text
        .split_once('x')
        .and_then(|(width, height)| Some(Size::new(width.trim().parse().ok()?, height.trim().parse().ok()?)));
    size.filter(|size| size.width > 0 && size.height > 0)
        .ok_or_else(|| "write width and height in pixels, such as \"1280x800\"".to_owned())
}
