//! Variables of the environment that mean the same.
//!
//! Must not know what they mean. Errors name variables and never their values.

/// Two variables that mean the same and are set to different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{first} and {second} are both set, to different values: set one of them, or both to the same value")]
pub struct VariableConflict {
    /// The variable that is looked for first.
    pub first: &'static str,
    /// The other one.
    pub second: &'static str,
}

/// Returns the value of the first of `names` that is set. An empty variable counts as unset.
///
/// ```
/// use platools_net::variables::same;
///
/// let lookup = |name: &str| (name == "PLATOS_ORG_ID").then(|| "org_1".to_owned());
/// assert_eq!(same(lookup, &["PLATOS_ORGANIZATION_ID", "PLATOS_ORG_ID"]).unwrap().as_deref(), Some("org_1"));
/// ```
///
/// # Errors
/// When another one of them is set to a different value.
pub fn same(
    lookup: impl Fn(&str) -> Option<String>,
    names: &[&'static str],
) -> Result<Option<String>, VariableConflict> {
    let mut found: Option<(&'static str, String)> = None;
    for name in names {
        let Some(value) = lookup(name).filter(|value| !value.trim().is_empty()) else { continue };
        match &found {
            None => found = Some((name, value)),
            Some((first, known)) if *known != value => return Err(VariableConflict { first, second: name }),
            Some(_) => {}
        }
    }
    Ok(found.map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_found_and_two_different_ones_are_an_error() {
        let with = |variables: &'static [(&str, &str)]| {
            same(
                |wanted| {
                    variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
                },
                &["A", "B", "C"],
            )
        };
        assert_eq!(with(&[("A", " "), ("D", "x")]), Ok(None));
        assert_eq!(with(&[("A", ""), ("C", "x")]), Ok(Some("x".to_owned())));
        assert_eq!(with(&[("A", "x"), ("B", "x")]), Ok(Some("x".to_owned())));
        let error = with(&[("A", "s3cret"), ("B", "s3cret"), ("C", "s3cret2")]).unwrap_err();
        assert_eq!(error, VariableConflict { first: "A", second: "C" });
        assert!(!error.to_string().contains("s3cret"));
    }
}
