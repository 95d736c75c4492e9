//! Tools that can only be called with what the others of them return.
//!
//! Tools and the keys of their results are one graph: a tool points at the keys of what it lacks, a key at the
//! tools that return it. So its size grows with the tools, and not with their square.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::sources::{Need, Producers};
use super::view::View;
use super::{Finding, Rule, Severity};

/// The edges of the graph: a tool is its own index, a key its number after the tools.
type Graph = Vec<Vec<usize>>;

pub(super) fn check(
    views: &[View<'_>],
    needs: &[Vec<Need<'_>>],
    producers: &Producers<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut reported = BTreeSet::new();
    for only_tools in [true, false] {
        // What has no producer at all is reported by itself, and nothing else should seem to depend on it.
        let counts = |need: &&Need<'_>| (need.only_tools || !only_tools) && !need.keys.is_empty();
        let stuck = stuck(needs, producers, &counts);
        let graph = graph(needs, producers, &stuck, &counts);
        for circle in components(&graph) {
            let members: BTreeSet<_> = circle.into_iter().filter(|node| *node < views.len()).collect();
            let fresh: Vec<_> =
                members.iter().filter(|member| !reported.contains(*member)).copied().collect();
            if members.len() < 2 || fresh.is_empty() {
                continue;
            }
            let (severity, fix) = if only_tools {
                let fix = "let a tool outside of the circle return one of these values, or drop the \
                           \"x-user-providable\": false of one that a person can know";
                (Severity::Error, fix)
            } else {
                let fix = "add a tool that lists or finds these ids, or mark a parameter \
                           `#[tool(user_providable)]` if people know it";
                (Severity::Warning, fix)
            };
            let message = message(views, &members, &graph);
            for tool in fresh {
                reported.insert(tool);
                let finding = Finding::new(Rule::CircularDependency, severity, message.clone(), fix);
                findings.extend(views.get(tool).map(|view| finding.about(view.name())));
            }
        }
    }
}

/// One way around the circle, and how many tools are in it beside.
fn message(views: &[View<'_>], members: &BTreeSet<usize>, graph: &Graph) -> String {
    let way: Vec<_> = members.first().map(|start| way_back(*start, graph)).unwrap_or_default();
    let names: Vec<_> = way.iter().filter_map(|node| views.get(*node)).map(View::name).collect();
    let more = match members.len().saturating_sub(names.len().saturating_sub(1)) {
        0 => String::new(),
        more => format!(", and {more} more that need each other"),
    };
    format!("circular dependency: {}{more}", names.join(" → "))
}

/// The tools that no order of calls reaches.
fn stuck(
    needs: &[Vec<Need<'_>>],
    producers: &Producers<'_>,
    counts: &impl Fn(&&Need<'_>) -> bool,
) -> BTreeSet<usize> {
    let mut stuck: BTreeSet<usize> = (0..needs.len()).collect();
    let mut returned: BTreeSet<&str> = BTreeSet::new();
    let mut returns: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (key, tools) in producers {
        for tool in tools {
            returns.entry(*tool).or_default().push(key);
        }
    }
    loop {
        let has_all = |index: &&usize| {
            let mut needs = needs.get(**index).into_iter().flatten().filter(counts);
            needs.all(|need| need.keys.iter().any(|key| returned.contains(key.as_str())))
        };
        let free: Vec<usize> = stuck.iter().filter(has_all).copied().collect();
        if free.is_empty() {
            return stuck;
        }
        for index in free {
            stuck.remove(&index);
            returned.extend(returns.get(&index).into_iter().flatten());
        }
    }
}

/// Describes which key each stuck tool lacks, and which tools return it.
fn graph(
    needs: &[Vec<Need<'_>>],
    producers: &Producers<'_>,
    stuck: &BTreeSet<usize>,
    counts: &impl Fn(&&Need<'_>) -> bool,
) -> Graph {
    let numbers: BTreeMap<&str, usize> =
        producers.keys().enumerate().map(|(number, key)| (*key, needs.len() + number)).collect();
    let all_stuck = |tools: &Vec<usize>| tools.iter().all(|tool| stuck.contains(tool));
    let missing: BTreeSet<&str> =
        producers.iter().filter(|(_, tools)| all_stuck(tools)).map(|(key, _)| *key).collect();
    let of_tool = |(index, needs): (usize, &Vec<Need<'_>>)| {
        let needs = needs.iter().filter(|need| stuck.contains(&index) && counts(need));
        let lacking = needs.filter(|need| need.keys.iter().all(|key| missing.contains(key.as_str())));
        lacking.flat_map(|need| &need.keys).filter_map(|key| numbers.get(key.as_str()).copied()).collect()
    };
    needs.iter().enumerate().map(of_tool).chain(producers.values().cloned()).collect()
}

/// The sets of nodes that reach each other (Kosaraju's algorithm, without recursion).
fn components(graph: &Graph) -> Vec<Vec<usize>> {
    let mut backwards: Graph = vec![Vec::new(); graph.len()];
    for (node, targets) in graph.iter().enumerate() {
        for target in targets {
            if let Some(sources) = backwards.get_mut(*target) {
                sources.push(node);
            }
        }
    }
    let mut seen = vec![false; graph.len()];
    let mut order = Vec::new();
    for start in 0..graph.len() {
        order.extend(visit(start, graph, &mut seen));
    }
    let mut seen = vec![false; graph.len()];
    order
        .iter()
        .rev()
        .map(|start| visit(*start, &backwards, &mut seen))
        .filter(|set| !set.is_empty())
        .collect()
}

/// The nodes that are reached from `start` and were not seen before, each after all that it leads to.
fn visit(start: usize, graph: &Graph, seen: &mut [bool]) -> Vec<usize> {
    let mut left = Vec::new();
    let mut open = Vec::new();
    let mut enter = |node: usize, open: &mut Vec<(usize, usize)>| {
        if seen.get(node) == Some(&false) {
            seen[node] = true;
            open.push((node, 0));
        }
    };
    enter(start, &mut open);
    while let Some((node, next)) = open.last_mut() {
        if let Some(target) = graph.get(*node).and_then(|targets| targets.get(*next)) {
            *next += 1;
            enter(*target, &mut open);
        } else {
            left.push(*node);
            open.pop();
        }
    }
    left
}

/// The shortest way from a tool to itself over another tool, without the keys in between.
fn way_back(start: usize, graph: &Graph) -> Vec<usize> {
    let targets = |node: usize| graph.get(node).into_iter().flatten().copied();
    let over = |node: usize| targets(node).flat_map(targets).filter(move |other| *other != node);
    let mut came_from = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(tool) = next.pop_front() {
        for target in over(tool) {
            if target == start {
                let mut way = vec![start, tool];
                while let Some(before) = way.last().and_then(|last| came_from.get(last)) {
                    way.push(*before);
                }
                way.reverse();
                return way;
            }
            if let Entry::Vacant(vacant) = came_from.entry(target) {
                vacant.insert(tool);
                next.push_back(target);
            }
        }
    }
    Vec::new()
}
