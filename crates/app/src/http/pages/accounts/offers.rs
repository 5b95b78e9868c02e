//! The platforms that can be connected, and where a "Connect" form may end.

use super::super::marks::Mark;
use super::Offer;
use crate::accounts::connect;
use crate::accounts::platform_apps::PlatformApp;
use crate::app::App;
use rejoinder_platforms::{AuthorizeRequest, Through};

/// Every platform that this build knows. `own`: the platforms at which the team has an app.
pub(super) fn all(app: &App, own: &[PlatformApp]) -> Vec<Offer> {
    let offer = |(slug, name): &(&str, &str)| {
        let mark = Mark::new(slug, name);
        match app.readers.get(slug) {
            Ok(reader) if reader.own_client().is_none() && !own.iter().any(|app| app.platform == *slug) => {
                let why = "This server has no app of its own there: an admin of the team enters one under Settings, Own apps.";
                Offer { mark, scopes: Vec::new(), unavailable: Some(why.to_owned()) }
            }
            Ok(reader) => {
                let scopes = reader.capabilities().scopes.iter();
                let scopes = scopes.map(|scope| (scope.name.to_owned(), scope.why.to_owned())).collect();
                Offer { mark, scopes, unavailable: None }
            }
            Err(_) => {
                let setting = format!("{}_CLIENT_ID and {0}_CLIENT_SECRET", slug.to_uppercase());
                let why = format!("Not set up on this server: whoever runs it enters {setting}.");
                Offer { mark, scopes: Vec::new(), unavailable: Some(why) }
            }
        }
    };
    rejoinder_platforms::PLATFORMS.iter().map(offer).collect()
}

/// Where a "Connect" form may end.
pub(super) fn consent_origins(app: &App) -> Vec<String> {
    let origin = |(slug, reader): (&str, &std::sync::Arc<dyn rejoinder_platforms::Reader>)| {
        let request = AuthorizeRequest {
            state: String::new(),
            redirect_uri: connect::callback_url(app, slug),
            code_challenge: String::new(),
        };
        reader.authorize_url(&Through::default(), &request).origin().ascii_serialization()
    };
    app.readers.iter().map(origin).collect()
}
