//! Signing in to the dashboard through Clerk: the browser's way past its handshake and its page, and what ends it.

use crate::clerk_world::{SECRET, SITE, World};
use crate::client::Client;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use rejoinder_app::accounts::setup;
use rejoinder_app::clients::http;
use rejoinder_sandbox::ClerkToken;
use secrecy::ExposeSecret;
use serde_json::json;
use std::collections::BTreeMap;
use time::Duration;
use tower::ServiceExt;
use url::Url;

/// A browser: keeps cookies, follows nothing by itself.
struct Browser<'a> {
    world: &'a World,
    cookies: BTreeMap<String, String>,
}

struct Seen {
    status: StatusCode,
    /// Where it is sent, whole.
    to: Option<Url>,
    text: String,
}

impl<'a> Browser<'a> {
    fn new(world: &'a World, cookies: &[(&str, &str)]) -> Self {
        let cookies = cookies.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { world, cookies }
    }

    async fn send(&mut self, method: Method, path: &str, body: &str) -> Seen {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, cookies.join("; "))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header(header::ACCEPT, "text/html")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = self.world.router.clone().oneshot(request).await.unwrap();
        self.keep(&response);
        let (status, to) = (response.status(), response.headers().get(header::LOCATION).cloned());
        let to = to.map(|to| Url::parse(SITE).unwrap().join(to.to_str().unwrap()).unwrap());
        let body = to_bytes(response.into_body(), 4 << 20).await.unwrap();
        Seen { status, to, text: String::from_utf8_lossy(&body).into_owned() }
    }

    async fn get(&mut self, path: &str) -> Seen {
        self.send(Method::GET, path, "").await
    }

    /// Goes where it is sent on our own site.
    async fn follow(&mut self, to: &Url) -> Seen {
        assert_eq!(to.origin(), Url::parse(SITE).unwrap().origin(), "{to}");
        self.get(&to[url::Position::BeforePath..]).await
    }

    /// Goes to Clerk, and comes back to where that sends it.
    async fn past_clerk(&self, to: &Url) -> Url {
        assert!(to.as_str().starts_with(&format!("{}/v1/client/handshake?", self.world.issuer)), "{to}");
        let answer = http::client().unwrap().get(to.clone()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 307);
        Url::parse(answer.headers()[header::LOCATION].to_str().unwrap()).unwrap()
    }

    fn keep(&mut self, response: &Response) {
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let (pair, rest) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() || rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    async fn is_in(&mut self) -> bool {
        self.get("/api/me").await.status == StatusCode::OK
    }
}

fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn who_has_a_session_at_clerk_comes_in_by_the_handshake_and_to_the_page_asked_for() {
    let world = World::with_dashboard(&[]).await;
    world.harness.platform.clerk_browser(Some("user_ana"));
    let mut browser = Browser::new(&world, &[("__client_uat", "1772440000"), ("__session", "an.old.token")]);
    let sign_in = browser.get("/dashboard/intents?x=1").await.to.unwrap();
    let away = browser.follow(&sign_in).await;
    assert_eq!(away.status, StatusCode::TEMPORARY_REDIRECT);
    let back = browser.past_clerk(&away.to.unwrap()).await;
    let link = back.clone();
    let entered = browser.follow(&back).await;
    assert_eq!(
        (entered.status, entered.to.unwrap().path().to_owned()),
        (StatusCode::SEE_OTHER, "/dashboard/intents".to_owned())
    );
    assert!(browser.cookies["__session"].starts_with("ey") && !browser.cookies.contains_key("rejoinder_round"));
    assert!(browser.is_in().await);

    // The same way back in another browser, as somebody who wants to sign it in with his own account would send it.
    let mut victim = Browser::new(&world, &[]);
    let seen = victim.follow(&link).await;
    assert!(seen.to.unwrap().path().ends_with("/sign-in") && !victim.cookies.contains_key("rejoinder_session"));
    assert!(!victim.is_in().await);
    world.harness.finish().await;
}

#[tokio::test]
async fn who_has_none_is_sent_to_clerks_page_and_comes_back_signed_in() {
    let world = World::with_dashboard(&[]).await;
    let mut browser = Browser::new(&world, &[]);
    let page = browser.get("/signin?next=%2Fdashboard%2Fintents").await;
    let to = page.to.unwrap();
    assert_eq!(
        (page.status, to.as_str().split('?').next()),
        (StatusCode::SEE_OTHER, Some(format!("{}/sign-in", world.issuer).as_str()))
    );
    let back = Url::parse(&query(&to, "redirect_url").unwrap()).unwrap();
    world.harness.platform.clerk_browser(Some("user_ana"));
    let away = browser.follow(&back).await;
    let back = browser.past_clerk(&away.to.unwrap()).await;
    assert_eq!(browser.follow(&back).await.to.unwrap().path(), "/dashboard/intents");
    assert!(browser.is_in().await);
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example"] {
        let mut other = Browser::new(&world, &[]);
        let path =
            format!("/signin?next={}", url::form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>());
        let to = other.get(&path).await.to.unwrap();
        assert!(!query(&to, "redirect_url").unwrap().contains("evil"), "{next}");
    }
    world.harness.finish().await;
}

#[tokio::test]
async fn a_way_round_in_circles_ends_at_a_page() {
    let world = World::with_dashboard(&[]).await;
    let mut browser = Browser::new(&world, &[("__client_uat", "1772440000")]);
    for _ in 0..4 {
        assert_eq!(browser.get("/signin").await.status, StatusCode::TEMPORARY_REDIRECT);
    }
    let page = browser.get("/signin").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("went round in circles") && page.text.contains("/signin?begin=1"));
    world.harness.finish().await;
}

#[tokio::test]
async fn clerks_cookie_counts_only_when_it_was_made_for_our_own_pages_and_never_by_itself() {
    let world =
        World::with_dashboard(&[("CLERK_AUTHORIZED_PARTIES", "https://app.example, http://localhost:3000")]).await;
    let suffix = &world.harness.app.clerk.as_ref().unwrap().settings().dashboard.as_ref().unwrap().key.cookie_suffix;
    let token = |party| {
        let token = ClerkToken { issuer: &world.issuer, user: "user_ana", session: "sess_1", party };
        world.harness.platform.clerk_token(token)
    };
    let name = format!("__session_{suffix}");
    let mut own = Browser::new(&world, &[(&name, &token(SITE)), ("__session", "of.another.instance")]);
    assert!(!own.is_in().await, "no page and no route takes it as it is");
    assert_eq!(own.get("/signin").await.to.unwrap().path(), "/dashboard");
    assert!(own.is_in().await);

    let mut foreign = Browser::new(&world, &[(&name, &token("https://app.example"))]);
    assert_eq!(foreign.get("/signin").await.status, StatusCode::TEMPORARY_REDIRECT, "to the handshake");
    assert!(!foreign.is_in().await);
    assert_eq!(world.me(&token("https://app.example")).await.0, 200, "as a program's token it is good");
    world.harness.finish().await;
}

#[tokio::test]
async fn the_dashboard_ends_with_the_session_at_clerk() {
    let world = World::with_dashboard(&[]).await;
    let enter = async |session: &'static str| {
        let token = ClerkToken { issuer: &world.issuer, user: "user_ana", session, party: SITE };
        let mut browser = Browser::new(&world, &[("__session", &world.harness.platform.clerk_token(token))]);
        browser.get("/signin").await;
        assert!(browser.is_in().await);
        browser
    };
    let (mut first, mut second) = (enter("sess_1").await, enter("sess_2").await);
    let ended = json!({ "id": "sess_1", "object": "session", "status": "ended", "user_id": "user_ana" });
    assert_eq!(world.told(&world.harness.platform.clerk_event(SECRET, "session.ended", &ended)).await, "done");
    assert!(!first.is_in().await && second.is_in().await);
    world.harness.advance(Duration::hours(12));
    assert!(!second.is_in().await, "nobody told us, so Clerk is asked again");
    let mut third = enter("sess_3").await;
    assert_eq!(world.told(&world.deletion("user_ana")).await, "done");
    assert!(!third.is_in().await);
    world.harness.finish().await;
}

#[tokio::test]
async fn passwords_are_off_beside_clerk_unless_wanted_and_the_operators_link_always_works() {
    let both = World::with_dashboard(&[("BUILTIN_SIGN_IN", "true")]).await;
    let page = Browser::new(&both, &[]).get("/signin").await;
    assert!(page.text.contains("/signin?password=1") && page.text.contains("/signin?begin=1"), "both ways are offered");
    assert_eq!(Browser::new(&both, &[]).get("/signin?begin=1").await.status, StatusCode::SEE_OTHER);
    let mut browser = Browser::new(&both, &[]);
    let form = browser.get("/signin?password=1").await.text;
    let csrf = form.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let sent = format!("email=ana%40example.com&password=wrong-horse&csrf={csrf}");
    assert_eq!(browser.send(Method::POST, "/signin", &sent).await.status, StatusCode::UNAUTHORIZED, "looked at");

    let world = World::with_dashboard(&[]).await;
    let mut browser = Browser { world: &world, cookies: browser.cookies };
    let refused = browser.send(Method::POST, "/signin", &sent).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("through Clerk"), "{}", refused.text);
    let page = browser.get("/signin?out=1&password=1").await;
    assert!(page.text.contains("You are signed out here") && !page.text.contains("name=\"password\""));
    let (app, now) = (&world.harness.app, world.harness.now());
    let link =
        setup::sign_in_link(&mut *world.harness.conn().await, world.harness.user_id, now, &app.entropy).await.unwrap();
    browser.get(&format!("/enter?token={}", link.expose_secret())).await;
    assert!(browser.is_in().await);
    world.harness.finish().await;
    both.harness.finish().await;
}

#[tokio::test]
async fn the_last_token_of_a_session_that_ended_opens_nothing() {
    let world = World::with_dashboard(&[]).await;
    let token = |session: &str| {
        let token = ClerkToken { issuer: &world.issuer, user: "user_ana", session, party: SITE };
        world.harness.platform.clerk_token(token)
    };
    let mut first = Browser::new(&world, &[("__session", &token("sess_1"))]);
    first.get("/signin").await;
    assert!(first.is_in().await);
    for session in ["sess_1", "sess_2"] {
        let ended = json!({ "id": session, "object": "session", "status": "ended", "user_id": "user_ana" });
        assert_eq!(world.told(&world.harness.platform.clerk_event(SECRET, "session.ended", &ended)).await, "done");
        let mut again = Browser::new(&world, &[("__session", &token(session))]);
        assert_eq!(again.get("/signin").await.status, StatusCode::TEMPORARY_REDIRECT, "{session}: to the handshake");
        assert!(!again.is_in().await, "{session}");
    }
    let mut other = Browser::new(&world, &[("__session", &token("sess_3"))]);
    other.get("/signin").await;
    assert!(other.is_in().await && !first.is_in().await);
    world.harness.finish().await;
}

#[tokio::test]
async fn who_acts_as_somebody_else_gets_no_session_of_the_dashboard() {
    let world = World::with_dashboard(&[]).await;
    let (header, mut claims) = world.harness.platform.clerk_claims(world.of("user_ana"));
    claims["act"] = json!({ "sub": "user_staff" });
    let mut browser = Browser::new(&world, &[("__session", &world.harness.platform.clerk_sign(&header, &claims))]);
    let page = browser.get("/signin").await;
    assert!(page.text.contains("you act as another person"), "{}", page.text);
    assert!(!browser.cookies.contains_key("rejoinder_session") && !browser.is_in().await);
    world.harness.finish().await;
}

#[tokio::test]
async fn beside_clerk_no_page_makes_an_account_with_a_password() {
    let both = World::with_dashboard(&[("BUILTIN_SIGN_IN", "true"), ("SIGNUP", "open")]).await;
    let mut browser = Browser::new(&both, &[]);
    let form = browser.get("/signup").await.text;
    assert!(form.contains("name=\"password\""));
    let csrf = form.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let account = format!("email=eve%40example.com&name=Eve&password=burrs+touch+at+zero&csrf={csrf}");

    let world = World::with_dashboard(&[("SIGNUP", "open")]).await;
    let mut browser = Browser { world: &world, cookies: browser.cookies };
    let page = browser.get("/signup").await;
    assert!(page.text.contains("through Clerk") && !page.text.contains("name=\"password\""), "{}", page.text);
    let refused = browser.send(Method::POST, "/signup", &format!("{account}&team_name=Eve")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);

    let path = format!("/api/teams/{}/invitations", world.harness.team_id);
    let invite = json!({ "email": "eve@example.com", "role": "viewer" });
    let (_, made) = Client::signed_in(&world.harness).await.post(&path, &invite).await;
    browser.get(made["link"].as_str().unwrap().strip_prefix(SITE).unwrap()).await;
    let page = browser.get("/invite").await;
    assert!(page.text.contains("Sign in to join") && !page.text.contains("name=\"password\""), "{}", page.text);
    let refused = browser.send(Method::POST, "/invite/account", &account).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("through Clerk. Sign in there"), "{}", refused.text);
    let eves: i64 = sqlx::query_scalar("select count(*) from users where email = 'eve@example.com'")
        .fetch_one(world.harness.pool())
        .await
        .unwrap();
    assert_eq!(eves, 0);
    world.harness.finish().await;
    both.harness.finish().await;
}
