//! The declaration of tools to the platform (protocol §3).

use super::{Tool, ToolSpec};
use crate::wire::{MAX_FRAME_BYTES, RegisterEntry, outbound};

/// What a declaration may hold besides the tools, in bytes: its frame and the callback URL.
const BESIDES: usize = 4 << 10;

/// How many of the largest tools an error names.
const NAMED: usize = 5;

/// A declaration that is larger than the platform takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the declaration of {tools} tools is {size}, the platform takes at most {limit}; the largest are {largest}: \
     shorten their schemas and descriptions, or spread the tools over several entities"
)]
pub struct DeclarationError {
    tools: usize,
    size: String,
    limit: String,
    largest: String,
}

/// The `tool_register` frame of `tools`, in their order, whatever its size.
pub(crate) fn frame<'a>(tools: impl IntoIterator<Item = &'a Tool>, callback_url: Option<&str>) -> String {
    outbound::tool_register(tools.into_iter().map(|tool| entry(tool.spec())), callback_url)
}

/// The bytes of a tool in a declaration.
pub(crate) fn size(spec: &ToolSpec) -> usize {
    outbound::tool_register([entry(spec)], None).len()
}

/// Checks that a declaration of tools with these names and sizes is not larger than the platform takes.
pub(crate) fn check<'a>(tools: impl IntoIterator<Item = (&'a str, usize)>) -> Result<(), DeclarationError> {
    let mut sizes: Vec<(usize, &str)> = tools.into_iter().map(|(name, size)| (size, name)).collect();
    let total = sizes.iter().map(|(size, _)| size).sum();
    if total + BESIDES <= MAX_FRAME_BYTES {
        return Ok(());
    }
    sizes.sort_unstable_by(|left, right| right.cmp(left));
    let largest: Vec<String> =
        sizes.iter().take(NAMED).map(|(size, name)| format!("`{name}` ({})", format_bytes(*size))).collect();
    Err(DeclarationError {
        tools: sizes.len(),
        size: format_bytes(total),
        limit: format_bytes(MAX_FRAME_BYTES),
        largest: largest.join(", "),
    })
}

fn entry(spec: &ToolSpec) -> RegisterEntry<'_> {
    RegisterEntry {
        name: &spec.name,
        description: &spec.description,
        input_schema: &spec.input_schema,
        output_schema: spec.output_schema.as_ref(),
        auth: spec.auth.as_str(),
        roles: &spec.roles,
        annotations: &spec.annotations,
    }
}

/// A number of bytes for people: `12.0 MiB`, `300 bytes`.
pub(crate) fn format_bytes(bytes: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    let (unit, name) = match bytes {
        bytes if bytes >= MIB => (MIB, "MiB"),
        bytes if bytes >= KIB => (KIB, "KiB"),
        bytes => return format!("{bytes} bytes"),
    };
    format!("{:.1} {name}", bytes as f64 / unit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_all(specs: impl IntoIterator<Item = ToolSpec>) -> Result<(), DeclarationError> {
        let specs: Vec<ToolSpec> = specs.into_iter().collect();
        check(specs.iter().map(|spec| (spec.name.as_str(), size(spec))))
    }

    #[test]
    fn an_error_names_the_size_and_the_largest_tools() {
        let big = |name: &str, mib: usize| ToolSpec::new(name).description("x".repeat(mib << 20));
        let error = check_all([ToolSpec::new("small"), big("big", 4), big("bigger", 7)]);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("3 tools is 11.0 MiB") && error.contains("at most 10.0 MiB"), "{error}");
        assert!(error.contains("`bigger` (7.0 MiB), `big` (4.0 MiB), `small`"), "{error}");
    }

    #[test]
    fn ten_thousand_small_tools_fit() {
        let specs =
            (0..10_000).map(|index| ToolSpec::new(format!("tool_{index}")).description("Does one thing."));
        check_all(specs).unwrap();
    }
}
