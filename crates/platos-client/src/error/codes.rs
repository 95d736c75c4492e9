//! The codes that platforms give for refusals, as [`Error::code`](crate::Error::code) returns them. A platform may send
//! others.

/// The page, offset or limit of a list cannot be used.
pub const INVALID_PAGINATION: &str = "INVALID_PAGINATION";
/// A filter of a list cannot be used.
pub const INVALID_FILTER: &str = "INVALID_FILTER";
/// The ids of attachments are none.
pub const ATTACHMENT_IDS_INVALID: &str = "ATTACHMENT_IDS_INVALID";
/// An attachment cannot be used.
pub const ATTACHMENT_INVALID: &str = "ATTACHMENT_INVALID";
/// An attachment is larger than one may be, 20 MiB.
pub const ATTACHMENT_TOO_LARGE: &str = "ATTACHMENT_TOO_LARGE";
/// The organization has no room for more attachments.
pub const ATTACHMENT_QUOTA_EXCEEDED: &str = "ATTACHMENT_QUOTA_EXCEEDED";
/// Attachments cannot be stored now.
pub const ATTACHMENT_STORAGE_UNAVAILABLE: &str = "ATTACHMENT_STORAGE_UNAVAILABLE";
/// There is no such thread within the caller's scope.
pub const THREAD_NOT_FOUND: &str = "THREAD_NOT_FOUND";
/// There is no such message within the caller's scope.
pub const MESSAGE_NOT_FOUND: &str = "MESSAGE_NOT_FOUND";
/// The thread has as many forks as it may have, 10.
pub const THREAD_FORK_LIMIT: &str = "THREAD_FORK_LIMIT";
/// Forks cannot be made now.
pub const THREAD_FORK_UNAVAILABLE: &str = "THREAD_FORK_UNAVAILABLE";
/// Artifacts cannot be read now.
pub const ARTIFACTS_UNAVAILABLE: &str = "ARTIFACTS_UNAVAILABLE";
/// The platform does not edit or retry messages.
pub const CONVERSATION_REVISION_NOT_SUPPORTED: &str = "conversation_revision_not_supported";
/// Who calls may not rate.
pub const RATING_ACTOR_FORBIDDEN: &str = "RATING_ACTOR_FORBIDDEN";
/// Only an operator may do this: no token of an end user is enough.
pub const OPERATOR_ONLY: &str = "OPERATOR_ONLY";
/// The session token is for another agent.
pub const AGENT_SCOPE_MISMATCH: &str = "AGENT_SCOPE_MISMATCH";
/// Who calls may not name an agent.
pub const INVALID_AGENT_SCOPE: &str = "INVALID_AGENT_SCOPE";
/// The environment wants an access key, and there is none or another.
pub const INVALID_ACCESS_KEY: &str = "INVALID_ACCESS_KEY";
/// The deployment wants to know which user it is.
pub const USER_ID_REQUIRED: &str = "user_id_required";
/// Too many requests.
pub const RATE_LIMIT: &str = "rate_limit";
/// Too many requests of one kind.
pub const RATE_LIMITED: &str = "rate_limited";
/// What may be spent is spent.
pub const BUDGET_CAP: &str = "budget_cap";
/// The thread has a turn that is not done.
pub const TURN_IN_PROGRESS: &str = "turn_in_progress";
/// The message was sent before, with the same key.
pub const ALREADY_PROCESSED: &str = "already_processed";
/// The session token is not valid any more.
pub const SESSION_EXPIRED: &str = "SESSION_EXPIRED";
/// The session token is not valid any more, or was revoked.
pub const SESSION_REVOKED_OR_EXPIRED: &str = "SESSION_REVOKED_OR_EXPIRED";
/// The turn was stopped.
pub const ABORTED: &str = "aborted";
/// The agent's answer does not have the form that was asked for.
pub const STRUCTURED_OUTPUT_INVALID: &str = "structured_output_invalid";
/// The model cannot be reached.
pub const PROVIDER_UNAVAILABLE: &str = "provider_unavailable";
/// A part of the platform is away.
pub const SERVICE_UNAVAILABLE: &str = "service_unavailable";
/// The agent needs to know for which entities it works.
pub const ENTITY_IDS_REQUIRED: &str = "ENTITY_IDS_REQUIRED";
/// The body is larger than the route takes.
pub const PAYLOAD_TOO_LARGE: &str = "payload_too_large";
/// The slug of an entity has characters or a length that it may not have.
pub const INVALID_ENTITY_ID_FORMAT: &str = "invalid_entity_id_format";
/// How an entity is reached as an MCP server cannot be used.
pub const INVALID_MCP_CLIENT: &str = "invalid_mcp_client";
/// The entity is no MCP server.
pub const NOT_MCP_ENTITY: &str = "not_mcp_entity";
/// The platform cannot do that, or not yet.
pub const UNSUPPORTED: &str = "unsupported";
/// What an entity offers cannot be looked up now.
pub const DISCOVERY_UNAVAILABLE: &str = "discovery_unavailable";
/// No credentials, or none that hold (the operators' API).
pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
/// The credentials do not reach that far (the operators' API).
pub const FORBIDDEN_SCOPE: &str = "FORBIDDEN_SCOPE";
