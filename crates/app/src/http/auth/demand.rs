//! What a route asks of its caller, read off its handler's signature, so that the OpenAPI document and the tests over it cannot
//! say anything else than the code does.
//!
//! Each type that stands in a handler's signature says what it asks for (`Declares`); one that does not compiles into no route.

use super::{Caller, InPerson, Loaded, NamedTeam, PageCaller, RequiredRole, SignedInPerson, TeamMember};
use crate::http::body::{JsonBody, Path, Query};
use crate::http::etag::IfMatch;
use crate::http::limits::ClientAddress;
use crate::model::Role;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    pub signed_in: bool,
    pub role: Option<Role>,
    /// No API token.
    pub in_person: bool,
    /// Answers without a credential too, but refuses one that opens nothing.
    pub looks_at_credential: bool,
}

impl Demand {
    /// As the document says it in `x-role`: a role, `caller` for anybody signed in, or `none`.
    pub fn name(self) -> &'static str {
        match (self.role, self.signed_in) {
            (Some(role), _) => role.as_str(),
            (None, true) => "caller",
            (None, false) => "none",
        }
    }
}

/// A type in a handler's signature. Asks for nothing unless it says so.
pub trait Declares {
    fn declare(_: &mut Demand) {}
}

macro_rules! asks_nothing {
    ($([$($of:ident),*] for $type:ty;)+) => {$(
        impl<$($of),*> Declares for $type {}
    )+};
}
asks_nothing! {
    [T] for State<T>;
    [T] for Extension<T>;
    [T] for JsonBody<T>;
    [T] for Query<T>;
    [T] for Path<T>;
    // Looked at by the handler, which answers without it too.
    [T] for Option<T>;
    [] for ClientAddress;
    [] for IfMatch;
    [] for HeaderMap;
    [] for Method;
    [] for Uri;
    [] for Bytes;
    [] for Request;
}

/// The handler answers those who are let in and those who are not.
impl<T: Declares, E> Declares for Result<T, E> {
    fn declare(demand: &mut Demand) {
        let mut inner = Demand::default();
        T::declare(&mut inner);
        demand.looks_at_credential |= inner.signed_in;
    }
}

impl Declares for Caller {
    fn declare(demand: &mut Demand) {
        demand.signed_in = true;
    }
}

impl Declares for PageCaller {
    fn declare(demand: &mut Demand) {
        demand.signed_in = true;
        demand.in_person = true;
    }
}

impl Declares for InPerson {
    fn declare(demand: &mut Demand) {
        demand.signed_in = true;
        demand.in_person = true;
    }
}

impl Declares for SignedInPerson {
    fn declare(demand: &mut Demand) {
        demand.signed_in = true;
        demand.in_person = true;
    }
}

macro_rules! asks_role {
    ($([$($of:ident)?] for $type:ty;)+) => {$(
        impl<$($of,)? R: RequiredRole> Declares for $type {
            fn declare(demand: &mut Demand) {
                demand.signed_in = true;
                demand.role = demand.role.max(Some(R::ROLE));
            }
        }
    )+};
}
asks_role! {
    [] for TeamMember<R>;
    [] for NamedTeam<R>;
    [T] for Loaded<T, R>;
}

/// A handler, by the types of its signature.
pub trait Handled<Arguments> {
    fn demand() -> Demand;
}

macro_rules! handled {
    ($($argument:ident)*) => {
        impl<F, Answer, $($argument: Declares),*> Handled<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Answer,
        {
            fn demand() -> Demand {
                #[allow(unused_mut, reason = "a handler may take nothing")]
                let mut demand = Demand::default();
                $($argument::declare(&mut demand);)*
                demand
            }
        }
    };
}
handled!();
handled!(A1);
handled!(A1 A2);
handled!(A1 A2 A3);
handled!(A1 A2 A3 A4);
handled!(A1 A2 A3 A4 A5);
handled!(A1 A2 A3 A4 A5 A6);
handled!(A1 A2 A3 A4 A5 A6 A7);
handled!(A1 A2 A3 A4 A5 A6 A7 A8);

pub fn demand_of<Arguments, H: Handled<Arguments>>(_: &H) -> Demand {
    H::demand()
}

#[cfg(test)]
mod tests {
    use super::super::{Admin, Editor, SuggestionRef, Viewer};
    use super::*;

    async fn open() {}
    async fn signed_in(_: Caller) {}
    async fn editor(_: State<()>, _: Loaded<SuggestionRef, Editor>) {}
    async fn admin(_: TeamMember<Admin>, _: TeamMember<Viewer>, _: InPerson, _: JsonBody<()>) {}

    async fn either(_: Result<PageCaller, ()>) {}

    #[test]
    fn a_signature_says_who_may_call() {
        assert_eq!(demand_of(&open).name(), "none");
        assert_eq!(demand_of(&signed_in).name(), "caller");
        let editors = Demand { signed_in: true, role: Some(Role::Editor), ..Demand::default() };
        assert_eq!(demand_of(&editor), editors);
        assert_eq!(demand_of(&admin), Demand { role: Some(Role::Admin), in_person: true, ..editors });
        assert_eq!(demand_of(&either), Demand { looks_at_credential: true, ..Demand::default() });
    }
}
