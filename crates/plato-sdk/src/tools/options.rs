//! Which tools there are, and how they behave.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use platools::wire::MAX_RESULT_BYTES;
use platools::{Tool, ToolSpec};

use super::policy::SessionPerThread;
use super::pool::{Pool, Recipe, Source};
use super::settings::{Pictures, Settings};
use super::{bash, computer, edit, lifecycle, split};
use crate::client::Plato;
use crate::desktop::{Desktop, Size};
use crate::session::SessionRequest;

/// How the screen, the mouse and the keyboard are offered to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ToolShape {
    /// One tool `computer` with an `action`, as computer-use models are trained on.
    #[default]
    Computer,
    /// One tool for each thing: `screenshot`, `click`, `type_text`, `key`, `scroll`, `drag`, `mouse_move`,
    /// `cursor_position` and `wait`.
    Split,
}

/// A desktop as tools: `computer` or its parts, `bash` and `edit`.
///
/// Pictures come back as images: a PNG if that fits into the result, else a JPEG, else a smaller one; what was done is
/// said beside the picture, and points on a smaller picture are scaled to the screen.
///
/// ```
/// use plato_sdk::tools::{DesktopTools, SessionPerThread};
/// use plato_sdk::{Env, Plato, Size};
/// use std::time::Duration;
///
/// # fn run(plato: &Plato) -> Result<(), platools::Error> {
/// let desktops = DesktopTools::per_conversation(plato, |plato| {
///     plato.session().env(Env::simulator("ubuntu-vm").alias("desktop")).lifetime(Duration::from_secs(3600))
/// });
/// let tools = desktops.policy(SessionPerThread { max_sessions: 4, ..Default::default() }).screen(Size::new(1280, 800));
/// let host = platools::Platools::builder().tools(tools.build()).build_local()?;
/// assert_eq!(host.tools().len(), 3);
/// # Ok(()) }
/// # run(&Plato::builder().api_key("pk").build().unwrap()).unwrap();
/// ```
#[must_use = "`build` makes the tools"]
pub struct DesktopTools {
    origin: Origin,
    policy: SessionPerThread,
    settings: Settings,
    shape: ToolShape,
    screen: Option<Size>,
    lifecycle: bool,
    prefix: String,
}

enum Origin {
    Given(Desktop),
    Pool(Plato, Box<Recipe>),
}

impl DesktopTools {
    fn new(origin: Origin) -> Self {
        Self {
            origin,
            policy: SessionPerThread::default(),
            settings: Settings {
                pictures: Pictures::Always,
                budget: MAX_RESULT_BYTES,
                longest: Duration::from_secs(25),
            },
            shape: ToolShape::Computer,
            screen: None,
            lifecycle: false,
            prefix: String::new(),
        }
    }

    /// Tools of a desktop that there is. Whoever calls shares it, one call after the other.
    pub fn of(desktop: &Desktop) -> Self {
        Self::new(Origin::Given(desktop.clone()))
    }

    /// Tools that start a desktop for each conversation when its first call comes, by what `request` asks for. The
    /// sessions are closed when nobody has used them for a while, and when the tools are dropped.
    pub fn per_conversation(
        plato: &Plato,
        request: impl Fn(&Plato) -> SessionRequest + Send + Sync + 'static,
    ) -> Self {
        Self::new(Origin::Pool(plato.clone(), Box::new(request)))
    }

    /// Which calls share a desktop, and for how long it is kept; of no effect on a desktop that was given.
    pub fn policy(mut self, policy: SessionPerThread) -> Self {
        self.policy = policy;
        self
    }

    /// How the screen is offered.
    pub fn shape(mut self, shape: ToolShape) -> Self {
        self.shape = shape;
        self
    }

    /// The largest picture that a model gets, in the screen's own shape; the real screen unless said otherwise.
    pub fn screen(mut self, size: Size) -> Self {
        self.screen = Some(size);
        self
    }

    /// When a model gets a picture.
    pub fn pictures(mut self, pictures: Pictures) -> Self {
        self.settings.pictures = pictures;
        self
    }

    /// How many bytes a result may have, as JSON with its picture in base64; 256 KiB unless said otherwise, which is
    /// what platforms take. A host that only serves MCP can have more.
    pub fn result_budget(mut self, bytes: usize) -> Self {
        self.settings.budget = bytes;
        self
    }

    /// How long a call may take at most, with waiting for the desktop, and so a command or a pause; 25 s unless said
    /// otherwise, for platforms wait 30 s for an answer. For more than that the host's own limit, 28 s, has to be raised
    /// too.
    pub fn longest_call(mut self, time: Duration) -> Self {
        self.settings.longest = time;
        self
    }

    /// Tools for an operator beside those for a model: `session_start`, `session_reset`, `session_state`,
    /// `session_evaluate` and `session_close`, for the caller's own desktop. Off unless switched on, and of no effect
    /// on a desktop that was given. Who may call them is the host's to say, for example by
    /// [`Tool::with_spec`](platools::Tool::with_spec) and roles.
    pub fn lifecycle(mut self, on: bool) -> Self {
        self.lifecycle = on;
        self
    }

    /// The prefix of all names, such as `desk_`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The tools, for `Platools::tools`.
    pub fn build(self) -> Vec<Tool> {
        let settings = Arc::new(self.settings);
        let (source, pool) = match self.origin {
            Origin::Given(desktop) => (Source::given(desktop, self.screen), None),
            Origin::Pool(plato, recipe) => {
                let pool = Pool::new(plato, recipe, self.policy, self.screen);
                (Source::Pool(Arc::clone(&pool)), Some(pool))
            }
        };
        let mut tools = match self.shape {
            ToolShape::Computer => vec![computer::tool(&source, &settings)],
            ToolShape::Split => split::tools(&source, &settings),
        };
        tools.push(bash::tool(&source, &settings));
        tools.push(edit::tool(&source, &settings));
        if let Some(pool) = pool.filter(|_| self.lifecycle) {
            tools.extend(lifecycle::tools(&pool, &settings));
        }
        let named = |spec: ToolSpec| {
            let name = format!("{}{}", self.prefix, spec.name);
            // In the platform's default exposure a model sees the names of the parameters only.
            spec.rename(name).describe_parameters(true)
        };
        tools.iter().map(|tool| tool.with_spec(named)).collect()
    }
}

impl fmt::Debug for DesktopTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DesktopTools")
            .field("policy", &self.policy)
            .field("shape", &self.shape)
            .field("screen", &self.screen)
            .field("lifecycle", &self.lifecycle)
            .finish_non_exhaustive()
    }
}
