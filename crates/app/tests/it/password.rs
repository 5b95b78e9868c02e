//! Passwords: changed by who knows the old one, set anew by who holds a link, guessed by nobody.

use crate::client::Client;
use crate::harness::Harness;
use crate::mail::harness as with_mail;
use crate::pages::Browser;
use crate::smtp::MailServer;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use rejoinder_app::accounts::password_resets::{self, AskedBy};
use rejoinder_app::accounts::{self, LetIn, users};
use rejoinder_app::http::router;
use secrecy::ExposeSecret;
use serde_json::json;
use std::net::SocketAddr;
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const EMAIL: &str = "ana@example.com";
pub const PASSWORD: &str = "burrs touch at zero";
const NEW: &str = "a finer grind by far";

pub async fn give_password(h: &Harness) {
    let hash = h.app.passwords.hash(PASSWORD.into(), &h.app.entropy).await.unwrap();
    users::set_password(&mut *h.conn().await, h.user_id, &hash, h.now()).await.unwrap();
}

async fn change(client: &Client, current: &str, new: &str) -> (u16, serde_json::Value) {
    client.post("/api/me/password", &json!({ "current_password": current, "new_password": new })).await
}

/// The path and query of a link on our server.
fn local(link: &str) -> String {
    link.strip_prefix("http://localhost:3000").unwrap_or_else(|| panic!("leads elsewhere: {link}")).to_owned()
}

#[tokio::test]
async fn a_new_password_ends_every_other_session_and_is_told_by_mail() {
    let server = MailServer::start().await;
    let h = with_mail(&server).await;
    give_password(&h).await;
    let (here, there) = (Client::signed_in(&h).await, Client::signed_in(&h).await);
    let (status, answer) = change(&here, PASSWORD, NEW).await;
    assert_eq!((status, &answer["ended"]), (200, &1.into()), "{answer}");
    assert_eq!((here.get("/api/me").await.0, there.get("/api/me").await.0), (200, 401));
    let mut browser = Browser::new(&h);
    assert_eq!(browser.sign_in(EMAIL, PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.sign_in(EMAIL, NEW).await.location, "/dashboard");
    h.run_due().await;
    let mail = server.take_one();
    assert_eq!((mail.to.as_str(), mail.header("Subject")), (EMAIL, "Your password was changed"));
    assert!(mail.text.contains("was changed on 2 March 2026 at 09:00 UTC"), "{}", mail.text);
    assert_eq!(h.story(h.user_id).await, ["account.password_changed"]);
    h.finish().await;
}

#[tokio::test]
async fn what_is_no_good_as_a_new_password_or_as_the_current_one_is_told_by_its_field() {
    let h = Harness::unconnected(&[]).await;
    let client = Client::signed_in(&h).await;
    let refused = change(&client, PASSWORD, NEW).await;
    assert_eq!((refused.0, &refused.1["type"]), (409, &"/problems/no-password".into()));
    give_password(&h).await;
    for (current, new, field) in [
        ("wrong password", NEW, "current_password"),
        (PASSWORD, "short", "new_password"),
        (PASSWORD, PASSWORD, "new_password"),
        (PASSWORD, "Ana@example.com", "new_password"),
    ] {
        let (status, answer) = change(&client, current, new).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (422, &field.into()), "{answer}");
    }
    h.advance(Duration::hours(1));
    let mut browser = Browser::signed_in(&h, h.user_id).await;
    browser.get("/dashboard/account").await;
    let page = browser.post("/dashboard/account/password", &[("current_password", "x"), ("new_password", NEW)]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.html.contains("This is not your password."), "{}", page.html);
    let fields = [("current_password", PASSWORD), ("new_password", NEW)];
    assert_eq!(browser.post("/dashboard/account/password", &fields).await.location, "/dashboard/account?done=password");
    h.finish().await;
}

#[tokio::test]
async fn who_took_over_a_session_guesses_the_password_five_times_and_not_more() {
    let h = Harness::unconnected(&[]).await;
    give_password(&h).await;
    let client = Client::signed_in(&h).await;
    for _ in 0..5 {
        assert_eq!(change(&client, "wrong password", NEW).await.0, 422);
    }
    let (status, answer) = change(&client, PASSWORD, NEW).await;
    assert_eq!(status, 429, "even the right one waits now: {answer}");
    assert!(answer["detail"].as_str().unwrap().contains("Try again in 3 min"), "{answer}");
    h.advance(Duration::minutes(3));
    assert_eq!(change(&client, PASSWORD, NEW).await.0, 200);
    h.finish().await;
}

#[tokio::test]
async fn a_link_by_mail_sets_a_new_password_once_and_ends_all_sessions() {
    let server = MailServer::start().await;
    let h = with_mail(&server).await;
    give_password(&h).await;
    let there = Client::signed_in(&h).await;
    let mut browser = Browser::new(&h);
    browser.get("/forgot").await;
    let asked = browser.post("/forgot", &[("email", "Ana@Example.com ")]).await;
    assert_eq!(asked.status, StatusCode::OK);
    h.run_due().await;
    let link = local(server.take_one().link());
    assert_eq!(there.get("/api/me").await.0, 200, "to ask changes nothing");

    assert_eq!(browser.get(&link).await.status, StatusCode::OK);
    let token = link.split_once("token=").unwrap().1;
    let short = browser.post("/reset", &[("token", token), ("password", "short")]).await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY, "and the link still works");
    let done = browser.post("/reset", &[("token", token), ("password", NEW)]).await;
    assert_eq!((done.status, done.location.as_str()), (StatusCode::SEE_OTHER, "/signin?new=1"));
    assert_eq!(there.get("/api/me").await.0, 401);
    let again = browser.post("/reset", &[("token", token), ("password", "one more password")]).await;
    assert_eq!(again.status, StatusCode::GONE);
    assert_eq!(browser.get(&link).await.status, StatusCode::GONE);
    assert_eq!(browser.sign_in(EMAIL, NEW).await.location, "/dashboard");
    h.run_due().await;
    assert_eq!(server.take_one().header("Subject"), "Your password was changed");
    h.finish().await;
}

#[tokio::test]
async fn nobody_learns_from_the_answer_who_has_an_account() {
    let server = MailServer::start().await;
    let h = with_mail(&server).await;
    give_password(&h).await;
    let mut pages = Vec::new();
    for email in [EMAIL, "nobody@example.com"] {
        let mut browser = Browser::new(&h);
        browser.get("/forgot").await;
        let page = browser.post("/forgot", &[("email", email)]).await;
        let csrf = browser.csrf().to_owned();
        pages.push((page.status, page.html.replace(email, "EMAIL").replace(&csrf, "CSRF")));
        let jobs: i64 =
            sqlx::query_scalar("select count(*) from graphile_worker._private_jobs").fetch_one(h.pool()).await.unwrap();
        assert_eq!(jobs, 1, "the same work for both: {email}");
        h.run_due().await;
    }
    assert_eq!(pages[0], pages[1]);
    assert_eq!(server.take_one().to, EMAIL);
    h.finish().await;
}

#[tokio::test]
async fn one_address_gets_three_links_an_hour_and_each_works_for_an_hour() {
    let server = MailServer::start().await;
    let h = with_mail(&server).await;
    give_password(&h).await;
    let mut browser = Browser::new(&h);
    browser.get("/forgot").await;
    for _ in 0..5 {
        assert_eq!(browser.post("/forgot", &[("email", EMAIL)]).await.status, StatusCode::OK);
        h.run_due().await;
    }
    let links: Vec<String> = server.take().iter().map(|mail| local(mail.link())).collect();
    assert_eq!(links.len(), 3);
    let mut works = Vec::new();
    for link in &links {
        works.push(browser.get(link).await.status);
    }
    assert_eq!(works, [StatusCode::OK; 3]);
    h.advance(Duration::hours(1));
    assert_eq!(browser.get(&links[2]).await.status, StatusCode::GONE, "an hour has passed");
    h.finish().await;
}

#[tokio::test]
async fn who_asks_in_anothers_name_neither_ends_their_link_nor_keeps_them_from_one() {
    let server = MailServer::start().await;
    let h = with_mail(&server).await;
    give_password(&h).await;
    let router = router(h.app.clone(), CancellationToken::new());
    for from in ["198.51.100.7", "203.0.113.9", "203.0.113.9", "203.0.113.9", "203.0.113.9", "198.51.100.7"] {
        let fields = format!("csrf={}&email=ana%40example.com", csrf_of("known"));
        assert_eq!(posts(&router, from, "/forgot", fields, "nobody").await, StatusCode::OK);
        h.run_due().await;
    }
    let links: Vec<String> = server.take().iter().map(|mail| local(mail.link())).collect();
    assert_eq!(links.len(), 5, "three for the stranger, both for Ana");
    let mut browser = Browser::new(&h);
    assert_eq!(browser.get(&links[0]).await.status, StatusCode::OK, "the first one still works");
    let token = links[0].split_once("token=").unwrap().1;
    assert_eq!(browser.post("/reset", &[("token", token), ("password", NEW)]).await.location, "/signin?new=1");
    for link in &links {
        assert_eq!(browser.get(link).await.status, StatusCode::GONE, "one was used");
    }
    h.finish().await;
}

#[tokio::test]
async fn a_password_that_was_checked_before_a_reset_opens_nothing_after_it() {
    let h = Harness::unconnected(&[]).await;
    give_password(&h).await;
    let (db, passwords) = (&h.app.db, &h.app.passwords);
    let before = accounts::check_password(db, passwords, EMAIL, PASSWORD.into()).await.unwrap();
    let mut conn = h.conn().await;
    let token = password_resets::make(&mut conn, &h.app.moment(), h.user_id, AskedBy::Operator).await.unwrap();
    drop(conn);
    password_resets::redeem(&h.app, &h.app.moment(), token.expose_secret(), NEW.into()).await.unwrap();
    let late = accounts::let_in(db, &h.app.moment(), &before, "Firefox on Linux").await.unwrap();
    assert!(late.is_none(), "{late:?}");
    let sessions: i64 = sqlx::query_scalar("select count(*) from sessions").fetch_one(h.pool()).await.unwrap();
    assert_eq!(sessions, 0);
    let after = accounts::check_password(db, passwords, EMAIL, NEW.into()).await.unwrap();
    let in_time = accounts::let_in(db, &h.app.moment(), &after, "Firefox on Linux").await.unwrap();
    assert!(matches!(in_time, Some(LetIn::Session(_))), "{in_time:?}");
    h.finish().await;
}

#[tokio::test]
async fn without_mail_the_page_says_whom_to_ask_and_the_operators_link_works() {
    let h = Harness::unconnected(&[]).await;
    give_password(&h).await;
    let mut browser = Browser::new(&h);
    let page = browser.get("/forgot").await;
    assert!(page.html.contains("rejoinder users reset-password"), "{}", page.html);
    let mut conn = h.conn().await;
    let token = password_resets::make(&mut conn, &h.app.moment(), h.user_id, AskedBy::Operator).await.unwrap();
    drop(conn);
    let link = password_resets::link(&h.app.config.public_url, &token);
    assert_eq!(browser.get(&local(link.expose_secret())).await.status, StatusCode::OK);
    let fields = [("token", token.expose_secret()), ("password", NEW)];
    assert_eq!(browser.post("/reset", &fields).await.location, "/signin?new=1");
    let stored: Vec<u8> =
        sqlx::query_scalar("select token_hash from password_resets").fetch_one(h.pool()).await.unwrap();
    assert_ne!(stored, token.expose_secret().as_bytes());
    h.finish().await;
}

#[tokio::test]
async fn whom_clerk_signs_in_gets_no_second_door_by_mail() {
    let server = MailServer::start().await;
    let h = with_mail(&server).await;
    sqlx::query("update users set clerk_id = 'user_1' where id = $1").bind(h.user_id).execute(h.pool()).await.unwrap();
    let mut browser = Browser::new(&h);
    browser.get("/forgot").await;
    browser.post("/forgot", &[("email", EMAIL)]).await;
    h.run_due().await;
    assert_eq!(server.take().len(), 0);
    h.finish().await;
}

#[tokio::test]
async fn after_a_few_wrong_passwords_the_page_says_how_long_to_wait() {
    let h = Harness::unconnected(&[]).await;
    give_password(&h).await;
    let mut browser = Browser::new(&h);
    for _ in 0..5 {
        assert_eq!(browser.sign_in(EMAIL, "wrong password").await.status, StatusCode::UNAUTHORIZED);
    }
    let locked = browser.sign_in(EMAIL, PASSWORD).await;
    assert_eq!((locked.status, locked.retry_after.as_deref()), (StatusCode::TOO_MANY_REQUESTS, Some("180")));
    assert!(locked.html.contains("Try again in 3 min."), "{}", locked.html);
    h.advance(Duration::minutes(3));
    assert_eq!(browser.sign_in(EMAIL, PASSWORD).await.location, "/dashboard");
    h.finish().await;
}

/// A browser somewhere else in the world tries to sign in; what the server answers.
async fn tries(router: &axum::Router, from: &str, n: usize) -> StatusCode {
    let form = format!("csrf={}&email=guest{n}%40example.com&password=wrong+password", csrf_of("known"));
    posts(router, from, "/signin", form, &format!("made-up-{n}")).await
}

/// A form from somewhere in the world, with a session cookie that opens nothing.
async fn posts(router: &axum::Router, from: &str, path: &str, form: String, session: &str) -> StatusCode {
    let address: SocketAddr = format!("{from}:4000").parse().unwrap();
    let request = Request::post(path)
        .extension(ConnectInfo(address))
        .header(header::ORIGIN, "http://localhost:3000")
        // A new session cookie each time, so that each looks like another caller.
        .header(header::COOKIE, format!("rejoinder_presession=known; rejoinder_session={session}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        assert!(response.headers().contains_key(header::RETRY_AFTER));
    }
    to_bytes(response.into_body(), 1 << 20).await.unwrap();
    status
}

/// The token that belongs to a cookie that we chose ourselves.
fn csrf_of(pre_session: &str) -> String {
    use base64::Engine;
    use hmac::{Hmac, KeyInit, Mac};
    let hash = rejoinder_app::accounts::token_hash(pre_session);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&hash).unwrap();
    mac.update(b"form");
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn five_thousand_sign_ins_from_one_address_reach_neither_passwords_nor_database() {
    let h = Harness::unconnected(&[]).await;
    give_password(&h).await;
    let router = router(h.app.clone(), CancellationToken::new());
    let mut answers = std::collections::BTreeMap::new();
    for n in 0..100 {
        *answers.entry(tries(&router, "203.0.113.9", n).await.as_u16()).or_insert(0) += 1;
    }
    assert_eq!(answers, [(401, 10), (429, 90)].into(), "ten passwords were checked");

    // With every connection taken, whoever waits for one waits five seconds and gets 503.
    let (pool, mut taken) = (&h.app.db, Vec::new());
    while pool.size() < pool.options().get_max_connections() || pool.num_idle() > 0 {
        taken.push(pool.acquire().await.unwrap());
    }
    let began = std::time::Instant::now();
    for n in 100..5_000 {
        assert_eq!(tries(&router, "203.0.113.9", n).await, StatusCode::TOO_MANY_REQUESTS, "{n}");
    }
    println!("4,900 refused in {:?}", began.elapsed());
    drop(taken);

    assert_eq!(tries(&router, "198.51.100.7", 1).await, StatusCode::UNAUTHORIZED, "another address is heard");
    let mut browser = Browser::new(&h);
    assert_eq!(browser.sign_in(EMAIL, PASSWORD).await.location, "/dashboard");
    h.finish().await;
}
