//! The complete declaration of a host's tools (tool-sync §3), written once.

use super::DeclarationError;
use crate::tool::{Registry, Tool, ToolSpec};
use crate::wire::{MAX_FRAME_BYTES, RegisterEntry, outbound};

/// How many of the largest tools an error names.
const NAMED: usize = 5;

/// The `tool_register` frame of all tools.
pub(super) fn declare(registry: &Registry) -> Result<String, DeclarationError> {
    let frame = frame_of(registry.iter());
    if frame.len() <= MAX_FRAME_BYTES {
        return Ok(frame);
    }
    let mut sizes: Vec<(usize, &str)> = registry
        .iter()
        .map(|tool| (outbound::tool_register([entry(tool.spec())]).len(), tool.name()))
        .collect();
    sizes.sort_unstable_by(|left, right| right.cmp(left));
    let largest: Vec<String> =
        sizes.iter().take(NAMED).map(|(size, name)| format!("`{name}` ({})", format_bytes(*size))).collect();
    Err(DeclarationError {
        tools: registry.len(),
        size: format_bytes(frame.len()),
        limit: format_bytes(MAX_FRAME_BYTES),
        largest: largest.join(", "),
    })
}

/// The `tool_register` frame of some tools, whatever its size.
pub(super) fn frame_of<'a>(tools: impl Iterator<Item = &'a Tool>) -> String {
    outbound::tool_register(tools.map(|tool| entry(tool.spec())))
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

/// A number of bytes as a person says it: `12.0 MiB`, `10 MiB`, `300 bytes`.
pub(super) fn format_bytes(bytes: usize) -> String {
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
    use crate::tool::ToolOutput;

    fn registry(tools: impl IntoIterator<Item = ToolSpec>) -> Registry {
        let mut registry = Registry::new();
        registry
            .extend(tools.into_iter().map(|spec| Tool::new(spec, |_| async { Ok(ToolOutput::null()) })))
            .unwrap();
        registry
    }

    #[test]
    fn a_declaration_that_is_too_large_names_size_and_culprits() {
        let big = |name: &str, mib: usize| ToolSpec::new(name).description("x".repeat(mib << 20));
        let registry = registry([ToolSpec::new("small"), big("big", 4), big("bigger", 7)]);
        let error = declare(&registry).unwrap_err().to_string();
        assert!(error.contains("3 tools is 11.0 MiB") && error.contains("at most 10.0 MiB"), "{error}");
        assert!(error.contains("`bigger` (7.0 MiB), `big` (4.0 MiB), `small`"), "{error}");
    }

    #[test]
    fn ten_thousand_small_tools_fit() {
        let specs =
            (0..10_000).map(|index| ToolSpec::new(format!("tool_{index}")).description("Does one thing."));
        assert!(declare(&registry(specs)).unwrap().len() < MAX_FRAME_BYTES);
    }
}
