//! The control handle's part for Clerk: tokens of any content, key rotation, outages, webhooks.

use serde_json::Value;
use time::OffsetDateTime;

use crate::Control;
use crate::vendors::clerk::{self, Outage, SignedMessage, webhook};

/// Who a session token is for.
#[derive(Clone, Copy, Debug)]
pub struct ClerkToken<'a> {
    /// The base URL of the sandbox, without a slash at its end.
    pub issuer: &'a str,
    pub user: &'a str,
    pub session: &'a str,
    /// Origin of the page that asks for it.
    pub party: &'a str,
}

/// What Clerk knows of a person.
#[derive(Clone, Copy, Debug)]
pub struct ClerkUser<'a> {
    pub id: &'a str,
    pub first_name: &'a str,
    pub last_name: &'a str,
    /// Address, and whether it is verified.
    pub email: Option<(&'a str, bool)>,
    pub updated_at: OffsetDateTime,
}

impl Control {
    /// Header and claims of a good token that begins now, to be changed and signed.
    pub fn clerk_claims(&self, token: ClerkToken<'_>) -> (Value, Value) {
        let now = self.now();
        let claims = clerk::token_claims(token.issuer, token.user, token.session, token.party, now);
        (clerk::token_header(), claims)
    }

    /// Signs with the key of now, whatever the content.
    pub fn clerk_sign(&self, header: &Value, claims: &Value) -> String {
        self.shared().world().clerk.sign(header, claims)
    }

    /// A good token that begins now.
    pub fn clerk_token(&self, token: ClerkToken<'_>) -> String {
        let (header, claims) = self.clerk_claims(token);
        self.clerk_sign(&header, &claims)
    }

    /// The next key signs from now on; the one before stays published if `keep`.
    pub fn clerk_rotate(&self, keep: bool) {
        self.shared().world().clerk.rotate(keep);
    }

    /// How the instance's keys are (not) served from now on.
    pub fn clerk_outage(&self, outage: Option<Outage>) {
        self.shared().world().clerk.outage = outage;
    }

    /// The browser signs in at the instance, or out.
    pub fn clerk_browser(&self, user: Option<&str>) {
        let mut world = self.shared().world();
        let now = world.now();
        match user {
            Some(user) => world.clerk.sign_in(user, now),
            None => world.clerk.browser = None,
        }
    }

    /// A webhook about a person, signed with `secret`. Each has an id of its own.
    pub fn clerk_user_event(&self, secret: &str, kind: &str, user: ClerkUser<'_>) -> SignedMessage {
        let name = [user.first_name, user.last_name];
        self.clerk_event(secret, kind, &webhook::user(user.id, name, user.email, user.updated_at))
    }

    /// A webhook of any content that Clerk would sign.
    pub fn clerk_event(&self, secret: &str, kind: &str, data: &Value) -> SignedMessage {
        self.clerk_signed_body(secret, webhook::event(kind, data, self.now()))
    }

    /// A webhook of any body.
    pub fn clerk_signed_body(&self, secret: &str, body: String) -> SignedMessage {
        let (number, now) = {
            let mut world = self.shared().world();
            world.clerk.messages += 1;
            (world.clerk.messages, world.now())
        };
        SignedMessage::new(secret, &format!("msg_{number:06}"), now, body)
    }
}
