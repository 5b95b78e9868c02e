//! Apps, codes and tokens. A code works once; a refresh token works until it is revoked; an access token until it
//! expires on the sandbox clock. Values are predictable from the seed on purpose: nothing here guards anything real.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(crate) const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(86_400);
const CODE_LIFE: Duration = Duration::from_secs(600);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) account: String,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) scope: String,
    pub(crate) permanent: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Access {
    grant: Grant,
    refresh_token: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

#[derive(Debug, Serialize, Deserialize)]
struct Code {
    grant: Grant,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// What the token endpoint hands out.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub expires_in_secs: u64,
    pub scope: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OauthStore {
    seed: u64,
    issued: u64,
    clients: BTreeMap<String, String>,
    pub(crate) redirect_hosts: Vec<String>,
    pub(crate) rotate_refresh: bool,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Grant>,
}

impl OauthStore {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            issued: 0,
            clients: BTreeMap::from([("sandbox-client".to_owned(), "sandbox-secret".to_owned())]),
            redirect_hosts: ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec(),
            rotate_refresh: false,
            codes: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
        }
    }

    pub(crate) fn add_client(&mut self, id: &str, secret: &str) {
        self.clients.insert(id.to_owned(), secret.to_owned());
    }

    pub(crate) fn remove_client(&mut self, id: &str) {
        self.clients.remove(id);
    }

    pub(crate) fn knows_client(&self, id: &str) -> bool {
        self.clients.contains_key(id)
    }

    pub(crate) fn secret_fits(&self, id: &str, secret: &str) -> bool {
        self.clients.get(id).is_some_and(|known| known == secret)
    }

    /// Whether any app has this secret: some calls name no app.
    pub(crate) fn knows_secret(&self, secret: &str) -> bool {
        self.clients.values().any(|known| known == secret)
    }

    pub(crate) fn secret_of(&self, id: &str) -> Option<&str> {
        self.clients.get(id).map(String::as_str)
    }

    fn token(&mut self, mark: &str) -> String {
        self.issued += 1;
        let high = scatter(self.seed ^ self.issued.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let low = scatter(high ^ self.issued);
        format!("{mark}-{high:016x}{low:016x}")
    }

    pub(crate) fn grant_code(&mut self, grant: Grant, now: OffsetDateTime) -> String {
        let code = self.token("code");
        self.codes.insert(code.clone(), Code { grant, expires_at: now + CODE_LIFE });
        code
    }

    /// Takes the code away, so a second use finds nothing.
    pub(crate) fn redeem_code(
        &mut self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
        now: OffsetDateTime,
    ) -> Option<IssuedToken> {
        let Code { grant, expires_at } = self.codes.remove(code)?;
        if grant.client_id != client_id || grant.redirect_uri != redirect_uri || expires_at < now {
            return None;
        }
        Some(self.issue(grant, now))
    }

    pub(crate) fn issue(&mut self, grant: Grant, now: OffsetDateTime) -> IssuedToken {
        let refresh_token = grant.permanent.then(|| {
            let token = self.token("refresh");
            self.refresh.insert(token.clone(), grant.clone());
            token
        });
        self.issue_access(grant, refresh_token, now)
    }

    fn issue_access(&mut self, grant: Grant, refresh_token: Option<String>, now: OffsetDateTime) -> IssuedToken {
        let access_token = self.token("access");
        let scope = grant.scope.clone();
        let expires_at = now + ACCESS_TOKEN_LIFE;
        self.access.insert(access_token.clone(), Access { grant, refresh_token: refresh_token.clone(), expires_at });
        IssuedToken { access_token, refresh_token, expires_in_secs: ACCESS_TOKEN_LIFE.as_secs(), scope }
    }

    pub(crate) fn refresh(&mut self, refresh_token: &str, client_id: &str, now: OffsetDateTime) -> Option<IssuedToken> {
        let grant = self.refresh.get(refresh_token).filter(|grant| grant.client_id == client_id)?.clone();
        let mut current = refresh_token.to_owned();
        if self.rotate_refresh {
            self.refresh.remove(refresh_token);
            current = self.token("refresh");
            self.refresh.insert(current.clone(), grant.clone());
        }
        Some(self.issue_access(grant, Some(current), now))
    }

    /// Who holds this access token, if it is alive.
    pub(crate) fn holder(&self, access_token: &str, now: OffsetDateTime) -> Option<&Grant> {
        self.access.get(access_token).filter(|access| access.expires_at > now).map(|access| &access.grant)
    }

    /// Revokes a token of either kind. A refresh token takes its access tokens with it. Unknown tokens are no error.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let was_refresh = self.refresh.remove(token).is_some();
        if was_refresh {
            self.access.retain(|_, access| access.refresh_token.as_deref() != Some(token));
        }
        self.access.remove(token).is_some() || was_refresh
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

/// A well-spread function of its input (the finisher of splitmix64).
pub(crate) fn scatter(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
