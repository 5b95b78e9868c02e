//! Sign-in with e-mail and password, for instances with built-in accounts.

use askama::Template;

#[derive(Debug, Clone, Template)]
#[template(path = "signin.html")]
pub struct SignInPage {
    pub csrf: String,
    /// What the person typed before; an error never empties it.
    pub email: String,
    /// Path inside the dashboard to go to afterwards.
    pub next: Option<String>,
    pub error: Option<String>,
    /// "You signed out." and the like.
    pub message: Option<String>,
}

impl SignInPage {
    pub fn samples() -> Vec<(&'static str, Self)> {
        let empty =
            Self { csrf: "sample-token".to_owned(), email: String::new(), next: None, error: None, message: None };
        let refused = Self {
            email: "ada@acme.example".to_owned(),
            next: Some("/dashboard/inbox?item=0190\"><script>alert(1)</script>".to_owned()),
            error: Some("E-mail or password is wrong. After 5 wrong tries we wait a minute.".to_owned()),
            ..empty.clone()
        };
        let signed_out = Self { message: Some("You are signed out.".to_owned()), ..empty.clone() };
        vec![("empty", empty), ("refused", refused), ("signed-out", signed_out)]
    }
}
