//! The web server.

pub mod body;
pub mod request_id;
