//! What the demo starts with: a person, a team and a few intents, so that the first draft is one click away. The account is
//! connected by hand, as a new user would.

use crate::accounts::{setup, teams, users};
use crate::app::App;
use crate::clock::Moment;
use crate::flow::intents::{self, IntentFields, VariationFields};
use secrecy::SecretString;
use sqlx::PgConnection;
use uuid::Uuid;

const PERSON: (&str, &str) = ("Mara Lindqvist", "mara@brassfinch.example");
const TEAM: &str = "Brassfinch";

struct Seed {
    name: &'static str,
    tone: &'static str,
    voice: &'static str,
    variations: &'static [&'static str],
}

const VOICE: &str = "We are Brassfinch, a small maker of espresso machines and grinders. We write like a helpful mechanic: plain, warm, \
                     short. We admit mistakes, never argue, never promise dates, and point to the manual or to support where it helps.";

const INTENTS: &[Seed] = &[
    Seed {
        name: "How-to question",
        tone: "friendly",
        voice: VOICE,
        variations: &[
            "Good question! Start with a clean burr set and one step finer, then tell us what you see.",
            "Happy to help. Which machine is it, and how long does a shot take right now?",
        ],
    },
    Seed {
        name: "Complaint",
        tone: "formal",
        voice: VOICE,
        variations: &[
            "We are sorry, this should not happen. Could you send us your serial number so that we can look into it?",
            "Thank you for telling us. This is not the quality we want; our support will make it right.",
        ],
    },
    Seed {
        name: "Praise",
        tone: "witty",
        voice: VOICE,
        variations: &[
            "You just made our workshop's day. Enjoy the next cup!",
            "Thank you! The grinder blushes, as far as steel can.",
        ],
    },
    Seed {
        name: "Buying advice",
        tone: "neutral",
        voice: VOICE,
        variations: &["It depends on how many cups a day you make. For one or two, the smaller grinder is enough."],
    },
];

/// Makes the person, the team and the intents at the first start, and a fresh sign-in link at every start.
pub async fn prepare(app: &App) -> Result<SecretString, sqlx::Error> {
    let moment = app.moment();
    let mut tx = app.db.begin().await?;
    let user_id = match users::by_email(&mut tx, PERSON.1).await? {
        Some(user) => user.id,
        None => make_team(&mut tx, &moment).await?,
    };
    let token = setup::sign_in_link(&mut tx, user_id, moment.now, &app.entropy).await?;
    tx.commit().await?;
    Ok(token)
}

async fn make_team(conn: &mut PgConnection, moment: &Moment) -> Result<Uuid, sqlx::Error> {
    let (user_id, team_id) = (moment.id(), moment.id());
    let user = users::NewUser { id: user_id, email: Some(PERSON.1), name: PERSON.0, password_hash: None };
    users::create(conn, user, moment.now).await.map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
    users::mark_verified(conn, user_id, moment.now).await?;
    let team = teams::NewTeam { id: team_id, member_id: moment.id(), owner_user_id: user_id, name: TEAM };
    teams::create(conn, team, moment.now).await?;
    for seed in INTENTS {
        let fields = IntentFields {
            name: Some(seed.name.to_owned()),
            tone: Some(seed.tone.to_owned()),
            confidence_threshold: Some(0.8),
            brand_voice: Some(seed.voice.to_owned()),
        };
        let intent = intents::create(conn, moment, team_id, user_id, fields).await.map_err(unexpected)?;
        for text in seed.variations {
            let fields = VariationFields { text: Some((*text).to_owned()), ..VariationFields::default() };
            intents::add_variation(conn, moment, team_id, intent.id, user_id, fields).await.map_err(unexpected)?;
        }
    }
    Ok(user_id)
}

fn unexpected(error: intents::IntentError) -> sqlx::Error {
    match error {
        intents::IntentError::Database(error) => error,
        other => sqlx::Error::Protocol(other.to_string()),
    }
}
