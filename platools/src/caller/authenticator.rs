//! The backend's own authentication of callers.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Credentials, Identity};

/// Authenticates the caller of a call by the tokens that the call carries.
///
/// With an authenticator (`Platools::authenticator`), a host enforces the `auth` and `roles` of its tools, and tools
/// can take an [`Identity`]. It runs only for calls that need an identity; concurrent calls with the same tokens
/// share one request, and results are cached (`HostConfig::identity_ttl`).
///
/// Implemented by closures and by `JwtAuthenticator` (feature `jwt`); combine several with [`or`](Self::or) and
/// [`and_then`](Self::and_then).
///
/// ```
/// use platools::caller::{AuthenticationError, Authenticator, Credentials};
/// use platools::Identity;
///
/// async fn session_user(token: &str) -> std::io::Result<Option<String>> {
///     Ok((token == "a session of usr_7").then(|| "usr_7".to_owned()))
/// }
///
/// let sessions = |credentials: Credentials| async move {
///     let token = credentials.user_token().ok_or(AuthenticationError::NoCredentials)?;
///     match session_user(token).await? {
///         Some(user) => Ok(Identity::new(user)),
///         None => Err(AuthenticationError::rejected("the session has expired")),
///     }
/// };
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let credentials = Credentials::new().with_user_token("a session of usr_7");
/// assert_eq!(sessions.authenticate(&credentials).await.unwrap().subject(), "usr_7");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Returns the verified identity of the caller.
    ///
    /// # Errors
    /// [`AuthenticationError::NoCredentials`] if the call carries no token of the supported kind,
    /// [`Rejected`](AuthenticationError::Rejected) if the token is invalid,
    /// [`Unavailable`](AuthenticationError::Unavailable) if the token cannot be checked at the moment.
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, AuthenticationError>;

    /// Tries `other` if this authenticator does not accept the caller. One of the two is enough.
    fn or<B: Authenticator>(self, other: B) -> Or<Self, B>
    where
        Self: Sized,
    {
        Or { first: self, second: other }
    }

    /// Post-processes an identity: adds roles from a database, or rejects a blocked user.
    ///
    /// ```
    /// use platools::caller::{AuthenticationError, Authenticator, Credentials};
    /// use platools::Identity;
    ///
    /// let known = |_: Credentials| async { Ok(Identity::new("usr_7")) };
    /// let with_roles = known.and_then(|identity: Identity| async move {
    ///     if identity.subject() == "usr_6" {
    ///         return Err(AuthenticationError::rejected("the user is blocked"));
    ///     }
    ///     Ok(identity.with_role("support"))
    /// });
    /// # let _ = with_roles;
    /// ```
    fn and_then<F, R>(self, then: F) -> AndThen<Self, F>
    where
        Self: Sized,
        F: Fn(Identity) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Identity, AuthenticationError>> + Send + 'static,
    {
        AndThen { first: self, then }
    }
}

/// The error of an [`Authenticator`].
///
/// `?` converts every [`std::error::Error`] into [`Unavailable`](Self::Unavailable). (To make that possible, this
/// type does not implement `std::error::Error` itself.)
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// The call carries no token of the kind that the authenticator supports.
    NoCredentials,
    /// The token is invalid. The reason goes to the model and to the log, so it must not contain the token.
    Rejected(String),
    /// The token cannot be checked at the moment. The cause goes only to the log.
    Unavailable(Arc<dyn Error + Send + Sync>),
}

impl AuthenticationError {
    /// Creates a [`Rejected`](Self::Rejected) error with a reason that the model may read.
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self::Rejected(reason.into())
    }

    /// Creates an [`Unavailable`](Self::Unavailable) error.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into().into())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for AuthenticationError {
    fn from(error: E) -> Self {
        Self::unavailable(error)
    }
}

#[async_trait]
impl<F, R> Authenticator for F
where
    F: Fn(Credentials) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Identity, AuthenticationError>> + Send + 'static,
{
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, AuthenticationError> {
        self(credentials.clone()).await
    }
}

/// Returned by [`Authenticator::or`].
#[derive(Debug, Clone)]
pub struct Or<A, B> {
    first: A,
    second: B,
}

#[async_trait]
impl<A: Authenticator, B: Authenticator> Authenticator for Or<A, B> {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, AuthenticationError> {
        use AuthenticationError::{NoCredentials, Rejected, Unavailable};
        let first = match self.first.authenticate(credentials).await {
            Ok(identity) => return Ok(identity),
            Err(error) => error,
        };
        let second = match self.second.authenticate(credentials).await {
            Ok(identity) => return Ok(identity),
            Err(error) => error,
        };
        Err(match (first, second) {
            (NoCredentials, error) | (error, NoCredentials) => error,
            // The unavailable authenticator might have accepted the caller.
            (Unavailable(cause), _) | (_, Unavailable(cause)) => Unavailable(cause),
            (Rejected(first), Rejected(second)) if first == second => Rejected(first),
            (Rejected(first), Rejected(second)) => Rejected(format!("{first}; {second}")),
        })
    }
}

/// Returned by [`Authenticator::and_then`].
#[derive(Clone)]
pub struct AndThen<A, F> {
    first: A,
    then: F,
}

impl<A: fmt::Debug, F> fmt::Debug for AndThen<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AndThen").field("first", &self.first).finish_non_exhaustive()
    }
}

#[async_trait]
impl<A, F, R> Authenticator for AndThen<A, F>
where
    A: Authenticator,
    F: Fn(Identity) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Identity, AuthenticationError>> + Send + 'static,
{
    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, AuthenticationError> {
        let identity = self.first.authenticate(credentials).await?;
        (self.then)(identity).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts one user token, rejects the others, and ignores entity tokens.
    fn knows(token: &'static str) -> impl Authenticator {
        move |credentials: Credentials| async move {
            match credentials.user_token() {
                Some(shown) if shown == token => Ok(Identity::new(token)),
                Some("the vault is sealed") => Err(std::io::Error::other("sealed").into()),
                Some(_) => Err(AuthenticationError::rejected(format!("not {token}"))),
                None => Err(AuthenticationError::NoCredentials),
            }
        }
    }

    async fn ask(authenticator: &impl Authenticator, token: &str) -> String {
        match authenticator.authenticate(&Credentials::new().with_user_token(token)).await {
            Ok(identity) => identity.subject().to_owned(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[tokio::test]
    async fn either_of_two_is_enough() {
        let either = knows("a").or(knows("b"));
        assert_eq!(ask(&either, "a").await, "a");
        assert_eq!(ask(&either, "b").await, "b");
        assert_eq!(ask(&either, "c").await, "Rejected(\"not a; not b\")");
        assert!(ask(&either, "the vault is sealed").await.starts_with("Unavailable"));
        let none = either.authenticate(&Credentials::new().with_entity_token("a")).await;
        assert!(matches!(none, Err(AuthenticationError::NoCredentials)), "{none:?}");
    }

    #[tokio::test]
    async fn and_then_adds_roles_and_rejects() {
        let looked = knows("a").or(knows("b")).and_then(|identity| async move {
            if identity.subject() == "b" {
                return Err(AuthenticationError::rejected("blocked"));
            }
            Ok(identity.with_role("support"))
        });
        assert_eq!(ask(&looked, "b").await, "Rejected(\"blocked\")");
        let identity = looked.authenticate(&Credentials::new().with_user_token("a")).await.unwrap();
        assert!(identity.has_role("support"));
    }
}
