//! What arming takes from the common store: a place under the caps and the account's next moment. All by conditional statements on
//! the caller's transaction, so that any number of workers together never take more than there is.

use super::gate::{self, Answer, Rules};
use super::situation::Situation;
use crate::flow::suggestion::Suggestion;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap, HashSet};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// The scope of the whole installation.
const INSTANCE: Uuid = Uuid::nil();

/// The days whose counters hold a place for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    pub day: Date,
    /// None: the installation has no cap.
    pub instance_day: Option<Date>,
}

/// For each suggestion its place, or the answer of the gate. One place at most per account where a gap is kept.
pub async fn reserve(
    conn: &mut PgConnection,
    rules: &Rules,
    wanted: &[(&Suggestion, &Situation)],
    now: OffsetDateTime,
) -> Result<HashMap<Uuid, Result<Reserved, Answer>>, sqlx::Error> {
    let paced = take_turns(conn, rules, wanted, now).await?;
    let mut answers: HashMap<Uuid, Result<Reserved, Answer>> = HashMap::new();
    let mut left = Vec::new();
    for &(suggestion, situation) in wanted {
        match paced.get(&suggestion.id) {
            Some(answer) => drop(answers.insert(suggestion.id, Err(answer.clone()))),
            None => left.push((suggestion, situation)),
        }
    }
    let counted = count(conn, rules, &left).await?;
    let mut over: BTreeMap<(Uuid, Date), i64> = BTreeMap::new();
    let mut used_here: HashMap<(Uuid, Date), i64> = HashMap::new();
    for (suggestion, situation) in left {
        let team = (situation.integration.team_id, situation.day);
        let instance = (INSTANCE, situation.instance_day);
        let place = |scope: (Uuid, Date), used_here: &HashMap<(Uuid, Date), i64>| {
            // The statement counted all of this round; this one is the next of those before the round.
            let (after, of_round) = counted.get(&scope).copied().unwrap_or((0, 0));
            after - of_round + used_here.get(&scope).copied().unwrap_or(0)
        };
        let team_cap = rules.cap_for(suggestion, situation);
        let answer = if let Some(cap) = team_cap.filter(|cap| place(team, &used_here) >= *cap) {
            Err(gate::over_team_cap(cap, situation))
        } else if let Some(cap) = rules.instance_cap.filter(|cap| place(instance, &used_here) >= i64::from(*cap)) {
            Err(gate::over_instance_cap(cap, situation))
        } else {
            let instance_day = rules.instance_cap.map(|_| situation.instance_day);
            Ok(Reserved { day: situation.day, instance_day })
        };
        let scopes = [Some(team), rules.instance_cap.map(|_| instance)];
        for scope in scopes.into_iter().flatten() {
            let counter =
                if answer.is_ok() { used_here.entry(scope).or_default() } else { over.entry(scope).or_default() };
            *counter += 1;
        }
        answers.insert(suggestion.id, answer);
    }
    give_back(conn, &over).await?;
    Ok(answers)
}

/// Moves each account's next moment; whoever does not get it is told when.
async fn take_turns(
    conn: &mut PgConnection,
    rules: &Rules,
    wanted: &[(&Suggestion, &Situation)],
    now: OffsetDateTime,
) -> Result<HashMap<Uuid, Answer>, sqlx::Error> {
    let mut turns: BTreeMap<Uuid, OffsetDateTime> = BTreeMap::new();
    let mut first: HashSet<Uuid> = HashSet::new();
    for (suggestion, situation) in wanted {
        let gap = rules.gap_for(situation);
        if gap.is_positive() && turns.insert(situation.integration.id, now + gap).is_none() {
            first.insert(suggestion.id);
        }
    }
    if turns.is_empty() {
        return Ok(HashMap::new());
    }
    let taken = sqlx::query_scalar!(
        "insert into send_pacing as p (integration_id, next_at)
         select integration_id, next_at from unnest($1::uuid[], $2::timestamptz[]) as turn (integration_id, next_at)
         on conflict on constraint send_pacing_pkey do update set next_at = excluded.next_at, reason = null where p.next_at <= $3
         returning integration_id",
        &turns.keys().copied().collect::<Vec<_>>(),
        &turns.values().copied().collect::<Vec<_>>(),
        now,
    )
    .fetch_all(conn)
    .await?;
    let taken: HashSet<Uuid> = taken.into_iter().collect();
    let mut answers = HashMap::new();
    for (suggestion, situation) in wanted {
        let Some(next_at) = turns.get(&situation.integration.id) else { continue };
        if taken.contains(&situation.integration.id) && first.contains(&suggestion.id) {
            continue;
        }
        let at = situation.next_at.filter(|at| *at > now).unwrap_or(*next_at);
        answers.insert(suggestion.id, Answer::WaitUntil { at, reason: gate::pace_reason(situation) });
    }
    Ok(answers)
}

/// Counts all of them and gives for each counter what it says now and how much of that is of this round. The rows stay held.
async fn count(
    conn: &mut PgConnection,
    rules: &Rules,
    wanted: &[(&Suggestion, &Situation)],
) -> Result<HashMap<(Uuid, Date), (i64, i64)>, sqlx::Error> {
    let mut counts: BTreeMap<(Uuid, Date), i64> = BTreeMap::new();
    for (_, situation) in wanted {
        *counts.entry((situation.integration.team_id, situation.day)).or_default() += 1;
        if rules.instance_cap.is_some() {
            *counts.entry((INSTANCE, situation.instance_day)).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        "insert into usage_counters as c (scope_id, metric, day, used)
         select scope_id, 'replies', day, n from unnest($1::uuid[], $2::date[], $3::bigint[]) as one (scope_id, day, n)
         on conflict on constraint usage_counters_pkey do update set used = c.used + excluded.used
         returning scope_id, day, used",
        &counts.keys().map(|(scope, _)| *scope).collect::<Vec<_>>(),
        &counts.keys().map(|(_, day)| *day).collect::<Vec<_>>(),
        &counts.values().copied().collect::<Vec<_>>(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.scope_id, row.day), (row.used, counts[&(row.scope_id, row.day)]))).collect())
}

/// Takes reservations back: nothing of them was posted.
pub async fn give_back(conn: &mut PgConnection, over: &BTreeMap<(Uuid, Date), i64>) -> Result<(), sqlx::Error> {
    if over.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update usage_counters c set used = greatest(c.used - one.n, 0)
         from unnest($1::uuid[], $2::date[], $3::bigint[]) as one (scope_id, day, n)
         where c.scope_id = one.scope_id and c.day = one.day and c.metric = 'replies'",
        &over.keys().map(|(scope, _)| *scope).collect::<Vec<_>>(),
        &over.keys().map(|(_, day)| *day).collect::<Vec<_>>(),
        &over.values().copied().collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The counters that held places for these attempts.
pub fn places(attempts: impl Iterator<Item = (Uuid, Option<Date>, Option<Date>)>) -> BTreeMap<(Uuid, Date), i64> {
    let mut places = BTreeMap::new();
    for (team_id, day, instance_day) in attempts {
        if let Some(day) = day {
            *places.entry((team_id, day)).or_default() += 1;
        }
        if let Some(day) = instance_day {
            *places.entry((INSTANCE, day)).or_default() += 1;
        }
    }
    places
}

/// The platform asked for a pause: nothing of this account, or of all accounts of the platform, goes out before.
pub async fn slow_down(
    conn: &mut PgConnection,
    platform: &str,
    integration_id: Option<Uuid>,
    until: OffsetDateTime,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into send_pacing as p (integration_id, next_at, reason)
         select id, $3, $4 from integrations where platform = $1 and ($2::uuid is null or id = $2) and state <> 'disconnected' order by id
         on conflict on constraint send_pacing_pkey do update set next_at = excluded.next_at, reason = excluded.reason
         where p.next_at < excluded.next_at",
        platform,
        integration_id,
        until,
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}
