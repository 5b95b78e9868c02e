//! Samples of the page of a team's own apps.

use super::super::marks::Mark;
use super::super::platform_apps::{AppCard, CurrentApp, PlatformAppsPage};
use super::{HOSTILE, ago, frame, troubled_frame};

pub fn pages() -> Vec<(&'static str, PlatformAppsPage)> {
    let none = AppCard {
        mark: Mark::new("reddit", "Reddit"),
        redirect_uri: "https://rejoinder.example.com/api/integrations/reddit/oauth/callback".to_owned(),
        current: None,
        server_has_one: true,
        client_id: String::new(),
        error: None,
    };
    let current = CurrentApp { client_id: "p0aXcbmQoWi1Xw".to_owned(), accounts: 2, updated_at: ago(4_000) };
    let own = AppCard { client_id: current.client_id.clone(), current: Some(current.clone()), ..none.clone() };
    let why = "is missing; copy it from the page of your app at the platform";
    let wrong = AppCard { error: Some(("client_secret".to_owned(), why.to_owned())), ..own.clone() };
    let hostile = AppCard {
        client_id: HOSTILE.to_owned(),
        current: Some(CurrentApp { client_id: HOSTILE.to_owned(), accounts: 1, ..current }),
        error: Some(("client_id".to_owned(), HOSTILE.to_owned())),
        ..none.clone()
    };
    let page = |apps| PlatformAppsPage { frame: frame(), apps, saved: false };
    let needed = AppCard { server_has_one: false, ..none.clone() };
    vec![
        ("none", page(vec![none])),
        ("needed", page(vec![needed])),
        ("own", page(vec![own.clone()])),
        ("saved", PlatformAppsPage { saved: true, ..page(vec![own]) }),
        ("wrong", page(vec![wrong])),
        ("hostile", PlatformAppsPage { frame: troubled_frame(), ..page(vec![hostile]) }),
    ]
}
