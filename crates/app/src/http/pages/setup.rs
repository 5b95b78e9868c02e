//! First set-up: the one-time link from the first start leads here and makes the first admin and the first team.

use askama::Template;

#[derive(Debug, Clone, Template)]
#[template(path = "setup.html")]
pub struct SetupPage {
    pub csrf: String,
    /// From the one-time link; goes back with the form.
    pub token: String,
    pub name: String,
    pub email: String,
    pub team_name: String,
    pub errors: SetupErrors,
    /// False when the link was used or is too old: then the page says how to get a new one.
    pub link_valid: bool,
}

/// What is wrong with each field, as a sentence.
#[derive(Debug, Clone, Default)]
pub struct SetupErrors {
    pub name: Option<String>,
    pub email: Option<String>,
    pub password: Option<String>,
    pub team_name: Option<String>,
}

impl SetupPage {
    pub fn samples() -> Vec<(&'static str, Self)> {
        let empty = Self {
            csrf: "sample-token".to_owned(),
            token: "sample-link-token".to_owned(),
            name: String::new(),
            email: String::new(),
            team_name: String::new(),
            errors: SetupErrors::default(),
            link_valid: true,
        };
        let refused = Self {
            name: "Ada \"<b>\" Lovelace".to_owned(),
            email: "ada@acme".to_owned(),
            team_name: "Acme Coffee".to_owned(),
            errors: SetupErrors {
                email: Some("This is no complete e-mail address: the part after the @ has no dot.".to_owned()),
                password: Some("Use at least 12 characters. A sentence is good.".to_owned()),
                ..SetupErrors::default()
            },
            ..empty.clone()
        };
        let used = Self { link_valid: false, ..empty.clone() };
        vec![("empty", empty), ("refused", refused), ("used-link", used)]
    }
}
