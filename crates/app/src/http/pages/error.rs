//! The page behind every failed request of the dashboard: what happened, what we keep, what to do.

use askama::Template;

#[derive(Debug, Clone, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub status: u16,
    /// "This page does not exist."
    pub title: String,
    pub what_happened: String,
    pub what_we_keep: String,
    pub what_to_do: String,
    pub request_id: String,
    /// Where the main link leads and what it says.
    pub way_on: (String, String),
}

impl ErrorPage {
    pub fn samples() -> Vec<(&'static str, Self)> {
        let inbox = ("/dashboard/inbox".to_owned(), "Go to the inbox".to_owned());
        let missing = Self {
            status: 404,
            title: "There is nothing at this address".to_owned(),
            what_happened: "The item was removed, or it belongs to a team that you are not in.".to_owned(),
            what_we_keep: "Nothing was changed.".to_owned(),
            what_to_do: "Check the link, or find the item in the inbox.".to_owned(),
            request_id: "01938c2e-4b1f-7a90-8d3e-5f6a7b8c9d0e".to_owned(),
            way_on: inbox.clone(),
        };
        let broken = Self {
            status: 503,
            title: "The database does not answer".to_owned(),
            what_happened: "We waited 5 seconds for the database and got no answer.".to_owned(),
            what_we_keep: "Everything that was saved before. Your last click was not carried out.".to_owned(),
            what_to_do:
                "Try again in a minute. If it stays like this, give the number below to whoever runs this server."
                    .to_owned(),
            ..missing.clone()
        };
        let hostile = Self {
            title: "<script>alert('title')</script>".to_owned(),
            request_id: "\"><img src=x onerror=alert(1)>".to_owned(),
            ..missing.clone()
        };
        vec![("not-found", missing), ("unavailable", broken), ("injection", hostile)]
    }
}
