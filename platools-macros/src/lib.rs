//! The `#[tool]` and `#[toolset]` attributes of `platools`.
