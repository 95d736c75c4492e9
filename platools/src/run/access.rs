//! Access control: checks the verified identity against the `auth` and `roles` of a tool.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use crate::caller::CallScope;
use crate::caller::{Authentication, AuthenticationError, Identity};
use crate::tool::error::chain;
use crate::tool::{Auth, RequirementKind, Tool, ToolError, ToolSpec};

/// The access rules of one tool.
#[derive(Debug, Clone)]
pub(super) struct Access {
    auth: Auth,
    /// Accepted roles: the user needs one of them, or none if the list is empty.
    roles: Vec<String>,
    identity: IdentityUse,
}

/// How the handler uses the caller's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum IdentityUse {
    None,
    Optional,
    Required,
}

impl Access {
    pub(super) fn new(spec: &ToolSpec) -> Self {
        let uses = spec.requirements.iter().map(|requirement| match requirement.kind {
            RequirementKind::State { .. } => IdentityUse::None,
            RequirementKind::Identity { optional: true } => IdentityUse::Optional,
            RequirementKind::Identity { optional: false } => IdentityUse::Required,
        });
        Self { auth: spec.auth, roles: spec.roles.clone(), identity: uses.max().unwrap_or(IdentityUse::None) }
    }

    /// Returns whether the tool declares `auth` or `roles`.
    fn has_rules(&self) -> bool {
        self.auth != Auth::None || !self.roles.is_empty()
    }

    /// Returns whether calls need no authentication.
    pub(super) fn is_open(&self) -> bool {
        !self.has_rules() && self.identity == IdentityUse::None
    }

    /// Authenticates the caller and checks the access rules.
    pub(super) async fn check(
        &self,
        authentication: &Authentication,
        scope: &CallScope,
    ) -> Result<(), ToolError> {
        let is_needed = self.has_rules() || self.identity == IdentityUse::Required;
        if scope.identity().is_none() {
            match identify(authentication, scope).await {
                Ok(identity) => scope.identify(identity),
                Err(AuthenticationError::NoCredentials) if !is_needed => {}
                Err(error) => return Err(refusal(&error, scope)),
            }
        }
        match scope.identity() {
            Some(identity) => self.permits(identity, scope),
            None => Ok(()),
        }
    }

    fn permits(&self, identity: &Identity, scope: &CallScope) -> Result<(), ToolError> {
        let missing = if self.auth == Auth::Admin && !identity.is_admin() {
            "needs an admin, which the user is not".to_owned()
        } else if !self.roles.is_empty() && !self.roles.iter().any(|role| identity.has_role(role)) {
            let roles: Vec<_> = self.roles.iter().map(|role| format!("`{role}`")).collect();
            match roles.as_slice() {
                [role] => format!("needs the role {role}, which the user does not have"),
                roles => format!("needs one of the roles {}; the user has none of them", roles.join(", ")),
            }
        } else {
            return Ok(());
        };
        let (subject, call_id) = (identity.subject(), scope.call_id());
        tracing::warn!(subject, call_id, "call denied: it {missing}");
        Err(ToolError::denied(missing))
    }
}

/// Authenticates the caller. A panic of the authenticator becomes an error.
async fn identify(
    authentication: &Authentication,
    scope: &CallScope,
) -> Result<Identity, AuthenticationError> {
    let credentials = scope.credentials();
    AssertUnwindSafe(authentication.identify(&credentials))
        .catch_unwind()
        .await
        .unwrap_or_else(|_panic| Err(AuthenticationError::unavailable("the authenticator panicked")))
}

/// Logs a failed authentication and returns the error that answers the call.
fn refusal(error: &AuthenticationError, scope: &CallScope) -> ToolError {
    let call_id = scope.call_id();
    match error {
        AuthenticationError::NoCredentials => {
            tracing::warn!(call_id, "call denied: it carries no user token");
            ToolError::denied("needs a verified user, and the call carries no user token")
        }
        AuthenticationError::Rejected(reason) => {
            tracing::warn!(call_id, "call denied: the user token was refused: {reason}");
            ToolError::denied(format!("the user token was refused: {reason}"))
        }
        AuthenticationError::Unavailable(cause) => {
            tracing::error!(call_id, "call denied: the authenticator failed: {}", chain(&**cause));
            ToolError::denied("the user cannot be verified at the moment, retry later")
        }
    }
}

/// The error for access rules that the host cannot enforce.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Tools take an `Identity`, but the host has no authenticator.
    #[error(
        "tools that take `Identity` need an authenticator: {tools}; call `.authenticator(…)`, or take \
         `Option<Identity>`"
    )]
    NoAuthenticator {
        /// Names of the tools.
        tools: String,
    },
    /// Tools declare `auth` or `roles`, the host has no authenticator, and `strict_access` is set.
    #[error(
        "tools declare `auth` or `roles`, but no authenticator enforces them: {tools}; call `.authenticator(…)`, or \
         turn off `strict_access`"
    )]
    NotEnforced {
        /// Names of the tools.
        tools: String,
    },
}

impl AccessError {
    /// Checks that the host can enforce the access rules of `tools`; without `is_strict`, only logs a warning for
    /// unenforced `auth` and `roles`.
    pub(crate) fn check<'a>(
        tools: impl IntoIterator<Item = &'a Tool>,
        is_authenticated: bool,
        is_strict: bool,
    ) -> Result<(), Self> {
        if is_authenticated {
            return Ok(());
        }
        let tools: Vec<(&Tool, Access)> =
            tools.into_iter().map(|tool| (tool, Access::new(tool.spec()))).collect();
        let named = |is_meant: fn(&Access) -> bool| {
            let named = tools.iter().filter(|(_, access)| is_meant(access));
            named.map(|(tool, _)| format!("`{}`", tool.name())).collect::<Vec<_>>().join(", ")
        };
        let takers = named(|access| access.identity == IdentityUse::Required);
        if !takers.is_empty() {
            return Err(Self::NoAuthenticator { tools: takers });
        }
        let uncontrolled = named(Access::has_rules);
        if uncontrolled.is_empty() {
            return Ok(());
        }
        if is_strict {
            return Err(Self::NotEnforced { tools: uncontrolled });
        }
        tracing::warn!(
            tools = uncontrolled,
            "these tools declare `auth` or `roles`, but no authenticator enforces them: call `.authenticator(…)`"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::caller::{CallContext, Credentials};
    use crate::observe::HostMetrics;
    use crate::run::{Dispatcher, Limits, Rules, ToolTable};
    use crate::tool::{Arguments, Registry, Requirement, ToolCall, ToolErrorKind, ToolOutput};

    /// Takes the token as the role, except for the tokens that name a failure.
    async fn by_role(credentials: Credentials) -> Result<Identity, AuthenticationError> {
        match credentials.user_token() {
            None => Err(AuthenticationError::NoCredentials),
            Some("sealed") => Err(std::io::Error::other("password=hunter2").into()),
            Some("panic") => panic!("password=hunter2"),
            Some("forever") => std::future::pending().await,
            Some("expired") => Err(AuthenticationError::rejected("it expired an hour ago")),
            Some(role) => Ok(Identity::new("usr_1").with_role(role)),
        }
    }

    fn dispatcher(registry: Registry, authentication: Authentication, limits: Limits) -> Dispatcher {
        let rules = Rules {
            is_authenticated: true,
            strict_access: false,
            is_declared: false,
            describe_parameters: false,
        };
        let tools = ToolTable::new(registry, Arc::default(), rules, HostMetrics::default()).unwrap();
        Dispatcher::new(tools, Arc::default(), Some(authentication), limits)
    }

    /// Runs a tool of this declaration; returns how often its handler ran, and the answer.
    async fn call(spec: ToolSpec, context: CallContext) -> (usize, Result<String, String>) {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let tool = Tool::new(spec, move |call: ToolCall| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                let identity = call.extract::<Option<Identity>>()?;
                let ambient = crate::caller::current_identity();
                assert_eq!(identity, ambient);
                Ok(ToolOutput::text(identity.map_or("nobody".to_owned(), |who| who.roles().join(","))))
            }
        });
        let mut registry = Registry::new();
        registry.insert(tool).unwrap();
        let authentication = Authentication::new(Arc::new(by_role), Duration::from_secs(60));
        let limits = Limits { call_timeout: Duration::from_secs(5), ..Limits::default() };
        let dispatcher = dispatcher(registry, authentication, limits);
        let answer = dispatcher.call("a", Arguments::empty(), context).await;
        let answer = answer.map(|output| output.to_value().as_str().unwrap().to_owned());
        let errors = dispatcher.tools().list()[0].health().map_or(0, |health| health.error_count_1h);
        assert_eq!(errors, 0, "a refusal says nothing about the tool");
        if let Err(error) = &answer {
            let kinds = [ToolErrorKind::Denied, ToolErrorKind::TimedOut];
            assert!(kinds.contains(&error.kind()), "{error:?}");
        }
        (runs.load(Ordering::Relaxed), answer.map_err(|error| error.to_string()))
    }

    fn with_token(token: &str) -> CallContext {
        CallContext::builder().user_token(token).build()
    }

    #[tokio::test]
    async fn a_user_an_admin_or_a_role_is_demanded() {
        let anonymous = CallContext::builder().build();
        let user = || ToolSpec::new("a").auth(Auth::User);
        let admin = || ToolSpec::new("a").auth(Auth::Admin);
        let role = || ToolSpec::new("a").roles(["support", "billing"]);
        let one_role = || ToolSpec::new("a").roles(["support"]);
        let token = "denied: needs a verified user, and the call carries no user token";
        for (spec, context, expected) in [
            (user(), anonymous.clone(), Err(token)),
            (user(), with_token("viewer"), Ok("nobody")),
            (user(), with_token(""), Err(token)),
            (
                user(),
                with_token("expired"),
                Err("denied: the user token was refused: it expired an hour ago"),
            ),
            (
                user(),
                with_token("sealed"),
                Err("denied: the user cannot be verified at the moment, retry later"),
            ),
            (
                user(),
                with_token("panic"),
                Err("denied: the user cannot be verified at the moment, retry later"),
            ),
            (admin(), with_token("viewer"), Err("denied: needs an admin, which the user is not")),
            (admin(), with_token("admin"), Ok("nobody")),
            (role(), anonymous.clone(), Err(token)),
            (
                role(),
                with_token("viewer"),
                Err("denied: needs one of the roles `support`, `billing`; the user has none of them"),
            ),
            (
                one_role(),
                with_token("admin"),
                Err("denied: needs the role `support`, which the user does not have"),
            ),
            (role(), with_token("billing"), Ok("nobody")),
        ] {
            let shown = format!("{:?} {:?} {context:?}", spec.auth, spec.roles);
            let (runs, answer) = call(spec, context).await;
            assert_eq!(runs, usize::from(expected.is_ok()), "{shown}");
            match expected {
                Ok(_) => assert!(answer.is_ok(), "{shown}: {answer:?}"),
                Err(text) => assert_eq!(answer.unwrap_err(), text, "{shown}"),
            }
        }
    }

    #[tokio::test]
    async fn an_identity_that_nobody_needs_is_looked_for_only_on_request() {
        let open = || ToolSpec::new("a");
        let curious = || ToolSpec::new("a").requires(Some(Requirement::optional_identity()));
        let keen = || ToolSpec::new("a").requires(Some(Requirement::identity()));
        assert_eq!(call(open(), with_token("expired")).await, (1, Ok("nobody".to_owned())));
        assert_eq!(call(curious(), with_token("viewer")).await, (1, Ok("viewer".to_owned())));
        assert_eq!(call(curious(), CallContext::builder().build()).await, (1, Ok("nobody".to_owned())));
        assert_eq!(call(curious(), with_token("expired")).await.0, 0, "a bad token is not no token");
        assert_eq!(call(keen(), CallContext::builder().build()).await.0, 0);
        assert_eq!(call(keen(), with_token("viewer")).await, (1, Ok("viewer".to_owned())));
    }

    #[tokio::test]
    async fn an_identity_that_the_door_brings_is_not_asked_for() {
        let spec = ToolSpec::new("a").auth(Auth::Admin);
        let context = CallContext::builder().identity(Identity::new("root").with_role("admin"));
        assert_eq!(call(spec.clone(), context.build()).await, (1, Ok("admin".to_owned())));
        let context = CallContext::builder().user_token("admin").identity(Identity::new("usr_2"));
        assert_eq!(call(spec, context.build()).await.0, 0, "it is held against the rules all the same");
    }

    #[tokio::test]
    async fn who_is_not_let_in_uses_up_no_limit_and_users_are_counted_as_verified() {
        let limit = "1/h, per user".parse().unwrap();
        let spec = ToolSpec::new("a").auth(Auth::User).rate_limit(limit);
        let tool = Tool::new(spec, |_| async { Ok(ToolOutput::null()) });
        let mut registry = Registry::new();
        registry.insert(tool).unwrap();
        let named = |credentials: Credentials| async move {
            match credentials.user_token() {
                Some(token) if token.starts_with("usr") => Ok(Identity::new(token)),
                _ => Err(AuthenticationError::rejected("no")),
            }
        };
        let authentication = Authentication::new(Arc::new(named), Duration::from_secs(60));
        let dispatcher = dispatcher(registry, authentication, Limits::default());
        let call = async |user: &str, token: &str| {
            let context = CallContext::builder().user_id(user).user_token(token).build();
            let answer = dispatcher.call("a", Arguments::empty(), context).await;
            answer.map_err(|error| error.kind()).map(|_| ())
        };
        for _ in 0..5 {
            assert_eq!(call("victim", "bad").await, Err(ToolErrorKind::Denied));
        }
        assert_eq!(call("victim", "usr_1").await, Ok(()));
        assert_eq!(call("another name", "usr_1").await, Err(ToolErrorKind::RateLimited));
        assert_eq!(call("victim", "usr_2").await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_authenticator_that_never_answers_costs_the_call_its_time() {
        let (runs, answer) = call(ToolSpec::new("a").auth(Auth::User), with_token("forever")).await;
        assert_eq!((runs, answer), (0, Err("timed out after 5 s".to_owned())));
    }

    #[cfg(feature = "metrics")]
    #[test]
    fn no_figure_is_labelled_with_a_token() {
        let recorder = metrics_util::debugging::DebuggingRecorder::new();
        let figures = recorder.snapshotter();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        metrics::with_local_recorder(&recorder, || {
            runtime.block_on(async {
                for token in ["s3cret-t0ken", "expired", "sealed"] {
                    call(ToolSpec::new("a").auth(Auth::Admin), with_token(token)).await.1.unwrap_err();
                }
            });
        });
        let figures = figures.snapshot().into_vec();
        let shown: Vec<_> = figures.iter().map(|(key, ..)| format!("{:?}", key.key())).collect();
        assert!(shown.iter().any(|key| key.contains("denied")), "{shown:?}");
        for key in shown {
            assert!(["s3cret", "hunter2", "usr_1"].iter().all(|hidden| !key.contains(hidden)), "{key}");
        }
    }

    #[test]
    fn rules_that_nothing_enforces_are_found() {
        let tool = |spec: ToolSpec| Tool::new(spec, |_| async { Ok(ToolOutput::null()) });
        let tools = [
            tool(ToolSpec::new("open")),
            tool(ToolSpec::new("users").auth(Auth::User)),
            tool(ToolSpec::new("roles").roles(["support"])),
        ];
        assert_eq!(AccessError::check(&tools, true, true), Ok(()));
        assert_eq!(AccessError::check(&tools, false, false), Ok(()));
        assert_eq!(AccessError::check(&tools[..1], false, true), Ok(()));
        let error = AccessError::check(&tools, false, true).unwrap_err().to_string();
        assert!(error.contains("`users`, `roles`;"), "{error}");
        let keen = [tool(ToolSpec::new("keen").requires(Some(Requirement::identity())))];
        let error = AccessError::check(&keen, false, false).unwrap_err().to_string();
        assert!(error.contains("`keen`"), "{error}");
    }
}
