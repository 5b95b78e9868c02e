//! More people for a team: each with a name and a session of their own.

use crate::world::Team;
use anyhow::Result;
use rejoinder_app::accounts::{sessions, users};
use rejoinder_app::clock::{Clock, Entropy, Moment};
use secrecy::ExposeSecret;
use sqlx::PgPool;
use uuid::Uuid;

#[derive(Debug)]
pub struct Person {
    pub user_id: Uuid,
    pub name: String,
    /// Session token.
    pub session: String,
}

/// So many editors join the team.
pub async fn join(pool: &PgPool, team: &Team, count: usize, seed: u64) -> Result<Vec<Person>> {
    let entropy = Entropy::seeded(seed ^ 0x7065_6f70_6c65);
    let moment = Moment::new(&Clock::System, &entropy);
    let mut tx = pool.begin().await?;
    let mut people = Vec::new();
    for number in 0..count {
        let (user_id, name, email) = (moment.id(), format!("Editor {number}"), format!("editor{number}@bench.example"));
        let user = users::NewUser { id: user_id, email: Some(&email), name: &name, password_hash: None };
        users::create(&mut tx, user, moment.now).await?;
        sqlx::query(
            "insert into team_members (id, team_id, user_id, role, accepted_at) values ($1, $2, $3, 'editor', $4)",
        )
        .bind(moment.id())
        .bind(team.id)
        .bind(user_id)
        .bind(moment.now)
        .execute(&mut *tx)
        .await?;
        let session = sessions::create(&mut tx, user_id, moment.now, &entropy).await?;
        people.push(Person { user_id, name, session: session.token.expose_secret().to_owned() });
    }
    tx.commit().await?;
    Ok(people)
}
