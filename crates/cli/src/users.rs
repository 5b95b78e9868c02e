//! `rejoinder users`: for the operator, when somebody is locked out or nobody is an admin any more. It needs the database and nothing
//! else, so it works beside a running server and without one. A link that it prints opens an account: it goes to stdout alone.

use crate::database::{self, Reach};
use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use rejoinder_app::accounts::operator::{self, OperatorError, PersonRow, TeamRow};
use rejoinder_app::accounts::password_resets;
use rejoinder_app::accounts::users::{self, CreateError, User};
use rejoinder_app::clock::{Clock, Entropy, Moment};
use rejoinder_app::config::Config;
use rejoinder_app::lifecycle::Database;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everybody who has an account here.
    #[command(after_help = "Example:\n  rejoinder users list\n  rejoinder users list --json")]
    List(Common),
    /// Make an account and print the link with which its owner sets the password.
    #[command(after_help = "Example:\n  rejoinder users create ana@example.com --name \"Ana Lima\"")]
    Create {
        email: String,
        #[arg(long)]
        name: String,
        #[command(flatten)]
        common: Common,
    },
    /// Print a link that sets a new password; it works once, for one hour.
    #[command(
        after_help = "The password of now works until the link is used.\n\nExample:\n  rejoinder users reset-password ana@example.com"
    )]
    ResetPassword(Whom),
    /// Take the second step of signing in away, for somebody who lost telephone and recovery codes.
    #[command(after_help = "Example:\n  rejoinder users reset-totp ana@example.com")]
    ResetTotp(Whom),
    /// End all sessions of a person.
    #[command(after_help = "Example:\n  rejoinder users sign-out ana@example.com")]
    SignOut(Whom),
    /// Make a person an admin of a team.
    #[command(
        after_help = "Without --team: of the only team.\n\nExample:\n  rejoinder users make-admin ana@example.com --team 0195f3a0-0000-7000-8000-000000000001"
    )]
    MakeAdmin {
        email: String,
        #[arg(long, value_name = "ID")]
        team: Option<Uuid>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
pub struct Whom {
    email: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub struct Common {
    #[command(flatten)]
    reach: Reach,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

/// What a command has to say: for people and for scripts.
struct Told {
    words: String,
    json: Value,
}

pub async fn run(command: Command) -> Result<()> {
    let common = command.common();
    let told = database::with(&common.reach, async |database, config| command.carry_out(database, config).await);
    let told = told.await.map_err(explained)?;
    if common.json {
        println!("{}", told.json)
    } else {
        println!("{}", told.words)
    }
    Ok(())
}

impl Command {
    fn common(&self) -> &Common {
        match self {
            Self::List(common) | Self::Create { common, .. } | Self::MakeAdmin { common, .. } => common,
            Self::ResetPassword(whom) | Self::ResetTotp(whom) | Self::SignOut(whom) => &whom.common,
        }
    }

    /// In one transaction: all of it or nothing.
    async fn carry_out(&self, database: &Database, config: &Config) -> Result<Told> {
        let moment = Moment::new(&Clock::System, &Entropy::System);
        let mut tx = database.pool.begin().await?;
        let told = match self {
            Self::List(_) => listed(&operator::people(&mut tx, moment.now).await?)?,
            Self::Create { email, name, .. } => create(&mut tx, &moment, config, email, name).await?,
            Self::ResetPassword(Whom { email, .. }) => {
                let user = find(&mut tx, email).await?;
                let token = operator::reset_password(&mut tx, &moment, user.id).await?;
                linked(&user, config, &token, moment.now)?
            }
            Self::ResetTotp(Whom { email, .. }) => {
                let user = find(&mut tx, email).await?;
                let was_on = operator::reset_totp(&mut tx, &moment, user.id).await?;
                let words = if was_on { "is off: the password alone lets in" } else { "was not on" };
                let words = format!("The second step of {} {words}.", shown(&user));
                Told { words, json: json!({ "email": user.email, "was_on": was_on }) }
            }
            Self::SignOut(Whom { email, .. }) => {
                let user = find(&mut tx, email).await?;
                let ended = operator::sign_out(&mut tx, &moment, user.id).await?;
                let words = format!("{} is signed out; sessions ended: {ended}.", shown(&user));
                Told { words, json: json!({ "email": user.email, "sessions_ended": ended }) }
            }
            Self::MakeAdmin { email, team, .. } => make_admin(&mut tx, &moment, email, *team).await?,
        };
        tx.commit().await?;
        Ok(told)
    }
}

async fn create(conn: &mut PgConnection, moment: &Moment, config: &Config, email: &str, name: &str) -> Result<Told> {
    let email = users::normal_email(email).map_err(|error| anyhow!("{email}: {error}"))?;
    let name = users::normal_name(name).map_err(|error| anyhow!("--name: {error}"))?;
    let (user, token) = operator::create(conn, moment, &email, &name).await?;
    linked(&user, config, &token, moment.now)
}

async fn make_admin(conn: &mut PgConnection, moment: &Moment, email: &str, team: Option<Uuid>) -> Result<Told> {
    let user = find(conn, email).await?;
    let team = chosen(operator::teams(conn, user.id).await?, team)?;
    let changed = operator::make_admin(conn, moment, user.id, team.id).await?;
    let (who, team_name) = (shown(&user), &team.name);
    let words = if changed {
        format!("{who} is an admin of {team_name} now.")
    } else {
        format!("{who} was an admin of {team_name} already.")
    };
    Ok(Told { words, json: json!({ "email": user.email, "team_id": team.id, "changed": changed }) })
}

/// The named team, or the only one.
fn chosen(teams: Vec<TeamRow>, wanted: Option<Uuid>) -> Result<TeamRow> {
    let list = || {
        let lines = teams.iter().map(|team| format!("\n  {}  {}", team.id, team.name));
        lines.collect::<String>()
    };
    match (wanted, teams.as_slice()) {
        (Some(id), _) => match teams.iter().find(|team| team.id == id) {
            Some(team) => Ok(team.clone()),
            None => bail!("there is no team with this id; there are:{}", list()),
        },
        (None, [only]) => Ok(only.clone()),
        (None, []) => bail!("there is no team yet; sign in with the link that the first start prints, which makes one"),
        (None, _) => bail!("there are several teams; name one with --team:{}", list()),
    }
}

async fn find(conn: &mut PgConnection, email: &str) -> Result<User> {
    let normal = users::normal_email(email).map_err(|error| anyhow!("{email}: {error}"))?;
    let user = users::by_email(conn, &normal).await?;
    user.ok_or_else(|| anyhow!("there is no account with the address {normal}; `rejoinder users list` shows all"))
}

fn shown(user: &User) -> String {
    match &user.email {
        Some(email) => format!("{} ({email})", user.name),
        None => user.name.clone(),
    }
}

fn linked(user: &User, config: &Config, token: &SecretString, now: OffsetDateTime) -> Result<Told> {
    let link = password_resets::link(&config.public_url, token);
    let link = link.expose_secret();
    let until = (now + password_resets::LIFETIME).replace_nanosecond(0)?.format(&Rfc3339)?;
    Ok(Told {
        words: format!("Give this link to {}. It sets the password, once, until {until}:\n  {link}", shown(user)),
        json: json!({ "id": user.id, "email": user.email, "link": link, "expires_at": until }),
    })
}

fn listed(people: &[PersonRow]) -> Result<Told> {
    let mut lines = Vec::new();
    let mut items = Vec::new();
    for person in people {
        let seen = person.last_seen_at.map(|at| at.format(&Rfc3339)).transpose()?;
        let door = match (person.by_clerk, person.has_password, person.second_factor) {
            (true, _, _) => "by Clerk",
            (_, true, true) => "password and code",
            (_, true, false) => "password",
            (_, false, _) => "no password yet",
        };
        let teams = if person.teams.is_empty() { "in no team".to_owned() } else { person.teams.join(", ") };
        let email = person.email.as_deref().unwrap_or("(no address)");
        let (name, sessions) = (&person.name, person.sessions);
        lines.push(format!("{email}  {name}  {teams}  {door}  sessions: {sessions}"));
        items.push(json!({
            "id": person.id, "email": person.email, "name": person.name, "teams": person.teams,
            "created_at": person.created_at.format(&Rfc3339)?, "has_password": person.has_password,
            "by_clerk": person.by_clerk, "second_factor": person.second_factor, "sessions": person.sessions,
            "last_seen_at": seen,
        }));
    }
    let words = if lines.is_empty() { "Nobody has an account here yet.".to_owned() } else { lines.join("\n") };
    Ok(Told { words, json: json!({ "items": items }) })
}

/// What the operator does next.
fn explained(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<OperatorError>() {
        Some(OperatorError::Create(CreateError::EmailTaken)) => {
            anyhow!("this address has an account already; `rejoinder users reset-password` lets its owner in")
        }
        Some(OperatorError::Database(error) | OperatorError::Create(CreateError::Database(error)))
            if database::is_older(error) =>
        {
            database::migrate_first()
        }
        _ => error,
    }
}
