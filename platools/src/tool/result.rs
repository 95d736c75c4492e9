//! From what a function returns to what the call answers, chosen by trait and not by spelling.
//!
//! `Result<T, E>` is itself `Serialize`, so one blanket trait cannot tell a result from a plain value.
//! Method resolution can: generated code calls `finish` through five references, `output_schema` through
//! four and `finish_shown` through three, and the compiler takes the first implementation, with the most
//! references, that fits.

#![allow(clippy::missing_errors_doc, reason = "the error is the one that the function returned")]

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde_json::Value;

use super::error::chain;
use super::{BoxError, IntoOutput, ToolError, ToolResult, UserFacingError, schema};

/// Stands for the type that a function returns.
#[derive(Debug)]
pub struct Returned<T>(PhantomData<fn() -> T>);

impl<T> Returned<T> {
    /// The type of `value`, whatever its name.
    pub fn of(_value: &T) -> Self {
        Self::named()
    }

    /// The type that `call` would return. The call names the type and is never made.
    pub fn by(_call: impl FnOnce() -> T) -> Self {
        Self::named()
    }

    /// The type that the future of `call` would end with. The call names the type and is never made.
    pub fn by_future<F: Future<Output = T>>(_call: impl FnOnce() -> F) -> Self {
        Self::named()
    }

    /// The type that is spelled out.
    pub fn named() -> Self {
        Self(PhantomData)
    }
}

/// An argument of a call that is never made.
pub fn placeholder<T>() -> T {
    unreachable!("the call only names the type that it returns")
}

/// An error that a handler may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a tool's error",
    label = "neither user-facing nor a standard error",
    note = "a boxed error has to be `Box<dyn Error + Send + Sync>`",
    note = "implement `std::error::Error` for it (its text stays in the log), or `platools::UserFacingError` (its text goes to the model), or add `#[tool(errors = \"user\")]`"
)]
pub trait HandlerError {}

/// Level 1: the handler's error is already a [`ToolError`].
pub trait FinishToolError<T> {
    /// Turns the returned value into an answer.
    fn finish(&self, value: Result<T, ToolError>) -> ToolResult
    where
        T: IntoOutput;
}

impl<T> FinishToolError<T> for &&&&Returned<Result<T, ToolError>> {
    fn finish(&self, value: Result<T, ToolError>) -> ToolResult
    where
        T: IntoOutput,
    {
        value.and_then(IntoOutput::into_output)
    }
}

/// Level 2: the error's text is meant for the model.
pub trait FinishUserFacing<T, E> {
    /// Turns the returned value into an answer.
    fn finish(&self, value: Result<T, E>) -> ToolResult
    where
        T: IntoOutput;
}

impl<T, E: UserFacingError> FinishUserFacing<T, E> for &&&Returned<Result<T, E>> {
    fn finish(&self, value: Result<T, E>) -> ToolResult
    where
        T: IntoOutput,
    {
        value.map_err(ToolError::user)?.into_output()
    }
}

/// Level 3: any other error, kept for the log.
pub trait FinishInternal<T, E> {
    /// Turns the returned value into an answer.
    fn finish(&self, value: Result<T, E>) -> ToolResult
    where
        T: IntoOutput;
}

impl<T, E: Into<BoxError>> FinishInternal<T, E> for &&Returned<Result<T, E>> {
    fn finish(&self, value: Result<T, E>) -> ToolResult
    where
        T: IntoOutput,
    {
        value.map_err(ToolError::internal)?.into_output()
    }
}

/// Level 3 as well: a boxed error that may not leave its thread. Its text may, and is taken at once.
pub trait FinishBoxed<T, E> {
    /// Turns the returned value into an answer.
    fn finish(&self, value: Result<T, E>) -> ToolResult
    where
        T: IntoOutput;
}

impl<T, E: ThreadBound> FinishBoxed<T, E> for &&Returned<Result<T, E>> {
    fn finish(&self, value: Result<T, E>) -> ToolResult
    where
        T: IntoOutput,
    {
        value.map_err(|error| ToolError::internal(chain(error.as_error())))?.into_output()
    }
}

/// A boxed error that is not both `Send` and `Sync`.
pub trait ThreadBound {
    /// The error in the box.
    fn as_error(&self) -> &(dyn Error + 'static);
}

macro_rules! thread_bound {
    ($($boxed:ty)*) => {$(
        impl ThreadBound for $boxed {
            fn as_error(&self) -> &(dyn Error + 'static) {
                &**self
            }
        }
    )*};
}
thread_bound!(Box<dyn Error> Box<dyn Error + Send> Box<dyn Error + Sync>);

/// Level 4: a result whose error fits none of the above. It exists to fail with a message that says so.
pub trait FinishUnknown<T, E> {
    /// Turns the returned value into an answer.
    fn finish(&self, value: Result<T, E>) -> ToolResult
    where
        E: HandlerError;
}

impl<T, E> FinishUnknown<T, E> for &Returned<Result<T, E>> {
    fn finish(&self, _value: Result<T, E>) -> ToolResult
    where
        E: HandlerError,
    {
        Err(ToolError::internal("no error type implements `HandlerError`"))
    }
}

/// Level 5: not a result.
pub trait FinishPlain<T> {
    /// Turns the returned value into an answer.
    fn finish(&self, value: T) -> ToolResult
    where
        T: IntoOutput;
}

impl<T> FinishPlain<T> for Returned<T> {
    fn finish(&self, value: T) -> ToolResult
    where
        T: IntoOutput,
    {
        value.into_output()
    }
}

/// Under `errors = "user"`, level 2: every error's text goes to the model.
pub trait FinishShown<T, E> {
    /// Turns the returned value into an answer.
    fn finish_shown(&self, value: Result<T, E>) -> ToolResult
    where
        T: IntoOutput,
        E: fmt::Display;
}

impl<T, E> FinishShown<T, E> for &Returned<Result<T, E>> {
    fn finish_shown(&self, value: Result<T, E>) -> ToolResult
    where
        T: IntoOutput,
        E: fmt::Display,
    {
        value.map_err(ToolError::user)?.into_output()
    }
}

/// Under `errors = "user"`, level 1: a [`ToolError`] keeps its kind.
pub trait FinishShownToolError<T> {
    /// Turns the returned value into an answer.
    fn finish_shown(&self, value: Result<T, ToolError>) -> ToolResult
    where
        T: IntoOutput;
}

impl<T> FinishShownToolError<T> for &&Returned<Result<T, ToolError>> {
    fn finish_shown(&self, value: Result<T, ToolError>) -> ToolResult
    where
        T: IntoOutput,
    {
        value.and_then(IntoOutput::into_output)
    }
}

/// Under `errors = "user"`, level 3: not a result.
pub trait FinishShownPlain<T> {
    /// Turns the returned value into an answer.
    fn finish_shown(&self, value: T) -> ToolResult
    where
        T: IntoOutput;
}

impl<T> FinishShownPlain<T> for Returned<T> {
    fn finish_shown(&self, value: T) -> ToolResult
    where
        T: IntoOutput,
    {
        value.into_output()
    }
}

/// The output schema of `Result<T, E>` is that of `T`.
pub trait ResultSchema {
    /// The schema, unless it says nothing.
    fn output_schema(&self) -> Option<Value>;
}

impl<T: JsonSchema, E> ResultSchema for &&&Returned<Result<T, E>> {
    fn output_schema(&self) -> Option<Value> {
        schema::output_schema::<T>()
    }
}

/// A result whose value has no schema.
pub trait ResultWithoutSchema {
    /// Nothing.
    fn output_schema(&self) -> Option<Value>;
}

impl<T, E> ResultWithoutSchema for &&Returned<Result<T, E>> {
    fn output_schema(&self) -> Option<Value> {
        None
    }
}

/// A plain value with a schema.
pub trait PlainSchema {
    /// The schema, unless it says nothing.
    fn output_schema(&self) -> Option<Value>;
}

impl<T: JsonSchema> PlainSchema for &Returned<T> {
    fn output_schema(&self) -> Option<Value> {
        schema::output_schema::<T>()
    }
}

/// A plain value without a schema.
pub trait WithoutSchema {
    /// Nothing.
    fn output_schema(&self) -> Option<Value>;
}

impl<T> WithoutSchema for Returned<T> {
    fn output_schema(&self) -> Option<Value> {
        None
    }
}

/// The traits above without their names, so that generated code brings no name into the user's scope.
pub mod traits {
    pub use super::{
        FinishBoxed as _, FinishInternal as _, FinishPlain as _, FinishShown as _, FinishShownPlain as _,
        FinishShownToolError as _, FinishToolError as _, FinishUnknown as _, FinishUserFacing as _,
        PlainSchema as _, ResultSchema as _, ResultWithoutSchema as _, WithoutSchema as _,
    };
}

#[cfg(test)]
#[expect(clippy::needless_borrow, reason = "generated code always writes as many references")]
mod tests {
    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::tool::{Media, ToolErrorKind};

    type Aliased<T> = Result<T, std::io::Error>;

    #[derive(Debug, Serialize)]
    struct OnlyDisplay;
    impl fmt::Display for OnlyDisplay {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("shown")
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("query failed")]
    struct Layered(#[source] std::io::Error);

    macro_rules! finish {
        ($value:expr) => {{
            let value = $value;
            (&&&&&Returned::of(&value)).finish(value)
        }};
    }

    #[test]
    fn results_are_told_from_values_by_their_type() {
        assert_eq!(finish!(5).unwrap().to_value(), json!(5));
        assert_eq!(finish!(()).unwrap().to_value(), json!(null));
        let fine: Aliased<u8> = Ok(5);
        assert_eq!(finish!(fine).unwrap().to_value(), json!(5));
        let failed: Aliased<u8> = Err(std::io::Error::other("disk"));
        let error = finish!(failed).unwrap_err();
        assert_eq!((error.kind(), error.chain().as_str()), (ToolErrorKind::Internal, "disk"));
        let failed: Result<u8, String> = Err("no such order".to_owned());
        let error = finish!(failed).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ToolErrorKind::Failed, "no such order"));
        let failed: Result<u8, ToolError> = Err(ToolError::denied("no"));
        assert_eq!(finish!(failed).unwrap_err().kind(), ToolErrorKind::Denied);
        let boxed: Result<u8, Box<dyn std::error::Error + Send + Sync>> = Err("boxed".into());
        assert_eq!(finish!(boxed).unwrap_err().chain(), "boxed");
        let bound: Result<u8, Box<dyn Error>> = Err(Box::new(Layered(std::io::Error::other("disk"))));
        let error = finish!(bound).unwrap_err();
        assert_eq!(
            (error.to_string(), error.chain()),
            ("internal error".into(), "query failed: disk".into())
        );
        let bound: Result<u8, Box<dyn Error + Send>> = Err(Box::new(Layered(std::io::Error::other("disk"))));
        assert_eq!(finish!(bound).unwrap_err().kind(), ToolErrorKind::Internal);
        let fine: Result<u8, Box<dyn Error>> = Ok(5);
        assert_eq!(finish!(fine).unwrap().to_value(), json!(5));
        let media: Result<Media, &str> = Ok(Media::png([1]));
        assert!(finish!(media).unwrap().as_media().is_some());
        let nothing: Result<(), &str> = Ok(());
        assert_eq!(finish!(nothing).unwrap().to_value(), json!(null));
    }

    #[test]
    fn errors_are_shown_on_request() {
        let failed: Result<u8, OnlyDisplay> = Err(OnlyDisplay);
        let error = (&&&Returned::of(&failed)).finish_shown(failed).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ToolErrorKind::Failed, "shown"));
        let denied: Result<u8, ToolError> = Err(ToolError::denied("no"));
        assert_eq!(
            (&&&Returned::of(&denied)).finish_shown(denied).unwrap_err().kind(),
            ToolErrorKind::Denied
        );
        assert_eq!((&&&Returned::of(&5)).finish_shown(5).unwrap().to_value(), json!(5));
    }

    #[test]
    fn output_schemas_are_those_of_the_value() {
        macro_rules! output_schema {
            ($returned:ty) => {
                (&&&&Returned::<$returned>::named()).output_schema()
            };
        }
        assert_eq!(output_schema!(String), Some(json!({"type": "string"})));
        assert_eq!(output_schema!(Aliased<i64>), Some(json!({"type": "integer"})));
        assert_eq!(output_schema!(Result<OnlyDisplay, String>), None);
        assert_eq!(output_schema!(OnlyDisplay), None);
        assert_eq!(output_schema!(Result<Value, String>), None);
        assert_eq!(output_schema!(Result<(), String>), None);
        assert_eq!(output_schema!(()), None);
    }
}
