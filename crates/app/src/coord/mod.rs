//! What processes agree on through Postgres: rate buckets, request budgets, what platforms charge, live events and requests sent twice; and what the tasks of one process do
//! in shared transactions.

pub mod buckets;
pub mod budget;
pub mod events;
pub mod idempotency;
pub mod rounds;
pub mod usage;
