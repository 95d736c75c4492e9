//! The figures that are kept in the repository, and how others compare with them.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::callgrind::Callgrind;

/// Where they are kept.
pub(crate) const PATH: &str = "tests/instructions/counts.json";

fn path() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/counts.json")
}

/// How much more is no reason to look, in percent: code moves a little when its neighbours do.
const TOLERANCE: u64 = 5;

/// Instructions, by what takes them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    pub(crate) machine: Machine,
    /// In percent.
    pub(crate) tolerance: u64,
    instructions: BTreeMap<String, u64>,
}

/// What figures depend on beside the code.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    rustc: String,
    architecture: String,
    libc: String,
    valgrind: String,
}

impl Machine {
    /// The one that this program runs on.
    pub(crate) fn this(callgrind: &Callgrind) -> Result<Self, Box<dyn Error>> {
        let first_line = |program: &str, argument: &str| -> Result<String, Box<dyn Error>> {
            let output = Command::new(program).arg(argument).output()?;
            Ok(String::from_utf8(output.stdout)?.lines().next().unwrap_or_default().to_owned())
        };
        let rustc = first_line("rustc", "--version")?;
        Ok(Self {
            rustc: rustc.split(' ').nth(1).unwrap_or_default().to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            libc: first_line("getconf", "GNU_LIBC_VERSION").unwrap_or_else(|_| "unknown".to_owned()),
            valgrind: callgrind.version().to_owned(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rustc, architecture, libc, valgrind } = self;
        write!(f, "rustc {rustc} for {architecture} with {libc}, under valgrind {valgrind}")
    }
}

impl Counts {
    pub(crate) fn new(machine: Machine, instructions: BTreeMap<String, u64>) -> Self {
        Self { machine, tolerance: TOLERANCE, instructions }
    }

    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        let text =
            std::fs::read_to_string(path()).map_err(|error| format!("{PATH}: {error}; --write makes it"))?;
        serde_json::from_str(&text).map_err(|error| format!("{PATH}: {error}; --write makes it anew").into())
    }

    pub(crate) fn write(&self) -> Result<(), Box<dyn Error>> {
        Ok(std::fs::write(path(), serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// What takes more in `now` than it may, or is not known here.
    pub(crate) fn worse(&self, now: &Self) -> Vec<String> {
        now.names_where(|name, now| {
            let before = self.instructions.get(name);
            before.is_none_or(|before| now * 100 > before * (100 + self.tolerance))
        })
    }

    /// What takes so much less that it should be written down.
    pub(crate) fn better(&self, now: &Self) -> Vec<String> {
        now.names_where(|name, now| {
            let before = self.instructions.get(name);
            before.is_some_and(|before| now * 100 < before * 100_u64.saturating_sub(self.tolerance))
        })
    }

    fn names_where(&self, is_wanted: impl Fn(&str, u64) -> bool) -> Vec<String> {
        let wanted = self.instructions.iter().filter(|(name, count)| is_wanted(name, **count));
        wanted.map(|(name, _)| name.clone()).collect()
    }

    /// In percent.
    fn change(&self, now: &Self, name: &str) -> Option<f64> {
        let (before, now) = (*self.instructions.get(name)?, *now.instructions.get(name)?);
        Some((now as f64 / before.max(1) as f64 - 1.0) * 100.0)
    }
}

/// Both in a table.
pub(crate) fn table(kept: Option<&Counts>, now: &Counts) -> String {
    let mut table = "| instructions | kept | now | change |\n| --- | ---: | ---: | ---: |\n".to_owned();
    for (name, count) in &now.instructions {
        let before = kept.and_then(|kept| kept.instructions.get(name));
        let before = before.map_or_else(|| "–".to_owned(), u64::to_string);
        let change = kept.and_then(|kept| kept.change(now, name));
        let change = change.map_or_else(|| "–".to_owned(), |percent| format!("{percent:+.1} %"));
        let _ = writeln!(table, "| {name} | {before} | {count} | {change} |");
    }
    table
}

/// How far the same counts are apart, over several runs.
pub(crate) fn spread(runs: &[BTreeMap<String, u64>]) -> String {
    let mut table = "| instructions | least | most | apart |\n| --- | ---: | ---: | ---: |\n".to_owned();
    for name in runs.first().into_iter().flat_map(BTreeMap::keys) {
        let counts = || runs.iter().filter_map(|run| run.get(name).copied());
        let (least, most) = (counts().min().unwrap_or_default(), counts().max().unwrap_or_default());
        let percent = (most as f64 / least.max(1) as f64 - 1.0) * 100.0;
        let _ = writeln!(table, "| {name} | {least} | {most} | {percent:.2} % |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: &[(&str, u64)]) -> Counts {
        let text = |text: &str| text.to_owned();
        let machine =
            Machine { rustc: text("1"), architecture: text("x"), libc: text("c"), valgrind: text("3") };
        Counts::new(machine, instructions.iter().map(|(name, count)| (text(name), *count)).collect())
    }

    #[test]
    fn what_grows_beyond_the_tolerance_or_is_new_is_worse_and_what_shrinks_is_better() {
        let kept = counts(&[("a", 1_000), ("b", 1_000), ("c", 1_000), ("gone", 1)]);
        let now = counts(&[("a", 1_050), ("b", 1_051), ("c", 949), ("new", 1)]);
        assert_eq!(kept.worse(&now), ["b", "new"]);
        assert_eq!(kept.better(&now), ["c"]);
        assert!(table(Some(&kept), &now).contains("| c | 1000 | 949 | -5.1 % |"));
    }

    #[test]
    fn what_is_kept_can_be_read() {
        Counts::read().unwrap();
    }
}
