use platools::tool;

/// Stop everything.
#[tool]
fn stop(code: i32) -> ! {
    std::process::exit(code)
}

fn main() {}
