//! The dashboard as a browser without scripts meets it, through the whole router: forms, redirects, cookies.

use crate::harness::Harness;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use rejoinder_app::accounts::{sessions, teams, users};
use rejoinder_app::http::router;
use rejoinder_app::model::{ItemState, Stage, Status};
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use url::form_urlencoded;
use uuid::Uuid;

const ORIGIN: &str = "http://localhost:3000";
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Keeps cookies and the page that it was on; follows no redirect by itself.
pub struct Browser {
    router: Router,
    cookies: BTreeMap<String, String>,
    csrf: String,
}

pub struct Seen {
    pub status: StatusCode,
    pub location: String,
    pub referrer_policy: String,
    pub retry_after: Option<String>,
    pub html: String,
}

impl Browser {
    pub fn new(harness: &Harness) -> Self {
        let router = router(harness.app.clone(), CancellationToken::new());
        Self { router, cookies: BTreeMap::new(), csrf: String::new() }
    }

    pub async fn signed_in(harness: &Harness, user_id: Uuid) -> Self {
        let (app, mut conn) = (&harness.app, harness.conn().await);
        let session = sessions::create(&mut conn, user_id, app.clock.now(), &app.entropy).await.unwrap();
        let mut browser = Self::new(harness);
        let token = session.token.expose_secret().to_owned();
        browser.cookies.insert("rejoinder_session".to_owned(), token);
        browser.get("/dashboard/inbox").await;
        browser
    }

    /// Fills in the sign-in page.
    pub async fn sign_in(&mut self, email: &str, password: &str) -> Seen {
        self.get("/signin").await;
        self.post("/signin", &[("email", email), ("password", password)]).await
    }

    /// The token of the form that was read last.
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Another browser with the same cookies.
    pub fn copy(&self) -> Self {
        Self { router: self.router.clone(), cookies: self.cookies.clone(), csrf: self.csrf.clone() }
    }

    pub async fn get(&mut self, path: &str) -> Seen {
        let seen = self.ask(Method::GET, path, Body::empty(), false).await;
        self.look_at(&seen);
        seen
    }

    /// Forms are sent from this page from now on, also where it was left open while another one was read.
    pub fn look_at(&mut self, page: &Seen) {
        if let Some(token) = page.html.split("name=\"csrf\" value=\"").nth(1) {
            self.csrf = token.split('"').next().unwrap().to_owned();
        }
    }

    /// Sends a form of the page that was read last.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let body = self.form(fields);
        self.ask(Method::POST, path, body, false).await
    }

    pub async fn post_by_htmx(&mut self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let body = self.form(fields);
        self.ask(Method::POST, path, body, true).await
    }

    fn form(&self, fields: &[(&str, &str)]) -> Body {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", &self.csrf).extend_pairs(fields);
        Body::from(form.finish())
    }

    async fn ask(&mut self, method: Method, path: &str, body: Body, htmx: bool) -> Seen {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "text/html")
            .header(header::ORIGIN, ORIGIN)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::COOKIE, cookies.join("; "))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if htmx {
            request = request.header("hx-request", "true");
        }
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let text = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (location, retry_after) = (text(header::LOCATION), text(header::RETRY_AFTER));
        let referrer_policy = text(header::REFERRER_POLICY).unwrap_or_default();
        let status = response.status();
        let html = to_bytes(response.into_body(), 4 << 20).await.unwrap();
        let html = String::from_utf8(html.to_vec()).unwrap();
        Seen { status, location: location.unwrap_or_default(), referrer_policy, retry_after, html }
    }
}

#[tokio::test]
async fn who_is_not_signed_in_is_led_to_the_sign_in_page_and_from_there_to_where_they_were_going() {
    let harness = Harness::start().await;
    let (app, mut conn) = (&harness.app, harness.conn().await);
    let hash = app.passwords.hash("burrs touch at zero".into(), &app.entropy).await.unwrap();
    users::set_password(&mut conn, harness.user_id, &hash, harness.now()).await.unwrap();
    drop(conn);
    let mut browser = Browser::new(&harness);
    let sent_away = browser.get("/dashboard/intents").await;
    assert_eq!(
        (sent_away.status, sent_away.location.as_str()),
        (StatusCode::SEE_OTHER, "/signin?next=%2Fdashboard%2Fintents")
    );
    browser.get(&sent_away.location).await;
    let form = |password| [("email", "Ana@example.com"), ("password", password), ("next", "/dashboard/intents")];
    let refused = browser.post("/signin", &form("wrong password")).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.html.contains("value=\"Ana@example.com\""), "the address is still there");
    let signed_in = browser.post("/signin", &form("burrs touch at zero")).await;
    assert_eq!((signed_in.status, signed_in.location.as_str()), (StatusCode::SEE_OTHER, "/dashboard/intents"));
    assert_eq!(browser.get("/dashboard/intents").await.status, StatusCode::OK);
    let signed_out = browser.post("/signout", &[]).await;
    assert_eq!(signed_out.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/dashboard/intents").await.status, StatusCode::SEE_OTHER);
    harness.finish().await;
}

#[tokio::test]
async fn a_reply_is_drafted_changed_approved_and_posted_by_forms_alone() {
    let harness = Harness::start().await;
    let (comment, item) = harness.incoming("How fine should I grind for <b>decaf</b>?").await;
    harness.incoming("And for filter?").await;
    let mut browser = Browser::signed_in(&harness, harness.user_id).await;
    let list = browser.get("/dashboard/inbox").await;
    assert!(
        list.html.contains("How fine should I grind for &#60;b&#62;decaf&#60;/b&#62;?"),
        "a stranger's text is text"
    );

    let page = format!("/dashboard/inbox?filter=all&item={}&step=draft", item.id);
    browser.get(&page).await;
    let asked = browser.post(&format!("/dashboard/items/{}/draft", item.id), &[("text", "Two steps finer.")]).await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
    let editor = browser.get(&asked.location).await;
    assert!(editor.html.contains("Two steps finer."));
    let suggestion_id = harness.item_of(&comment).await.unwrap().suggestion_id.unwrap();
    let action = |name: &str| format!("/dashboard/suggestions/{suggestion_id}/{name}");
    assert!(editor.html.contains(&format!("action=\"{}\"", action("approve"))));

    let approve = [("version", "1"), ("text", "Two steps finer, then taste.")];
    let approved = browser.post(&action("approve"), &approve).await;
    assert_eq!(approved.status, StatusCode::SEE_OTHER);
    let (onward, next) = approved.location.rsplit_once("&item=").unwrap();
    assert_eq!(onward, format!("/dashboard/inbox?filter=waiting&decided={}", item.id));
    assert_ne!(next, item.id.to_string(), "on to another one");
    let onward = browser.get(&approved.location).await;
    assert!(onward.html.contains("is approved.") && onward.html.contains(&action("undo")), "it can be taken back");
    assert!(harness.our_texts(&comment).is_empty(), "nothing goes out while it can be taken back");

    harness.run_for(Duration::seconds(9)).await;
    assert_eq!(harness.our_texts(&comment), ["Two steps finer, then taste."]);
    let posted = browser.get(&page).await;
    assert!(posted.html.contains("Seen on Reddit.") && posted.html.contains("See it on Reddit"));
    assert!(posted.html.contains("Attempt 1: the platform took it (HTTP 200)"));
    assert_eq!(browser.get("/dashboard/activity").await.status, StatusCode::OK);
    harness.finish().await;
}

#[tokio::test]
async fn an_approval_is_taken_back_and_nothing_goes_out() {
    let harness = Harness::start().await;
    let (comment, suggestion) = harness.ready_reply("Two steps finer.").await;
    let mut browser = Browser::signed_in(&harness, harness.user_id).await;
    let action = |name: &str| format!("/dashboard/suggestions/{}/{name}", suggestion.id);
    browser.post(&action("approve"), &[("version", "1"), ("text", "Two steps finer.")]).await;
    assert_eq!(harness.stands(&suggestion).await, (Status::Approved, Stage::Queued));
    let undone = browser.post(&action("undo"), &[]).await;
    assert_eq!(undone.status, StatusCode::SEE_OTHER);
    harness.run_for(Duration::seconds(20)).await;
    assert_eq!(harness.stands(&suggestion).await, (Status::Pending, Stage::Ready));
    assert_eq!((harness.our_texts(&comment).len(), harness.write_requests()), (0, 0));
    harness.finish().await;
}

#[tokio::test]
async fn a_form_without_its_token_changes_nothing() {
    let harness = Harness::start().await;
    let (comment, item) = harness.incoming("How fine?").await;
    let mut browser = Browser::signed_in(&harness, harness.user_id).await;
    browser.csrf = "made-up".to_owned();
    let refused = browser.post(&format!("/dashboard/items/{}/done", item.id), &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.html.starts_with("<!doctype html>"), "a browser gets a page");
    assert_eq!(harness.item_of(&comment).await.unwrap().state, ItemState::Open.as_str());
    harness.finish().await;
}

#[tokio::test]
async fn a_viewer_sees_everything_and_can_press_nothing() {
    let harness = Harness::start().await;
    let (_, suggestion) = harness.ready_reply("Two steps finer.").await;
    sqlx::query("update team_members set role = 'viewer'").execute(harness.pool()).await.unwrap();
    let mut browser = Browser::signed_in(&harness, harness.user_id).await;
    for path in [&format!("/dashboard/inbox?item={}", suggestion.item_id), "/dashboard/accounts", "/dashboard/intents"]
    {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let forms: Vec<&str> =
            page.html.split("action=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(forms.iter().all(|action| ["/signout", "/dashboard/inbox"].contains(action)), "{path}: {forms:?}");
    }
    let refused = browser.post(&format!("/dashboard/suggestions/{}/approve", suggestion.id), &[("version", "1")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(harness.stands(&suggestion).await, (Status::Pending, Stage::Ready));
    harness.finish().await;
}

#[tokio::test]
async fn whoever_loses_a_race_keeps_their_words_and_sees_the_others() {
    let harness = Harness::start().await;
    let (comment, suggestion) = harness.ready_reply("Two steps finer.").await;
    let mut browser = Browser::signed_in(&harness, harness.user_id).await;
    harness.edit(&suggestion, "Three steps finer.").await.unwrap();
    let mine = [("version", "1"), ("text", "My own words.")];
    let lost = browser.post_by_htmx(&format!("/dashboard/suggestions/{}/approve", suggestion.id), &mine).await;
    assert_eq!(lost.status, StatusCode::CONFLICT);
    assert!(lost.html.starts_with("<div id=\"draft-pane\""), "htmx gets the pane alone");
    assert!(lost.html.contains("My own words.</textarea>"));
    assert!(lost.html.contains("Three steps finer.") && lost.html.contains("It was edited by Ana Lima"));
    let again = browser.get(&format!("/dashboard/inbox/draft?item={}", suggestion.item_id)).await;
    assert!(again.html.contains("My own words.</textarea>"), "also after a reload");
    assert!(harness.our_texts(&comment).is_empty());
    harness.finish().await;
}

#[tokio::test]
async fn what_belongs_to_another_team_is_not_there() {
    let harness = Harness::start().await;
    let (_, suggestion) = harness.ready_reply("Two steps finer.").await;
    let (app, moment) = (&harness.app, harness.app.moment());
    let (user_id, team_id) = (moment.id(), moment.id());
    let mut conn = harness.conn().await;
    let user = users::NewUser { id: user_id, email: Some("eve@example.com"), name: "Eve", password_hash: None };
    users::create(&mut conn, user, app.clock.now()).await.unwrap();
    let team = teams::NewTeam { id: team_id, member_id: moment.id(), owner_user_id: user_id, name: "Others" };
    teams::create(&mut conn, team, app.clock.now()).await.unwrap();
    drop(conn);
    let mut browser = Browser::signed_in(&harness, user_id).await;
    let item = suggestion.item_id;
    for path in ["/dashboard/inbox", "/dashboard/inbox/thread", "/dashboard/inbox/draft"] {
        let page = browser.get(&format!("{path}?item={item}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!page.html.contains("How fine"), "{path}");
    }
    browser.get("/dashboard/inbox").await;
    for path in [format!("/dashboard/suggestions/{}/approve", suggestion.id), format!("/dashboard/items/{item}/done")] {
        assert_eq!(browser.post(&path, &[("version", "1")]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(harness.stands(&suggestion).await, (Status::Pending, Stage::Ready));
    harness.finish().await;
}

#[tokio::test]
async fn connecting_leads_to_the_consent_page_and_a_failed_one_says_what_to_do() {
    let harness = Harness::start().await;
    let mut browser = Browser::signed_in(&harness, harness.user_id).await;
    let out = browser.post("/dashboard/accounts/reddit/connect", &[]).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER);
    assert!(out.location.starts_with(harness.base_url.as_str()), "{}", out.location);
    let back = browser.get("/dashboard?integration=failed&reason=declined&platform=reddit").await;
    let accounts = browser.get(&back.location).await;
    assert!(accounts.html.contains("Reddit was not connected: access was declined"), "{}", back.location);
    let nowhere = browser.get("/dashboard/nowhere").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    assert!(nowhere.html.contains("There is nothing at this address"));
    harness.finish().await;
}
