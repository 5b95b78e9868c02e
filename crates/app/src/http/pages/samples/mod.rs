//! Declared samples: what each page looks like when it is empty, full, too long, hostile or in trouble. The tests
//! render every one of them, the previewer shows them. The moment is fixed, so a sample always renders the same.

pub mod account;
pub mod accounts;
pub mod activity;
pub mod drafts;
pub mod etiquette;
pub mod inbox;
pub mod intents;
pub mod notices;
pub mod platform_apps;
pub mod settings;
pub mod team;
pub mod threads;
pub mod tokens;
pub mod uncertain;
pub mod watches;
pub mod webhooks;

use super::{Frame, Mark, Notice, PauseBar, TeamChoice, Tone};
use askama::Template;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// The moment of all samples.
pub const NOW: OffsetDateTime = datetime!(2026-03-12 14:00:00 UTC);

/// A text that would run, close tags and break attributes if anything forgot to escape it.
pub const HOSTILE: &str = r#"</textarea></script><script>alert(1)</script><img src=x onerror="alert(2)" style='color:red'> & "quotes' {{7*7}}"#;

pub const ARABIC: &str = "المطحنة تقفز بعد التنظيف، هل من حل؟ (موديل DF64)";

/// A sample, rendered.
pub struct Rendered {
    pub page: &'static str,
    pub sample: &'static str,
    pub html: String,
}

/// Every sample of every page and fragment, in the order of the navigation.
pub fn all() -> askama::Result<Vec<Rendered>> {
    let mut rendered = Vec::new();
    add(&mut rendered, "signin", super::signin::SignInPage::samples())?;
    add(&mut rendered, "signin-code", super::signin_code::CodePage::samples())?;
    add(&mut rendered, "forgot", super::forgot::ForgotPage::samples())?;
    add(&mut rendered, "reset", super::forgot::ResetPage::samples())?;
    add(&mut rendered, "signin-clerk", super::signin_clerk::ClerkSignInPage::samples())?;
    add(&mut rendered, "setup", super::setup::SetupPage::samples())?;
    add(&mut rendered, "signup", super::signup::SignUpPage::samples())?;
    add(&mut rendered, "invite", super::invite::InvitePage::samples())?;
    add(&mut rendered, "inbox", super::inbox::InboxPage::samples())?;
    add(&mut rendered, "inbox-list", super::inbox_list::ListPane::samples())?;
    add(&mut rendered, "inbox-thread", super::inbox_thread::ThreadPane::samples())?;
    add(&mut rendered, "inbox-draft", super::inbox_draft::DraftPane::samples())?;
    add(&mut rendered, "accounts", super::accounts::AccountsPage::samples())?;
    add(&mut rendered, "watches", super::watches::WatchesPage::samples())?;
    add(&mut rendered, "etiquette", super::etiquette::EtiquettePage::samples())?;
    add(&mut rendered, "intents", super::intents::IntentsPage::samples())?;
    add(&mut rendered, "notices", super::notices::NoticesPage::samples())?;
    add(&mut rendered, "uncertain", super::uncertain::UncertainPage::samples())?;
    add(&mut rendered, "activity", super::activity::ActivityPage::samples())?;
    add(&mut rendered, "team", super::team::TeamPage::samples())?;
    add(&mut rendered, "settings", super::settings::SettingsPage::samples())?;
    add(&mut rendered, "account", super::account::AccountPage::samples())?;
    add(&mut rendered, "platform-apps", super::platform_apps::PlatformAppsPage::samples())?;
    add(&mut rendered, "tokens", super::tokens::TokensPage::samples())?;
    add(&mut rendered, "webhooks", super::webhooks::WebhooksPage::samples())?;
    add(&mut rendered, "data-deletion", super::deletion::DeletionPage::samples())?;
    add(&mut rendered, "frame", super::frame::FrameParts::samples())?;
    add(&mut rendered, "error", super::error::ErrorPage::samples())?;
    Ok(rendered)
}

fn add<T: Template>(
    rendered: &mut Vec<Rendered>,
    page: &'static str,
    samples: Vec<(&'static str, T)>,
) -> askama::Result<()> {
    for (sample, template) in samples {
        rendered.push(Rendered { page, sample, html: template.render()? });
    }
    Ok(())
}

/// A fixed id, different for each number.
pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0195_8a00_0000_7000_8000_0000_0000_0000 + number)
}

pub fn ago(minutes: i64) -> OffsetDateTime {
    NOW - Duration::minutes(minutes)
}

pub fn ahead(minutes: i64) -> OffsetDateTime {
    NOW + Duration::minutes(minutes)
}

pub fn reddit() -> Mark {
    Mark::new("reddit", "Reddit")
}

pub fn instagram() -> Mark {
    Mark::new("instagram", "Instagram")
}

pub fn x() -> Mark {
    Mark::new("x", "X")
}

pub fn frame() -> Frame {
    Frame {
        team_id: id(1),
        team_name: "Acme Coffee".to_owned(),
        other_teams: Vec::new(),
        user_name: "Ada Lovelace".to_owned(),
        csrf: "sample-token".to_owned(),
        now: NOW,
        waiting: 9,
        account_problems: 0,
        unknown: 0,
        notices: 0,
        pauses: Vec::new(),
        notice: None,
    }
}

/// A frame in trouble: paused, with a problem, with names that do not fit.
pub fn troubled_frame() -> Frame {
    Frame {
        team_name: "Gesellschaft für Kaffeemaschinen und Zubehör <b>mbH</b>".to_owned(),
        other_teams: vec![
            TeamChoice { id: id(2), name: "Acme Coffee".to_owned() },
            TeamChoice { id: id(3), name: HOSTILE.to_owned() },
        ],
        user_name: "Maximiliane von Hohenstein-Waldenburg".to_owned(),
        waiting: 12_408,
        account_problems: 2,
        unknown: 3,
        notices: 3,
        pauses: vec![
            PauseBar {
                what: "All sending on this server is paused.",
                why: Some(HOSTILE.to_owned()),
                by: None,
                since: ago(190),
                resume_path: None,
                who_resumes: "Its operator can resume it.",
            },
            PauseBar {
                what: "All sending of the team is paused.",
                why: Some("3 replies to u/angry were removed within 10 minutes.".to_owned()),
                by: Some("Ada Lovelace".to_owned()),
                since: ago(42),
                resume_path: Some("/dashboard/resume"),
                who_resumes: "An admin can resume it.",
            },
        ],
        notice: Some(Notice {
            tone: Tone::Bad,
            text: "The draft was not saved: the server was stopped for an update. Your text is still below. Try again."
                .to_owned(),
        }),
        ..frame()
    }
}
