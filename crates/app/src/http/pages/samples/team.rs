//! Samples of the team page.

use super::super::team::{InvitationLine, InviteForm, IssuedLink, MemberLine, TeamPage};
use super::{HOSTILE, TeamChoice, ago, ahead, frame, id, troubled_frame};
use crate::model::Role;

fn member(number: u128, name: &str, role: Role) -> MemberLine {
    MemberLine {
        user_id: id(number),
        name: name.to_owned(),
        email: Some(format!("person{number}@acme.example")),
        role,
        is_owner: false,
        is_me: false,
        joined_at: ago(60 * 24 * (50 - number as i64)),
    }
}

pub fn pages() -> Vec<(&'static str, TeamPage)> {
    let me = MemberLine { is_owner: true, is_me: true, ..member(40, "Ada Lovelace", Role::Admin) };
    let others = [
        member(41, "Grace Hopper", Role::Admin),
        member(42, "Maximiliane von Hohenstein-Waldenburg", Role::Editor),
        MemberLine { email: None, ..member(43, "Lin", Role::Viewer) },
    ];
    let invitation = |number, email: &str, role, until| InvitationLine {
        id: id(number),
        email: email.to_owned(),
        role,
        invited_by: "Ada Lovelace".to_owned(),
        expires_at: until,
    };
    let full = TeamPage {
        frame: super::Frame { other_teams: vec![TeamChoice { id: id(2), name: "Side Project".to_owned() }], ..frame() },
        members: std::iter::once(me.clone()).chain(others.clone()).collect(),
        more: None,
        is_later: false,
        invitations: vec![
            invitation(60, "barbara@acme.example", Role::Editor, ahead(60 * 24 * 6)),
            invitation(61, "mary@acme.example", Role::Viewer, ago(90)),
        ],
        form: InviteForm::default(),
        issued: None,
        done: None,
        refused: None,
        may_manage: true,
        may_hand_over: true,
        heirs: others.iter().map(|person| (person.user_id, person.name.clone())).collect(),
        may_found: true,
    };
    let issued = TeamPage {
        issued: Some(IssuedLink {
            email: "barbara@acme.example".to_owned(),
            link: "https://replies.acme.example/invite?token=sampleSampleSampleSampleSampleSampleSample123".to_owned(),
            mailed: false,
        }),
        ..full.clone()
    };
    let alone = TeamPage {
        frame: frame(),
        members: vec![me],
        invitations: Vec::new(),
        heirs: Vec::new(),
        done: Some("The person is no longer in the team."),
        ..full.clone()
    };
    let viewer = TeamPage {
        members: vec![
            MemberLine { is_owner: true, ..member(40, "Ada Lovelace", Role::Admin) },
            MemberLine { is_me: true, ..member(43, "Lin", Role::Viewer) },
        ],
        frame: frame(),
        may_manage: false,
        may_hand_over: false,
        may_found: false,
        ..full.clone()
    };
    let hostile = TeamPage {
        frame: troubled_frame(),
        members: vec![MemberLine { name: HOSTILE.to_owned(), ..member(44, "", Role::Viewer) }],
        refused: Some(HOSTILE.to_owned()),
        form: InviteForm { email: HOSTILE.to_owned(), role: Role::Admin, error: Some(HOSTILE.to_owned()) },
        heirs: vec![(id(44), HOSTILE.to_owned())],
        more: Some("1.2".to_owned()),
        is_later: true,
        ..full.clone()
    };
    vec![("full", full), ("issued", issued), ("alone", alone), ("viewer", viewer), ("hostile", hostile)]
}
