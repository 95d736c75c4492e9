//! Stands for the remote mint where the feature `remote-mint` is off.

use super::{MintConfigError, SessionScope, SessionTokens};
use crate::{HostConfig, SecretSource};

/// Refuses to mint with the platform.
pub(super) fn tokens(
    _: &str,
    _: SecretSource,
    _: SessionScope,
    _: &HostConfig,
) -> Result<SessionTokens, MintConfigError> {
    Err(MintConfigError::Variable {
        variable: "PLATOS_MINT",
        value: "remote".to_owned(),
        expected: "that is its default with PLATOS_MINT_BEARER, and this program was built without the feature \
                   `remote-mint` of platools: enable it, or set PLATOS_MINT=local",
    })
}

#[cfg(test)]
mod tests {
    use crate::session_token::config::tests::tokens;

    #[test]
    fn without_the_feature_the_remote_mint_is_an_error() {
        let error = tokens("PLATOS_MINT", "remote").unwrap_err().to_string();
        assert!(error.contains("`remote-mint`"), "{error}");
    }
}
