//! What platforms charge for, counted per team and month of UTC, and held against the team's budget. The only writer of
//! `platform_usage`, `platform_charges` and `platform_holds`.
//!
//! Acts here: every call of an adapter whose platform charges, through `Permits`, and the end of a send. Units are stored, money is
//! not: prices are the adapter's. A call that reads sets aside before it goes what the largest answer would cost, so that the budget
//! is never passed, however many read at once.
//!
//! What can go wrong: a process dies between an answer and its counting. It reads the same again, as a rule on the same day, which
//! costs nothing more and is counted then; what it had set aside is free again after a minute.

use rejoinder_platforms::{Charge, Hold, Unpaid, tariff};
use sqlx::{PgConnection, PgPool};
use time::{Date, Duration, Month, OffsetDateTime, Time, UtcOffset};
use uuid::Uuid;

/// Longer than a call can take.
const HOLD: Duration = Duration::seconds(60);
const MICRO_USD_PER_CENT: u64 = 10_000;

/// Whose charges they are.
#[derive(Debug, Clone, Copy)]
pub struct Payer<'a> {
    pub team_id: Uuid,
    pub platform: &'a str,
    /// Of the app: platforms charge by it.
    pub client_id: &'a str,
}

/// Units of one kind in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub platform: String,
    pub kind: String,
    pub units: i64,
}

impl Line {
    pub fn micro_usd(&self) -> u64 {
        let price = tariff(&self.platform).map_or(0, |tariff| tariff.micro_usd(&self.kind));
        price.saturating_mul(u64::try_from(self.units).unwrap_or(0))
    }
}

/// The first day of the month of UTC that `now` lies in.
pub fn month_of(now: OffsetDateTime) -> Date {
    let today = now.to_offset(UtcOffset::UTC).date();
    today.replace_day(1).unwrap_or(today)
}

/// When the next month begins.
pub fn next_month(now: OffsetDateTime) -> OffsetDateTime {
    let this = month_of(now);
    let year = if this.month() == Month::December { this.year() + 1 } else { this.year() };
    let next = Date::from_calendar_date(year, this.month().next(), 1).unwrap_or(this);
    next.with_time(Time::MIDNIGHT).assume_utc()
}

/// What the team used in a month.
pub async fn lines(conn: &mut PgConnection, team_id: Uuid, month: Date) -> Result<Vec<Line>, sqlx::Error> {
    sqlx::query_as!(
        Line,
        "select platform, kind, units from platform_usage where team_id = $1 and month = $2 order by platform, kind",
        team_id,
        month,
    )
    .fetch_all(conn)
    .await
}

/// Sets aside what a call may cost at most, where the team has a budget.
pub(super) async fn afford(
    pool: &PgPool,
    team_id: Uuid,
    most_micro_usd: u64,
    now: OffsetDateTime,
) -> Result<Hold, Unpaid> {
    let held = hold(pool, team_id, most_micro_usd, now).await;
    held.unwrap_or_else(|error| Err(Unpaid::Unknown(format!("the month's budget could not be looked at: {error}"))))
}

async fn hold(
    pool: &PgPool,
    team_id: Uuid,
    most_micro_usd: u64,
    now: OffsetDateTime,
) -> Result<Result<Hold, Unpaid>, sqlx::Error> {
    let unlimited = sqlx::query_scalar!("select platform_budget_cents from team_settings where team_id = $1", team_id);
    if unlimited.fetch_one(pool).await?.is_none() {
        return Ok(Ok(Hold::default()));
    }
    let mut tx = pool.begin().await?;
    // One call of the team at a time looks and sets aside.
    let cents = sqlx::query_scalar!(
        "select platform_budget_cents from team_settings where team_id = $1 for no key update",
        team_id,
    );
    let Some(cents) = cents.fetch_one(&mut *tx).await? else { return Ok(Ok(Hold::default())) };
    let budget = u64::try_from(cents).unwrap_or(0) * MICRO_USD_PER_CENT;
    let spent: u64 = lines(&mut tx, team_id, month_of(now)).await?.iter().map(Line::micro_usd).sum();
    if spent.saturating_add(most_micro_usd) > budget {
        let retry_after = (next_month(now) - now).try_into().unwrap_or(std::time::Duration::ZERO);
        return Ok(Err(Unpaid::OverBudget { retry_after }));
    }
    let held = sqlx::query_scalar!(
        r#"select coalesce(sum(micro_usd), 0)::bigint as "held!" from platform_holds where team_id = $1 and until > $2"#,
        team_id,
        now,
    )
    .fetch_one(&mut *tx)
    .await?;
    if spent.saturating_add(most_micro_usd).saturating_add(u64::try_from(held).unwrap_or(0)) > budget {
        let reason = "other calls of the team may cost what is left of the month's budget".to_owned();
        return Ok(Err(Unpaid::Unknown(reason)));
    }
    let id = sqlx::query_scalar!(
        "insert into platform_holds (team_id, micro_usd, until) values ($1, $2, $3) returning id",
        team_id,
        i64::try_from(most_micro_usd).unwrap_or(i64::MAX),
        now + HOLD,
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Ok(Hold(Some(id))))
}

/// A call is over: what it is charged for is counted, what was set aside is free.
pub(super) async fn settle(
    pool: &PgPool,
    payer: Payer<'_>,
    hold: Hold,
    charges: &[Charge],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    count(&mut tx, payer, charges, now).await?;
    if let Some(id) = hold.0 {
        sqlx::query!("delete from platform_holds where id = $1 and team_id = $2", id, payer.team_id)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await
}

/// Counts, on the caller's transaction, what was not charged for today already.
pub async fn count(
    conn: &mut PgConnection,
    payer: Payer<'_>,
    charges: &[Charge],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    if charges.is_empty() {
        return Ok(());
    }
    let (kinds, things): (Vec<String>, Vec<String>) =
        charges.iter().map(|charge| (charge.kind.to_owned(), charge.thing.clone())).unzip();
    sqlx::query!(
        "with fresh as (
             insert into platform_charges (platform, client_id, day, kind, thing, team_id)
             select distinct $1::text, $2::text, $3::date, kind, thing, $4::uuid
             from unnest($5::text[], $6::text[]) as charged (kind, thing) order by kind, thing
             on conflict do nothing
             returning kind
         )
         insert into platform_usage (team_id, platform, month, kind, units)
         select $4, $1, $7, kind, count(*) from fresh group by kind order by kind
         on conflict on constraint platform_usage_pkey do update set units = platform_usage.units + excluded.units",
        payer.platform,
        payer.client_id,
        now.to_offset(UtcOffset::UTC).date(),
        payer.team_id,
        &kinds,
        &things,
        month_of(now),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Things of days that are over, and what the dead had set aside.
pub async fn forget_old(conn: &mut PgConnection, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    let yesterday = (now - Duration::DAY).to_offset(UtcOffset::UTC).date();
    sqlx::query!("delete from platform_charges where day < $1", yesterday).execute(&mut *conn).await?;
    sqlx::query!("delete from platform_holds where until < $1", now - HOLD).execute(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::{date, datetime};

    #[test]
    fn a_month_is_one_of_utc_and_december_leads_into_the_next_year() {
        assert_eq!(month_of(datetime!(2026-12-01 00:30 +2)), date!(2026 - 11 - 01));
        assert_eq!(next_month(datetime!(2026-11-30 23:59 UTC)), datetime!(2026-12-01 0:00 UTC));
        assert_eq!(next_month(datetime!(2026-12-31 23:59 UTC)), datetime!(2027-01-01 0:00 UTC));
    }

    #[test]
    fn units_of_a_platform_that_charges_nothing_cost_nothing() {
        let line = |platform: &str| Line { platform: platform.to_owned(), kind: "post_read".to_owned(), units: 3 };
        assert_eq!((line("x").micro_usd(), line("reddit").micro_usd()), (15_000, 0));
    }
}
