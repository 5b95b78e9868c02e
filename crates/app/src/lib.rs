pub mod clients;
pub mod clock;
pub mod config;
pub mod secrets;
pub mod telemetry;
