//! Adding, replacing and taking back jobs.

use rejoinder_app::queue::{depth, enqueue, enqueue_if_absent, enqueue_many, remove};
use time::Duration;
use time::macros::datetime;

use crate::world::{Act, Probe, World};

const NOON: time::OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

#[tokio::test]
async fn a_job_commits_with_the_state_that_asked_for_it() {
    let world = World::empty().await;
    let job = Probe::new("a", Act::Succeed);

    let mut tx = world.pool.begin().await.unwrap();
    enqueue(&mut tx, &job, NOON, None).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(world.jobs().await, 0);

    let mut tx = world.pool.begin().await.unwrap();
    enqueue(&mut tx, &job, NOON, None).await.unwrap();
    assert_eq!(world.jobs().await, 0, "not before the commit");
    tx.commit().await.unwrap();
    assert_eq!(world.jobs().await, 1);
}

#[tokio::test]
async fn a_second_job_of_a_key_replaces_the_waiting_one() {
    let world = World::empty().await;
    let first = world.add_at(&Probe::new("first", Act::Succeed).key("k"), NOON).await;
    let second = world.add_at(&Probe::new("second", Act::Succeed).key("k"), NOON + Duration::HOUR).await;
    assert_eq!(first, second, "the row stays");

    let report =
        rejoinder_app::queue::drain(&World::registry(), &world, &world.pool, NOON, NOON + Duration::DAY).await.unwrap();
    assert_eq!(world.runs().await, ["second 1"]);
    assert_eq!(report.ran[0].at, NOON + Duration::HOUR);
}

#[tokio::test]
async fn a_job_is_added_only_where_none_of_its_key_is_unfinished() {
    let world = World::empty().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let job = Probe::new("a", Act::Refuse).key("k");
    let first = enqueue_if_absent(&mut conn, &job, NOON, Some("req-1")).await.unwrap();
    assert!(first.is_some());
    let later = enqueue_if_absent(&mut conn, &job, NOON + Duration::HOUR, Some("req-1")).await.unwrap();
    assert_eq!(later, None);

    let report = rejoinder_app::queue::drain(&World::registry(), &world, &world.pool, NOON, NOON).await.unwrap();
    assert_eq!(report.dead.len(), 1, "the first one ran at its own time and failed");
    let again = enqueue_if_absent(&mut conn, &job, NOON, Some("req-1")).await.unwrap();
    assert!(again.is_some_and(|id| Some(id) != first), "a failed job does not stand in the way");
}

#[tokio::test]
async fn two_processes_that_add_a_key_at_once_add_one_job() {
    let world = World::empty().await;
    let job = Probe::new("a", Act::Succeed).key("k");
    let add = |world: World, job: Probe| async move {
        let mut tx = world.pool.begin().await.unwrap();
        let added = enqueue_if_absent(&mut tx, &job, NOON, None).await.unwrap();
        tx.commit().await.unwrap();
        u32::from(added.is_some())
    };
    let adding = (0..10).map(|_| tokio::spawn(add(world.clone(), job.clone())));
    let added: Vec<u32> = futures::future::try_join_all(adding).await.unwrap();
    assert_eq!(added.iter().sum::<u32>(), 1);
    assert_eq!(world.jobs().await, 1);
}

#[tokio::test]
async fn many_jobs_go_in_at_once_and_the_last_of_a_key_counts() {
    let world = World::empty().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let mut jobs: Vec<Probe> = (0..50).map(|n| Probe::new(&format!("n{n}"), Act::Succeed)).collect();
    jobs.push(Probe::new("early", Act::Succeed).key("k"));
    jobs.push(Probe::new("other", Act::Succeed).key("l"));
    jobs.push(Probe::new("late", Act::Succeed).key("k"));
    assert_eq!(enqueue_many(&mut conn, &jobs, NOON, Some("req-1")).await.unwrap().len(), 52);
    assert_eq!(enqueue_many::<World, Probe>(&mut conn, &[], NOON, None).await.unwrap().len(), 0);

    let report = rejoinder_app::queue::drain(&World::registry(), &world, &world.pool, NOON, NOON).await.unwrap();
    assert_eq!(report.ran.len(), 52);
    let runs = world.runs().await;
    assert!(runs.contains(&"late 1".to_owned()) && !runs.contains(&"early 1".to_owned()));
}

#[tokio::test]
async fn a_waiting_job_can_be_taken_back_by_its_key() {
    let world = World::empty().await;
    let mut conn = world.pool.acquire().await.unwrap();
    world.add_at(&Probe::new("a", Act::Succeed).key("k"), NOON).await;
    assert!(remove(&mut conn, "k").await.unwrap());
    assert!(!remove(&mut conn, "k").await.unwrap());
    assert_eq!(world.jobs().await, 0);
}

#[tokio::test]
async fn depth_tells_what_waits_and_for_how_long() {
    let world = World::empty().await;
    world.add_at(&Probe::new("old", Act::Succeed), NOON - Duration::minutes(5)).await;
    world.add_at(&Probe::new("due", Act::Succeed), NOON).await;
    world.add_at(&Probe::new("later", Act::Succeed), NOON + Duration::HOUR).await;
    let depths = depth(&World::registry(), &world.pool, NOON).await.unwrap();
    let [probe] = depths.as_slice() else { panic!("one name: {depths:?}") };
    assert_eq!((probe.name.as_str(), probe.class.unwrap().as_str()), ("test.probe", "upkeep"));
    assert_eq!((probe.ready, probe.waiting, probe.taken, probe.failed), (2, 1, 0, 0));
    assert_eq!(probe.oldest_ready, Some(std::time::Duration::from_secs(300)));
}
