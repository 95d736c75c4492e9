use platools::{CallContext as Ctx, tool};

/// List orders.
#[tool]
async fn list_orders(ctx: Ctx) -> String {
    ctx.user_id().to_owned()
}

fn main() {}
