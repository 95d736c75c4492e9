//! Reads an ordinary `tools/call` in one pass. `rmcp` tries one form of a message after the other and builds trees of
//! values.

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
use platools::tool::Arguments;

/// A call of a known tool.
pub(crate) struct PlainCall {
    pub(crate) id: RequestId,
    pub(crate) name: String,
    pub(crate) arguments: Arguments,
    pub(crate) meta: Meta,
    pub(crate) structure: Structure,
}

/// A request without unknown members.
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

/// The `_meta` of a request.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Meta {
    #[serde(rename = "progressToken", default)]
    pub(crate) progress_token: Option<ProgressToken>,
    #[serde(default)]
    pub(crate) traceparent: Option<String>,
}

/// Accepts objects only: derived readers accept arrays of members too, which is no valid message.
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
    /// Reads the call in `message`; returns `None` for any other message and for members that it does not know.
    pub(crate) fn read(message: &[u8], shared: &Shared) -> Option<Self> {
        memmem::find(message, b"\"tools/call\"")?;
        let Object(Request { jsonrpc, id, method, params: Object(params) }) =
            serde_json::from_slice(message).ok()?;
        if (jsonrpc, method) != ("2.0", "tools/call") {
            return None;
        }
        let structure = shared.catalog().structure(&params.name)?;
        let arguments = params.arguments.map_or_else(|| Ok(Arguments::empty()), Arguments::try_from).ok()?;
        let (name, meta) =
            (params.name.into_owned(), params.meta.map(|Object(meta)| meta).unwrap_or_default());
        Some(Self { id, name, arguments, meta, structure })
    }
}
