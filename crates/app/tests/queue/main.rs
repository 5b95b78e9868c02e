//! The job queue against a real Postgres: one cluster for this binary, one database per test.
//!
//! Tests that kill a process start this binary again as [`child_worker`].

#![allow(clippy::unwrap_used, reason = "a test may panic, in its own helpers too")]

mod cluster;
mod crash;
mod driver;
mod enqueueing;
mod upkeep;
mod working;
mod world;

use std::time::Duration;

/// A worker in a process of its own, as other tests start it: runs jobs until it is killed or kills itself. Without them, nothing.
#[test]
fn child_worker() {
    let Ok(database) = std::env::var("QUEUE_CHILD_DATABASE") else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let pool = cluster::connect_url(&database).await;
        let mut world = world::World::new(pool);
        world.in_child = true;
        let concurrency = rejoinder_app::queue::Concurrency { upkeep: 1, ..world::ONE_EACH };
        let _running = world.start_with(concurrency).await;
        // The test ends this process; a test that died must not leave it behind.
        tokio::time::sleep(Duration::from_secs(120)).await;
    });
}
