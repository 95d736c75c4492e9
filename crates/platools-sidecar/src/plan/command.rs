//! `[[tool.command]]`: from the file to tools that run a program.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use platools::tool::Requirement;
use platools::{Tool, ToolCall, ToolError};
use platools_net::ration::Ration;

use super::argument::Declared;
use super::code::CommandLine;
use super::permissions::Content;
use super::{PlannedTool, Planner};
use crate::caller::{Caller, Fact};
use crate::command::outcome::{Meaning, Reading};
use crate::command::run::{Program, RunError};
use crate::command::template::{ArgTemplate, CommandTemplate};
use crate::config::{Arg, Command, Entry, Path, SecretRef, Stdin, Table};
use crate::fingerprint::Fingerprinter;
use crate::memory::crowded;
use crate::template::{Placeholder, Template, Values};
use platools_upstream::ArgumentSchema;

/// The most that is read of a program's output unless said otherwise, in bytes.
const MAX_OUTPUT: usize = 1 << 20;

/// How long a program has after SIGTERM unless said otherwise.
const KILL_AFTER: Duration = Duration::from_secs(2);

/// Everything a call needs.
struct CommandTool {
    schema: ArgumentSchema,
    line: CommandTemplate,
    program: Program,
    stdin: Stdin,
    reading: Reading,
}

impl Planner<'_> {
    /// All of them that are right.
    pub(super) fn command_tools(&mut self) -> Vec<PlannedTool> {
        let sections = self.sections;
        sections.commands.iter().filter_map(|entry| self.command_tool(entry)).collect()
    }

    fn command_tool(&mut self, Entry { at, value: file }: &Entry<Command>) -> Option<PlannedTool> {
        self.tool_name(at, &file.name);
        let path = self.program(&at.key("program"), &file.program);
        let cwd = self.cwd(at, file);
        let args = self.args(&at.key("args"), &file.args);
        self.warn_of_service_secret(at, file.inherit_env.as_deref());
        let environment =
            self.environment(at, file.inherit_env.as_deref().unwrap_or(&["PATH".to_owned()]), &file.env);
        let exit = self.exit_codes(&at.key("exit"), &file.exit);
        let output_schema = self.output_schema(at, file.output_schema.as_ref());
        let spec = self.spec(at, &file.name, &file.description, &file.common());
        let declared = Declared {
            arguments: &file.arguments,
            schema: file.schema.as_ref(),
            schema_file: file.schema_file.as_ref(),
        };
        let Some(args) = args else {
            self.argument_schema(at, declared, &[]);
            return None;
        };
        let line = CommandTemplate { args, allow_dash: file.allow_dash };
        let placeholders: Vec<&Placeholder> = line.templates().flat_map(Template::placeholders).collect();
        let schema = self.argument_schema(at, declared, &placeholders);
        self.look_for_code(at, file, &line, schema.as_ref());
        let schema = schema?;
        if file.stdin == Stdin::None {
            let names = schema.names();
            let is_placed = |name: &&&str| {
                placeholders
                    .iter()
                    .any(|placed| matches!(placed, Placeholder::Argument(placed) if placed == **name))
            };
            if let Some(unused) = names.iter().find(|name| !is_placed(name)) {
                self.odd(at, format!("the program never gets `{unused}`: put `{{{unused}}}` into `args`, or write `stdin = \"json\"`"));
            }
        }
        let spec = spec.input_schema(schema.value().clone()).output_schema(output_schema);
        let wants_identity = placeholders.contains(&&Placeholder::Caller(Fact::Subject));
        let spec = spec.requires(wants_identity.then(Requirement::optional_identity));
        let environment = environment?;
        let shown: BTreeMap<String, String> = environment
            .iter()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        let path = path?;
        let fingerprint =
            Fingerprinter::default().add(file).add(&**schema.value()).add(&shown).add(&path).finish();
        let tool = CommandTool {
            schema,
            line,
            program: Program {
                path,
                cwd: cwd.ok()?,
                environment,
                max_output: file.max_output.map_or(MAX_OUTPUT, |size| size.0),
                kill_after: file.kill_after.map_or(KILL_AFTER, |time| time.0),
            },
            stdin: file.stdin,
            reading: Reading { format: file.stdout, exit: exit?, logged: Ration::default() },
        };
        Some(PlannedTool {
            tool: tool.into_tool(spec),
            entities: file.entities.clone(),
            fingerprint,
            source: "tool.command",
        })
    }

    /// Where a program is; found now, so that a later change of PATH finds no other.
    pub(super) fn program(&mut self, at: &Path, program: &FilePath) -> Option<PathBuf> {
        let shown = program.display();
        if program.components().count() == 1 && !program.has_root() {
            let folders = env::var_os("PATH").unwrap_or_default();
            let found = env::split_paths(&folders)
                .map(|folder| folder.join(program))
                .find(|path| is_executable(path));
            let found = found.ok_or_else(|| {
                format!("there is no program `{shown}` in the sidecar's PATH: write its path, such as \"/usr/bin/{shown}\"")
            });
            let path = self.noted(at, found)?;
            self.look_at_permissions(at, &path, Content::Open);
            return Some(path);
        }
        let path = self.folder.join(program);
        if is_executable(&path) {
            self.look_at_permissions(at, &path, Content::Open);
            return Some(path);
        }
        let what = if path.exists() { "is not executable" } else { "does not exist" };
        self.wrong(at, format!("`{}` {what}", path.display()));
        None
    }

    /// # Errors
    /// When it is no folder, which is noted.
    fn cwd(&mut self, at: &Path, file: &Command) -> Result<Option<PathBuf>, ()> {
        let Some(cwd) = &file.cwd else { return Ok(None) };
        let cwd = self.folder.join(cwd);
        if cwd.is_dir() {
            return Ok(Some(cwd));
        }
        self.wrong(&at.key("cwd"), format!("`{}` is no folder", cwd.display()));
        Err(())
    }

    fn args(&mut self, at: &Path, args: &[Arg]) -> Option<Vec<ArgTemplate>> {
        let args: Vec<Option<ArgTemplate>> = args
            .iter()
            .enumerate()
            .map(|(index, arg)| {
                let at = at.key(index);
                Some(match arg {
                    Arg::One(text) => ArgTemplate::One(self.template(&at, text)?),
                    Arg::Several(texts) => {
                        let texts: Vec<_> = texts.iter().map(|text| self.template(&at, text)).collect();
                        ArgTemplate::Several(texts.into_iter().collect::<Option<_>>()?)
                    }
                })
            })
            .collect();
        args.into_iter().collect()
    }

    /// The variables of a program.
    pub(super) fn environment(
        &mut self,
        at: &Path,
        inherited: &[String],
        given: &Table<String>,
    ) -> Option<BTreeMap<OsString, OsString>> {
        let mut environment: BTreeMap<OsString, OsString> =
            inherited.iter().filter_map(|name| Some((name.into(), env::var_os(name)?))).collect();
        let mut is_whole = true;
        for (name, text) in given {
            let at = at.key("env").key(name);
            if name.is_empty() || name.contains(['=', '\0']) {
                self.wrong(&at, "this is no name of a variable");
                is_whole = false;
                continue;
            }
            let value = if SecretRef::is_reference(text) {
                let reference = self.noted(&at, text.parse::<SecretRef>());
                reference
                    .and_then(|reference| self.secret(&at, &reference))
                    .map(|secret| secret.expose().to_owned())
            } else {
                self.warn_of_inline(&at, name);
                Some(text.clone())
            };
            match value {
                Some(value) => drop(environment.insert(name.into(), value.into())),
                None => is_whole = false,
            }
        }
        is_whole.then_some(environment)
    }

    /// A program that has the service secret can be the entity.
    pub(super) fn warn_of_service_secret(&mut self, at: &Path, inherited: Option<&[String]>) {
        let sections = self.sections;
        let is_secret = |name: &str| {
            let mut secrets = sections.entities.iter().map(|entity| &entity.value.secret);
            ["PLATOS_SECRET", "PLATOS_SERVICE_SECRET", "PLATOS_ENTITY_SERVICE_SECRET"].contains(&name)
                || secrets.any(|secret| matches!(secret, SecretRef::Environment(secret) if secret == name))
        };
        if let Some(name) = inherited.into_iter().flatten().find(|name| is_secret(name)) {
            let message =
                format!("`{name}` is the service secret, with which the program could be the entity itself");
            self.odd(&at.key("inherit_env"), message);
        }
        let others = inherited.into_iter().flatten().filter(|name| !is_secret(name));
        self.inherited_variables.extend(others.map(|name| (at.key("inherit_env"), name.clone())));
    }

    fn exit_codes(&mut self, at: &Path, table: &Table<String>) -> Option<BTreeMap<i32, Meaning>> {
        let mut codes = BTreeMap::new();
        for (code, meaning) in table {
            let Some(number) =
                code.parse::<u8>().ok().filter(|_| code == "0" || !code.starts_with(['0', '+']))
            else {
                self.wrong(&at.key(code), "exit codes are numbers from 0 to 255");
                return None;
            };
            let meaning = match meaning.as_str() {
                "ok" => Meaning::Fine,
                text => Meaning::Failure(text.to_owned()),
            };
            codes.insert(number.into(), meaning);
        }
        Some(codes)
    }

    /// Some programs run what they are given: an argument in their code is the agent's code.
    fn look_for_code(
        &mut self,
        at: &Path,
        file: &Command,
        line: &CommandTemplate,
        schema: Option<&ArgumentSchema>,
    ) {
        if file.allow_code {
            return;
        }
        let program = file.program.to_string_lossy();
        let schema = schema.map(|schema| &**schema.value());
        let line = CommandLine::new(&program, line.templates(), schema, file.stdin == Stdin::Json);
        if let Some(finding) = line.finding() {
            let key = if file.args.is_empty() { "stdin" } else { "args" };
            self.wrong(&at.key(key), finding);
        }
    }
}

fn is_executable(path: &FilePath) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

impl CommandTool {
    fn into_tool(self, spec: platools::ToolSpec) -> Tool {
        let this = Arc::new(self);
        Tool::new(spec, move |call: ToolCall| {
            let this = Arc::clone(&this);
            async move { this.call(call).await }
        })
    }

    /// What the program gets: its arguments, and its standard input.
    fn input(&self, call: &ToolCall) -> Result<(Vec<String>, Option<Vec<u8>>), ToolError> {
        let arguments = self.schema.check(&call.arguments)?;
        let caller = Caller::of(call)?;
        let args = self.line.fill(Values { arguments: &arguments, caller: &caller })?;
        let stdin = match self.stdin {
            Stdin::None => None,
            Stdin::Json => Some(serde_json::to_vec(&arguments)?),
        };
        Ok((args, stdin))
    }

    async fn call(&self, call: ToolCall) -> Result<platools::ToolOutput, ToolError> {
        let (args, stdin) = self.input(&call)?;
        // While a slow program is waited for, its input is the one copy of the arguments.
        drop(call);
        match self.program.run(&args, stdin).await {
            Ok(finished) => self.reading.result(finished.status.code(), &finished.stdout, &finished.stderr),
            Err(RunError::TooMuch(limit)) => Err(ToolError::user(format!(
                "the program wrote more than {limit} bytes: ask for less at once"
            ))),
            Err(RunError::Crowded) => Err(crowded()),
            Err(RunError::Start(error)) if error.kind() == std::io::ErrorKind::ArgumentListTooLong => {
                Err(ToolError::invalid_arguments("they are longer than a command line may be: give less"))
            }
            Err(error) => Err(error.into()),
        }
    }
}
