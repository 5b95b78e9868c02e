//! The settings of Instagram. Meta gives an app two pairs of id and secret, one of them for Instagram Login; where that one is not set, the
//! Meta app's counts for both. Facebook Login needs the Meta app's own.

use super::kinds;
use super::reader::Reader;
use secrecy::SecretString;
use std::time::Duration;
use url::Url;

/// Instagram needs no longer than this to show what it took.
const MIN_SETTLE_SECS: u32 = 180;

/// The Meta app's own pair, by which accounts are reached through a Facebook Page.
#[derive(Debug, Clone)]
pub struct FacebookSettings {
    pub app_id: String,
    pub app_secret: SecretString,
    pub dialog_base: Url,
    pub graph_base: Url,
}

#[derive(Debug, Clone)]
pub struct InstagramSettings {
    pub app_id: String,
    pub app_secret: SecretString,
    pub dialog_base: Url,
    pub token_base: Url,
    pub graph_base: Url,
    pub version: String,
    /// None: accounts are connected by Instagram Login alone.
    pub facebook: Option<FacebookSettings>,
    /// How long a reply that got no answer may still appear.
    pub settle_window: Duration,
    /// Any of them may sign what Meta sends.
    pub signing_secrets: Vec<SecretString>,
    /// What Meta repeats when it asks whether the webhook address is ours. None: it is never confirmed.
    pub verify_token: Option<SecretString>,
}

pub(super) fn read_instagram(read: &mut Reader<'_>) -> Option<InstagramSettings> {
    let meta = (read.optional("META_APP_ID", kinds::text), read.optional("META_APP_SECRET", kinds::secret));
    let own = (read.optional("INSTAGRAM_APP_ID", kinds::text), read.optional("INSTAGRAM_APP_SECRET", kinds::secret));
    let dialog_base = read.value("INSTAGRAM_DIALOG_BASE", kinds::url);
    let token_base = read.value("INSTAGRAM_TOKEN_BASE", kinds::url);
    let graph_base = read.value("INSTAGRAM_GRAPH_BASE", kinds::url);
    let facebook_bases = (read.value("META_DIALOG_BASE", kinds::url), read.value("META_GRAPH_BASE", kinds::url));
    let version = read.value("META_GRAPH_VERSION", kinds::graph_version);
    let settle_secs = read.value("INSTAGRAM_SETTLE_SECS", kinds::count);
    let verify_token = read.optional("WEBHOOK_SECRET_META", kinds::secret);
    let local = matches!(graph_base.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    if settle_secs < MIN_SETTLE_SECS && !local {
        let reason = format!("is {settle_secs}; under {MIN_SETTLE_SECS} a reply could go out twice");
        read.fault("INSTAGRAM_SETTLE_SECS", &reason);
    }
    for (there, missing) in [
        ("META_APP_ID", "META_APP_SECRET"),
        ("META_APP_SECRET", "META_APP_ID"),
        ("INSTAGRAM_APP_ID", "INSTAGRAM_APP_SECRET"),
        ("INSTAGRAM_APP_SECRET", "INSTAGRAM_APP_ID"),
    ] {
        if read.is_set(there) && !read.is_set(missing) {
            read.fault(missing, &format!("is required with {there}"));
        }
    }
    let signing_secrets = [own.1.clone(), meta.1.clone()].into_iter().flatten().collect();
    let facebook = match meta.clone() {
        (Some(app_id), Some(app_secret)) => {
            let (dialog_base, graph_base) = facebook_bases;
            Some(FacebookSettings { app_id, app_secret, dialog_base, graph_base })
        }
        _ => None,
    };
    let (app_id, app_secret) = match own {
        (Some(id), Some(secret)) => (id, secret),
        _ => (meta.0?, meta.1?),
    };
    Some(InstagramSettings {
        app_id,
        app_secret,
        dialog_base,
        token_base,
        graph_base,
        version,
        facebook,
        settle_window: Duration::from_secs(settle_secs.into()),
        signing_secrets,
        verify_token,
    })
}
