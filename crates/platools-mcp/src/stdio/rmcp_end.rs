//! The transport that `rmcp` serves: it receives from the session what is no call, and writes among the answers to calls.

use std::io;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::JsonRpcMessage;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::mpsc;

use super::lines::{Output, line_of};
use super::requests::Requests;

pub(super) struct RmcpEnd {
    pub(super) input: mpsc::Receiver<RxJsonRpcMessage<RoleServer>>,
    pub(super) output: Output,
    pub(super) requests: Arc<Requests>,
}

impl Transport<RoleServer> for RmcpEnd {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let (output, requests) = (self.output.clone(), Arc::clone(&self.requests));
        async move {
            let answered = match &message {
                JsonRpcMessage::Response(response) => Some(&response.id),
                JsonRpcMessage::Error(error) => error.id.as_ref(),
                _ => None,
            };
            let place = output.reserve().await;
            // Before the client can read the answer, and use the id again.
            if let Some(id) = answered {
                requests.remove(id);
            }
            place.map_err(|_| io::ErrorKind::BrokenPipe)?.send(line_of(&message));
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.input.recv().await
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.input.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rmcp::ServerHandler;
    use rmcp::model::{ClientResult, PingRequest, ServerRequest};
    use rmcp::service::serve_directly;
    use serde_json::{Value, json};

    use super::*;

    struct Handler;

    impl ServerHandler for Handler {}

    #[tokio::test]
    async fn requests_go_to_the_client_and_its_answers_come_back() {
        let (others, input) = mpsc::channel(1);
        let (output, mut lines) = mpsc::channel(1);
        let service = serve_directly(Handler, RmcpEnd { input, output, requests: Arc::default() }, None);
        let peer = service.peer().clone();
        let asked = tokio::spawn(async move {
            peer.send_request(ServerRequest::PingRequest(PingRequest::default())).await
        });
        let request: Value = serde_json::from_slice(&lines.recv().await.unwrap()).unwrap();
        assert_eq!(request["method"], "ping");
        let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": {}});
        others.send(serde_json::from_value(answer).unwrap()).await.unwrap();
        assert!(matches!(asked.await.unwrap().unwrap(), ClientResult::EmptyResult(_)));
    }
}
