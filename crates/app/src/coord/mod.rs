//! What processes agree on through Postgres: rate buckets and live events.

pub mod buckets;
pub mod events;
