//! The Rejoinder server: everything but the platforms' wire formats and the command line. `flow/mod.rs` is the map.
#![allow(
    deprecated,
    reason = "sqlx's query macros mark every timestamp as ambiguous once a dependency switches chrono on, whatever sqlx.toml says"
)]

pub mod accounts;
pub mod app;
pub mod clients;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod coord;
pub mod database;
pub mod demo_team;
pub mod doctor;
pub mod engine;
pub mod error;
pub mod flow;
pub mod http;
pub mod jobs;
pub mod lifecycle;
pub mod model;
pub mod privacy;
pub mod queue;
pub mod request_id;
pub mod secrets;
pub mod telemetry;
pub mod upkeep;
pub mod webhooks;
