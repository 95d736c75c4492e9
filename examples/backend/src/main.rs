//! A backend that hosts tools on a real platform: the program to copy.
//!
//! ```sh
//! export PLATOS_URL='wss://platos.example/tools/sync?entity=orders-prod'
//! export PLATOS_SECRET_FILE=/run/secrets/platos
//! cargo run -p backend
//! ```
//!
//! Without a platform:
//!
//! ```sh
//! cargo run -p backend -- list
//! cargo run -p backend -- call lookup_order --params '{"order_id": "ord-1042"}'
//! ```
//!
//! With `ORDERS_JWT_SECRET`, the secret with which the shop's login signs users' tokens, callers are verified. Without it,
//! the tools with `auth` refuse every call of the platform; on the command line, `--role support` is a verified user.
//!
//! It shows state, the caller's context, errors for the model and errors for the log, a function that blocks,
//! one that stops when its call is over, and methods as tools.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use platools::caller::{AuthenticationError, Credentials, JwtAuthenticator};
use platools::prelude::*;
use platools_toolkit::cli::CommandLine;

/// One order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Order {
    id: String,
    customer: String,
    status: Status,
    lines: Vec<Line>,
}

/// One line of an order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Line {
    /// The article.
    article: String,
    /// The number of pieces.
    pieces: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Open,
    Shipped,
    Cancelled,
}

/// An error about orders. Its texts are written for the model.
#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("there is no order `{0}`; order ids look like ord-1042")]
    NotFound(String),
    #[error("order `{0}` has shipped and cannot be cancelled; offer a return instead")]
    Shipped(String),
}

impl UserFacingError for OrderError {}

/// An in-memory database of orders. Clones share one store.
#[derive(Debug, Clone)]
struct Database(Arc<Mutex<BTreeMap<String, Order>>>);

impl Database {
    fn open() -> Self {
        let order = |id: &str, customer: &str, status| Order {
            id: id.to_owned(),
            customer: customer.to_owned(),
            status,
            lines: vec![Line { article: "lamp".to_owned(), pieces: 2 }],
        };
        let orders = [order("ord-1042", "usr_1", Status::Open), order("ord-1043", "usr_2", Status::Shipped)];
        Self(Arc::new(Mutex::new(orders.map(|order| (order.id.clone(), order)).into())))
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Order>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Look up one order by id.
#[tool(category = "orders", read_only, timeout = "5s")]
async fn lookup_order(
    database: State<Database>,
    /// The order to look up, such as `ord-1042`.
    order_id: String,
) -> Result<Order, OrderError> {
    database.with(|orders| orders.get(&order_id).cloned()).ok_or(OrderError::NotFound(order_id))
}

/// List the orders of the user who is asking.
#[tool(category = "orders", read_only)]
async fn my_orders(
    ctx: CallContext,
    database: State<Database>,
    /// Whether to leave out orders that have shipped or were cancelled.
    #[tool(default = false)]
    open_only: bool,
    /// How many orders to return.
    #[tool(range(min = 1, max = 100), default = 10)]
    limit: usize,
) -> Vec<Order> {
    database.with(|orders| {
        let mine = orders.values().filter(|order| order.customer == ctx.user_id());
        let wanted = mine.filter(|order| !open_only || order.status == Status::Open);
        wanted.take(limit).cloned().collect()
    })
}

/// Export all orders to a file on the server and return its size in bytes.
///
/// The function blocks its thread, so it is not `async` and runs on the blocking pool.
#[tool(auth = "admin", roles = ["admin"], category = "orders", concurrency = 1, rate_limit = "5/min")]
fn export_orders(database: State<Database>) -> Result<u64, std::io::Error> {
    let text = database.with(|orders| format!("{orders:#?}"));
    let path = std::env::temp_dir().join("orders.txt");
    // An I/O error is internal: the model is told that something broke, the log has the details.
    std::fs::write(&path, text)?;
    Ok(std::fs::metadata(&path)?.len())
}

/// Wait until an order has shipped, for at most 20 seconds.
#[tool(category = "orders", read_only, timeout = "20s")]
async fn await_shipment(
    cancelled: CancellationToken,
    database: State<Database>,
    /// The order to wait for.
    order_id: String,
) -> Result<Status, OrderError> {
    loop {
        let status = database.with(|orders| orders.get(&order_id).map(|order| order.status));
        let status = status.ok_or_else(|| OrderError::NotFound(order_id.clone()))?;
        if status != Status::Open || cancelled.is_cancelled() {
            return Ok(status);
        }
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

/// Operations for support. Tools that are methods share the fields of the value.
struct Support {
    database: Database,
}

#[toolset]
impl Support {
    /// Cancel an order that has not shipped.
    #[tool(auth = "user", roles = ["support", "admin"], category = "orders", destructive, idempotent)]
    async fn cancel_order(
        &self,
        ctx: CallContext,
        /// The order to cancel.
        order_id: String,
        /// Why, in the customer's words.
        #[tool(length(min = 3, max = 500))]
        reason: String,
    ) -> Result<Status, OrderError> {
        let _ = reason;
        tracing::info!(order_id, user_id = ctx.user_id(), "cancelling");
        self.database.with(|orders| {
            let order = orders.get_mut(&order_id).ok_or_else(|| OrderError::NotFound(order_id.clone()))?;
            if order.status == Status::Shipped {
                return Err(OrderError::Shipped(order_id));
            }
            order.status = Status::Cancelled;
            Ok(order.status)
        })
    }
}

/// The tools, and what they need. Called for commands that use them.
fn platools() -> platools::Result<Platools> {
    let database = Database::open();
    let platools = Platools::from_env()?.state(database.clone()).toolset(Support { database });
    // A model may see no more of the parameters than the description says.
    let platools = platools.describe_parameters(true);
    Ok(match std::env::var("ORDERS_JWT_SECRET") {
        Ok(secret) => {
            let authenticator = JwtAuthenticator::shared_secret(secret).map_err(platools::Error::other)?;
            platools.authenticator(authenticator.audience("orders"))
        }
        // Rather nobody than everybody.
        Err(_) => platools.authenticator(|_: Credentials| async {
            Err::<Identity, _>(AuthenticationError::rejected(
                "ORDERS_JWT_SECRET is not set, so nobody is verified",
            ))
        }),
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    CommandLine::new(platools).version(env!("CARGO_PKG_VERSION")).run().await
}
