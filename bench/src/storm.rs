//! Two hundred people decide on the same fifty suggestions at the same time: most approve, some edit, some take the approval of somebody
//! else back. Every approval that was answered well is one that happened; whoever lost is told who was first and when; and in the end
//! each suggestion has one approval that stands, and one reply.
//!
//! An edit or an undo may leave a suggestion without an approval. Then all of them approve what stands there now, and one wins.

use crate::api::{Answer, Api};
use crate::home::Home;
use crate::people::{self, Person};
use crate::process::Program;
use crate::rng::Rng;
use crate::rows::{self, Row};
use crate::truth;
use crate::words;
use crate::world::{Size, World};
use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use reqwest::Method;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, ClapArgs)]
pub struct Args {
    #[arg(long, default_value_t = 50)]
    suggestions: usize,
    #[arg(long, default_value_t = 200)]
    clients: usize,
    #[arg(long, default_value_t = 10)]
    integrations: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Approve,
    Edit,
    Undo,
}

/// What one person did and was told.
struct Deed {
    person: usize,
    suggestion: usize,
    act: Act,
    answer: Answer,
}

pub async fn run(args: Args, program: Program) -> Result<()> {
    let settings = [("RUST_LOG", "info,sqlx=warn,graphile_worker=error".to_owned())];
    let home = Home::open(program, args.seed, &settings).await?;
    let result = drive(&home, &args).await;
    home.explain(result)?;
    home.close().await
}

async fn drive(home: &Home, args: &Args) -> Result<()> {
    let size = Size { suggestions: args.suggestions, integrations: args.integrations, teams: 1, polled: false };
    let world = Arc::new(World::seed(home, args.seed, size).await.context("the world could not be made")?);
    let people = Arc::new(people::join(&home.pool, &world.teams[0], args.clients, args.seed).await?);
    let processes =
        [home.serve("server", "api,worker,scheduler").await?, home.serve("worker-1", "worker,scheduler").await?];
    let storm = Storm { api: Api::new(home.base())?, world: world.clone(), people };
    let began = Instant::now();
    let mut deeds = storm.all_at_once(&versions(home).await?, args.seed, true).await?;
    let mut rounds = 1;
    loop {
        let open = versions(home).await?;
        if open.is_empty() {
            break;
        }
        deeds.extend(storm.all_at_once(&open, args.seed, false).await?);
        rounds += 1;
    }
    let took = began.elapsed();
    until_all_posted(home, args).await?;
    let told = storm.judge(home, &deeds).await?;
    for process in processes {
        process.stop().await?;
    }
    println!(
        "{} people decided on {} suggestions in {:.1} s, {rounds} rounds",
        args.clients,
        args.suggestions,
        took.as_secs_f64()
    );
    println!("{told}");
    Ok(())
}

/// The pending suggestions and the version of each.
async fn versions(home: &Home) -> Result<HashMap<Uuid, i32>> {
    let rows = rows::suggestions(&home.pool).await?;
    Ok(rows.into_iter().filter(|row| row.status == "pending").map(|row| (row.id, row.version)).collect())
}

async fn until_all_posted(home: &Home, args: &Args) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while rows::posted(&home.pool).await? < args.suggestions {
        if Instant::now() > deadline {
            bail!("not all of the {} suggestions were posted within {} s", args.suggestions, PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

struct Storm {
    api: Api,
    world: Arc<World>,
    people: Arc<Vec<Person>>,
}

impl Storm {
    /// Everybody acts once on each of the given suggestions, all on the same one at the same time. `mixed`: some edit, some undo.
    async fn all_at_once(&self, versions: &HashMap<Uuid, i32>, seed: u64, mixed: bool) -> Result<Vec<Deed>> {
        let barrier = Arc::new(Barrier::new(self.people.len()));
        let mut crowd = JoinSet::new();
        for person in 0..self.people.len() {
            let (api, world, people, barrier) =
                (self.api.clone(), self.world.clone(), self.people.clone(), barrier.clone());
            let versions = versions.clone();
            crowd.spawn(async move {
                let mut rng = Rng::new(seed).fork(&format!("person {person}"));
                let mut deeds = Vec::new();
                for (number, suggestion) in world.suggestions.iter().enumerate() {
                    let Some(version) = versions.get(&suggestion.id) else { continue };
                    let act = if mixed { *rng.pick(&ACTS) } else { Act::Approve };
                    let text = words::reply(&mut rng, 1_000_000 + person * 1_000 + number);
                    barrier.wait().await;
                    let answer = act.perform(&api, &people[person].session, suggestion.id, *version, &text).await?;
                    deeds.push(Deed { person, suggestion: number, act, answer });
                }
                anyhow::Ok(deeds)
            });
        }
        let mut deeds = Vec::new();
        while let Some(done) = crowd.join_next().await {
            deeds.extend(done??);
        }
        Ok(deeds)
    }

    /// Holds what was answered against what stands there. Returns what to print.
    async fn judge(&self, home: &Home, deeds: &[Deed]) -> Result<String> {
        let rows: HashMap<Uuid, Row> =
            rows::suggestions(&home.pool).await?.into_iter().map(|row| (row.id, row)).collect();
        let logged = logged(home).await?;
        let replies = truth::replies(&home.control, &self.world);
        let (mut winners, mut undone) = (0, 0);
        for (number, suggestion) in self.world.suggestions.iter().enumerate() {
            let of = |act| deeds.iter().filter(move |deed| deed.suggestion == number && deed.act == act);
            let won: Vec<&Deed> = of(Act::Approve).filter(|deed| deed.answer.status == 200).collect();
            let count = |kind: &str| logged.get(&(suggestion.id, kind.to_owned())).copied().unwrap_or_default();
            let (approved, taken_back) = (count("suggestion.approved"), count("suggestion.undone"));
            if won.len() != approved || approved != taken_back + 1 {
                bail!(
                    "{}: {} were told that they approved, {approved} approvals and {taken_back} undos are on record",
                    suggestion.id,
                    won.len()
                );
            }
            let row = rows.get(&suggestion.id).with_context(|| format!("the row of {} is gone", suggestion.id))?;
            let winner = won.iter().find(|deed| Some(self.people[deed.person].user_id) == row.approved_by);
            let there = replies.get(&suggestion.target).map(Vec::as_slice).unwrap_or_default();
            if winner.is_none() || there.len() != 1 || Some(&there[0].text) != row.text.as_ref() {
                bail!(
                    "{}: {} replies; approved by {:?}; text {:?}",
                    suggestion.id,
                    there.len(),
                    row.approved_by,
                    row.text
                );
            }
            winners += won.len() - taken_back;
            undone += taken_back;
        }
        let lost = self.judge_losers(deeds)?;
        let written: usize = replies.values().map(Vec::len).sum();
        if written != winners {
            bail!("{winners} approvals stand, {written} replies were written");
        }
        Ok(format!(
            "{winners} winners, one per suggestion, = {written} replies ({undone} approvals were taken back before they went out)\n\
                    {lost} losers, each told who was first and when"
        ))
    }

    /// Whoever lost got 409 with a name and a time. Returns how many lost.
    fn judge_losers(&self, deeds: &[Deed]) -> Result<usize> {
        let names: Vec<String> = self.people.iter().map(|person| format!(" by {} at 20", person.name)).collect();
        let mut lost = 0;
        for deed in deeds {
            let detail = deed.answer.detail();
            match deed.answer.status {
                200 => {}
                409 if names.iter().any(|name| detail.contains(name)) || detail.contains(" by Rejoinder at 20") => {
                    lost += 1
                }
                status => bail!("{:?} was answered {status}: {detail:?} {}", deed.act, deed.answer.body),
            }
        }
        Ok(lost)
    }
}

/// Of ten people one edits and one takes back.
const ACTS: [Act; 10] = {
    let mut acts = [Act::Approve; 10];
    acts[8] = Act::Edit;
    acts[9] = Act::Undo;
    acts
};

impl Act {
    async fn perform(self, api: &Api, session: &str, id: Uuid, version: i32, text: &str) -> reqwest::Result<Answer> {
        let path = format!("/api/suggestions/{id}");
        match self {
            Self::Approve => {
                api.post(session, &format!("{path}/approve"), &json!({ "auto_post": true, "version": version })).await
            }
            Self::Edit => {
                let body = json!({ "text": text, "version": version });
                api.ask(Method::PATCH, session, &path, Some(&body)).await
            }
            Self::Undo => api.post(session, &format!("{path}/undo"), &json!({})).await,
        }
    }
}

/// How often each kind of entry stands in the log of each suggestion.
async fn logged(home: &Home) -> Result<HashMap<(Uuid, String), usize>> {
    let counts: Vec<(Uuid, String, i64)> =
        sqlx::query_as("select subject_id, type, count(*) from activity_logs group by subject_id, type")
            .fetch_all(&home.pool)
            .await?;
    counts.into_iter().map(|(id, kind, count)| Ok(((id, kind), usize::try_from(count)?))).collect()
}
