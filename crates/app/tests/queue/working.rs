//! Workers on the wall clock.

use std::time::{Duration, Instant};

use rejoinder_app::queue::{Decision, enqueue, enqueue_many};

use crate::world::{Act, Count, ONE_EACH, Once, Probe, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_drains_and_every_job_runs_once() {
    const JOBS: usize = 10_000;
    let world = World::empty().await;
    let now = rejoinder_app::clock::Clock::System.now();
    let job = Count { due: now, work: Duration::ZERO };
    let mut conn = world.pool.acquire().await.unwrap();
    for _ in 0..JOBS / 1000 {
        enqueue_many(&mut conn, &vec![job.clone(); 1000], now, None).await.unwrap();
    }
    drop(conn);

    let began = Instant::now();
    let running = world.start().await;
    world.until_idle().await;
    let took = began.elapsed();
    running.shutdown(Duration::from_secs(10)).await;

    let counted = world.counted.lock().unwrap();
    assert_eq!(counted.len(), JOBS);
    assert!(counted.values().all(|runs| *runs == 1));
    println!("backlog: {JOBS} jobs in {took:?}, {:.0}/s", JOBS as f64 / took.as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_jobs_run_at_their_time_however_they_overlap() {
    let world = World::empty().await;
    let running = world.start().await;
    let start = rejoinder_app::clock::Clock::System.now() + Duration::from_secs(1);
    let mut conn = world.pool.acquire().await.unwrap();
    for n in 0..300u64 {
        let due = start + Duration::from_millis((n % 100) * 20);
        let work = Duration::from_millis(20);
        enqueue(&mut conn, &Count { due, work }, due, None).await.unwrap();
    }
    drop(conn);
    world.until_idle().await;
    running.shutdown(Duration::from_secs(10)).await;

    assert!(world.counted.lock().unwrap().values().all(|runs| *runs == 1));
    let mut late = world.late.lock().unwrap().clone();
    late.sort();
    assert_eq!(late.len(), 300);
    assert!(!late[0].is_negative(), "none ran early");
    println!("delayed: median {} late, latest {}", late[150], late[299]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_asks_for_a_later_time_gets_it_and_keeps_its_attempts() {
    let world = World::empty().await;
    let running = world.start().await;
    let many_tries = world.add(&Probe::new("many", Act::ComeBack(2500))).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let one_try = Once(Probe::new("one", Act::ComeBack(2500)));
    let one_try = enqueue(&mut conn, &one_try, rejoinder_app::clock::Clock::System.now(), Some("req-1")).await.unwrap();
    drop(conn);

    world
        .until(
            "both asked",
            "select count(*) = 2 from graphile_worker._private_jobs where locked_at is null and run_at > now()",
        )
        .await;
    for id in [many_tries, one_try] {
        let (attempts, _, _, failure) = world.job(id).await.unwrap();
        assert_eq!(attempts, 0);
        let failure = failure.unwrap();
        assert!(matches!(failure.decision, Decision::RetryAt(_)) && failure.reason == "the window is closed");
    }
    world.until_idle().await;
    running.shutdown(Duration::from_secs(10)).await;

    let mut runs = world.runs().await;
    runs.sort();
    assert_eq!(runs, ["many 1", "many 1", "one 1", "one 1"]);
    let waited: Vec<f64> =
        sqlx::query_scalar("select extract(epoch from max(at) - min(at))::float8 from runs group by job_id")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert!(waited.iter().all(|secs| (2.5..20.0).contains(secs)), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_retries_passing_trouble_and_ends_what_cannot_work() {
    let world = World::empty().await;
    let running = world.start().await;
    let refused = world.add(&Probe::new("refused", Act::Refuse)).await;
    let failing = world.add(&Probe::new("failing", Act::FailOnce)).await;
    world.until("the failing one is done", "select count(*) = 1 from graphile_worker._private_jobs").await;
    running.shutdown(Duration::from_secs(10)).await;

    assert!(world.job(failing).await.is_none());
    let (attempts, max, taken, failure) = world.job(refused).await.unwrap();
    let failure = failure.unwrap();
    assert_eq!((attempts, max, taken), (5, 5, false));
    assert_eq!((failure.decision, failure.reason.as_str()), (Decision::Permanent, "the post is \"gone\""));
    let mut runs = world.runs().await;
    runs.sort();
    assert_eq!(runs, ["failing 1", "failing 2", "refused 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_one_serial_queue_never_overlap_and_others_do() {
    let world = World::empty().await;
    let running = world.start().await;
    for n in 0..20 {
        world.add(&Probe::new(&format!("{n}"), Act::Succeed).queue("account-1")).await;
    }
    for account in ["account-2", "account-3", "account-4"] {
        world.add(&Probe::new(account, Act::Meet).queue(account)).await;
    }
    // Three jobs that each wait for the two others end only if they run at the same time.
    world.until_idle().await;
    running.shutdown(Duration::from_secs(10)).await;
    assert_eq!(world.runs().await.len(), 23);
    assert_eq!(world.busy.lock().unwrap()["account-1"], (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_the_running_job_finish_and_gives_the_others_back() {
    let world = World::empty().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let holding = vec![Once(Probe::new("held", Act::Hold)); 5];
    enqueue_many(&mut conn, &holding, rejoinder_app::clock::Clock::System.now(), Some("req-1")).await.unwrap();
    drop(conn);
    let running = world.start_with(ONE_EACH).await;
    world.until("one runs", "select count(*) = 1 from runs").await;

    let stopping = tokio::spawn(running.shutdown(Duration::from_secs(60)));
    world
        .until("the others are back", "select count(*) = 4 from graphile_worker._private_jobs where locked_at is null")
        .await;
    assert!(!stopping.is_finished(), "the running job is waited for");
    world.gate.add_permits(1);
    stopping.await.unwrap();

    assert_eq!((world.runs().await.len(), world.jobs().await), (1, 4));
    world
        .until(
            "all are whole",
            "select bool_and(attempts = 0 and locked_at is null) from graphile_worker._private_jobs",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_without_patience_interrupts_and_the_job_runs_again() {
    let world = World::empty().await;
    let id = world.add(&Probe::new("held", Act::Hold)).await;
    let running = world.start().await;
    world.until("it runs", "select count(*) = 1 from runs").await;
    running.shutdown(Duration::ZERO).await;

    let (attempts, _, taken, failure) = world.job(id).await.unwrap();
    assert_eq!((attempts, taken, failure.unwrap().decision), (0, false, Decision::Interrupted));
    world.gate.add_permits(1);
    let next = world.start().await;
    world.until_idle().await;
    next.shutdown(Duration::from_secs(10)).await;
    assert_eq!(world.runs().await, ["held 1", "held 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_dropped_stops_and_gives_its_jobs_back() {
    let world = World::empty().await;
    world.add(&Probe::new("held", Act::Hold)).await;
    let running = world.start().await;
    world.until("it runs", "select count(*) = 1 from runs").await;
    drop(running);
    world
        .until("it is back", "select bool_and(locked_at is null and attempts = 0) from graphile_worker._private_jobs")
        .await;
    world.until("no worker is left", "select not exists (select from graphile_worker._private_workers where last_heartbeat_at > now() - interval '2 seconds')").await;
    assert_eq!(world.runs().await, ["held 1"], "nobody took it again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_replaced_while_it_runs_is_not_tried_again_and_the_new_one_runs() {
    let world = World::empty().await;
    let running = world.start().await;
    let old = world.add(&Probe::new("old", Act::Hold).key("k")).await;
    world.until("it runs", "select count(*) = 1 from runs").await;
    let new = world.add(&Probe::new("new", Act::Succeed).key("k")).await;
    assert_ne!(old, new);
    world.gate.add_permits(1);
    world.until_idle().await;
    running.shutdown(Duration::from_secs(10)).await;
    assert_eq!(world.runs().await, ["old 1", "new 1"]);
}
