//! A shell that runs nothing: lines of a small part of bash, over files in memory. It never starts a process, and
//! never opens a connection.

mod commands;
mod parse;
mod programs;
mod run;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

/// What a line came to.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) exit: i32,
    /// How long it takes; nobody has waited yet.
    pub(super) took: Duration,
    pub(super) timed_out: bool,
}

/// What a shell remembers from one line to the next.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    folder: String,
    variables: BTreeMap<String, String>,
    last: i32,
}

impl Shell {
    pub(super) fn new() -> Self {
        let variables = [("HOME", "/home/user"), ("USER", "user"), ("SHELL", "/bin/bash")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { folder: "/home/user".to_owned(), variables: variables.into(), last: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::files::Files;
    use super::super::machine::processes::Processes;
    use super::*;

    fn run(lines: &[&str]) -> (String, String, i32) {
        let (mut shell, mut files) = (Shell::new(), Files::new());
        let mut last = Ran::default();
        for line in lines {
            last = shell.run(&mut files, &mut Processes::default(), line, Duration::from_secs(5));
        }
        (last.stdout, last.stderr, last.exit)
    }

    fn says(line: &str) -> String {
        run(&[line]).0
    }

    #[test]
    fn words_are_quoted_and_expanded() {
        assert_eq!(says(r#"echo a  "b  $USER" 'c  $USER' d\ e"#), "a b  user c  $USER d e\n");
        assert_eq!(says("x=7; echo ${x}1 ${none:-other} $none."), "71 other .\n");
        assert_eq!(says("echo $(echo a; echo b) \"$(printf 'x\\ny')\""), "a b x\ny\n");
        assert_eq!(says("echo -n hi # not this"), "hi");
        assert_eq!(says("false; echo $?; true; echo $?"), "1\n0\n");
    }

    #[test]
    fn pipes_redirects_and_conditions_work_together() {
        assert_eq!(
            says("printf '%s-%d\\n' a 1 b 2 > f; cat < f | cat; echo c >> f; cat f"),
            "a-1\nb-2\na-1\nb-2\nc\n"
        );
        assert_eq!(says("echo hello | base64"), "aGVsbG8K\n");
        assert_eq!(says("echo aGVsbG8K | base64 -d"), "hello\n");
        assert_eq!(says("true && echo yes || echo no; false && echo yes || echo no"), "yes\nno\n");
        assert_eq!(says("cat /none 2>/dev/null || echo missing"), "missing\n");
        assert_eq!(says("cat /none 2>&1 | cat"), "cat: /none: No such file or directory\n");
        assert_eq!(
            run(&["cat /none > /tmp/out 2>&1; cat /tmp/out"]).0,
            "cat: /none: No such file or directory\n"
        );
    }

    #[test]
    fn a_shell_remembers_its_folder_and_its_variables() {
        assert_eq!(run(&["cd /tmp && x=1", "pwd; echo $x"]).0, "/tmp\n1\n");
        assert_eq!(
            run(&["mkdir -p a/b; touch a/c; cd a; ls; ls /none"]),
            ("b\nc\n".to_owned(), "ls: cannot access '/none': No such file or directory\n".to_owned(), 2)
        );
        assert_eq!(run(&["(cd /tmp); pwd"]).0, "/home/user\n");
        assert_eq!(run(&["cd /nowhere"]).1, "bash: cd: /nowhere: No such file or directory\n");
    }

    #[test]
    fn what_is_not_there_is_said_as_bash_says_it() {
        assert_eq!(
            run(&["frobnicate"]),
            (String::new(), "bash: frobnicate: command not found\n".to_owned(), 127)
        );
        assert_eq!(run(&["echo 'open"]).2, 2);
        assert_eq!(run(&["echo a | | echo b"]).2, 2);
        assert_eq!(run(&["exit 3; echo no"]), (String::new(), String::new(), 3));
        assert_eq!(run(&["curl -sf http://example.com"]).2, 6);
        assert!(says("uname -a").starts_with("Linux fakeplato"));
    }

    #[test]
    fn loops_go_through_their_words_until_they_are_broken_out_of() {
        assert_eq!(says("for n in $(seq 1 3) x; do echo $n; done; echo end"), "1\n2\n3\nx\nend\n");
        assert_eq!(says("for n in 1 2 3; do echo $n; false || break; done"), "1\n");
        assert_eq!(
            says("for _ in $(seq 50); do pgrep -x chrome >/dev/null || break; sleep 1; done; echo out"),
            "out\n"
        );
        assert_eq!(run(&["for n 1 2; do echo; done"]).2, 2);
    }

    #[test]
    fn what_is_ended_by_its_command_line_may_be_the_shell_that_ends_it() {
        let line = "echo before; pkill -f remote-debugging-port; echo after";
        assert_eq!(run(&[line]), ("before\n".to_owned(), String::new(), 143));
        // By name it is not, and a pattern that does not match itself is not found in the line.
        assert_eq!(says("pkill -9 -x 'chrome|chromium'; echo after"), "after\n");
        assert_eq!(says("pkill -f '[r]emote-debugging-port'; echo after"), "after\n");
    }

    #[test]
    fn a_line_that_takes_too_long_is_ended() {
        let ran = Shell::new().run(
            &mut Files::new(),
            &mut Processes::default(),
            "echo a; sleep 3; echo b; sleep 3; echo c",
            Duration::from_secs(5),
        );
        assert_eq!((ran.stdout.as_str(), ran.timed_out, ran.exit), ("a\nb\n", true, 124));
        assert_eq!(ran.took, Duration::from_secs(5));
        let ran = Shell::new().run(
            &mut Files::new(),
            &mut Processes::default(),
            &"$(".repeat(500),
            Duration::from_secs(5),
        );
        assert_eq!(ran.exit, 2);
    }
}
