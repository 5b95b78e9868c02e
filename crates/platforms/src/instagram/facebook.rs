//! Facebook Login for Business: the way to accounts that are linked to a Facebook Page. The code becomes a token of the person, which
//! lists their Pages; what is kept is the token of one Page. It has no end of its own and cannot be renewed; it dies with the person's
//! password, role or consent. The person's own token is dropped: it opens more than we need.
//! Sources: Meta's pages "Manually Build a Login Flow", "Long-Lived Access Tokens", "Facebook Login for Business (Instagram Platform)".

use super::access::{self, Access, Marked};
use super::{Api, FacebookConfig, calls, oauth, wire};
use crate::error::{AuthError, FetchError, LACKS_PERMISSION, Scope};
use crate::http::address;
use crate::permits::{AccessToken, Through};
use crate::types::{Account, AuthorizeRequest, Grant, Login, Reached, ScopeAsked};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

pub(super) const LOGIN: Login = Login {
    slug: "facebook",
    name: "Facebook",
    suits: "for an account that is linked to a Facebook Page on which you may moderate",
    scopes: &[
        ScopeAsked {
            name: "instagram_basic",
            why: "to know which account this is and to read its posts",
            without: "no post can be read",
        },
        ScopeAsked {
            name: "instagram_manage_comments",
            why: "to read the comments under them and to post the replies that your team approved",
            without: "no comment can be read and no reply can be posted",
        },
        ScopeAsked {
            name: "pages_show_list",
            why: "to find the Pages that your Instagram accounts are linked to",
            without: "no account can be found",
        },
        ScopeAsked {
            name: "pages_read_engagement",
            why: "to read through the access of the Page",
            without: "the account may not be readable",
        },
        ScopeAsked {
            name: "pages_manage_metadata",
            why: "to be told of comments as they are written",
            without: "comments are found at the next look instead of at once",
        },
    ],
};
/// Without these nothing can be found, so nothing is connected.
const INDISPENSABLE: [&str; 2] = ["pages_show_list", "instagram_basic"];
/// Of 50 Pages each.
const LISTS: usize = 20;

pub(super) fn is_meant(through: &Through) -> bool {
    through.login.as_deref() == Some(LOGIN.slug)
}

fn config(api: &Api) -> Result<&FacebookConfig, AuthError> {
    api.config.facebook.as_ref().ok_or_else(|| AuthError::AppRefused(access::NO_FACEBOOK.to_owned()))
}

pub(super) fn authorize_url(api: &Api, facebook: &FacebookConfig, request: &AuthorizeRequest) -> Url {
    let scopes: Vec<&str> = LOGIN.scopes.iter().map(|scope| scope.name).collect();
    let mut url = address(&facebook.dialog_base, &[&api.config.version, "dialog", "oauth"]);
    url.query_pairs_mut()
        .append_pair("client_id", &facebook.app_id)
        .append_pair("redirect_uri", request.redirect_uri.as_str())
        // A code: what comes as a fragment never reaches a server.
        .append_pair("response_type", "code")
        .append_pair("display", "page")
        .append_pair("extras", r#"{"setup":{"channel":"IG_API_ONBOARDING"}}"#)
        .append_pair("scope", &scopes.join(","))
        .append_pair("state", &request.state);
    url
}

/// The person's token, exchanged for one that lasts: Pages' tokens have no end only where they were had with such a one.
pub(super) async fn exchange_code(
    api: &Api,
    through: &Through,
    code: &str,
    redirect_uri: &Url,
) -> Result<Grant, AuthError> {
    let facebook = config(api)?;
    let secret = facebook.app_secret.expose_secret();
    let form = [
        ("client_id", facebook.app_id.as_str()),
        ("client_secret", secret),
        ("redirect_uri", redirect_uri.as_str()),
        ("code", code),
    ];
    let short = token_call(api, facebook, through, &form).await?;
    let form = [
        ("grant_type", "fb_exchange_token"),
        ("client_id", facebook.app_id.as_str()),
        ("client_secret", secret),
        ("fb_exchange_token", short.access_token.expose_secret()),
    ];
    let long = token_call(api, facebook, through, &form).await?;
    Ok(Grant { access_token: access::marked("", "", &long.access_token), refresh_token: None, ..long })
}

async fn token_call(
    api: &Api,
    facebook: &FacebookConfig,
    through: &Through,
    query: &[(&str, &str)],
) -> Result<Grant, AuthError> {
    let url = address(&facebook.graph_base, &[&api.config.version, "oauth", "access_token"]);
    let answer = oauth::ask("oauth/access_token", api.read.get(url).query(query), &through.permits).await?;
    oauth::long_lived(&answer)
}

/// Nothing can be renewed here. What is asked is whether the token lives, so that its death has a name.
pub(super) async fn still_lives(
    api: &Api,
    through: &Through,
    token: &SecretString,
    page_id: &str,
) -> Result<Grant, AuthError> {
    let page_id = calls::checked(page_id).map_err(|error| AuthError::GrantDead(error.to_string()))?;
    let access_token = AccessToken::new(token.clone(), through.permits.clone());
    let access = Access::of(&api.config, &access_token).map_err(|why| AuthError::AppRefused(why.to_owned()))?;
    let url = address(access.base, &[&api.config.version, page_id]);
    let request = access.show(api.read.get(url).query(&[("fields", "id")]));
    oauth::node_answer(&oauth::ask("page", request, &through.permits).await?)?;
    Ok(Grant { access_token: token.clone(), refresh_token: None, scopes: Vec::new(), expires_in: None })
}

/// The professional accounts behind the Pages that the person shared, each with the token of its Page.
pub(super) async fn accounts(api: &Api, through: &Through, person: &SecretString) -> Result<Vec<Reached>, FetchError> {
    let consent = consent(api, through, person).await?;
    if let Some(lacks) = INDISPENSABLE.iter().find(|name| !consent.scopes.iter().any(|(scope, _)| scope == *name)) {
        let reason = format!("the permission {lacks} was not granted, so no account can be found");
        return Err(FetchError::Refused { code: LACKS_PERMISSION.to_owned(), reason, scope: Scope::Item });
    }
    let token = AccessToken::new(person.clone(), through.permits.clone());
    let fields = "id,name,access_token,instagram_business_account{id,username}";
    let (mut found, mut after) = (Vec::new(), None::<String>);
    for _ in 0..LISTS {
        let path = ["me", "accounts"];
        let page = api.page(&token, &path, [fields, fields], after.as_deref(), Scope::Account).await?;
        found.extend(page.items.iter().filter_map(|data| reached(data, &consent)));
        after = page.after;
        if after.is_none() {
            break;
        }
    }
    Ok(found)
}

/// What the person granted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Consent {
    pub user_id: String,
    /// Each with the Pages and accounts that it is for; none named: for all.
    pub scopes: Vec<(String, Vec<String>)>,
}

async fn consent(api: &Api, through: &Through, person: &SecretString) -> Result<Consent, FetchError> {
    let unavailable = || FetchError::Unavailable(access::NO_FACEBOOK.to_owned());
    let facebook = api.config.facebook.as_ref().ok_or_else(unavailable)?;
    let own = Marked::of(person.expose_secret()).ok_or_else(unavailable)?;
    // Only the app itself may look at tokens of its people.
    let app = SecretString::from(format!("{}|{}", facebook.app_id, facebook.app_secret.expose_secret()));
    let app = AccessToken::new(access::marked("", "", &app), through.permits.clone());
    let query = [("input_token", own.bare())];
    let read = api.get(&app, &["debug_token"], &query, Scope::Account).await?;
    consent_in(&read.body, &facebook.app_id)
}

pub(super) fn consent_in(body: &Value, app_id: &str) -> Result<Consent, FetchError> {
    let data = body.get("data").unwrap_or(body);
    let told_app = data.get("app_id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
    if data.get("is_valid").and_then(Value::as_bool) != Some(true) || told_app.as_deref() != Some(app_id) {
        return Err(FetchError::AuthExpired);
    }
    let words = |value: &Value| -> Vec<String> {
        let text = |word: &Value| word.as_str().map(str::to_owned).or_else(|| wire::id(word));
        value.as_array().into_iter().flatten().filter_map(text).collect()
    };
    let granular = data.get("granular_scopes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let targets = |scope: &str| {
        let entry = granular.iter().find(|entry| wire::text(entry, "scope") == Some(scope));
        words(entry.and_then(|entry| entry.get("target_ids")).unwrap_or(&Value::Null))
    };
    let scopes = words(data.get("scopes").unwrap_or(&Value::Null));
    Ok(Consent {
        user_id: wire::id_at(data, "user_id").unwrap_or_default(),
        scopes: scopes.into_iter().map(|scope| (scope.clone(), targets(&scope))).collect(),
    })
}

/// None: a Page without an account, or one on which the person has no say.
pub(super) fn reached(page: &Value, consent: &Consent) -> Option<Reached> {
    let page_id = wire::id_at(page, "id")?;
    let token = wire::text(page, "access_token").filter(|token| !token.is_empty())?;
    let linked = page.get("instagram_business_account")?;
    let (id, name) = (wire::id_at(linked, "id")?, wire::text(linked, "username").filter(|name| !name.is_empty())?);
    let holds =
        |targets: &Vec<String>| targets.is_empty() || targets.iter().any(|target| *target == page_id || *target == id);
    let scopes = consent.scopes.iter().filter(|(_, targets)| holds(targets)).map(|(scope, _)| scope.clone()).collect();
    let access_token = access::marked(&page_id, &consent.user_id, &SecretString::from(token));
    let place = wire::text(page, "name").map(|name| format!("Page {}", wire::shortened(name, 80)));
    Some(Reached {
        account: Account { id, name: name.to_owned() },
        place,
        // Asked with itself whether it lives: see `still_lives`.
        grant: Grant { refresh_token: Some(access_token.clone()), access_token, scopes, expires_in: None },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn consented(granular: Value) -> Consent {
        let scopes = ["pages_show_list", "instagram_basic", "instagram_manage_comments"];
        let data = json!({"app_id": 5, "is_valid": true, "user_id": 9, "scopes": scopes, "granular_scopes": granular});
        consent_in(&json!({ "data": data }), "5").unwrap()
    }

    fn page(id: &str, linked: Value) -> Value {
        json!({"id": id, "name": "Acme", "access_token": "EAAP", "instagram_business_account": linked})
    }

    #[test]
    fn a_permission_that_was_given_for_another_page_is_missing_here() {
        let consent = consented(json!([
            {"scope": "pages_show_list"},
            {"scope": "instagram_basic", "target_ids": ["70", "71"]},
            {"scope": "instagram_manage_comments", "target_ids": ["71"]},
        ]));
        let account = |page_id, id| reached(&page(page_id, json!({"id": id, "username": "acme"})), &consent).unwrap();
        assert_eq!(account("1", "70").grant.scopes, ["pages_show_list", "instagram_basic"]);
        assert_eq!(account("2", "71").grant.scopes.len(), 3);
        let token = account("2", "71").grant.access_token;
        assert_eq!(token.expose_secret(), "facebook:2:9:EAAP");
    }

    #[test]
    fn pages_that_lead_to_no_account_are_passed_over() {
        let consent = consented(json!([]));
        let whole = page("1", json!({"id": "70", "username": "acme"}));
        assert!(reached(&whole, &consent).is_some());
        for member in ["access_token", "instagram_business_account", "id"] {
            let mut page = whole.clone();
            page.as_object_mut().unwrap().remove(member);
            assert!(reached(&page, &consent).is_none(), "{member}");
        }
    }

    #[test]
    fn a_token_of_another_app_or_a_dead_one_is_no_consent() {
        let told = |app: Value, valid: bool| consent_in(&json!({"data": {"app_id": app, "is_valid": valid}}), "5");
        assert!(told(json!("5"), true).is_ok());
        assert_eq!(told(json!("6"), true), Err(FetchError::AuthExpired));
        assert_eq!(told(json!(5), false), Err(FetchError::AuthExpired));
        assert_eq!(consent_in(&json!({}), "5"), Err(FetchError::AuthExpired));
    }
}
