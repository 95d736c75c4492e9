//! The bodies of the fuzz targets, on stable: from each corpus, and from changes of it.
//!
//! Each runs for two seconds, or for `PLATOOLS_FUZZ_SECONDS`. What fails is made small and printed; put it into the
//! corpus when it is mended.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fuzz_bodies::{BODIES, Body};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner};

/// How many inputs are made before the time is looked at.
const ROUND: u32 = 64;

/// What texts of every kind are made of.
const TOKENS: [&str; 32] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    ":",
    ",",
    "null",
    "true",
    "-1",
    "1e999",
    "0.1",
    "18446744073709551616",
    "\n",
    "\r\n",
    "\0",
    "\t",
    "é",
    "😀",
    "\u{202e}",
    "..",
    "%2e%2e",
    "/",
    "{x}",
    "$ref",
    "#/",
    "__platos",
    "@signature@",
    "@now@",
];

/// One change of an input.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, &'static str),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    /// The rest becomes that of another input.
    Splice(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), prop::sample::select(&TOKENS[..])).prop_map(|(at, token)| Change::Insert(at, token)),
        (at(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (at(), 1..60_usize, 1..40_usize).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        (at(), at(), at()).prop_map(|(at, other, from)| Change::Splice(at, other, from)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let place = |at: &Index, length: usize| at.index(length + 1);
        let length = bytes.len();
        match self {
            Self::Set(at, byte) if length > 0 => bytes[at.index(length)] = *byte,
            Self::Set(_, byte) => bytes.push(*byte),
            Self::Insert(at, token) => {
                let at = place(at, length);
                bytes.splice(at..at, token.bytes());
            }
            Self::Remove(at, count) => {
                let at = place(at, length);
                bytes.drain(at..(at + count).min(length));
            }
            Self::Repeat(at, count, times) => {
                let at = place(at, length);
                let part = bytes[at..(at + count).min(length)].repeat(*times);
                bytes.splice(at..at, part);
            }
            Self::Splice(at, other, from) => {
                bytes.truncate(place(at, length));
                let other = other.get(corpus);
                bytes.extend(&other[place(from, other.len())..]);
            }
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(root().join("corpus").join(name)).unwrap();
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

fn run(name: &str) {
    let body: Body = BODIES.iter().find(|(other, _)| *other == name).unwrap().1;
    let corpus = corpus(name);
    let reached = corpus.iter().filter(|bytes| body(bytes)).count();
    assert!(corpus.len() >= 5 && reached >= 1, "{reached} of {} inputs are accepted", corpus.len());
    let seconds = std::env::var("PLATOOLS_FUZZ_SECONDS").map_or(2, |seconds| seconds.parse().unwrap());
    let config = Config { cases: ROUND, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let inputs = (any::<Index>(), prop::collection::vec(change(), 0..8)).prop_map(|(first, changes)| {
        let mut bytes = first.get(&corpus).clone();
        for change in &changes {
            change.apply(&mut bytes, &corpus);
        }
        bytes
    });
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(seconds) {
        let ran = runner.run(&inputs, |bytes| {
            body(&bytes);
            Ok(())
        });
        match ran {
            Ok(()) => count += ROUND,
            Err(TestError::Fail(reason, bytes)) => panic!("{reason}: b\"{}\"", bytes.escape_ascii()),
            Err(error) => panic!("{error}"),
        }
    }
    println!("{name}: {count} inputs");
}

macro_rules! bodies {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        const RUN: &[&str] = &[$(stringify!($name)),*];
    };
}

bodies! {
    configuration envelope frame http_request jwt openapi socketio_packet stdio_lines template timestamp
}

#[test]
fn every_body_runs_here_and_has_a_target_and_a_corpus() {
    let names: Vec<&str> = BODIES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, RUN);
    let stems = |folder: &str| {
        let mut names: Vec<_> = fs::read_dir(root().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(names.iter().all(|name| manifest.contains(&format!("name = \"{name}\""))));
}
