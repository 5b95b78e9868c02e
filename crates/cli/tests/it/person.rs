//! A person with a browser: forms for signing in, then the JSON API with the session cookie.

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use std::time::Duration;

pub const PASSWORD: &str = "a kettle of nine ravens";

/// A client that follows nothing and keeps no cookies, so that each step is seen.
#[allow(clippy::disallowed_methods, reason = "the client of these tests")]
pub fn client() -> Client {
    // A second call finds the provider of the first one; both are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let no_redirects = reqwest::redirect::Policy::none();
    Client::builder().redirect(no_redirects).timeout(Duration::from_secs(30)).build().unwrap()
}

pub struct Person {
    client: Client,
    base: String,
    /// `name=value` of the session.
    pub cookie: String,
}

impl Person {
    /// Opens the link of the first start and makes the first account.
    pub async fn sets_up(base: &str, link: &str) -> Self {
        let client = client();
        let page = client.get(link).send().await.unwrap();
        assert_eq!(page.status(), 200, "{link}");
        let pre_session = set_cookie(&page);
        let html = page.text().await.unwrap();
        let form = [
            ("csrf", field(&html, "csrf")),
            ("token", field(&html, "token")),
            ("name", "Mara Lindqvist".to_owned()),
            ("email", "mara@brassfinch.example".to_owned()),
            ("password", PASSWORD.to_owned()),
            ("team_name", "Brassfinch".to_owned()),
        ];
        let submitted = client
            .post(format!("{base}/setup"))
            .header(COOKIE, pre_session)
            .header(ORIGIN, base)
            .form(&form)
            .send()
            .await
            .unwrap();
        assert!(submitted.status().is_redirection(), "{}", submitted.text().await.unwrap());
        Self { cookie: set_cookie(&submitted), client, base: base.to_owned() }
    }

    /// Opens a link for a new password and fills it in.
    pub async fn sets_password(base: &str, link: &str, password: &str) {
        let client = client();
        let page = client.get(link).send().await.unwrap();
        assert_eq!(page.status(), 200, "{link}");
        let pre_session = set_cookie(&page);
        let html = page.text().await.unwrap();
        let form =
            [("csrf", field(&html, "csrf")), ("token", field(&html, "token")), ("password", password.to_owned())];
        let request = client.post(format!("{base}/reset")).header(COOKIE, pre_session).header(ORIGIN, base);
        let submitted = request.form(&form).send().await.unwrap();
        assert_eq!(location(&submitted), "/signin?new=1");
    }

    /// Fills in the sign-in page; an error is what it answered.
    pub async fn signs_in(base: &str, email: &str, password: &str) -> Result<Self, u16> {
        let client = client();
        let page = client.get(format!("{base}/signin")).send().await.unwrap();
        let pre_session = set_cookie(&page);
        let csrf = field(&page.text().await.unwrap(), "csrf");
        let form = [("csrf", csrf.as_str()), ("email", email), ("password", password)];
        let request = client.post(format!("{base}/signin")).header(COOKIE, pre_session).header(ORIGIN, base);
        let submitted = request.form(&form).send().await.unwrap();
        if !submitted.status().is_redirection() {
            return Err(submitted.status().as_u16());
        }
        Ok(Self { cookie: set_cookie(&submitted), client, base: base.to_owned() })
    }

    pub async fn get(&self, path: &str) -> Value {
        read(self.ask(Method::GET, path, None).await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        read(self.ask(Method::POST, path, Some(body)).await.unwrap()).await
    }

    /// Whatever the answer is; an error where the server is not there.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Response> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.header(COOKIE, &self.cookie).header(ORIGIN, &self.base);
        match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        }
    }

    /// The only team.
    pub async fn team(&self) -> String {
        text(&self.get("/api/teams").await["items"][0]["id"])
    }

    /// Goes to the consent page of the simulated Reddit, allows, and follows the way back.
    pub async fn connects_reddit(&self, team: &str, account: &str) {
        let start = self.get(&format!("/api/integrations/reddit/oauth/start?team_id={team}")).await;
        let consent = text(&start["redirect_url"]);
        let (page, ask) = consent.split_once('?').unwrap();
        let form = format!("{ask}&account={account}&decision=allow");
        let request = self.client.post(page).header("content-type", "application/x-www-form-urlencoded").body(form);
        let allowed = request.send().await.unwrap();
        let back = location(&allowed);
        let path = back.strip_prefix(&self.base).unwrap_or_else(|| panic!("leads elsewhere: {back}"));
        let connected = self.ask(Method::GET, path, None).await.unwrap();
        assert!(location(&connected).contains("integration=connected"), "{}", location(&connected));
    }
}

async fn read(response: Response) -> Value {
    let (status, url) = (response.status(), response.url().path().to_owned());
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{url} answers {status}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// A JSON string as it is.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn location(response: &Response) -> String {
    let header = response.headers().get(LOCATION).unwrap_or_else(|| panic!("no redirect: {}", response.status()));
    header.to_str().unwrap().to_owned()
}

/// `name=value` of the only cookie that is set.
fn set_cookie(response: &Response) -> String {
    let set = response.headers().get(SET_COOKIE).expect("a cookie is set").to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// The value of a hidden field.
fn field(html: &str, name: &str) -> String {
    let (_, after) = html.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no field {name}"));
    after.split('"').next().unwrap().to_owned()
}
