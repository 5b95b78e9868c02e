//! Samples of the settings page.

use super::super::settings::{SettingsForm, SettingsPage};
use super::{HOSTILE, frame, troubled_frame};

pub fn pages() -> Vec<(&'static str, SettingsPage)> {
    let form = SettingsForm {
        timezone: "Europe/Berlin".to_owned(),
        daily_cap: "40".to_owned(),
        gap_secs: String::new(),
        quiet_from: "22:00".to_owned(),
        quiet_to: "07:00".to_owned(),
        link_domains: "acme.coffee\nhelp.acme.coffee".to_owned(),
        opt_out_words: "no more coffee tips".to_owned(),
        platform_budget: Some("20.00".to_owned()),
        error: None,
    };
    let full = SettingsPage {
        frame: frame(),
        form: form.clone(),
        timezones: ["America/Los_Angeles", "Europe/Berlin", "UTC"].map(str::to_owned).to_vec(),
        server_cap: "no limit".to_owned(),
        server_gap: "30 s".to_owned(),
        server_words: "stop, no bots, don't reply to me".to_owned(),
        saved: false,
        may_change: true,
    };
    let saved = SettingsPage { saved: true, ..full.clone() };
    let refused = |field: &str, message: &str| Some((field.to_owned(), message.to_owned()));
    let wrong = SettingsPage {
        form: SettingsForm {
            quiet_to: String::new(),
            error: refused("quiet_to", "quiet hours have an end too, like `07:00`; or empty both"),
            ..form.clone()
        },
        ..full.clone()
    };
    let hostile = SettingsPage {
        frame: troubled_frame(),
        form: SettingsForm {
            timezone: HOSTILE.to_owned(),
            link_domains: HOSTILE.to_owned(),
            opt_out_words: HOSTILE.to_owned(),
            platform_budget: Some(HOSTILE.to_owned()),
            error: refused("timezone", HOSTILE),
            ..form
        },
        ..full.clone()
    };
    let viewer = SettingsPage { may_change: false, ..full.clone() };
    let unset = SettingsPage {
        form: SettingsForm { timezone: "UTC".to_owned(), ..SettingsForm::default() },
        may_change: false,
        ..full.clone()
    };
    vec![
        ("full", full),
        ("saved", saved),
        ("wrong", wrong),
        ("hostile", hostile),
        ("viewer", viewer),
        ("viewer-unset", unset),
    ]
}
