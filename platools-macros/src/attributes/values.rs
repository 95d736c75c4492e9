//! Parses the values of attributes, each kind with its error text.

use std::time::Duration;

use proc_macro2::Span;
use syn::{Expr, ExprLit, Lit, LitStr};

use super::{Entry, Value};
use crate::error::Errors;
use crate::names::known_names;

/// A value and its span.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// Returns the string literal of `expr`, looking through the invisible groups of macro expansion.
pub(crate) fn literal_string(expr: &Expr) -> Option<&LitStr> {
    match literal(expr) {
        Some(Lit::Str(text)) => Some(text),
        _ => None,
    }
}

/// Returns the literal of `expr`, looking through the invisible groups of macro expansion.
pub(crate) fn literal(expr: &Expr) -> Option<&Lit> {
    match expr {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

impl Entry {
    /// Parses `name = "text"`; `example` is a correct entry for the error text.
    pub(crate) fn string(&self, example: &str, errors: &mut Errors) -> Option<LitStr> {
        if let Value::Assigned(expr) = &self.value
            && let Some(text) = literal_string(expr)
        {
            return Some(text.clone());
        }
        self.value_error(errors, format!("`{}` takes text in quotes: `{example}`", self.name()));
        None
    }

    /// Parses `name = "text"` and rejects empty text.
    pub(crate) fn text(&self, example: &str, errors: &mut Errors) -> Option<LitStr> {
        let text = self.string(example, errors)?;
        if text.value().trim().is_empty() {
            errors.on(&text, format!("`{}` is empty: write some text, or remove it", self.name()));
            return None;
        }
        Some(text)
    }

    /// Parses `name = "text"`, or any other expression of type `&str`, such as `include_str!(…)`.
    pub(crate) fn text_expression(&self, example: &str, errors: &mut Errors) -> Option<Expr> {
        match &self.value {
            Value::Assigned(expr) if !matches!(**expr, Expr::Lit(_)) => Some((**expr).clone()),
            Value::Assigned(expr) => self.text(example, errors).map(|_| (**expr).clone()),
            _ => {
                self.string(example, errors);
                None
            }
        }
    }

    /// Parses `name`, `name = true` or `name = false`.
    pub(crate) fn switch(&self, errors: &mut Errors) -> Option<At<bool>> {
        let span = self.key.span();
        match &self.value {
            Value::Flag => return Some(At { value: true, span }),
            Value::Assigned(expr) => {
                if let Expr::Lit(ExprLit { lit: Lit::Bool(lit), .. }) = &**expr {
                    return Some(At { value: lit.value, span });
                }
            }
            Value::List(..) => {}
        }
        let name = self.name();
        self.value_error(errors, format!("`{name}` is a switch: `{name}` or `{name} = false`"));
        None
    }

    /// Parses `name` without a value.
    pub(crate) fn flag(&self, errors: &mut Errors) -> bool {
        if matches!(self.value, Value::Flag) {
            return true;
        }
        self.value_error(errors, format!("`{0}` takes no value: write just `{0}`", self.name()));
        false
    }

    /// Parses `name = 4`: a whole number of at least 1.
    pub(crate) fn count(&self, errors: &mut Errors) -> Option<u32> {
        if let Value::Assigned(expr) = &self.value
            && let Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) = &**expr
            && let Ok(count @ 1..) = number.base10_parse::<u32>()
        {
            return Some(count);
        }
        let name = self.name();
        self.value_error(
            errors,
            format!("`{name}` takes a whole number from 1 to {}: `{name} = 4`", u32::MAX),
        );
        None
    }

    /// Parses `name = "choice"`.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)], errors: &mut Errors) -> Option<T> {
        let (first, _) = choices.first()?;
        let text = self.string(&format!("{} = \"{first}\"", self.name()), errors)?;
        let given = text.value();
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == given) {
            return Some(*choice);
        }
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        errors.on(&text, format!("`{}` cannot be \"{given}\"{}", self.name(), known_names(&given, &names)));
        None
    }

    /// Parses `name = ["a", "b"]`: at least one text, no empty one, no duplicates.
    pub(crate) fn texts(&self, example: &str, errors: &mut Errors) -> Vec<LitStr> {
        let name = self.name();
        let Value::Assigned(expr) = &self.value else {
            self.value_error(errors, format!("`{name}` takes a list of texts: `{example}`"));
            return Vec::new();
        };
        let Expr::Array(array) = &**expr else {
            errors.on(expr, format!("`{name}` takes a list of texts: `{example}`"));
            return Vec::new();
        };
        if array.elems.is_empty() {
            errors.on(array, format!("`{name}` is empty: name at least one, or leave `{name}` out"));
        }
        let mut texts: Vec<LitStr> = Vec::new();
        for element in &array.elems {
            match literal_string(element) {
                None => errors.on(element, format!("`{name}` takes texts in quotes: `{example}`")),
                Some(text) if text.value().trim().is_empty() => {
                    errors.on(text, format!("an empty text in `{name}`: remove it"));
                }
                Some(text) if texts.iter().any(|other| other.value() == text.value()) => {
                    errors.on(text, format!("\"{}\" is given twice in `{name}`: remove one", text.value()));
                }
                Some(text) => texts.push(text.clone()),
            }
        }
        texts
    }

    /// Parses `name = "10s"`.
    pub(crate) fn duration(&self, errors: &mut Errors) -> Option<Duration> {
        let name = self.name();
        let text = self.string(&format!("{name} = \"10s\""), errors)?;
        match humantime::parse_duration(text.value().trim()) {
            Ok(duration) if duration >= Duration::from_millis(1) => return Some(duration),
            Ok(_) => errors.on(&text, format!("`{name}` is too short: at least \"1ms\"")),
            Err(_) => errors.on(
                &text,
                format!(
                    "\"{}\" is not a duration: write a number and its unit, as in \"10s\", \"500ms\" or \"2min\"",
                    text.value()
                ),
            ),
        }
        None
    }

    /// Parses `name = "60/min"` with optional `, burst 10` and `, per user`.
    pub(crate) fn rate(&self, errors: &mut Errors) -> Option<Rate> {
        let text = self.string(&format!("{} = \"60/min\"", self.name()), errors)?;
        match parse_rate(&text.value()) {
            Ok(rate) => Some(rate),
            Err(problem) => {
                errors.on(
                    &text,
                    format!(
                        "{problem}: write calls per time, as in \"5/s\", \"60/min\", \"100/h\" or \"20/10s\""
                    ),
                );
                None
            }
        }
    }

    /// Parses `name = some::path`.
    pub(crate) fn path(&self, errors: &mut Errors) -> Option<syn::Path> {
        if let Value::Assigned(expr) = &self.value {
            if let Expr::Path(path) = &**expr
                && path.qself.is_none()
            {
                return Some(path.path.clone());
            }
            if let Some(Ok(path)) = literal_string(expr).map(LitStr::parse) {
                return Some(path);
            }
        }
        let name = self.name();
        self.value_error(
            errors,
            format!("`{name}` takes the path to platools: `{name} = my_crate::platools`"),
        );
        None
    }
}

/// A rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) calls: u32,
    pub(crate) time: Duration,
    pub(crate) burst: Option<u32>,
    pub(crate) per_user: bool,
}

/// Parses `60/min, burst 10, per user`.
fn parse_rate(text: &str) -> Result<Rate, String> {
    let mut parts = text.split(',').map(str::trim);
    let (calls, time) = parse_calls(parts.next().unwrap_or_default())?;
    let mut rate = Rate { calls, time, burst: None, per_user: false };
    for part in parts {
        match part.split_once(' ') {
            Some(("per", "user")) => rate.per_user = true,
            Some(("burst", calls)) => {
                let burst = calls.trim().parse().ok().filter(|calls| *calls > 0);
                rate.burst = Some(burst.ok_or(format!("\"{calls}\" is not a number of calls"))?);
            }
            _ => return Err(format!("\"{part}\" is neither \"burst N\" nor \"per user\"")),
        }
    }
    Ok(rate)
}

/// Parses `60/min`.
fn parse_calls(text: &str) -> Result<(u32, Duration), String> {
    let Some((calls, time)) = text.split_once('/') else {
        return Err(format!("\"{text}\" is not a rate"));
    };
    let calls = match calls.trim().parse::<u32>() {
        Ok(0) => return Err("a rate of 0 would reject every call".to_owned()),
        Ok(calls) => calls,
        Err(_) => return Err(format!("\"{}\" is not a number of calls", calls.trim())),
    };
    let seconds = match time.trim() {
        "s" | "sec" | "second" => 1,
        "min" | "minute" => 60,
        "h" | "hour" => 60 * 60,
        "d" | "day" => 24 * 60 * 60,
        other => {
            return match humantime::parse_duration(other) {
                Ok(time) if time >= Duration::from_millis(1) => Ok((calls, time)),
                Ok(_) => Err("the time of a rate is at least 1ms".to_owned()),
                Err(_) => Err(format!("\"{other}\" is not a time")),
            };
        }
    };
    Ok((calls, Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_calls_per_time() {
        let rate = |text: &str| parse_rate(text).map(|rate| (rate.calls, rate.time)).unwrap();
        assert_eq!(rate("5/s"), (5, Duration::from_secs(1)));
        assert_eq!(rate("60/min"), (60, Duration::from_secs(60)));
        assert_eq!(rate("60 / minute"), (60, Duration::from_secs(60)));
        assert_eq!(rate("100/h"), (100, Duration::from_secs(3600)));
        assert_eq!(rate("20/10s"), (20, Duration::from_secs(10)));
        let all = parse_rate("5/s, burst 10, per user").unwrap();
        assert_eq!((all.calls, all.burst, all.per_user), (5, Some(10), true));
        for bad in ["5/s, burst", "5/s, burst 0", "5/s, per tool", "5/s,", "burst 5"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
        for bad in ["", "5", "5/", "/s", "0/s", "-1/s", "5/parsec", "5/0s", "1.5/s", "5/s/s"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }
}
