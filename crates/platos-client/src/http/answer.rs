//! What came back, and what it says.

use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Mask;
use crate::error::{Error, ErrorResponse, ProtocolError, RefreshOutcome, shortened};

/// How much of a body an error about it keeps.
const KEPT_BYTES: usize = 2_000;

/// How much of a problem's description a message keeps.
const QUOTED_BYTES: usize = 300;

const PAGE: &str = "the answer is a page, not JSON: check that the base URL is a Platos agent API";

/// A success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) mask: Mask,
    /// An earlier attempt may have been carried out, and only its answer got lost.
    pub(crate) is_repeated: bool,
    /// When it was given, by the platform's clock.
    pub(crate) date: Option<SystemTime>,
}

impl Answer {
    pub(super) fn protocol(&self, problem: String) -> Error {
        let body = Some(shortened(&self.mask.apply(self.body.clone()), KEPT_BYTES));
        let status = Some(self.status);
        ProtocolError { request: self.request.clone(), problem, status, body }.into()
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.body.trim().is_empty()
    }

    /// Success without anything to read. A page comes from something in front of the platform, such as a login.
    pub(crate) fn nothing(&self) -> Result<(), Error> {
        if self.is_page() { Err(self.protocol(PAGE.to_owned())) } else { Ok(()) }
    }

    /// What the platform sends back where it sends anything of that kind.
    pub(crate) fn perhaps<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.nothing()?;
        Ok(serde_json::from_str(&self.body).ok())
    }

    fn is_page(&self) -> bool {
        self.body.trim_start().starts_with('<')
    }

    /// The body as a value; `null` where there is none.
    pub(crate) fn value(&self) -> Result<Value, Error> {
        if self.is_empty() { Ok(Value::Null) } else { self.parse(&self.body) }
    }

    /// The one thing under the first of several keys that is there, or the body where there is none of them.
    pub(crate) fn part<T: DeserializeOwned>(&self, keys: &[&str]) -> Result<T, Error> {
        let mut value = self.value()?;
        let part = value.as_object_mut().and_then(|body| keys.iter().find_map(|key| body.remove(*key)));
        match part {
            // A field of the thing itself may have that name.
            Some(part) if part.is_object() => self.convert(part),
            _ => self.one(),
        }
    }

    /// Success, unless the platform says by `field: false` that it did nothing.
    pub(crate) fn done(&self, field: &str) -> Result<(), Error> {
        let body = if self.is_page() { Value::Null } else { self.value()? };
        if body[field] == false && !self.is_repeated {
            let said = ["message", "error"].iter().find_map(|key| body[*key].as_str());
            // Without a word, there is no such thing.
            let status = if said.is_some() { self.status } else { 404 };
            let body = self.mask.apply(self.body.clone());
            let mut response = ErrorResponse::new(&self.request, Some(status), &body, None);
            if said.is_none() {
                "there is no such thing, or it is not yours".clone_into(&mut response.message);
            }
            return Err(response.into_error(RefreshOutcome::RefusedAgain));
        }
        self.nothing()
    }

    /// The body as one thing.
    pub(crate) fn one<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if self.is_empty() {
            return Err(self.protocol("the answer is empty, where something was asked for".to_owned()));
        }
        self.parse(&self.body)
    }

    /// The list under `key`. Nothing at all is an empty list; a list by itself is taken too.
    pub(crate) fn list<T: DeserializeOwned>(&self, key: &str) -> Result<Vec<T>, Error> {
        self.list_of(&[key])
    }

    /// The list under the first of several keys that is there, as generations of platforms call it.
    pub(crate) fn list_of<T: DeserializeOwned>(&self, keys: &[&str]) -> Result<Vec<T>, Error> {
        let key = keys.first().copied().unwrap_or_default();
        match self.value()? {
            Value::Null => Ok(Vec::new()),
            list @ Value::Array(_) => self.convert(list),
            Value::Object(mut body) => match keys.iter().find_map(|key| body.remove(*key)) {
                Some(Value::Null) => Ok(Vec::new()),
                Some(list) => self.convert(list),
                None => Err(self.protocol(format!(
                    "the answer has no `{key}`: check that the base URL is a Platos agent API"
                ))),
            },
            _ => Err(self.protocol(format!("the answer is no object with `{key}`"))),
        }
    }

    fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut json).map_err(|error| self.not_understood(&error))
    }

    fn convert<T: DeserializeOwned>(&self, value: Value) -> Result<T, Error> {
        serde_path_to_error::deserialize(value).map_err(|error| self.not_understood(&error))
    }

    fn not_understood(&self, error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
        if self.is_page() {
            return self.protocol(PAGE.to_owned());
        }
        let path = error.path().to_string();
        // It may quote what came.
        let problem = shortened(&self.mask.apply(error.inner().to_string()), QUOTED_BYTES);
        let at = if path == "." { String::new() } else { format!(" at `{path}`") };
        self.protocol(format!("the answer is not understood{at}: {problem} (the error has it as `body`)"))
    }
}
