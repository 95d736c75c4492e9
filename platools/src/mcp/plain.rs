//! A `tools/call` that has nothing unusual about it, read in one pass. `rmcp` tries one form of a message after the
//! other, and makes trees of values.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use memchr::memmem;
use rmcp::model::{ProgressToken, RequestId};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::catalog::Structure;
use super::session::Shared;
use crate::tool::Arguments;

/// A call of a tool that there is.
pub(super) struct PlainCall {
    pub(super) id: RequestId,
    pub(super) name: String,
    pub(super) arguments: Arguments,
    pub(super) meta: Meta,
    pub(super) structure: Structure,
}

/// A request without anything that is not understood here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    jsonrpc: &'a str,
    id: RequestId,
    method: &'a str,
    #[serde(borrow)]
    params: Object<Params<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(rename = "_meta", default)]
    meta: Option<Object<Meta>>,
}

/// What a request says about itself.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Meta {
    #[serde(rename = "progressToken", default)]
    pub(super) progress_token: Option<ProgressToken>,
    #[serde(default)]
    pub(super) traceparent: Option<String>,
}

/// What is written as an object. Derived readers take an array of members in their order, too, which is no message.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

impl PlainCall {
    /// The call in `message`; `None` when it is anything else, or means anything more.
    pub(super) fn read(message: &[u8], shared: &Shared) -> Option<Self> {
        memmem::find(message, b"\"tools/call\"")?;
        let Object(Request { jsonrpc, id, method, params: Object(params) }) =
            serde_json::from_slice(message).ok()?;
        if (jsonrpc, method) != ("2.0", "tools/call") {
            return None;
        }
        let structure = shared.catalog().structure(&params.name)?;
        let arguments = match params.arguments.map(RawValue::get) {
            None => Arguments::empty(),
            Some(object) if object.starts_with('{') => Arguments::from_object_text(object.to_owned()),
            Some(_) => return None,
        };
        let (name, meta) =
            (params.name.into_owned(), params.meta.map(|Object(meta)| meta).unwrap_or_default());
        Some(Self { id, name, arguments, meta, structure })
    }
}
