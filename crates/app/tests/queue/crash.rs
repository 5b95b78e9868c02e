//! Killed processes, a restarted Postgres, a stuck worker.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rejoinder_app::queue::{Class, Decision};
use sqlx::{AssertSqlSafe, Executor};

use crate::cluster::{self, Cluster};
use crate::world::{Act, ONE_EACH, Probe, World};

fn child(world: &World) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child_worker", "--exact"])
        .env("QUEUE_CHILD_DATABASE", cluster::url(&world.pool))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_held_runs_again_elsewhere() {
    let world = World::empty().await;
    world.add(&Probe::new("running", Act::HangInChild)).await;
    for n in 0..5 {
        world.add(&Probe::new(&format!("fetched-{n}"), Act::Succeed)).await;
    }
    let mut child = child(&world);
    world.until("the child runs one", "select count(*) = 1 from runs where child").await;
    world
        .until("the child holds all", "select bool_and(locked_at is not null) from graphile_worker._private_jobs")
        .await;
    child.kill().unwrap();
    child.wait().unwrap();

    let running = world.start().await;
    world.until_idle().await;
    running.shutdown(Duration::from_secs(10)).await;
    let mut runs = world.runs().await;
    runs.sort();
    assert_eq!(
        runs,
        ["fetched-0 1", "fetched-1 1", "fetched-2 1", "fetched-3 1", "fetched-4 1", "running 1", "running 1"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serial_queue_that_a_dead_worker_left_taken_without_a_job_is_freed() {
    let world = World::empty().await;
    world.add(&Probe::new("waiting", Act::Succeed).queue("one")).await;
    // As a stop in the wrong moment leaves it: the job was moved, its queue was not let go.
    let taken = "update graphile_worker._private_job_queues set locked_by = 'gone', locked_at = '2026-01-01 UTC'";
    sqlx::query(taken).execute(&world.pool).await.unwrap();
    let running = world.start().await;
    world.until_idle().await;
    running.shutdown(Duration::from_secs(10)).await;
    assert_eq!(world.runs().await, ["waiting 1"]);
}

/// Recovery cannot tell a stalled process from a dead one: the job runs twice, and nothing else goes wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_only_stalled_goes_on_after_its_job_ran_elsewhere() {
    let world = World::empty().await;
    world.add(&Probe::new("stalled", Act::AwaitAnotherInChild)).await;
    let mut child = child(&world);
    world.until("the child runs it", "select count(*) = 1 from runs").await;
    let pid = Pid::from_raw(child.id().cast_signed());
    kill(pid, Signal::SIGSTOP).unwrap();

    let running = world.start().await;
    world.until_idle().await;
    running.shutdown(Duration::from_secs(10)).await;
    assert_eq!(world.runs().await, ["stalled 1", "stalled 1"]);

    kill(pid, Signal::SIGCONT).unwrap();
    world.add(&Probe::new("next", Act::HangInChild)).await;
    world.until("the child takes the next", "select count(*) = 3 from runs").await;
    let by_child: Vec<bool> =
        sqlx::query_scalar("select child from runs order by id").fetch_all(&world.pool).await.unwrap();
    assert_eq!(by_child, [true, false, true]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_kills_its_process_each_time_ends_as_failed() {
    let world = World::empty().await;
    let poison = world.add(&Probe::new("poison", Act::Die)).await;
    world.add(&Probe::new("innocent", Act::Succeed)).await;
    for _ in 0..4 {
        let mut dying = child(&world);
        let ended = tokio::task::spawn_blocking(move || dying.wait().unwrap()).await.unwrap();
        assert!(!ended.success());
    }
    let mut last = child(&world);
    world
        .until(
            "the job is given up",
            "select count(*) = 1 and bool_and(attempts = max_attempts and locked_at is null) from graphile_worker._private_jobs",
        )
        .await;
    assert!(last.try_wait().unwrap().is_none(), "the fifth process lives");
    last.kill().unwrap();
    last.wait().unwrap();

    let (_, _, _, failure) = world.job(poison).await.unwrap();
    let failure = failure.unwrap();
    assert_eq!(failure.decision, Decision::Permanent);
    assert_eq!(failure.reason, "the process died 4 times while it ran this job");
    let mut runs = world.runs().await;
    runs.sort();
    assert_eq!(runs, ["innocent 1", "poison 1", "poison 1", "poison 1", "poison 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_survive_a_restart_of_postgres_and_listen_again() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let world = World::new(cluster.database().await);
    let running = world.start().await;
    world.add(&Probe::new("before", Act::Succeed)).await;
    let held = world.add(&Probe::new("during", Act::Hold)).await;
    world.until("one is done, one runs", "select count(*) = 2 from runs").await;
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.restart();
        cluster
    })
    .await
    .unwrap();
    world.gate.add_permits(2);
    world.until("Postgres is back", "select true").await;
    world.add(&Probe::new("after", Act::Succeed)).await;
    world.until_idle().await;
    assert!(world.job(held).await.is_none());
    world
        .until(
            "the new workers listen",
            "select count(*) = 2 from pg_stat_activity where datname = current_database() and query ilike 'listen%'",
        )
        .await;
    assert!(running.restarts(Class::Upkeep) >= 1);
    running.shutdown(Duration::from_secs(10)).await;
    let runs = world.runs().await;
    assert!(runs.contains(&"after 1".to_owned()), "{runs:?}");
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_takes_nothing_any_more_is_replaced() {
    let world = World::empty().await;
    let running = world.start_with(ONE_EACH).await;
    world.add(&Probe::new("first", Act::Succeed)).await;
    world.until_idle().await;
    // From now on every fetch of the present workers hangs; a new worker has a new id and is not touched.
    let old: Vec<String> =
        sqlx::query_scalar("select id from graphile_worker._private_workers").fetch_all(&world.pool).await.unwrap();
    let hang = format!(
        "create function hang() returns trigger language plpgsql as
           $$ begin if new.locked_by in ('{}') then perform pg_sleep(20); end if; return new; end $$;
         create trigger hang before update on graphile_worker._private_jobs for each row execute function hang()",
        old.join("', '"),
    );
    world.pool.execute(AssertSqlSafe(hang)).await.unwrap();

    let stuck = world.add(&Probe::new("stuck", Act::Succeed)).await;
    world.until("the fetch hangs", "select count(*) > 0 from pg_stat_activity where wait_event = 'PgSleep'").await;
    world.add(&Probe::new("second", Act::Succeed)).await;
    world.until("a new worker runs it", "select count(*) = 1 from runs where note = 'second'").await;
    assert!(running.restarts(Class::Upkeep) >= 1);
    world.until_idle().await;
    assert!(world.job(stuck).await.is_none(), "nothing is lost");
    running.shutdown(Duration::from_secs(10)).await;
}
