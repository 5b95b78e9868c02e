//! The built program as a person runs it: started, used over HTTP, killed, started again.
//!
//! Every test has its own folder, ports and Postgres; the simulated Reddit runs inside the test, so that its control handle can
//! hold a write at the moment of a kill and count afterwards what really stands there.

#![allow(clippy::unwrap_used, reason = "a test that finds nothing to unwrap is red anyway")]

mod database;
mod doctor;
mod home;
mod kill;
mod metrics;
mod outage;
mod pause;
mod person;
mod quickstart;
mod secrets;
mod server;
mod several;
mod stage;
mod start;
mod users;
mod wait;
