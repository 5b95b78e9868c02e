//! What keeps an account a welcome guest. The only writer of `opt_outs` and `rule_pauses`.
//!
//! - A stranger who asks not to be answered is not answered any more, by nobody of the team (`opt_outs`).
//! - Where moderators take our replies down again and again, rules stop posting: in that community or with the account (`rule_pauses`).
//! - What the gate has to know of a reply beyond its account is read here (`Manners`): who asked for silence, who else of the team
//!   has answered, whether a rule may post at all.

pub mod opt_outs;
mod phrases;
pub mod rule_pauses;

use sqlx::PgConnection;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// What the gate looks at for one reply.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    /// As people write it ("r/espresso").
    pub community: Option<String>,
    /// Since when its author wants no answer.
    pub opted_out_at: Option<OffsetDateTime>,
    /// Another account of the team that answers the same text, or has.
    pub answered_by: Option<String>,
    /// Why rules post nothing there now.
    pub rules_paused: Option<String>,
    /// An admin has confirmed the platform's policy for the account.
    pub policy_confirmed: bool,
}

struct Row {
    id: Uuid,
    community: Option<String>,
    opted_out_at: Option<OffsetDateTime>,
    answered_by: Option<String>,
    rules_paused: Option<String>,
    policy_confirmed: bool,
}

/// Of each of these suggestions.
pub async fn of(conn: &mut PgConnection, suggestion_ids: &[Uuid]) -> Result<HashMap<Uuid, Manners>, sqlx::Error> {
    if suggestion_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query_as!(
        Row,
        r#"select s.id as "id!", p.community, i.policy_confirmed_at is not null as "policy_confirmed!",
                  (select o.noted_at from opt_outs o
                   where o.team_id = s.team_id and o.platform = i.platform and o.lifted_at is null
                     and o.author_key = case when s.comment_id is null then coalesce(p.author_platform_id, '@' || lower(p.author_handle))
                                             else coalesce(c.author_platform_id, '@' || lower(c.author_handle)) end) as opted_out_at,
                  (select other.display_name from reply_slots r
                   join suggestions theirs on theirs.id = r.suggestion_id and theirs.team_id = s.team_id
                   join integrations other on other.id = theirs.integration_id
                   where r.platform = i.platform and r.target_platform_id = s.target_platform_id
                     and r.account_id <> i.platform_account_id
                   order by r.taken_at limit 1) as answered_by,
                  (select rp.reason from rule_pauses rp
                   where rp.integration_id = s.integration_id and rp.lifted_at is null
                     and (rp.community is null or rp.community = p.community)
                   order by rp.community nulls first limit 1) as rules_paused
           from suggestions s
           join posts p on p.id = s.post_id
           join integrations i on i.id = s.integration_id
           left join comments c on c.id = s.comment_id
           where s.id = any($1)"#,
        suggestion_ids,
    )
    .fetch_all(conn)
    .await?;
    let manners = rows.into_iter().map(|row| {
        let manners = Manners {
            community: row.community,
            opted_out_at: row.opted_out_at,
            answered_by: row.answered_by,
            rules_paused: row.rules_paused,
            policy_confirmed: row.policy_confirmed,
        };
        (row.id, manners)
    });
    Ok(manners.collect())
}

/// Of two accounts of a team that want to answer the same text, the second sees the first: whoever arms holds this until the end.
pub async fn hold_targets(conn: &mut PgConnection, targets: &[String]) -> Result<(), sqlx::Error> {
    // In one order for all workers, so that two never wait for each other.
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended(target, 7265))
         from (select distinct target from unnest($1::text[]) as t (target) order by target) as ordered",
        targets,
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}
