//! One `tools/call`, as it was read.
//!
//! Must not know transports or how a call runs.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use memchr::memmem;
use rmcp::model::{CallToolRequestParams, RequestId, RequestMetaObject};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use platools::caller::{CallContext, CallContextBuilder};
use platools::tool::Arguments;

/// A `tools/call` request.
pub(crate) struct ToolCall {
    pub(crate) id: RequestId,
    pub(crate) name: String,
    pub(crate) arguments: Arguments,
    pub(crate) meta: RequestMetaObject,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    id: RequestId,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Object<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(rename = "_meta", default)]
    meta: Option<RequestMetaObject>,
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

impl ToolCall {
    /// Creates the call from a request that `rmcp` has parsed.
    pub(crate) fn new(id: RequestId, params: CallToolRequestParams, meta: RequestMetaObject) -> Self {
        let arguments = params.arguments.map(Arguments::from).unwrap_or_default();
        Self { id, name: params.name.into_owned(), arguments, meta }
    }

    /// Reads the call in `message` in one pass; returns `None` for any other message. `rmcp` tries one form of a message
    /// after the other and builds trees of values.
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        memmem::find(message, b"\"tools/call\"")?;
        let Object(Request { jsonrpc, id, method, params: Object(params) }) =
            serde_json::from_slice(message).ok()?;
        if (&*jsonrpc, &*method) != ("2.0", "tools/call") {
            return None;
        }
        let arguments = params.arguments.map_or_else(|| Ok(Arguments::empty()), Arguments::try_from).ok()?;
        Some(Self { id, name: params.name.into_owned(), arguments, meta: params.meta.unwrap_or_default() })
    }

    /// Returns whether the call belongs to a version of the protocol without a handshake.
    pub(crate) fn is_without_handshake(&self) -> bool {
        self.meta.protocol_version().is_some_and(|version| !version.has_initialize())
    }

    /// Begins the context of the call: the server's caller, with an id and the trace context of the request.
    pub(crate) fn context(&self, caller: &CallContext) -> CallContextBuilder {
        let mut context = caller.to_builder().call_id(format!("mcp-{:016x}", fastrand::u64(..)));
        if caller.source().is_none() {
            context = context.source("mcp_client");
        }
        match self.meta.get_traceparent() {
            Some(trace) => context.traceparent(trace),
            None => context,
        }
    }
}
