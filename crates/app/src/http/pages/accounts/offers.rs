//! The platforms that can be connected, each by one way or by several, and where a "Connect" form may end.

use super::super::marks::Mark;
use crate::accounts::connect;
use crate::accounts::platform_apps::PlatformApp;
use crate::app::App;
use rejoinder_platforms::{AuthorizeRequest, Reader, ScopeAsked, Through};
use std::collections::BTreeSet;

/// A platform that can be connected here.
#[derive(Debug, Clone)]
pub struct Offer {
    pub mark: Mark,
    /// Scope and the reason why we ask for it.
    pub scopes: Vec<(String, String)>,
    /// Further ways to give consent.
    pub logins: Vec<LoginOffer>,
    /// Why it cannot be connected yet: the setting that is missing, as a sentence.
    pub unavailable: Option<String>,
}

#[derive(Debug, Clone)]
pub struct LoginOffer {
    pub slug: String,
    pub name: String,
    pub suits: String,
    pub scopes: Vec<(String, String)>,
}

fn told(scopes: &[ScopeAsked]) -> Vec<(String, String)> {
    scopes.iter().map(|scope| (scope.name.to_owned(), scope.why.to_owned())).collect()
}

/// Every platform that this build knows. `own`: the platforms at which the team has an app.
pub(super) fn all(app: &App, own: &[PlatformApp]) -> Vec<Offer> {
    let offer = |(slug, name): &(&str, &str)| {
        let mark = Mark::new(slug, name);
        match app.readers.get(slug) {
            Ok(reader) if reader.own_client().is_none() && !own.iter().any(|app| app.platform == *slug) => {
                let why = "This server has no app of its own there: an admin of the team enters one under Settings, Own apps.";
                Offer { mark, scopes: Vec::new(), logins: Vec::new(), unavailable: Some(why.to_owned()) }
            }
            Ok(reader) => {
                let can = reader.capabilities();
                let login = |login: &rejoinder_platforms::Login| LoginOffer {
                    slug: login.slug.to_owned(),
                    name: login.name.to_owned(),
                    suits: login.suits.to_owned(),
                    scopes: told(login.scopes),
                };
                let logins = can.logins.iter().map(login).collect();
                Offer { mark, scopes: told(can.scopes), logins, unavailable: None }
            }
            Err(_) => {
                let setting = match *slug {
                    "instagram" => "META_APP_ID and META_APP_SECRET".to_owned(),
                    other => format!("{}_CLIENT_ID and {0}_CLIENT_SECRET", other.to_uppercase()),
                };
                let why = format!("Not set up on this server: whoever runs it enters {setting}.");
                Offer { mark, scopes: Vec::new(), logins: Vec::new(), unavailable: Some(why) }
            }
        }
    };
    rejoinder_platforms::PLATFORMS.iter().map(offer).collect()
}

/// Where a "Connect" form may end.
pub(super) fn consent_origins(app: &App) -> Vec<String> {
    let origins = |(slug, reader): (&str, &std::sync::Arc<dyn Reader>)| {
        let request = AuthorizeRequest {
            state: String::new(),
            redirect_uri: connect::callback_url(app, slug),
            code_challenge: String::new(),
        };
        let further = reader.capabilities().logins.iter().map(|login| Some(login.slug.to_owned()));
        let ways = std::iter::once(None).chain(further);
        let origin = |login| {
            let through = Through { login, ..Through::default() };
            reader.authorize_url(&through, &request).origin().ascii_serialization()
        };
        ways.map(origin).collect::<Vec<_>>()
    };
    app.readers.iter().flat_map(origins).collect::<BTreeSet<_>>().into_iter().collect()
}
