use platools::tool;

/// Look up one order by id.
///
/// # Arguments
/// * `order` - the order to look up
#[tool(timout = "10s", auth = "usr", rate_limit = "60", name = "lookup order")]
async unsafe fn lookup_order(
    #[tool(range(min = 5, max = 1), pattern = "(")] order_id: String,
    (a, b): (u32, u32),
    _context: Vec<&str>,
) -> String {
    format!("{order_id} {a} {b} {_context:?}")
}

fn main() {}
