//! `rejoinder openapi`.

use anyhow::Result;

pub fn run() -> Result<()> {
    print!("{}", rejoinder_app::http::openapi::document());
    Ok(())
}
