//! The list of platforms. A new one is a folder, a line in `PLATFORMS`, a field in `Settings` and a line in `connect`.

use crate::http::ClientError;
use crate::instagram::{self, InstagramConfig};
use crate::reddit::{self, RedditConfig};
use crate::tariff::Tariff;
use crate::x::{self, XConfig};
use crate::{Reader, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;
use time::OffsetDateTime;
use url::Url;

/// Slug and name of every platform that this build knows, configured or not.
pub const PLATFORMS: &[(&str, &str)] = &[("reddit", "Reddit"), ("instagram", "Instagram"), ("x", "X")];

/// What a platform charges for its API; None: nothing.
pub fn tariff(slug: &str) -> Option<&'static Tariff> {
    let all = [reddit::CAPABILITIES, instagram::CAPABILITIES, x::CAPABILITIES];
    all.into_iter().find(|platform| platform.slug == slug)?.tariff
}

/// The clock, as the caller reads it.
pub type Now = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

/// One field per platform; None = not configured.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub reddit: Option<RedditConfig>,
    pub instagram: Option<InstagramConfig>,
    pub x: Option<XConfig>,
}

/// The start must stop: the operator has to change something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("{platform}: the {setting} {reason}")]
    Setting { platform: &'static str, setting: &'static str, reason: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Every address of a platform that is set must be one that HTTP goes to.
pub(crate) fn check_bases(platform: &'static str, bases: &[(&'static str, &Url)]) -> Result<(), ConnectError> {
    match bases.iter().find(|(_, base)| !matches!(base.scheme(), "http" | "https")) {
        None => Ok(()),
        Some((setting, _)) => {
            let reason = "must be an http or https address".to_owned();
            Err(ConnectError::Setting { platform, setting, reason })
        }
    }
}

/// Why there is no reader for a slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlatform {
    #[error("{0} is not set up on this server")]
    NotConfigured(&'static str),
    #[error("there is no platform named {0:?}")]
    Unknown(String),
}

/// May be handed to anyone.
#[derive(Clone, Default)]
pub struct Readers(Arc<BTreeMap<&'static str, Arc<dyn Reader>>>);

impl Readers {
    pub fn get(&self, slug: &str) -> Result<&Arc<dyn Reader>, NoPlatform> {
        if let Some(reader) = self.0.get(slug) {
            return Ok(reader);
        }
        Err(match PLATFORMS.iter().find(|(known, _)| *known == slug) {
            Some((_, name)) => NoPlatform::NotConfigured(name),
            None => NoPlatform::Unknown(slug.chars().take(40).collect()),
        })
    }

    /// The configured ones, by slug.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Arc<dyn Reader>)> {
        self.0.iter().map(|(slug, reader)| (*slug, reader))
    }
}

/// Moved once, into the send stage.
#[derive(Default)]
pub struct Writers(BTreeMap<&'static str, Box<dyn Writer>>);

impl Writers {
    pub fn get(&self, slug: &str) -> Option<&dyn Writer> {
        self.0.get(slug).map(Box::as_ref)
    }
}

/// Builds every configured platform.
pub fn connect(settings: Settings, now: Now) -> Result<(Readers, Writers), ConnectError> {
    let mut readers: BTreeMap<&'static str, Arc<dyn Reader>> = BTreeMap::new();
    let mut writers = Writers::default();
    if let Some(config) = settings.reddit {
        let (reader, writer) = reddit::connect(config, now.clone())?;
        readers.insert(writer.slug(), Arc::new(reader));
        writers.0.insert(writer.slug(), Box::new(writer));
    }
    if let Some(config) = settings.instagram {
        let (reader, writer) = instagram::connect(config, now.clone())?;
        readers.insert(writer.slug(), Arc::new(reader));
        writers.0.insert(writer.slug(), Box::new(writer));
    }
    if let Some(config) = settings.x {
        let (reader, writer) = x::connect(config, now)?;
        readers.insert(writer.slug(), Arc::new(reader));
        writers.0.insert(writer.slug(), Box::new(writer));
    }
    Ok((Readers(Arc::new(readers)), writers))
}
