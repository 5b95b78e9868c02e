//! The second step of signing in: set up with a telephone, asked for at the door, taken once, and left by its recovery codes.

use crate::client::Client;
use crate::harness::Harness;
use crate::mail::harness as with_mail;
use crate::pages::Browser;
use crate::password::{EMAIL, PASSWORD, give_password};
use crate::smtp::MailServer;
use axum::http::StatusCode;
use rejoinder_app::accounts::{operator, totp};
use secrecy::SecretString;
use serde_json::{Value, json};
use time::Duration;

/// The app on somebody's telephone.
struct Telephone(SecretString);

impl Telephone {
    fn shows(&self, h: &Harness) -> String {
        totp::code_at(&self.0, h.now()).unwrap()
    }
}

async fn begin(client: &Client) -> Telephone {
    let (status, answer) = client.post("/api/me/totp", &json!({ "password": PASSWORD })).await;
    assert_eq!(status, 200, "{answer}");
    let secret = answer["secret"].as_str().unwrap();
    let address = answer["otpauth_uri"].as_str().unwrap();
    assert_eq!(address, format!("otpauth://totp/Rejoinder:{EMAIL}?secret={secret}&issuer=Rejoinder"));
    Telephone(secret.into())
}

/// Turns it on; gives the telephone and the recovery codes.
async fn turn_on(h: &Harness, client: &Client) -> (Telephone, Vec<String>) {
    let telephone = begin(client).await;
    let (status, answer) = client.post("/api/me/totp/confirm", &json!({ "code": telephone.shows(h) })).await;
    assert_eq!(status, 200, "{answer}");
    let codes = answer["recovery_codes"].as_array().unwrap();
    (telephone, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

/// A team whose admin has a password, and the admin's API.
async fn world() -> (Harness, Client) {
    let h = Harness::unconnected(&[]).await;
    give_password(&h).await;
    let client = Client::signed_in(&h).await;
    (h, client)
}

async fn is_on(client: &Client) -> Value {
    client.get("/api/me/totp").await.1["on"].clone()
}

/// Up to the page that asks for the code.
async fn at_the_second_step(h: &Harness) -> Browser {
    let mut browser = Browser::new(h);
    let seen = browser.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(seen.location, "/signin/code?next=%2Fdashboard");
    assert_eq!(browser.get(&seen.location).await.status, StatusCode::OK);
    browser
}

#[tokio::test]
async fn with_the_second_step_on_a_password_alone_opens_nothing() {
    let (h, client) = world().await;
    let (telephone, codes) = turn_on(&h, &client).await;
    assert_eq!((codes.len(), is_on(&client).await), (10, true.into()));
    h.advance(Duration::seconds(30));
    let mut browser = at_the_second_step(&h).await;
    assert_eq!(browser.get("/dashboard/inbox").await.status, StatusCode::SEE_OTHER, "no session yet");
    browser.get("/signin/code").await;
    let wrong = browser.post("/signin/code", &[("code", "000000")]).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let typed = telephone.shows(&h);
    let spaced = format!("{} {}", &typed[..3], &typed[3..]);
    let entered = browser.post("/signin/code", &[("code", &spaced), ("next", "/dashboard/intents")]).await;
    assert_eq!(entered.location, "/dashboard/intents");
    assert_eq!(browser.get("/dashboard/intents").await.status, StatusCode::OK);
    h.finish().await;
}

#[tokio::test]
async fn a_code_counts_once_also_for_the_one_who_looked_over_the_shoulder() {
    let (h, client) = world().await;
    let (telephone, _) = turn_on(&h, &client).await;
    let at_enrolment = telephone.shows(&h);
    let mut browser = at_the_second_step(&h).await;
    let again = browser.post("/signin/code", &[("code", &at_enrolment)]).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "it was taken when the app was set up");
    h.advance(Duration::seconds(30));
    let (mut one, mut two) = (at_the_second_step(&h).await, at_the_second_step(&h).await);
    let code = telephone.shows(&h);
    let fields = [("code", code.as_str())];
    let (first, second) = tokio::join!(one.post("/signin/code", &fields), two.post("/signin/code", &fields));
    let mut statuses = [first.status, second.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::UNAUTHORIZED], "of two at once one gets in");
    h.finish().await;
}

#[tokio::test]
async fn one_password_leads_to_one_session_and_only_for_five_minutes() {
    let (h, client) = world().await;
    let (telephone, codes) = turn_on(&h, &client).await;
    h.advance(Duration::seconds(30));
    let mut browser = at_the_second_step(&h).await;
    let mut stolen = browser.copy();
    assert_eq!(browser.post("/signin/code", &[("code", &telephone.shows(&h))]).await.location, "/dashboard");
    let again = stolen.post("/signin/code", &[("code", &codes[0])]).await;
    assert_eq!(again.location, "/signin?late=1", "the step was used");

    let mut late = at_the_second_step(&h).await;
    h.advance(Duration::minutes(5));
    assert_eq!(late.post("/signin/code", &[("code", &codes[0])]).await.location, "/signin?late=1");
    let mut never = Browser::new(&h);
    assert_eq!(never.get("/signin/code").await.location, "/signin?late=1");
    h.finish().await;
}

#[tokio::test]
async fn a_new_password_ends_second_steps_that_the_old_one_opened() {
    let (h, client) = world().await;
    let (_, codes) = turn_on(&h, &client).await;
    let mut thief = at_the_second_step(&h).await;
    let body = json!({ "current_password": PASSWORD, "new_password": "a finer grind by far" });
    assert_eq!(client.post("/api/me/password", &body).await.0, 200);
    assert_eq!(thief.post("/signin/code", &[("code", &codes[0])]).await.location, "/signin?late=1");
    h.finish().await;
}

#[tokio::test]
async fn codes_are_guessed_five_times_whoever_guesses_and_from_wherever() {
    let (h, client) = world().await;
    let (telephone, _) = turn_on(&h, &client).await;
    h.advance(Duration::minutes(1));
    let mut browser = at_the_second_step(&h).await;
    for _ in 0..5 {
        assert_eq!(browser.post("/signin/code", &[("code", "000000")]).await.status, StatusCode::UNAUTHORIZED);
    }
    let mut another = at_the_second_step(&h).await;
    let locked = another.post("/signin/code", &[("code", &telephone.shows(&h))]).await;
    assert_eq!((locked.status, locked.retry_after.as_deref()), (StatusCode::TOO_MANY_REQUESTS, Some("600")));
    assert!(locked.html.contains("Try again in 10 min."), "{}", locked.html);
    h.advance(Duration::minutes(10));
    let mut later = at_the_second_step(&h).await;
    assert_eq!(later.post("/signin/code", &[("code", &telephone.shows(&h))]).await.location, "/dashboard");
    h.finish().await;
}

#[tokio::test]
async fn wrong_codes_add_up_however_often_the_password_was_right_in_between() {
    let (h, client) = world().await;
    let (telephone, _) = turn_on(&h, &client).await;
    h.advance(Duration::minutes(1));
    let new = "a finer grind by far";
    let wrong = |password: &str| json!({ "password": password, "code": "000000" });
    for _ in 0..4 {
        assert_eq!(client.post("/api/me/totp/disable", &wrong(PASSWORD)).await.0, 422);
    }
    let body = json!({ "current_password": PASSWORD, "new_password": new });
    assert_eq!(client.post("/api/me/password", &body).await.0, 200);
    assert_eq!(client.post("/api/me/totp/disable", &wrong(new)).await.0, 422);
    let (status, answer) = client.post("/api/me/totp/disable", &wrong(new)).await;
    assert_eq!(status, 429, "the sixth: {answer}");
    let mut browser = Browser::new(&h);
    assert_eq!(browser.sign_in(EMAIL, new).await.location, "/signin/code?next=%2Fdashboard");
    browser.get("/signin/code").await;
    let locked = browser.post("/signin/code", &[("code", &telephone.shows(&h))]).await;
    assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS, "at the door it is the same count");
    h.finish().await;
}

#[tokio::test]
async fn a_recovery_code_gets_in_once_and_its_owner_hears_of_it() {
    let server = MailServer::start().await;
    let h = with_mail(&server).await;
    give_password(&h).await;
    let client = Client::signed_in(&h).await;
    let (_, codes) = turn_on(&h, &client).await;
    h.run_due().await;
    assert_eq!(server.take_one().header("Subject"), "Signing in asks for a code now");
    let mut browser = at_the_second_step(&h).await;
    let typed = codes[3].to_lowercase().replace('-', " ");
    assert_eq!(browser.post("/signin/code", &[("code", &typed)]).await.location, "/dashboard");
    let mut again = at_the_second_step(&h).await;
    assert_eq!(again.post("/signin/code", &[("code", &codes[3])]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(again.post("/signin/code", &[("code", &codes[4])]).await.location, "/dashboard");
    assert_eq!(client.get("/api/me/totp").await.1["recovery_codes_left"], 8);
    h.run_due().await;
    assert_eq!(server.take().len(), 2);
    let stored: Vec<Vec<u8>> =
        sqlx::query_scalar("select code_hash from recovery_codes").fetch_all(h.pool()).await.unwrap();
    let bare = codes[0].replace('-', "");
    assert!(stored.iter().all(|hash| hash != codes[0].as_bytes() && hash != bare.as_bytes()));
    h.finish().await;
}

#[tokio::test]
async fn until_the_first_code_nothing_is_asked_and_the_secret_is_readable_nowhere() {
    let (h, client) = world().await;
    let telephone = begin(&client).await;
    assert_eq!(is_on(&client).await, false);
    let mut browser = Browser::new(&h);
    assert_eq!(browser.sign_in(EMAIL, PASSWORD).await.location, "/dashboard");
    let (status, answer) = client.post("/api/me/totp/confirm", &json!({ "code": "000000" })).await;
    assert_eq!((status, &answer["errors"][0]["field"]), (422, &"code".into()));
    let sealed: Vec<u8> = sqlx::query_scalar("select secret from totp_secrets").fetch_one(h.pool()).await.unwrap();
    let secret = secrecy::ExposeSecret::expose_secret(&telephone.0);
    assert!(!String::from_utf8_lossy(&sealed).contains(secret));

    let newer = begin(&client).await;
    let old = client.post("/api/me/totp/confirm", &json!({ "code": telephone.shows(&h) })).await;
    assert_eq!(old.0, 422, "begun again, the first secret counts no more");
    assert_eq!(client.post("/api/me/totp/confirm", &json!({ "code": newer.shows(&h) })).await.0, 200);
    let (status, answer) = client.post("/api/me/totp", &json!({ "password": PASSWORD })).await;
    assert_eq!((status, &answer["type"]), (409, &"/problems/totp-on".into()));
    h.finish().await;
}

#[tokio::test]
async fn a_sealed_secret_of_one_person_opens_for_no_other() {
    let (h, client) = world().await;
    let (telephone, _) = turn_on(&h, &client).await;
    let other = Client::with_role(&h, rejoinder_app::model::Role::Editor).await;
    let (_, me) = other.get("/api/me").await;
    sqlx::query(
        "insert into totp_secrets (user_id, secret, created_at) select $1::uuid, secret, created_at from totp_secrets",
    )
    .bind(uuid::Uuid::parse_str(me["id"].as_str().unwrap()).unwrap())
    .execute(h.pool())
    .await
    .unwrap();
    let (status, _) = other.post("/api/me/totp/confirm", &json!({ "code": telephone.shows(&h) })).await;
    assert_eq!(status, 500, "damage, not a way in");
    h.finish().await;
}

#[tokio::test]
async fn turning_it_off_needs_password_and_code_and_is_told() {
    let server = MailServer::start().await;
    let h = with_mail(&server).await;
    give_password(&h).await;
    let client = Client::signed_in(&h).await;
    let (telephone, _) = turn_on(&h, &client).await;
    h.advance(Duration::minutes(1));
    let code = telephone.shows(&h);
    for (password, code, field) in [("wrong password", code.as_str(), "password"), (PASSWORD, "000000", "code")] {
        let body = json!({ "password": password, "code": code });
        let (status, answer) = client.post("/api/me/totp/disable", &body).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (422, &field.into()), "{answer}");
    }
    assert_eq!(is_on(&client).await, true);
    let body = json!({ "password": PASSWORD, "code": code });
    assert_eq!(client.post("/api/me/totp/disable", &body).await.0, 204);
    assert_eq!(is_on(&client).await, false);
    let mut browser = Browser::new(&h);
    assert_eq!(browser.sign_in(EMAIL, PASSWORD).await.location, "/dashboard");
    h.run_due().await;
    let subjects: Vec<String> = server.take().iter().map(|mail| mail.header("Subject").to_owned()).collect();
    assert_eq!(subjects, ["Signing in asks for a code now", "Signing in asks for no code any more"]);
    assert_eq!(h.story(h.user_id).await, ["account.totp_on", "account.totp_off"]);
    h.finish().await;
}

#[tokio::test]
async fn the_page_leads_from_the_picture_to_the_codes_and_shows_neither_again() {
    let (h, _) = world().await;
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    browser.get("/dashboard/account").await;
    let wrong = browser.post("/dashboard/account/totp", &[("password", "wrong password")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let begun = browser.post("/dashboard/account/totp", &[("password", PASSWORD)]).await;
    assert!(begun.html.contains("<svg class=\"qr\""), "{}", begun.html);
    let secret = begun.html.split("class=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let telephone = Telephone(secret.replace(' ', "").into());
    let mistyped = browser.post("/dashboard/account/totp/confirm", &[("code", "000000")]).await;
    assert_eq!(mistyped.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(mistyped.html.contains(&secret), "the picture stays where it was");
    assert!(!browser.get("/dashboard/account").await.html.contains(&secret));
    let on = browser.post("/dashboard/account/totp/confirm", &[("code", &telephone.shows(&h))]).await;
    assert_eq!(on.html.matches("<li><code>").count(), 10, "{}", on.html);
    let later = browser.get("/dashboard/account").await;
    assert!(later.html.contains("10 recovery codes are left") && !later.html.contains("<li><code>"), "{}", later.html);
    h.finish().await;
}

#[tokio::test]
async fn the_operator_lets_somebody_in_who_lost_telephone_and_codes() {
    let server = MailServer::start().await;
    let h = with_mail(&server).await;
    give_password(&h).await;
    let client = Client::signed_in(&h).await;
    turn_on(&h, &client).await;
    h.run_due().await;
    server.take();
    let mut tx = h.pool().begin().await.unwrap();
    assert!(operator::reset_totp(&mut tx, &h.app.moment(), h.user_id).await.unwrap());
    assert!(!operator::reset_totp(&mut tx, &h.app.moment(), h.user_id).await.unwrap(), "once is enough");
    tx.commit().await.unwrap();
    let mut browser = Browser::new(&h);
    assert_eq!(browser.sign_in(EMAIL, PASSWORD).await.location, "/dashboard");
    h.run_due().await;
    let mail = server.take_one();
    assert!(mail.text.contains("turned off by the operator of the server"), "{}", mail.text);
    h.finish().await;
}
