//! Codes and tokens of X: a code lives 30 seconds and is bound to its challenge, an access token two hours, and a refresh token works once.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::world::oauth::{IssuedToken, scatter};

const CODE_LIFE: Duration = Duration::from_secs(30);
pub(crate) const ACCESS_LIFE: Duration = Duration::from_secs(7200);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) user: u64,
    pub(crate) scope: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) grant: Grant,
    pub(crate) redirect_uri: String,
    /// None: handed out by a test without one.
    pub(crate) challenge: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

#[derive(Debug, Serialize, Deserialize)]
struct Access {
    grant: Grant,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Grants {
    issued: u64,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Grant>,
}

impl Grants {
    fn token(&mut self, mark: &str) -> String {
        self.issued += 1;
        let high = scatter(0x58 ^ self.issued.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        format!("{mark}-{high:016x}{:016x}", scatter(high ^ self.issued))
    }

    pub(crate) fn grant_code(
        &mut self,
        grant: Grant,
        redirect_uri: &str,
        challenge: Option<&str>,
        at: OffsetDateTime,
    ) -> String {
        let code = self.token("xcode");
        let (redirect_uri, challenge) = (redirect_uri.to_owned(), challenge.map(str::to_owned));
        self.codes.insert(code.clone(), Code { grant, redirect_uri, challenge, at });
        code
    }

    /// Takes the code away, so a second use finds nothing.
    pub(crate) fn redeem(
        &mut self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        now: OffsetDateTime,
    ) -> Option<IssuedToken> {
        let code = self.codes.remove(code)?;
        let hash = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
        let fits = code.challenge.as_ref().is_none_or(|asked| *asked == BASE64_URL_SAFE_NO_PAD.encode(hash));
        let in_time = now <= code.at + CODE_LIFE && code.redirect_uri == redirect_uri;
        (fits && in_time).then(|| self.issue(code.grant, now))
    }

    pub(crate) fn issue(&mut self, grant: Grant, now: OffsetDateTime) -> IssuedToken {
        let access_token = self.token("xaccess");
        let lasting = grant.scope.split(' ').any(|scope| scope == "offline.access");
        let refresh_token = lasting.then(|| self.token("xrefresh"));
        if let Some(token) = &refresh_token {
            self.refresh.insert(token.clone(), grant.clone());
        }
        let scope = grant.scope.clone();
        self.access.insert(access_token.clone(), Access { grant, until: now + ACCESS_LIFE });
        IssuedToken { access_token, refresh_token, expires_in_secs: ACCESS_LIFE.as_secs(), scope }
    }

    pub(crate) fn refresh(&mut self, token: &str, now: OffsetDateTime) -> Option<IssuedToken> {
        let grant = self.refresh.remove(token)?;
        Some(self.issue(grant, now))
    }

    pub(crate) fn holder(&self, access_token: &str, now: OffsetDateTime) -> Option<&Grant> {
        self.access.get(access_token).filter(|access| access.until > now).map(|access| &access.grant)
    }

    pub(crate) fn revoke(&mut self, token: &str) {
        self.refresh.remove(token);
        self.access.remove(token);
    }

    pub(crate) fn expire(&mut self, access_token: &str) {
        self.access.remove(access_token);
    }

    pub(crate) fn expire_all(&mut self) {
        self.access.clear();
    }

    pub(crate) fn revoke_all(&mut self) {
        self.access.clear();
        self.refresh.clear();
        self.codes.clear();
    }
}
