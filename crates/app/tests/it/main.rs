//! The whole server, without its processes: real Postgres, real HTTP to a sandbox of the platforms, a clock that stands still,
//! jobs run on demand. What a test asserts is the other side's state: what stands on the platform, what stands in the database.

#![allow(clippy::unwrap_used, reason = "a test that finds nothing to unwrap is red anyway")]

mod accounts;
mod api_tokens;
mod approve;
mod budget;
mod callers;
mod changes;
mod clerk;
mod clerk_dashboard;
mod clerk_keys;
mod clerk_world;
mod client;
mod cluster;
mod conflicts;
mod doctor;
mod explain;
mod harness;
mod ingest;
mod inputs;
mod instagram;
mod instagram_webhooks;
mod invitations;
mod journey;
mod limits;
mod machine;
mod mail;
mod members;
mod notices;
mod oauth_connect;
mod pages;
mod password;
mod pause;
mod people_pages;
mod receiver;
mod request_limits;
mod resolve;
mod send;
mod send_crash;
mod send_gate;
mod sessions;
mod settings;
mod smtp;
mod story;
mod streams;
mod suggest;
mod teams;
mod tenants;
mod totp;
mod twin;
mod uncertain;
mod webhooks_log;
mod webhooks_out;
