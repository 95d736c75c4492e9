//! A development platform on port 3100, with its playground, until Ctrl-C.
//!
//! ```sh
//! cargo run -p platools-dev --example playground [ADDRESS]
//! ```

use std::error::Error;
use std::net::SocketAddr;

use platools_dev::DevPlatform;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:3100").parse()?;
    let platform = match DevPlatform::options().address(address).start().await {
        Ok(platform) => platform,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    println!("open   {}   # works once", platform.playground_url());
    println!();
    println!("export PLATOS_URL='{}'", platform.url());
    println!("export PLATOS_SECRET='{}'", platform.secret().expose());
    println!("export PLATOOLS_DEV_TOKEN='{}'   # for the HTTP API", platform.api_token().expose());
    let mut events = platform.events();
    while let Some(event) = events.next().await {
        println!("{event:?}");
    }
    Ok(())
}
