//! Command lines that would run what an agent writes: code for an interpreter, a line for a remote shell, the name of a
//! program. That the sidecar starts no shell of its own is of no use there.
//!
//! Known programs are judged by how they read their arguments. It must not know how a command line is made.

use serde_json::Value;

use crate::template::{Placeholder, Template};

/// A program that runs code.
struct Interpreter {
    /// Without the digits of a version.
    names: &'static [&'static str],
    /// The letters of the options whose value is code. Several letters may follow one dash.
    letters: &'static str,
    /// Words that have code behind them.
    words: &'static [&'static str],
    /// Options with another value in the next word: letters, and words.
    valued: (&'static str, &'static [&'static str]),
    /// Whether further options may stand between the option and the code, as with shells.
    is_shell: bool,
    /// Whether its first argument is a file of code, and its standard input is code where there is none.
    runs_files: bool,
    /// What to do instead.
    instead: &'static str,
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        names: &["sh", "ash", "bash", "busybox", "dash", "fish", "ksh", "mksh", "rbash", "zsh"],
        letters: "c",
        words: &["--command"],
        valued: ("oO", &["--init-file", "--rcfile"]),
        is_shell: true,
        runs_files: true,
        instead: "pass the value as an argument behind the code, and use \"$1\" in it",
    },
    Interpreter {
        names: &["flock", "runuser", "script", "su"],
        letters: "c",
        words: &["--command", "--session-command"],
        valued: ("", &[]),
        is_shell: false,
        runs_files: false,
        instead: "name a program and its arguments instead of a line for a shell",
    },
    Interpreter {
        names: &["pypy", "python"],
        letters: "c",
        words: &[],
        valued: ("QWX", &[]),
        is_shell: false,
        runs_files: true,
        instead: "pass the value as an argument behind the code, and use `sys.argv[1]` in it",
    },
    Interpreter {
        names: &["perl"],
        letters: "eE",
        words: &[],
        valued: ("I", &[]),
        is_shell: false,
        runs_files: true,
        instead: "pass the value as an argument behind the code, and use `$ARGV[0]` in it",
    },
    Interpreter {
        names: &["ruby"],
        letters: "e",
        words: &[],
        valued: ("CEIr", &[]),
        is_shell: false,
        runs_files: true,
        instead: "pass the value as an argument behind the code, and use `ARGV[0]` in it",
    },
    Interpreter {
        names: &["bun", "node", "nodejs"],
        letters: "ep",
        words: &["--eval", "--print"],
        valued: ("Cr", &["--conditions", "--import", "--loader", "--require"]),
        is_shell: false,
        runs_files: true,
        instead: "pass the value as an argument behind the code, and use `process.argv[1]` in it",
    },
    Interpreter {
        names: &["deno"],
        letters: "",
        words: &["eval"],
        valued: ("", &[]),
        is_shell: false,
        runs_files: false,
        instead: "put the code into a file, and use `Deno.args[0]` in it",
    },
    Interpreter {
        names: &["php"],
        letters: "rBRE",
        words: &["--run", "--process-begin", "--process-code", "--process-end"],
        valued: ("cdz", &[]),
        is_shell: false,
        runs_files: true,
        instead: "pass the value as an argument behind the code, and use `$argv[1]` in it",
    },
    Interpreter {
        names: &["R", "Rscript", "julia", "lua", "luajit", "osascript"],
        letters: "eE",
        words: &["--eval"],
        valued: ("lL", &["--load"]),
        is_shell: false,
        runs_files: true,
        instead: "put the code into a file that reads its arguments",
    },
    Interpreter {
        names: &["powershell", "pwsh"],
        letters: "cC",
        words: &["-Command", "-command", "-EncodedCommand", "-encodedcommand"],
        valued: ("", &["-ExecutionPolicy", "-executionpolicy", "-WorkingDirectory", "-workingdirectory"]),
        is_shell: false,
        runs_files: true,
        instead: "put the code into a file, and use `$args[0]` in it",
    },
    Interpreter {
        names: &["awk", "gawk", "mawk", "nawk"],
        letters: "e",
        words: &["--source"],
        valued: ("Ffilv", &[]),
        is_shell: false,
        runs_files: false,
        instead: "pass the value as a variable, as in `-v value={value}`",
    },
    Interpreter {
        names: &["sed"],
        letters: "e",
        words: &["--expression"],
        valued: ("fl", &[]),
        is_shell: false,
        runs_files: false,
        instead: "use a program whose arguments are no code; this one runs commands, too",
    },
    Interpreter {
        names: &["env"],
        letters: "S",
        words: &["--split-string"],
        valued: ("Cu", &[]),
        is_shell: false,
        runs_files: false,
        instead: "write each word by itself",
    },
];

/// A program that starts another one, which its arguments name.
struct Starter {
    name: &'static str,
    /// The letters of the options that have a value.
    valued: &'static str,
    /// How many arguments stand before the program.
    before: usize,
}

const STARTERS: &[Starter] = &[
    Starter { name: "busybox", valued: "", before: 0 },
    Starter { name: "chroot", valued: "", before: 1 },
    Starter { name: "doas", valued: "uC", before: 0 },
    Starter { name: "env", valued: "uC", before: 0 },
    Starter { name: "flock", valued: "wE", before: 1 },
    Starter { name: "ionice", valued: "cn", before: 0 },
    Starter { name: "nice", valued: "n", before: 0 },
    Starter { name: "nohup", valued: "", before: 0 },
    Starter { name: "nsenter", valued: "tSG", before: 0 },
    Starter { name: "setpriv", valued: "", before: 0 },
    Starter { name: "setsid", valued: "", before: 0 },
    Starter { name: "stdbuf", valued: "ioe", before: 0 },
    Starter { name: "strace", valued: "eopsuaEIOPSX", before: 0 },
    Starter { name: "sudo", valued: "ugpCRTrthDU", before: 0 },
    Starter { name: "taskset", valued: "", before: 1 },
    Starter { name: "time", valued: "of", before: 0 },
    Starter { name: "timeout", valued: "ks", before: 1 },
    Starter { name: "unshare", valued: "SG", before: 0 },
    Starter { name: "xargs", valued: "adEILnPs", before: 0 },
];

/// The options of `ssh` that have a value.
const SSH_VALUED: &str = "BbcDEeFIiJLlmOopQRSWw";

/// Programs that join their arguments and hand them to a shell.
const JOINERS: [&str; 2] = ["parallel", "watch"];

/// A command line before it is filled.
pub(super) struct CommandLine<'a> {
    words: Vec<Word<'a>>,
    /// The JSON Schema of the arguments, where it is right.
    schema: Option<&'a Value>,
    /// Whether the program gets the arguments on its standard input.
    reads_json: bool,
}

struct Word<'a> {
    text: String,
    /// `None` for the program.
    template: Option<&'a Template>,
}

impl Word<'_> {
    fn has_placeholder(&self) -> bool {
        self.template.is_some_and(|template| template.placeholders().next().is_some())
    }

    fn begins_with_placeholder(&self) -> bool {
        self.template.is_some_and(Template::begins_with_placeholder)
    }

    fn is_option(&self) -> bool {
        !self.begins_with_placeholder() && self.text.starts_with('-')
    }

    /// The name of the program that it is, if it is one.
    fn program(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }

    fn interpreter(&self) -> Option<&'static Interpreter> {
        // As `python3.13`, `lua5.4` and `perl5`.
        let name = self.program().trim_end_matches(|next: char| next.is_ascii_digit() || ".-".contains(next));
        INTERPRETERS.iter().find(|interpreter| interpreter.names.contains(&name))
    }
}

impl<'a> CommandLine<'a> {
    pub(super) fn new(
        program: &str,
        args: impl Iterator<Item = &'a Template>,
        schema: Option<&'a Value>,
        reads_json: bool,
    ) -> Self {
        let args = args.map(|template| Word { text: template.sample("{"), template: Some(template) });
        let program = Word { text: program.to_owned(), template: None };
        Self { words: [program].into_iter().chain(args).collect(), schema, reads_json }
    }

    /// What of it would run what an agent writes, and what to do; `None` if nothing does.
    pub(super) fn finding(&self) -> Option<String> {
        let code = || (0..self.words.len()).find_map(|at| self.code_at(at));
        let finding = code().or_else(|| self.chain().into_iter().find_map(|at| self.choice_at(at)))?;
        Some(format!("{finding}. Where agents are meant to run code, write `allow_code = true`"))
    }

    /// Whether a value is any text, rather than one of those that the schema lists or describes.
    fn is_free(&self, word: &Word<'_>) -> bool {
        let is_restricted = |placeholder: &Placeholder| {
            let Placeholder::Argument(name) = placeholder else { return false };
            let schema = self.schema.and_then(|schema| schema.get("properties")?.get(name));
            schema.is_some_and(restricts)
        };
        word.template.is_some_and(|template| !template.placeholders().all(is_restricted))
    }

    /// A placeholder in the code of an interpreter, wherever in the line that is started.
    fn code_at(&self, at: usize) -> Option<String> {
        let interpreter = self.words[at].interpreter()?;
        let name = self.words[at].program();
        let found = || {
            let instead = interpreter.instead;
            Some(format!("a placeholder in the code for `{name}` lets agents run anything: {instead}"))
        };
        let is_script_first = ["awk", "gawk", "mawk", "nawk", "sed"].contains(&name);
        let mut at = at + 1;
        let mut has_code = false;
        while let Some(word) = self.words.get(at) {
            let long = word.text.split_once('=').map_or(word.text.as_str(), |(option, _)| option);
            let rest = code_option(interpreter, &word.text);
            if interpreter.words.contains(&word.text.as_str()) || rest == Some(true) {
                has_code = true;
                let mut code = at + 1;
                while let Some(word) = self.words.get(code)
                    && interpreter.is_shell
                    && word.text.starts_with(['-', '+'])
                {
                    code += 1 + usize::from(takes_next(&word.text, interpreter.valued));
                }
                if self.words.get(code)?.has_placeholder() {
                    return found();
                }
                at = code;
            } else if interpreter.words.contains(&long) || rest == Some(false) {
                // The code is part of the word.
                has_code = true;
                if word.has_placeholder() {
                    return found();
                }
            } else if takes_next(&word.text, interpreter.valued) {
                // The value of the option is no code; a file of code takes the place of the first argument.
                has_code |= is_script_first && word.text == "-f";
                at += 1;
            } else if !(word.is_option() || interpreter.is_shell && word.text.starts_with('+')) {
                // Behind the first argument, there are no options of the interpreter any more.
                return (is_script_first && !has_code && word.has_placeholder()).then(found)?;
            }
            at += 1;
        }
        None
    }

    /// The programs that are started one by another, from the first word on.
    fn chain(&self) -> Vec<usize> {
        let mut chain = vec![0];
        let mut at = 0;
        while let Some(starter) =
            self.words.get(at).and_then(|word| STARTERS.iter().find(|starter| starter.name == word.program()))
        {
            match self.operand(at + 1, (starter.valued, &[]), starter.before) {
                Some(next) => {
                    chain.push(next);
                    at = next;
                }
                None => break,
            }
        }
        chain
    }

    /// The argument behind options and variables, and behind `skipped` further ones.
    fn operand(&self, mut at: usize, valued: (&str, &[&str]), mut skipped: usize) -> Option<usize> {
        loop {
            let word = self.words.get(at)?;
            let is_variable = !word.begins_with_placeholder() && word.text.contains('=');
            if word.is_option() {
                at += usize::from(takes_next(&word.text, valued));
            } else if !is_variable {
                if skipped == 0 {
                    return Some(at);
                }
                skipped -= 1;
            }
            at += 1;
        }
    }

    /// What an agent would choose to run, by a program of the chain.
    fn choice_at(&self, at: usize) -> Option<String> {
        let word = &self.words[at];
        if at > 0 && word.begins_with_placeholder() && self.is_free(word) {
            return Some(
                "the agent chooses the program that is run: list the ones that are meant with `enum`"
                    .to_owned(),
            );
        }
        let name = word.program();
        let behind = |at: usize| self.words[at..].iter();
        let free = |at: usize| behind(at).any(|word| word.has_placeholder() && self.is_free(word));
        if name == "ssh" {
            let host = self.operand(at + 1, (SSH_VALUED, &[]), 0).unwrap_or(self.words.len());
            let is_command = |word: &Word<'_>| word.text.contains("Command");
            let options =
                self.words[at + 1..host].iter().any(|word| word.has_placeholder() && is_command(word));
            let command = (host + 1).min(self.words.len());
            return (options || free(command)).then(|| {
                "`ssh` hands this to a shell on the other side, which runs anything that stands in it: restrict the \
                 argument with `enum` or `pattern`, or write `stdin = \"json\"` and have a program there read it"
                    .to_owned()
            });
        }
        if JOINERS.contains(&name) {
            return free(at + 1).then(|| {
                format!(
                    "`{name}` hands this to a shell, which runs anything that stands in it: restrict the argument with \
                     `enum` or `pattern`"
                )
            });
        }
        let interpreter = word.interpreter().filter(|interpreter| interpreter.runs_files)?;
        let has_code = behind(at + 1).take_while(|word| word.is_option()).any(|word| {
            code_option(interpreter, &word.text).is_some() || interpreter.words.contains(&word.text.as_str())
        });
        if has_code {
            return None;
        }
        let by_input = behind(at + 1)
            .take_while(|word| word.is_option())
            .any(|word| word.text == "-" || (interpreter.is_shell && word.text == "-s"));
        let file =
            self.operand(at + 1, interpreter.valued, 0).filter(|_| !by_input).map(|file| &self.words[file]);
        match file {
            None if self.reads_json => Some(format!(
                "`{name}` would run its standard input, which agents write: name a script in `args` that reads it"
            )),
            Some(file) if file.begins_with_placeholder() && self.is_free(file) => Some(format!(
                "the agent chooses the file that `{name}` runs: list the ones that are meant with `enum`"
            )),
            _ => None,
        }
    }
}

/// Whether an option has its value in the next word; one is among these letters, or is one of these words.
fn takes_next(word: &str, (letters, words): (&str, &[&str])) -> bool {
    if words.contains(&word) {
        return true;
    }
    let Some(cluster) = word.strip_prefix(['-', '+']) else { return false };
    // What stands behind such a letter in the same word is its value.
    !cluster.starts_with('-') && cluster.find(|next| letters.contains(next)) == cluster.len().checked_sub(1)
}

/// Whether an option has code: in the next word (`true`), or in the same one (`false`).
fn code_option(interpreter: &Interpreter, word: &str) -> Option<bool> {
    let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
    let at = letters.find(|next| interpreter.letters.contains(next))?;
    let is_cluster = letters[..at].bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_cluster.then_some(interpreter.is_shell || at + 1 == letters.len())
}

/// Whether the schema of an argument lists its values, describes their form, or allows numbers alone.
fn restricts(schema: &Value) -> bool {
    let is_plain = |kind: &Value| matches!(kind.as_str(), Some("integer" | "number" | "boolean"));
    let kind = schema.get("type");
    ["enum", "const", "pattern"].iter().any(|key| schema.get(key).is_some())
        || kind.is_some_and(|kind| kind.as_array().map_or(is_plain(kind), |kinds| kinds.iter().all(is_plain)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn finding(line: &str, reads_json: bool) -> Option<String> {
        // Words are set apart by a bar, so that code may hold spaces.
        let mut words = line.split('|');
        let program = words.next().unwrap();
        let templates: Vec<Template> = words.map(|word| Template::parse(word).unwrap()).collect();
        let schema = json!({"properties": {
            "n": {"type": "integer"}, "unit": {"enum": ["a", "b"]}, "form": {"pattern": "^[a-z]+$"}, "x": {"type": "string"},
        }});
        CommandLine::new(program, templates.iter(), Some(&schema), reads_json).finding()
    }

    #[test]
    fn code_of_an_agent_is_found_however_the_interpreter_is_started() {
        for line in [
            "sh|-c|{x}",
            "sh|-c|echo {x}",
            "/bin/bash|-lc|echo {x}",
            "bash|-c|-e|echo {x}",
            "bash|--norc|-c|{x}",
            "bash|-o|pipefail|-c|{x}",
            "bash|-euo|pipefail|-c|echo {x}",
            "bash|-c|-o|pipefail|echo {x}",
            "bash|+x|-c|{x}",
            "bash|+O|extglob|--rcfile|file|-c|{x}",
            "sh|-c|head -n {n}",
            "python3|-c|{x}",
            "python3.13|-Ic|print({x})",
            "python3|-cprint({x})",
            "python3|-W|ignore|-c|{x}",
            "perl|-e|{x}",
            "perl|-lane|{x}",
            "perl|-I|lib|-e|{x}",
            "node|-e|{x}",
            "node|--eval|{x}",
            "node|--eval={x}",
            "node|-p|{x}",
            "node|-r|./more.js|--import|more|-e|{x}",
            "ruby|-e|{x}",
            "ruby|-e|1|-e|{x}",
            "php|-r|{x}",
            "lua5.4|-e|{x}",
            "deno|eval|{x}",
            "pwsh|-Command|{x}",
            "awk|{x}",
            "awk|-F|,|{x}|file",
            "sed|s/a/{x}/",
            "sed|-e|{x}",
            "env|A=1|/bin/sh|-c|{x}",
            "env|-S|sh -c {x}",
            "nice|-n|5|bash|-c|{x}",
            "xargs|-n|1|python3|-c|{x}",
            "sudo|-u|root|sh|-c|{x}",
            "su|-c|{x}|user",
            "docker|exec|box|sh|-c|{x}",
            "kubectl|exec|pod|--|bash|-c|{x}",
            "find|.|-exec|sh|-c|{x}|;",
        ] {
            let found = finding(line, false).unwrap_or_default();
            assert!(
                found.contains("lets agents run anything") && found.contains("allow_code"),
                "{line}: {found}"
            );
        }
    }

    #[test]
    fn what_an_agent_would_choose_to_run_is_found() {
        for (line, reads_json, part) in [
            ("env|{x}", false, "chooses the program"),
            ("env|-u|HOME|A=1|{x}", false, "chooses the program"),
            ("sudo|-u|root|{x}", false, "chooses the program"),
            ("sudo|-nu|root|{x}", false, "chooses the program"),
            ("timeout|5|{x}|y", false, "chooses the program"),
            ("timeout|-k|1|5|nice|{x}", false, "chooses the program"),
            ("xargs|{x}", false, "chooses the program"),
            ("python3|{x}", false, "chooses the file that `python3` runs"),
            ("bash|-x|{x}.sh", false, "chooses the file"),
            ("bash|-o|pipefail|{x}", false, "chooses the file"),
            ("python3|-W|ignore|{x}", false, "chooses the file"),
            ("sudo|node|{x}", false, "chooses the file"),
            ("ssh|host|{x}", false, "on the other side"),
            ("ssh|-p|22|-i|key|host|systemctl|status|{x}", false, "on the other side"),
            ("sudo|ssh|host|grep {x} log", false, "on the other side"),
            ("ssh|-o|ProxyCommand={x}|host", false, "on the other side"),
            ("watch|ls|{x}", false, "hands this to a shell"),
            ("bash", true, "standard input"),
            ("bash|-s|--|word", true, "standard input"),
            ("python3|-", true, "standard input"),
            ("env|A=1|python3|-u", true, "standard input"),
        ] {
            let found = finding(line, reads_json).unwrap_or_default();
            assert!(found.contains(part), "{line}: {found}");
        }
    }

    #[test]
    fn values_that_are_no_code_are_left_alone() {
        for (line, reads_json) in [
            ("sh|-c|echo \"$1\"|sh|{x}", false),
            ("bash|-c|cat", true),
            ("python3|-c|import sys; print(sys.argv[1])|{x}", false),
            ("python3|script.py|-c|{x}", false),
            ("python3|-W|ignore|script.py|-c|{x}", false),
            ("bash|-o|pipefail|script.sh|-c|{x}", false),
            ("python3|-m|module|{x}", false),
            ("python3|script.py", true),
            ("perl|-e|print $ARGV[0]|{x}", false),
            ("node|app.js|--eval|{x}", false),
            ("ruby|-rjson|-e|puts ARGV[0]|{x}", false),
            ("awk|-v|value={x}|{{print value}}|file", false),
            ("awk|-f|program.awk|{x}", false),
            ("sed|-n|5p|{x}", false),
            ("ssh|{x}", false),
            ("ssh|-p|{n}|host|uptime", false),
            ("ssh|host|systemctl|status|{unit}", false),
            ("ssh|host|tail|-n|{n}|{form}", false),
            ("ssh|host|read-json", true),
            ("env|VALUE={x}|program", false),
            ("env|{unit}", false),
            ("bash|{unit}", false),
            ("timeout|{n}|program|{x}", false),
            ("kubectl|get|node|{x}", false),
            ("systemctl|status|ssh|{x}", false),
            ("grep|-e|{x}|file", false),
            ("curl|-c|{x}", false),
            ("echo|{x}", true),
        ] {
            assert_eq!(finding(line, reads_json), None, "{line}");
        }
    }
}
