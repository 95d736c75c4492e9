//! A chat in the terminal: streamed text, tool calls, artifacts, approvals with arguments of your own, files to send along;
//! Ctrl-C stops the turn.
//!
//! Without configuration it talks to a test double on this machine:
//!
//! ```sh
//! cargo run -p chat
//! ```
//!
//! With a platform:
//!
//! ```sh
//! export PLATOS_API_URL=https://platos.example
//! export PLATOS_SESSION_TOKEN_FILE=/run/secrets/platos-session
//! cargo run -p chat -- --agent agt_support
//! ```

use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use platos_client::testing::PlatosDouble;
use platos_client::{
    AgentEvent, ApprovalNeeded, Decision, Error, NewAttachment, NewMessage, NewThread, PlatosClient,
    TurnStream,
};
use tokio::sync::{Notify, mpsc};

type Failure = Box<dyn std::error::Error>;

/// A chat with an agent in the terminal.
#[derive(Parser)]
#[command(version)]
#[command(
    after_help = "Where the platform is, and who you are: PLATOS_API_URL with PLATOS_SESSION_TOKEN, or with \
    PLATOS_API_KEY and PLATOS_ORGANIZATION_ID, PLATOS_PROJECT_ID, PLATOS_ENVIRONMENT_ID, PLATOS_USER_ID. With none of \
    them: a test double on this machine."
)]
struct Options {
    /// The agent of a new thread; without it, the first one that there is
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// A thread to go on with
    #[arg(long, value_name = "ID")]
    thread: Option<String>,
    /// Said instead of asking for messages; approvals are still asked for
    message: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough, as in `chat … | head`.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Failure> {
    let configured =
        ["PLATOS_API_URL", "PLATOS_SESSION_TOKEN", "PLATOS_SESSION_TOKEN_FILE", "PLATOS_API_KEY"];
    let configured =
        configured.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    // Held until the end: a double is there for as long as somebody holds it.
    let double = if configured { None } else { Some(PlatosDouble::start().await?) };
    let client = match &double {
        Some(double) => {
            dim(
                "Nothing is configured, so this is a test double and no agent. Try: order, write, delete, slow.\n",
            )?;
            double.client()
        }
        None => PlatosClient::from_env()?,
    };
    let (agent, thread) = thread(&client, &options).await?;
    let mut chat = Chat { agent, thread, client, lines: lines(), interrupts: interrupts() };
    if let Some(message) = options.message {
        return chat.turn(message).await?.map_or(Ok(()), |error| Err(error.into()));
    }
    dim("An empty line or Ctrl-D ends the chat; Ctrl-C stops a turn; /attach FILE sends a file along.\n")?;
    while let Some(message) = chat.ask("> ").await? {
        if message.trim().is_empty() {
            break;
        }
        let message = match message.trim().strip_prefix("/attach ") {
            None => NewMessage::from(message),
            Some(path) => match chat.attach(path.trim()).await {
                Ok(id) => {
                    let text = chat.ask("about it> ").await?.unwrap_or_default();
                    NewMessage::new(text).attachment(id)
                }
                Err(error) => {
                    eprintln!("{error}");
                    continue;
                }
            },
        };
        if let Some(error) = chat.turn(message).await? {
            eprintln!("{error}");
        }
    }
    Ok(())
}

/// The agent and the thread of the conversation: the requested thread, or a new one.
async fn thread(client: &PlatosClient, options: &Options) -> Result<(String, String), Failure> {
    if let Some(id) = &options.thread {
        let thread = client.threads().get(id).await?.ok_or_else(|| format!("there is no thread {id}"))?;
        for message in client.threads().messages(&thread.id).await? {
            let role = message.role.as_ref().map_or("?", |role| role.as_str());
            say(&format!("{role}: {}\n", message.content.unwrap_or_default()))?;
        }
        return Ok((thread.agent_id.unwrap_or_default(), thread.id));
    }
    let agent = match &options.agent {
        Some(id) => client.agents().get(id).await?.ok_or_else(|| format!("there is no agent {id}"))?,
        None => {
            client.agents().list().await?.into_iter().next().ok_or("there are no agents in this scope")?
        }
    };
    let thread = client.threads().create(NewThread::with_agent(&agent.id)).await?;
    dim(&format!("{} ({}), thread {}\n", agent.name.as_deref().unwrap_or("an agent"), agent.id, thread.id))?;
    Ok((agent.id, thread.id))
}

struct Chat {
    client: PlatosClient,
    agent: String,
    thread: String,
    /// Lines of standard input; closed at its end.
    lines: mpsc::Receiver<String>,
    interrupts: Arc<Notify>,
}

impl Chat {
    /// Returns one line, or `None` at the end of the input or after Ctrl-C.
    async fn ask(&mut self, prompt: &str) -> Result<Option<String>, Failure> {
        print(prompt)?;
        tokio::select! {
            line = self.lines.recv() => Ok(line),
            () = self.interrupts.notified() => Ok(None),
        }
    }

    /// Runs one turn.
    async fn turn(&mut self, message: impl Into<NewMessage>) -> Result<Option<Error>, Failure> {
        let mut turn = self.client.threads().send(&self.thread, message);
        let mut failed = None;
        loop {
            let event = tokio::select! {
                event = turn.next() => event,
                () = self.interrupts.notified() => {
                    // What came before is still shown; then the stream ends.
                    turn.stop();
                    continue;
                }
            };
            match event {
                Some(Ok(AgentEvent::ApprovalNeeded(needed))) => self.approve(&mut turn, &needed).await?,
                Some(Ok(event)) => show(&event)?,
                Some(Err(error)) => failed = Some(error),
                None => {
                    print("\n")?;
                    return Ok(failed);
                }
            }
        }
    }

    /// Asks the user for a decision. No answer rejects.
    async fn approve(&mut self, turn: &mut TurnStream, needed: &ApprovalNeeded) -> Result<(), Failure> {
        say(&format!(
            "\nMay the agent do this: {}?",
            needed.action.as_deref().unwrap_or("(it does not say what)")
        ))?;
        if let Some(details) = &needed.details {
            say(&format!("\n{details}"))?;
        }
        let Some(answer) = self.ask("\n[y/N, {\"…\": …} for other arguments, or why not] ").await? else {
            turn.stop();
            return Ok(());
        };
        let answer = answer.trim();
        let decision = match answer.to_lowercase().as_str() {
            "y" | "yes" => Decision::approve(),
            "" | "n" | "no" => Decision::reject(),
            _ => match serde_json::from_str::<serde_json::Value>(answer) {
                Ok(arguments) if arguments.is_object() => Decision::approve().edited_args(arguments),
                _ => Decision::reject().because(answer),
            },
        };
        match self.client.approvals().resolve(&needed.approval_id, decision).await {
            Ok(resolved) if resolved.edited_args_applied == Some(true) => dim("(with your arguments)\n"),
            Ok(_) => Ok(()),
            Err(error) => dim(&format!("{error}\n")),
        }
    }

    /// Uploads a file for the next message, and shows how far it is.
    async fn attach(&self, path: &str) -> Result<String, Failure> {
        let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        let name = std::path::Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
        let file = NewAttachment::new(&self.agent, &self.thread, media_type(path), bytes);
        let file = file.filename(name.unwrap_or_default());
        let attachments = self.client.attachments();
        let id = attachments.upload(&file, |sent, all| {
            // A bar that cannot be drawn is no reason not to upload.
            let _ = dim(&format!("\r{sent} of {all} bytes"));
        });
        let id = id.await?;
        dim("\n")?;
        Ok(id)
    }
}

/// The media type of a file, by its name.
fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        _ => "text/plain",
    }
}

/// Shows one event.
fn show(event: &AgentEvent) -> Result<(), Failure> {
    match event {
        AgentEvent::Token(token) => say(&token.text),
        AgentEvent::Thinking(thinking) => dim(&thinking.text),
        AgentEvent::MessageBoundary(_) => print("\n\n"),
        AgentEvent::ToolCall(call) => {
            let params = call.params.as_ref().map(ToString::to_string).unwrap_or_default();
            dim(&format!("\n[{} {params}]\n", call.name))
        }
        AgentEvent::ToolResult(result) => {
            let shown = result.result.as_ref().map(ToString::to_string).unwrap_or_default();
            dim(&format!("[{}: {shown}]\n", result.name))
        }
        AgentEvent::ArtifactStart(artifact) => {
            dim(&format!("\n--- {} ---\n", artifact.title.as_deref().unwrap_or("an artifact")))
        }
        AgentEvent::ArtifactDelta(artifact) => say(&artifact.chunk),
        AgentEvent::ArtifactCommitted(_) => dim("---\n"),
        AgentEvent::ArtifactError(error) => {
            dim(&format!("\n--- {} ---\n", error.message.as_deref().unwrap_or("the artifact failed")))
        }
        AgentEvent::Error(error) => dim(&format!("\n{}\n", error.text())),
        AgentEvent::ThreadRenamed(thread) => {
            dim(&format!("\n(the thread is called {} now)\n", thread.title.as_deref().unwrap_or("nothing")))
        }
        AgentEvent::Disconnected { reason } => dim(&format!("\n({reason})\n")),
        AgentEvent::Recovered(reply) if !reply.continues => dim("\n(the stored reply)"),
        AgentEvent::Reconnecting { attempt } => dim(&format!("(reconnecting, attempt {attempt})\n")),
        AgentEvent::Done(done) if done.stopped == Some(true) => dim("\n(stopped)"),
        _ => Ok(()),
    }
}

/// Watches for Ctrl-C from now on, so that none is missed while printing.
fn interrupts() -> Arc<Notify> {
    let interrupts = Arc::new(Notify::new());
    let notify = Arc::clone(&interrupts);
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            notify.notify_one();
        }
    });
    interrupts
}

/// Reads standard input line by line, on a thread that the program does not wait for.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Prints text from the platform, without the control characters that a terminal would interpret.
fn say(text: &str) -> Result<(), Failure> {
    print(&harmless(text))
}

/// Prints text in a faint style, where styles are shown.
fn dim(text: &str) -> Result<(), Failure> {
    print(&format!("\x1b[2m{}\x1b[0m", harmless(text)))
}

fn harmless(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect()
}

fn print(text: &str) -> Result<(), Failure> {
    let mut output = anstream::stdout().lock();
    output.write_all(text.as_bytes())?;
    Ok(output.flush()?)
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
