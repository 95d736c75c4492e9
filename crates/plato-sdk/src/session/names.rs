//! Unique names of environments.

use std::collections::{BTreeSet, HashMap};

use super::known::Known;
use crate::secrets::JobId;

/// A name for every environment, and for the jobs among `others` that are none of them. No two are equal: the second
/// environment of one alias is `alias (2)`. A job that is not known is called by a few characters of its id, which
/// does not open it.
pub(super) fn names<'a>(
    known: &'a [Known],
    others: impl Iterator<Item = &'a JobId>,
) -> HashMap<JobId, String> {
    let mut taken = BTreeSet::new();
    let mut names = HashMap::new();
    let known = known.iter().map(|env| (&env.job_id, env.alias.clone()));
    for (job, wish) in known.chain(others.map(|job| (job, job.label()))) {
        if !names.contains_key(job) {
            names.insert(job.clone(), unique(&mut taken, &wish));
        }
    }
    names
}

fn unique(taken: &mut BTreeSet<String>, wish: &str) -> String {
    let mut name = wish.to_owned();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("{wish} ({count})");
    }
    name
}
