//! The settings of one process, read once at start from the environment and from the files that it names.
//!
//! `config/default.toml` lists every setting and is the manual. A new one is an entry there and one line in `Config::load`.
//! All faults are collected, so that an operator mends them in one go: each is one line with the name, the reason and an
//! example. A secret is in no message, no `Debug` and no print-out.

mod clerk;
mod instagram;
mod kinds;
mod network;
mod reader;
mod x;

pub use instagram::{FacebookSettings, InstagramSettings};
pub use kinds::{AiProvider, AppEnv, LogFormat, SignUp};
pub use network::Network;
pub use reader::{ConfigError, ConfigErrors, Source, near_misses, process_env};
pub use x::XSettings;

use crate::accounts::clerk::Settings as ClerkSettings;
use crate::clients::mail;
use crate::flow::etiquette::rule_pauses::Pattern;
use crate::secrets::SecretKey32;
use reader::Reader;
pub use rejoinder_platforms::AppCredentials;
use secrecy::SecretString;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The manual, as it is compiled in.
pub const MANUAL: &str = include_str!("../../../../config/default.toml");

/// Gives the value of an environment variable, or nothing.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

#[derive(Debug, Clone)]
pub struct Config {
    pub port: u16,
    pub bind: IpAddr,
    pub app_env: AppEnv,
    pub database_url: Option<SecretString>,
    /// Scheme, host and port only; the path is `/`.
    pub public_url: Url,
    pub redirect_base: Url,
    /// Origins of frontends that may read the API with a bearer token.
    pub cors_origins: Vec<String>,
    pub data_dir: PathBuf,
    pub postgres_bin_dir: Option<PathBuf>,
    pub metrics_bind: Option<SocketAddr>,
    pub dry_run: bool,
    /// Replies of a team in a day, people's too; None: rules alone are limited.
    pub team_cap: Option<u32>,
    /// Replies of the installation in a day.
    pub instance_cap: Option<u32>,
    /// Between two replies of one account.
    pub send_gap: time::Duration,
    /// Failures of an account within an hour that pause it.
    pub pause_after_failures: u32,
    pub log_format: LogFormat,
    pub log_filter: String,
    pub trusted_proxies: Vec<Network>,
    pub signup: SignUp,
    /// Removals of our replies that pause rules.
    pub removals: Pattern,
    /// By these words a stranger asks not to be answered, for all teams.
    pub opt_out_words: Vec<String>,
    /// Webhooks may lead into private networks.
    pub webhook_allow_private: bool,
    /// None while Reddit is not set up.
    pub reddit: Option<RedditSettings>,
    /// None while Instagram is not set up.
    pub instagram: Option<InstagramSettings>,
    /// None while X is not set up.
    pub x: Option<XSettings>,
    pub ai: AiSettings,
    /// None while Clerk is not set up: people have accounts of this server alone.
    pub clerk: Option<ClerkSettings>,
    /// None: this server sends no mail.
    pub mail: Option<mail::Settings>,
    pub encryption_key: Option<SecretKey32>,
    pub timing: Timing,
    settings: Vec<Setting>,
}

#[derive(Debug, Clone)]
pub struct RedditSettings {
    /// None: only teams that bring an app of their own connect accounts.
    pub app: Option<AppCredentials>,
    pub user_agent: String,
    pub auth_base: Url,
    pub api_base: Url,
    /// How long a reply that got no answer may still appear.
    pub settle_window: Duration,
}

#[derive(Debug, Clone)]
pub struct AiSettings {
    pub provider: AiProvider,
    pub gemini: AiEndpoint,
    pub openai: AiEndpoint,
}

/// One model behind an API. The key is there whenever the chosen provider cannot work without one.
#[derive(Debug, Clone)]
pub struct AiEndpoint {
    pub api_key: Option<SecretString>,
    pub api_base: Url,
    pub model: String,
}

/// Waiting times that a team starts with. No environment variable: teams change theirs on the settings page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long an approval made on the dashboard can be taken back before it is sent.
    pub undo_dashboard: Duration,
    pub undo_api: Duration,
    pub undo_rule: Duration,
    /// An approval that was not sent by then goes back to a person.
    pub approval_lifetime: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            undo_dashboard: Duration::from_secs(8),
            undo_api: Duration::ZERO,
            undo_rule: Duration::from_secs(60),
            approval_lifetime: Duration::from_secs(24 * 3600),
        }
    }
}

/// One setting as it is in force, fit to be shown: a secret is already masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub env: String,
    pub kind: String,
    pub meaning: String,
    /// None: not set and without a default.
    pub shown: Option<String>,
    pub source: Source,
}

impl Config {
    /// Reads and checks everything, for `serve` and the other commands.
    pub fn load(env: Lookup<'_>) -> Result<Self, ConfigErrors> {
        let mut read = Reader::new(env);
        let mut config = Self::read(&mut read);
        config.ai.provider = read_provider(&mut read, &config.ai, ProviderChoice::ByKeys);
        config.check_together(&mut read);
        config.settings = read.finish()?;
        Ok(config)
    }

    /// The settings of `demo`: real platform credentials, addresses, database and key are as if not set, the data folder
    /// is `demo` inside `DATA_DIR`, and a model is asked only where `AI_PROVIDER` names one.
    pub fn load_demo(env: Lookup<'_>) -> Result<Self, ConfigErrors> {
        let mut read = Reader::for_demo(env);
        let mut config = Self::read(&mut read);
        config.ai.provider = read_provider(&mut read, &config.ai, ProviderChoice::NamedOnly);
        config.data_dir.push("demo");
        config.settings = read.finish()?;
        Ok(config)
    }

    fn read(read: &mut Reader<'_>) -> Self {
        let (public_url, redirect_base) =
            (read.value("PUBLIC_URL", kinds::origin_url), read.value("REDIRECT_BASE", kinds::url));
        let clerk = clerk::read_clerk(read, &public_url, &redirect_base);
        let node_env = read.optional("NODE_ENV", kinds::environment);
        Self {
            port: read.value("PORT", kinds::port),
            bind: read.value("BIND", kinds::ip_address),
            app_env: read.optional("APP_ENV", kinds::environment).or(node_env).unwrap_or(AppEnv::Development),
            database_url: read.optional("DATABASE_URL", kinds::postgres_url),
            public_url,
            redirect_base,
            cors_origins: read.value("CORS_ORIGINS", kinds::origins),
            data_dir: read.value("DATA_DIR", kinds::path),
            postgres_bin_dir: read.optional("POSTGRES_BIN_DIR", kinds::path),
            metrics_bind: read.optional("METRICS_BIND", kinds::socket_address),
            dry_run: read.value("DRY_RUN", kinds::yes_or_no),
            team_cap: read.optional("RATE_LIMIT_DEFAULT", kinds::count),
            instance_cap: read.optional("RATE_LIMIT_GLOBAL", kinds::count),
            send_gap: time::Duration::seconds(read.value("SEND_GAP_SECS", kinds::count).into()),
            pause_after_failures: read.value("PAUSE_AFTER_FAILURES", kinds::positive),
            log_format: read.value("LOG_FORMAT", kinds::log_format),
            log_filter: read.value("RUST_LOG", kinds::log_filter),
            trusted_proxies: read.value("TRUSTED_PROXIES", kinds::networks),
            signup: read.value("SIGNUP", kinds::sign_up),
            removals: Pattern {
                in_community: read.value("RULES_PAUSE_COMMUNITY", kinds::positive),
                of_account: read.value("RULES_PAUSE_ACCOUNT", kinds::positive),
                window: time::Duration::days(read.value("RULES_PAUSE_DAYS", kinds::positive).into()),
            },
            opt_out_words: read.value("OPT_OUT_WORDS", kinds::phrases),
            webhook_allow_private: read.value("WEBHOOK_ALLOW_PRIVATE", kinds::yes_or_no),
            reddit: read_reddit(read),
            instagram: instagram::read_instagram(read),
            x: x::read_x(read),
            ai: read_ai(read),
            clerk,
            mail: read_mail(read),
            encryption_key: read.optional("ENCRYPTION_KEY", kinds::key32),
            timing: Timing::default(),
            settings: Vec::new(),
        }
    }

    fn check_together(&self, read: &mut Reader<'_>) {
        let production = self.app_env == AppEnv::Production;
        let database_set = read.is_set("DATABASE_URL");
        if production && !database_set {
            read.fault("DATABASE_URL", "is required when APP_ENV (or NODE_ENV) is production");
        }
        // Told together, so that nobody meets the second line only after mending the first.
        if (production || database_set) && !read.is_set("ENCRYPTION_KEY") {
            read.fault(
                "ENCRYPTION_KEY",
                "is required with DATABASE_URL: it seals the platform tokens in that database; make one with `openssl rand -base64 32` and keep it",
            );
        }
    }

    /// For commands that cannot work on the private Postgres; `because` completes "is required: ".
    pub fn require_database_url(&self, because: &str) -> Result<&SecretString, ConfigErrors> {
        self.database_url.as_ref().ok_or_else(|| ConfigErrors::one("DATABASE_URL", &format!("is required: {because}")))
    }

    /// What is in force, in the order of the manual.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// One line per setting with its source; secrets masked.
    pub fn print(&self) -> String {
        let mut lines = String::new();
        for Setting { env, shown, source, .. } in &self.settings {
            let line = match shown {
                Some(value) => format!("{env}={value}"),
                None => format!("# {env}"),
            };
            writeln!(lines, "{line:<60} # {source}").expect("a String takes every write");
        }
        lines
    }
}

/// Reddit needs no longer than this to show what it took.
const MIN_SETTLE_SECS: u32 = 120;

fn read_reddit(read: &mut Reader<'_>) -> Option<RedditSettings> {
    let client_id = read.optional("REDDIT_CLIENT_ID", kinds::text);
    let client_secret = read.optional("REDDIT_CLIENT_SECRET", kinds::secret);
    let user_agent = read.value("REDDIT_USER_AGENT", kinds::reddit_user_agent);
    let auth_base = read.value("REDDIT_AUTH_BASE", kinds::url);
    let api_base = read.value("REDDIT_API_BASE", kinds::url);
    let settle_secs = read.value("REDDIT_SETTLE_SECS", kinds::count);
    let local = matches!(api_base.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    if settle_secs < MIN_SETTLE_SECS && !local {
        read.fault(
            "REDDIT_SETTLE_SECS",
            &format!("is {settle_secs}; under {MIN_SETTLE_SECS} a reply could go out twice"),
        );
    }
    let settle_window = Duration::from_secs(settle_secs.into());
    for (there, missing) in [("REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET"), ("REDDIT_CLIENT_SECRET", "REDDIT_CLIENT_ID")]
    {
        if read.is_set(there) && !read.is_set(missing) {
            read.fault(missing, &format!("is required with {there}"));
        }
    }
    let app = client_id.zip(client_secret);
    let app = app.map(|(client_id, client_secret)| AppCredentials { client_id, client_secret });
    let is_set_up = app.is_some() || read.is_set("REDDIT_USER_AGENT");
    is_set_up.then_some(RedditSettings { app, user_agent, auth_base, api_base, settle_window })
}

fn read_mail(read: &mut Reader<'_>) -> Option<mail::Settings> {
    let server = read.optional("SMTP_URL", kinds::smtp_url);
    let from = read.optional("MAIL_FROM", kinds::mail_address);
    let ca = read.optional("SMTP_CA", kinds::certificates);
    for (there, missing) in [("SMTP_URL", "MAIL_FROM"), ("MAIL_FROM", "SMTP_URL"), ("SMTP_CA", "SMTP_URL")] {
        if read.is_set(there) && !read.is_set(missing) {
            read.fault(missing, &format!("is required with {there}"));
        }
    }
    let (server, from) = (server?, from?);
    let kinds::SmtpServer { host, port, security, login } = server;
    Some(mail::Settings { host, port, security, ca, login, from })
}

fn read_ai(read: &mut Reader<'_>) -> AiSettings {
    AiSettings {
        provider: AiProvider::Template,
        gemini: AiEndpoint {
            api_key: read.optional("GEMINI_API_KEY", kinds::secret),
            api_base: read.value("GEMINI_API_BASE", kinds::url),
            model: read.value("GEMINI_MODEL", kinds::text),
        },
        openai: AiEndpoint {
            api_key: read.optional("OPENAI_API_KEY", kinds::secret),
            api_base: read.value("OPENAI_API_BASE", kinds::url),
            model: read.value("OPENAI_MODEL", kinds::text),
        },
    }
}

/// Whether a key alone is enough to turn a provider on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProviderChoice {
    ByKeys,
    NamedOnly,
}

fn read_provider(read: &mut Reader<'_>, ai: &AiSettings, choice: ProviderChoice) -> AiProvider {
    let openai_usable = ai.openai.api_key.is_some() || read.is_set("OPENAI_API_BASE");
    let Some(named) = read.optional("AI_PROVIDER", kinds::ai_provider) else {
        return match choice {
            ProviderChoice::NamedOnly => AiProvider::Template,
            ProviderChoice::ByKeys if ai.gemini.api_key.is_some() => AiProvider::Gemini,
            ProviderChoice::ByKeys if openai_usable => AiProvider::OpenAi,
            ProviderChoice::ByKeys => AiProvider::Template,
        };
    };
    if named == AiProvider::Gemini && !read.is_set("GEMINI_API_KEY") {
        read.fault("GEMINI_API_KEY", "is required with AI_PROVIDER=gemini");
    }
    if named == AiProvider::OpenAi && !openai_usable && !read.is_set("OPENAI_API_KEY") {
        read.fault(
            "OPENAI_API_KEY",
            "is required with AI_PROVIDER=openai, unless OPENAI_API_BASE names another server",
        );
    }
    named
}

#[cfg(test)]
mod tests;
