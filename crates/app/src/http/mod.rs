//! The web server.

pub mod auth;
pub mod body;
pub mod cookies;
pub mod csrf;
pub mod limits;
pub mod request_id;
