//! What a session token says, and whether that makes its bearer the person it names.
//!
//! Pure: text, settings and time in, claims or the reason out; the signature is looked at by `keys`. Tokens come in two versions that
//! differ in claims that we do not use (organisations); what decides is the same in both. Stricter than the vendor's own package
//! where it lets doubt pass: RS256 alone, the issuer must be ours, a session that still waits for a step of the person is none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;

/// The vendor's cookie holds less than 4 KiB.
pub const LONGEST_TOKEN: usize = 8 * 1024;
const LONGEST_NAME: usize = 255;
/// How far the vendor's clock and ours may be apart.
const SKEW_SECS: f64 = 5.0;
/// Texts that other credentials of the vendor begin with.
const MACHINE_PREFIXES: [&str; 3] = ["mt_", "oat_", "ak_"];
/// What the vendor writes into the header field `cat` of session tokens; other kinds (templates for third parties, machines) carry
/// others under the same signature, old tokens none.
const SESSION_CATEGORIES: [&str; 2] = ["cl_B7d4PD111AAA", "cl_I7d4PD111III"];
/// Machines of the vendor, as subjects.
const MACHINE_SUBJECT: &str = "mch_";

/// Why a token does not count. The codes are stable: clients act on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error(
        "The token is not one of ours, was changed on its way, or is signed with a key that does not count any more. Sign in again."
    )]
    Invalid,
    #[error("This is no session token but one for machines or for other services. Send the session token of a person.")]
    NotASession,
    #[error("The token has expired. Get a new one and repeat the request.")]
    Expired,
    #[error("The token is not valid yet. Check the clocks of this server and of whoever made the token.")]
    NotYetValid,
    #[error("The token was made for another sign-in service (its claim iss is not CLERK_ISSUER of this server).")]
    WrongIssuer,
    #[error(
        "The token was made for another site (its claim azp). The operator lists the sites that may call this server in CLERK_AUTHORIZED_PARTIES."
    )]
    WrongParty,
    #[error(
        "The session waits for a step of the person, such as choosing an organisation. Finish signing in, then repeat."
    )]
    SessionPending,
}

impl TokenError {
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid => "token_invalid",
            Self::NotASession => "token_not_a_session",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongParty => "wrong_party",
            Self::SessionPending => "session_pending",
        }
    }
}

/// Whose tokens count here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Address of the sign-in service, without a slash at its end.
    pub issuer: String,
    /// Origins of the pages that may send tokens.
    pub parties: Vec<String>,
    /// Native apps have no origin, so their tokens name no party.
    pub party_required: bool,
}

/// A token taken apart; nothing in it is believed yet.
#[derive(Debug)]
pub struct Unverified<'a> {
    /// Which key is said to have signed it.
    pub key_id: Option<String>,
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
    claims: Claims,
}

/// What we use of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// The person's id at the vendor.
    pub subject: String,
    pub session: Option<String>,
    pub issued_at: Option<f64>,
    /// Who acts as this person, when it is not the person.
    pub actor: Option<String>,
    issuer: Option<String>,
    party: Option<String>,
    status: Option<String>,
    expires_at: f64,
    not_before: Option<f64>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    cat: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

#[derive(Deserialize)]
struct Payload {
    sub: String,
    sid: Option<String>,
    iss: Option<String>,
    azp: Option<String>,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    sts: Option<String>,
    act: Option<Actor>,
    v: Option<f64>,
}

#[derive(Deserialize)]
struct Actor {
    sub: String,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Takes a token apart.
pub fn read(token: &str) -> Result<Unverified<'_>, TokenError> {
    if MACHINE_PREFIXES.iter().any(|prefix| token.starts_with(prefix)) {
        return Err(TokenError::NotASession);
    }
    if token.len() > LONGEST_TOKEN {
        return Err(TokenError::Invalid);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::Invalid)?;
    let header: Header = json(header)?;
    // An extension that must be understood: we know none.
    if header.alg != "RS256" || header.crit {
        return Err(TokenError::Invalid);
    }
    match header.typ.as_deref() {
        None | Some("JWT") => {}
        Some("at+jwt") => return Err(TokenError::NotASession),
        Some(_) => return Err(TokenError::Invalid),
    }
    if header.cat.is_some_and(|cat| !SESSION_CATEGORIES.contains(&cat.as_str())) {
        return Err(TokenError::NotASession);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Invalid)?;
    let claims = Claims::of(json(payload)?)?;
    Ok(Unverified { key_id: header.kid, signed: signed.as_bytes(), signature, claims })
}

/// The one spelling of base64url without padding, and in it one JSON object. A dot too many is no base64url.
fn json<T: DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Invalid)?;
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(TokenError::Invalid);
    }
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Invalid)
}

impl Claims {
    fn of(payload: Payload) -> Result<Self, TokenError> {
        let actor = payload.act.map(|actor| actor.sub);
        if payload.sub.starts_with(MACHINE_SUBJECT) {
            return Err(TokenError::NotASession);
        }
        let named =
            [Some(&payload.sub), payload.sid.as_ref(), actor.as_ref()].into_iter().flatten().all(|text| is_name(text));
        // A later version may mean something else by the same words.
        let known_version = payload.v.is_none_or(|version| version == 1.0 || version == 2.0);
        if !named || !known_version {
            return Err(TokenError::Invalid);
        }
        Ok(Self {
            subject: payload.sub,
            session: payload.sid,
            issued_at: payload.iat,
            actor,
            issuer: payload.iss,
            party: payload.azp,
            status: payload.sts,
            expires_at: payload.exp,
            not_before: payload.nbf,
        })
    }

    fn check(&self, expected: &Expected, now: OffsetDateTime) -> Result<(), TokenError> {
        let now = now.unix_timestamp_nanos() as f64 / 1e9;
        if self.issuer.as_deref() != Some(&expected.issuer) {
            return Err(TokenError::WrongIssuer);
        }
        if self.expires_at <= now - SKEW_SECS {
            return Err(TokenError::Expired);
        }
        if [self.not_before, self.issued_at].into_iter().flatten().any(|begin| begin > now + SKEW_SECS) {
            return Err(TokenError::NotYetValid);
        }
        match &self.party {
            None if expected.party_required => return Err(TokenError::WrongParty),
            Some(party) if !expected.parties.contains(party) => return Err(TokenError::WrongParty),
            _ => {}
        }
        match self.status.as_deref() {
            None | Some("active") => Ok(()),
            Some(_) => Err(TokenError::SessionPending),
        }
    }
}

/// Ids of the vendor are short and visible; what is not is made up.
fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Unverified<'_> {
    /// Whether the token says the right things. Only together with its signature does it say who asks.
    pub fn check(&self, expected: &Expected, now: OffsetDateTime) -> Result<(), TokenError> {
        self.claims.check(expected, now)
    }

    /// The claims, for who has seen the signature to be good.
    pub fn into_verified(self) -> Claims {
        self.claims
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);

    fn at(secs: i64) -> i64 {
        NOW.unix_timestamp() + secs
    }

    fn expected() -> Expected {
        let parties = vec!["https://app.example".to_owned()];
        Expected { issuer: "https://clerk.example".to_owned(), parties, party_required: true }
    }

    fn header() -> Value {
        json!({ "alg": "RS256", "typ": "JWT", "kid": "ins_1", "cat": "cl_B7d4PD111AAA", "oiat": 1 })
    }

    fn claims() -> Value {
        json!({
            "sub": "user_1", "sid": "sess_1", "iss": "https://clerk.example", "azp": "https://app.example",
            "exp": at(60), "iat": at(0), "nbf": at(-10), "sts": "active", "v": 2, "fva": [0, -1],
            "o": { "id": "org_1", "rol": "admin" },
        })
    }

    fn written(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode([7; 256]))
    }

    fn judged(token: &str, expected: &Expected) -> Result<Claims, TokenError> {
        let token = read(token)?;
        token.check(expected, NOW)?;
        Ok(token.into_verified())
    }

    /// The verdict on the good token with some claims changed; null takes one away.
    fn with(changes: Value) -> Result<Claims, TokenError> {
        judged(&written(&header(), &changed(claims(), changes)), &expected())
    }

    fn with_header(changes: Value) -> Result<Claims, TokenError> {
        judged(&written(&changed(header(), changes), &claims()), &expected())
    }

    fn changed(mut object: Value, changes: Value) -> Value {
        let fields = object.as_object_mut().unwrap();
        fields.extend(changes.as_object().unwrap().clone());
        fields.retain(|_, value| !value.is_null());
        object
    }

    #[test]
    fn tokens_of_both_versions_name_the_person() {
        let claims = with(json!({})).unwrap();
        assert_eq!(
            (claims.subject.as_str(), claims.session.as_deref(), claims.actor),
            ("user_1", Some("sess_1"), None)
        );
        let first = json!({ "v": null, "sts": null, "o": null, "org_id": "org_1", "org_role": "org:admin" });
        assert_eq!(with(first).unwrap().subject, "user_1");
        let acted = with(json!({ "act": { "sub": "user_9", "sid": "sess_9", "iss": "x" } })).unwrap();
        assert_eq!(acted.actor.as_deref(), Some("user_9"));
        assert!(with(json!({ "aud": ["other"], "custom": { "deep": [1, 2] } })).is_ok(), "other claims are not ours");
    }

    #[test]
    fn times_have_five_seconds_to_both_sides() {
        assert!(with(json!({ "exp": at(-4) })).is_ok());
        assert_eq!(with(json!({ "exp": at(-5) })), Err(TokenError::Expired));
        assert!(with(json!({ "nbf": at(5), "iat": at(5) })).is_ok());
        assert_eq!(with(json!({ "nbf": at(6) })), Err(TokenError::NotYetValid));
        assert_eq!(with(json!({ "iat": at(6) })), Err(TokenError::NotYetValid));
        assert!(with(json!({ "nbf": null, "iat": null })).is_ok());
        for exp in [json!(null), json!("9999999999"), json!({})] {
            assert_eq!(with(json!({ "exp": exp })), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn the_token_must_be_made_by_our_service_and_for_our_sites() {
        assert_eq!(with(json!({ "iss": "https://clerk.other" })), Err(TokenError::WrongIssuer));
        assert_eq!(with(json!({ "iss": "https://clerk.example/" })), Err(TokenError::WrongIssuer));
        assert_eq!(with(json!({ "iss": null })), Err(TokenError::WrongIssuer));
        for party in ["https://evil.example", "https://app.example.evil", "https://APP.example", ""] {
            assert_eq!(with(json!({ "azp": party })), Err(TokenError::WrongParty), "{party}");
        }
        assert_eq!(with(json!({ "azp": null })), Err(TokenError::WrongParty));
        let lenient = Expected { party_required: false, ..expected() };
        let none = written(&header(), &changed(claims(), json!({ "azp": null })));
        assert!(judged(&none, &lenient).is_ok());
        let wrong = written(&header(), &changed(claims(), json!({ "azp": "https://evil.example" })));
        assert_eq!(judged(&wrong, &lenient), Err(TokenError::WrongParty));
    }

    #[test]
    fn a_session_that_waits_and_a_machine_are_nobody() {
        assert_eq!(with(json!({ "sts": "pending" })), Err(TokenError::SessionPending));
        assert_eq!(with(json!({ "sts": "something new" })), Err(TokenError::SessionPending));
        assert_eq!(with(json!({ "sub": "mch_1" })), Err(TokenError::NotASession));
        assert_eq!(with_header(json!({ "typ": "at+jwt" })), Err(TokenError::NotASession));
        assert_eq!(
            with_header(json!({ "cat": "cl_B7d4PD222AAA" })),
            Err(TokenError::NotASession),
            "made for a third party"
        );
        assert!(with_header(json!({ "cat": null })).is_ok());
        for token in ["mt_abc", "oat_abc", "ak_abc"] {
            assert_eq!(judged(token, &expected()), Err(TokenError::NotASession), "{token}");
        }
    }

    #[test]
    fn only_rs256_without_extensions_is_read() {
        for alg in ["none", "None", "HS256", "RS384", "RS512", "PS256", "ES256", ""] {
            assert_eq!(with_header(json!({ "alg": alg })), Err(TokenError::Invalid), "{alg}");
        }
        assert_eq!(with_header(json!({ "alg": null })), Err(TokenError::Invalid));
        assert_eq!(with_header(json!({ "crit": ["b64"], "b64": false })), Err(TokenError::Invalid));
        assert_eq!(with_header(json!({ "typ": "JWS" })), Err(TokenError::Invalid));
        assert!(with_header(json!({ "typ": null, "x5u": "https://evil.example", "jku": 7 })).is_ok());
    }

    #[test]
    fn what_is_no_token_of_the_one_spelling_is_refused() {
        let good = written(&header(), &claims());
        let parts: Vec<&str> = good.split('.').collect();
        let [header, payload, signature] = parts[..] else { panic!("three parts") };
        for token in [
            "".to_owned(),
            "..".to_owned(),
            format!("{header}.{payload}"),
            format!("{good}.x"),
            format!(".{good}"),
            format!("{header}..{signature}"),
            format!("{good}="),
            format!("{good} "),
            good.replace('.', " ."),
            format!("{header}.{payload}.{}", signature.replace('-', "+").replace('B', "/")),
            format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(r#"["RS256","JWT"]"#)),
            format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","alg":"RS256"}"#)),
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("null")),
            format!("{header}.{payload}.{}", "A".repeat(LONGEST_TOKEN)),
        ] {
            assert_eq!(judged(&token, &expected()).unwrap_err(), TokenError::Invalid, "{token}");
        }
        // 256 bytes leave four unused bits in the last letter.
        let (rest, last) = signature.split_at(signature.len() - 1);
        assert_eq!(last, "w");
        assert_eq!(judged(&format!("{header}.{payload}.{rest}x"), &expected()), Err(TokenError::Invalid));
    }

    #[test]
    fn ids_are_short_and_visible() {
        for sub in [json!(null), json!(""), json!(7), json!("user 1"), json!("user_\u{7}"), json!("u".repeat(256))] {
            assert_eq!(with(json!({ "sub": sub })), Err(TokenError::Invalid));
        }
        assert_eq!(with(json!({ "act": { "sub": "" } })), Err(TokenError::Invalid));
        assert_eq!(with(json!({ "act": "user_9" })), Err(TokenError::Invalid));
        assert_eq!(with(json!({ "v": 3 })), Err(TokenError::Invalid));
    }
}
