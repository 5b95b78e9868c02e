//! The test driver: simulated time, the order, and every way in which a run can end.

use rejoinder_app::queue::{Decision, DrainReport, drain, drain_with_clock, enqueue};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::world::{Act, Once, Probe, Tick, World};

const NOON: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

async fn drain_until(world: &World, until: OffsetDateTime) -> DrainReport {
    drain(&World::registry(), world, &world.pool, NOON, until).await.unwrap()
}

#[tokio::test]
async fn due_jobs_run_in_the_order_of_their_times_and_the_rest_is_left() {
    let world = World::empty().await;
    world.add_at(&Probe::new("third", Act::Succeed), NOON + Duration::minutes(10)).await;
    world.add_at(&Probe::new("second", Act::Follow("follow-up".into())), NOON + Duration::minutes(5)).await;
    world.add_at(&Probe::new("overdue", Act::Succeed), NOON - Duration::HOUR).await;
    world.add_at(&Probe::new("tomorrow", Act::Succeed), NOON + Duration::DAY).await;

    let clock = std::cell::Cell::new(NOON);
    let report =
        drain_with_clock(&World::registry(), &world, &world.pool, NOON, NOON + Duration::HOUR, |now| clock.set(now))
            .await
            .unwrap();

    assert_eq!(world.runs().await, ["overdue 1", "second 1", "follow-up 1", "third 1"]);
    let at: Vec<i64> = report.ran.iter().map(|ran| (ran.at - NOON).whole_minutes()).collect();
    assert_eq!(at, [0, 5, 5, 10], "an overdue job sees the present");
    assert_eq!(clock.get(), NOON + Duration::minutes(10));
    assert_eq!((report.leftover(), report.left["test.probe"]), (1, 1));
}

#[tokio::test]
async fn passing_trouble_is_tried_again_with_backoff_in_simulated_time() {
    let world = World::empty().await;
    world.add_at(&Probe::new("a", Act::FailOnce), NOON).await;
    let report = drain_until(&world, NOON + Duration::seconds(2)).await;
    assert_eq!((report.ran.len(), report.leftover()), (1, 1), "the second try is due 2.7 s later");
    let failure = report.ran[0].failure.as_ref().unwrap();
    assert_eq!((failure.decision, failure.reason.as_str()), (Decision::Retry, "not now"));
    drain_until(&world, NOON + Duration::seconds(3)).await;
    assert_eq!(world.runs().await, ["a 1", "a 2"]);
}

#[tokio::test]
async fn a_later_time_costs_no_attempt_until_five_hundred_times() {
    let world = World::empty().await;
    world.add_at(&Probe::new("a", Act::ComeBackAlways), NOON).await;
    let report = drain_until(&world, NOON + Duration::days(30)).await;
    assert_eq!(report.ran.len(), 505, "500 free ones and five attempts");
    assert_eq!(report.dead[0].reason, "the window is closed");
    let first_attempts = world.runs().await.iter().filter(|run| *run == "a 1").count();
    assert_eq!(first_attempts, 501);
}

#[tokio::test]
async fn panics_timeouts_and_broken_payloads_end_as_failures_with_a_reason() {
    let world = World::empty().await;
    let mut conn = world.pool.acquire().await.unwrap();
    enqueue(&mut conn, &Once(Probe::new("p", Act::Panic)), NOON, Some("req-1")).await.unwrap();
    enqueue(&mut conn, &Tick { hang: true }, NOON + Duration::SECOND, None).await.unwrap();
    for (at, payload) in [(2, "{\"job\": {\"hang\": 7}}"), (3, "[]")] {
        sqlx::query("select graphile_worker.add_job('test.tick', $1::text::json, run_at => $2)")
            .bind(payload)
            .bind(NOON + Duration::seconds(at))
            .execute(&mut *conn)
            .await
            .unwrap();
    }
    let report = drain_until(&world, NOON + Duration::HOUR).await;
    let reasons: Vec<&str> = report.dead.iter().map(|dead| dead.reason.as_str()).collect();
    assert_eq!(reasons[..2], ["panicked: a bug", "timed out after 50ms"]);
    assert!(reasons[2].starts_with("the job's fields cannot be read"), "{}", reasons[2]);
    assert!(reasons[3].starts_with("the job's payload cannot be read"), "{}", reasons[3]);
    assert_eq!(report.ran.len(), 5, "only the timeout was tried twice");
}
