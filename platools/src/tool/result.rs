//! Converts a function's return value into a call's answer, selected by the type's traits (autoref specialization).
//!
//! `Result<T, E>` implements `Serialize`, so a blanket implementation cannot distinguish a result from a plain value.
//! Method resolution can: generated code calls `finish` through five references, `output_schema` through four and
//! `finish_shown` through three, and the compiler selects the applicable implementation with the most references.

#![allow(clippy::missing_errors_doc, reason = "the error is the one that the function returned")]

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde_json::Value;

use super::error::chain;
use super::{BoxError, IntoOutput, ToolError, ToolResult, UserFacingError, schema};

/// Carries the return type of a function.
#[derive(Debug)]
pub struct Returned<T>(PhantomData<fn() -> T>);

impl<T> Returned<T> {
    /// Infers the type from `value`.
    pub fn of(_value: &T) -> Self {
        Self::named()
    }

    /// Infers the return type of `call`, which never runs.
    pub fn by(_call: impl FnOnce() -> T) -> Self {
        Self::named()
    }

    /// Infers the output type of the future returned by `call`, which never runs.
    pub fn by_future<F: Future<Output = T>>(_call: impl FnOnce() -> F) -> Self {
        Self::named()
    }

    /// Names the type explicitly.
    pub fn named() -> Self {
        Self(PhantomData)
    }
}

/// An argument of a call that never runs.
pub fn placeholder<T>() -> T {
    unreachable!("this call is only type-checked")
}

/// A type that a handler may return as an error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a tool's error",
    label = "neither user-facing nor a standard error",
    note = "a boxed error must be `Box<dyn Error + Send + Sync>`",
    note = "implement `std::error::Error` for it (its text stays in the log), or `platools::UserFacingError` (its text goes to the model), or add `#[tool(errors = \"user\")]`"
)]
pub trait HandlerError {}

/// Level 1: the handler's error is already a [`ToolError`].
pub trait FinishToolError<T> {
    /// Converts the returned value into an answer.
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

/// Level 2: the error's text is sent to the model.
pub trait FinishUserFacing<T, E> {
    /// Converts the returned value into an answer.
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

/// Level 3: any other error, which goes only to the log.
pub trait FinishInternal<T, E> {
    /// Converts the returned value into an answer.
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

/// Level 3 too: a boxed error that is not `Send`. It is converted to text immediately.
pub trait FinishBoxed<T, E> {
    /// Converts the returned value into an answer.
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
    /// Returns the error in the box.
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

/// Level 4: a result with an unsupported error type. It exists to produce a readable compile error.
pub trait FinishUnknown<T, E> {
    /// Converts the returned value into an answer.
    fn finish(&self, value: Result<T, E>) -> ToolResult
    where
        E: HandlerError;
}

impl<T, E> FinishUnknown<T, E> for &Returned<Result<T, E>> {
    fn finish(&self, _value: Result<T, E>) -> ToolResult
    where
        E: HandlerError,
    {
        Err(ToolError::internal("unsupported error type"))
    }
}

/// Level 5: not a result.
pub trait FinishPlain<T> {
    /// Converts the returned value into an answer.
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

/// Under `errors = "user"`, level 2: every error's text is sent to the model.
pub trait FinishShown<T, E> {
    /// Converts the returned value into an answer.
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
    /// Converts the returned value into an answer.
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
    /// Converts the returned value into an answer.
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
    /// Returns the schema, unless it allows any value or only `null`.
    fn output_schema(&self) -> Option<Value>;
}

impl<T: JsonSchema, E> ResultSchema for &&&Returned<Result<T, E>> {
    fn output_schema(&self) -> Option<Value> {
        schema::output_schema::<T>()
    }
}

/// A result whose value has no schema.
pub trait ResultWithoutSchema {
    /// Returns `None`.
    fn output_schema(&self) -> Option<Value>;
}

impl<T, E> ResultWithoutSchema for &&Returned<Result<T, E>> {
    fn output_schema(&self) -> Option<Value> {
        None
    }
}

/// A plain value with a schema.
pub trait PlainSchema {
    /// Returns the schema, unless it allows any value or only `null`.
    fn output_schema(&self) -> Option<Value>;
}

impl<T: JsonSchema> PlainSchema for &Returned<T> {
    fn output_schema(&self) -> Option<Value> {
        schema::output_schema::<T>()
    }
}

/// A plain value without a schema.
pub trait WithoutSchema {
    /// Returns `None`.
    fn output_schema(&self) -> Option<Value>;
}

impl<T> WithoutSchema for Returned<T> {
    fn output_schema(&self) -> Option<Value> {
        None
    }
}

/// The traits above, imported as `_`, so that generated code adds no names to the user's scope.
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
    fn results_are_distinguished_from_values_by_type() {
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
