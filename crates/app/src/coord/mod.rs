//! What processes agree on through Postgres: rate buckets, live events and requests sent twice.

pub mod buckets;
pub mod events;
pub mod idempotency;
