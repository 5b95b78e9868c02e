//! Schedules and the daily cleanup.

use rejoinder_app::queue::{Registry, cleanup, drain, schedule_due};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::world::{Act, Probe, Tick, World};

const NOON: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn every_minute() -> Registry<World> {
    World::registry().every::<Tick>(std::time::Duration::from_secs(60))
}

#[tokio::test]
async fn several_schedulers_add_one_job_per_moment() {
    let world = World::empty().await;
    let scheduling = (0..6).map(|_| {
        let world = world.clone();
        tokio::spawn(async move { schedule_due(&every_minute(), &world.pool, NOON).await.unwrap() })
    });
    let added: Vec<u64> = futures::future::try_join_all(scheduling).await.unwrap();
    assert_eq!(added.iter().sum::<u64>(), 2, "the tick and the queue's own cleanup");

    let minute = NOON + Duration::MINUTE;
    let report = drain(&every_minute(), &world, &world.pool, NOON, minute).await.unwrap();
    assert_eq!(report.ran.len(), 1);
    assert_eq!((report.ran[0].name.as_str(), report.ran[0].at), ("test.tick", minute));
    assert_eq!(schedule_due(&every_minute(), &world.pool, minute).await.unwrap(), 1);
    let report = drain(&every_minute(), &world, &world.pool, minute, minute).await.unwrap();
    assert_eq!(report.ran.len(), 0, "the next one is due a minute later");
}

#[tokio::test]
async fn the_daily_cleanup_collects_unused_queue_names_and_old_failures() {
    let world = World::empty().await;
    for n in 0..20 {
        world.add_at(&Probe::new("done", Act::Succeed).queue(&format!("account-{n}")), NOON).await;
    }
    world.add_at(&Probe::new("waits", Act::Succeed).queue("account-0"), NOON + Duration::DAY * 365).await;
    world.add_at(&Probe::new("fails", Act::Refuse), NOON).await;
    drain(&World::registry(), &world, &world.pool, NOON, NOON).await.unwrap();

    let today = rejoinder_app::clock::Clock::System.now();
    let cleaned = cleanup(&world.pool, today).await.unwrap();
    assert_eq!((cleaned.queue_names, cleaned.failed_jobs), (19, 0));
    let cleaned = cleanup(&world.pool, today + Duration::DAY * 31).await.unwrap();
    assert_eq!((cleaned.queue_names, cleaned.failed_jobs), (0, 1));
    assert_eq!(world.jobs().await, 1, "the waiting job stays");

    schedule_due(&World::registry(), &world.pool, NOON).await.unwrap();
    let report = drain(&World::registry(), &world, &world.pool, NOON, NOON + Duration::DAY).await.unwrap();
    assert_eq!(report.ran[0].name, "queue.cleanup");
    assert_eq!(report.ran[0].failure, None);
}
