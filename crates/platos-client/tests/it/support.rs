//! What the tests share.

use std::time::Duration;

use platos_client::testing::PlatosDouble;
use platos_client::{AgentEvent, Error, NewMessage, NewThread, PlatosClient, TurnStream};

/// Longer than anything takes that works.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// A double, a client of it, and a thread.
pub(crate) async fn conversation() -> (PlatosDouble, PlatosClient, String) {
    let platos = PlatosDouble::start().await.unwrap();
    let client = platos.client();
    let thread = client.threads().create(NewThread::with_agent("agt_support")).await.unwrap();
    (platos, client, thread.id)
}

/// All events of a turn, and the error that ended it.
pub(crate) async fn all(mut turn: TurnStream) -> (Vec<AgentEvent>, Option<Error>) {
    let mut events = Vec::new();
    let read = async {
        while let Some(event) = turn.next().await {
            match event {
                Ok(event) => events.push(event),
                Err(error) => return Some(error),
            }
        }
        None
    };
    let error = tokio::time::timeout(GUARD, read).await.expect("the stream ends");
    (events, error)
}

/// Events in short: their types, and texts in quotes.
pub(crate) fn short(events: &[AgentEvent]) -> String {
    let short = |event: &AgentEvent| match event {
        AgentEvent::Token(token) => format!("'{}'", token.text),
        event => event.kind().to_owned(),
    };
    events.iter().map(short).collect::<Vec<_>>().join(" ")
}

/// A message that says to which agent it goes, so that nothing has to be looked up.
pub(crate) fn hi() -> NewMessage {
    NewMessage::new("Hi").agent("agt_support")
}
