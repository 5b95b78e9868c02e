use super::reader::{Demo, entries};
use super::*;
use crate::clock::Entropy;
use secrecy::ExposeSecret;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn load(env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::load(&lookup(env))
}

fn lookup(env: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    move |name| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn faults(env: &[(&str, &str)]) -> Vec<String> {
    load(env).expect_err("a fault").0.iter().map(ToString::to_string).collect()
}

#[test]
fn with_nothing_set_it_is_a_local_server_without_platforms_that_drafts_from_templates() {
    let config = load(&[]).unwrap();
    assert_eq!((config.port, config.bind.to_string().as_str()), (3000, "127.0.0.1"));
    assert_eq!(config.app_env, AppEnv::Development);
    assert_eq!(config.public_url.as_str(), "http://localhost:3000/");
    assert_eq!(config.redirect_base, config.public_url);
    assert_eq!(config.data_dir, PathBuf::from("./rejoinder-data"));
    assert_eq!(config.ai.provider, AiProvider::Template);
    assert!(config.database_url.is_none() && config.reddit.is_none() && config.encryption_key.is_none());
    assert!(config.trusted_proxies.is_empty());
    assert!(!config.dry_run);
}

#[test]
fn every_entry_of_the_manual_is_read_and_its_example_is_accepted() {
    let entries = entries();
    let examples: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| match entry.env.as_str() {
            "ENCRYPTION_KEY" => ("ENCRYPTION_KEY", KEY),
            "JWT_PUBLIC_KEY" => ("JWT_PUBLIC_KEY", include_str!("../accounts/clerk/sample_key.pem")),
            "SMTP_CA" => ("SMTP_CA", include_str!("../../tests/it/smtp/ca.pem")),
            _ => (entry.env.as_str(), entry.example.as_str()),
        })
        .collect();
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        lookup(&examples)(name)
    };
    let config = Config::load(&lookup).unwrap();
    for entry in &entries {
        assert!(asked.borrow().contains(&entry.env), "{} is in the manual but not read", entry.env);
        assert!(!entry.meaning.is_empty() && !entry.kind.is_empty(), "{}", entry.env);
    }
    let reddit = config.reddit.expect("both credentials are set");
    assert_eq!(reddit.user_agent, "server:com.example.replies:v1.0 (by /u/your_name)");
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.ai.provider, AiProvider::Gemini);
}

#[test]
fn each_wrong_value_is_refused_with_its_name_and_an_example() {
    let wrong = [
        ("PORT", "70000"),
        ("BIND", "localhost"),
        ("APP_ENV", "staging"),
        ("NODE_ENV", "prod"),
        ("PUBLIC_URL", "https://example.com/app"),
        ("REDIRECT_BASE", "ftp://example.com"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("ENCRYPTION_KEY", "c2hvcnQ="),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "info,=,"),
        ("METRICS_BIND", "9464"),
        ("DRY_RUN", "maybe"),
        ("REDDIT_USER_AGENT", "line\nbreak"),
        ("REDDIT_USER_AGENT", "curl/8.5"),
        ("REDDIT_USER_AGENT", "server:com.example.replies:v1.0"),
        ("REDDIT_USER_AGENT", "server:com.example.replies (by /u/your_name)"),
        ("REDDIT_USER_AGENT", "server:com.example.replies:v1.0 (by /u/no name)"),
        ("REDDIT_USER_AGENT", "server:Mozilla.Firefox:v1.0 (by /u/your_name)"),
        ("REDDIT_API_BASE", "oauth.reddit.com"),
        ("AI_PROVIDER", "oracle"),
        ("GEMINI_API_BASE", "https://user:pass@example.com"),
    ];
    for (name, value) in wrong {
        let faults = faults(&[(name, value)]);
        assert_eq!(faults.len(), 1, "{name}: {faults:?}");
        assert!(faults[0].starts_with(&format!("{name} ")), "{faults:?}");
        assert!(faults[0].contains("(example: "), "{faults:?}");
        assert!(!faults[0].contains('\n'), "one line: {faults:?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = faults(&[("PORT", "many"), ("DRY_RUN", "maybe"), ("APP_ENV", "production")]);
    let names: Vec<&str> = faults.iter().filter_map(|fault| fault.split(' ').next()).collect();
    assert_eq!(names, ["PORT", "DRY_RUN", "DATABASE_URL", "ENCRYPTION_KEY"]);
    assert_eq!(faults[0], "PORT is \"many\", which is not a port number up to 65535 (example: PORT=8080)");
}

#[test]
fn production_needs_a_database_and_a_database_needs_the_key() {
    assert!(faults(&[("NODE_ENV", "production")])[0].starts_with("DATABASE_URL is required"));
    let database = ("DATABASE_URL", "postgres://me:hunter2@127.0.0.1/rejoinder");
    let missing_key = faults(&[("APP_ENV", "production"), database]);
    assert!(missing_key[0].starts_with("ENCRYPTION_KEY is required"), "{missing_key:?}");
    assert!(missing_key[0].contains("openssl rand -base64 32"));
    let config = load(&[("APP_ENV", "production"), database, ("ENCRYPTION_KEY", KEY)]).unwrap();
    assert_eq!(config.database_url.unwrap().expose_secret(), database.1);
    assert!(load(&[]).unwrap().require_database_url("partial roles share it").is_err());
}

#[test]
fn app_env_goes_before_node_env() {
    let config = load(&[("APP_ENV", "test"), ("NODE_ENV", "production")]).unwrap();
    assert_eq!(config.app_env, AppEnv::Test);
    assert_eq!(load(&[("NODE_ENV", "test")]).unwrap().app_env, AppEnv::Test);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    assert_eq!(load(&[("PORT", ""), ("DATABASE_URL", ""), ("PORT_FILE", "")]).unwrap().port, 3000);
}

#[test]
fn addresses_follow_the_port_and_the_public_url() {
    let config = load(&[("PORT", "4100")]).unwrap();
    assert_eq!(config.public_url.as_str(), "http://localhost:4100/");
    let config = load(&[("PUBLIC_URL", "https://replies.example.com")]).unwrap();
    assert_eq!(config.redirect_base.as_str(), "https://replies.example.com/");
}

#[test]
fn half_a_pair_of_reddit_credentials_is_refused() {
    assert!(faults(&[("REDDIT_CLIENT_ID", "abc")])[0].starts_with("REDDIT_CLIENT_SECRET is required"));
    assert!(faults(&[("REDDIT_CLIENT_SECRET", "abc")])[0].starts_with("REDDIT_CLIENT_ID is required"));
}

#[test]
fn mail_needs_a_server_and_a_sender_and_goes_encrypted_unless_told_otherwise() {
    let from = ("MAIL_FROM", "Rejoinder <replies@example.com>");
    assert!(faults(&[from])[0].starts_with("SMTP_URL is required with MAIL_FROM"));
    assert!(faults(&[("SMTP_URL", "smtp://mail.example.com")])[0].starts_with("MAIL_FROM is required with SMTP_URL"));
    let ca = ("SMTP_CA", include_str!("../../tests/it/smtp/ca.pem"));
    assert!(faults(&[ca])[0].starts_with("SMTP_URL is required with SMTP_CA"));
    for no_certificate in ["x", "-----BEGIN CERTIFICATE-----", include_str!("../../tests/it/smtp/server.key")] {
        let wrong = faults(&[("SMTP_URL", "smtp://mail.example.com"), from, ("SMTP_CA", no_certificate)]);
        assert!(wrong[0].starts_with("SMTP_CA holds no certificate"), "{wrong:?}");
    }
    let way = |url: &str| {
        let mail = load(&[("SMTP_URL", url), from]).unwrap().mail.unwrap();
        (mail.host.clone(), mail.port, mail.security)
    };
    let host = "mail.example.com".to_owned();
    assert_eq!(way("smtp://mail.example.com"), (host.clone(), 587, mail::Security::StartTls));
    assert_eq!(way("smtps://mail.example.com"), (host.clone(), 465, mail::Security::Tls));
    assert_eq!(way("smtp://mail.example.com:25?tls=none"), (host, 25, mail::Security::None));
    let login = load(&[("SMTP_URL", "smtps://ana%40example.com:p%2Fw@mail.example.com"), from]).unwrap();
    let (user, password) = login.mail.unwrap().login.unwrap();
    assert_eq!((user.as_str(), password.expose_secret()), ("ana@example.com", "p/w"));
    let wrong = faults(&[("SMTP_URL", "smtp://mail.example.com"), ("MAIL_FROM", "nobody")]);
    assert!(wrong[0].contains("MAIL_FROM is \"nobody\"") && wrong[0].contains("(example: "), "{wrong:?}");
    for wrong in [
        "mail.example.com:587",
        "smtp://mail.example.com?tls=no",
        "smtp://ana@mail.example.com",
        "smtp://",
        "smtps://m.example/x",
    ] {
        assert!(load(&[("SMTP_URL", wrong), from]).is_err(), "{wrong}");
    }
    assert!(load(&[]).unwrap().mail.is_none());
}

#[test]
fn the_provider_follows_the_keys_unless_it_is_named() {
    let provider = |env: &[(&str, &str)]| load(env).unwrap().ai.provider;
    let (gemini, openai) = (("GEMINI_API_KEY", "g"), ("OPENAI_API_KEY", "o"));
    let local = ("OPENAI_API_BASE", "http://127.0.0.1:11434/v1");
    assert_eq!(provider(&[gemini, openai]), AiProvider::Gemini);
    assert_eq!(provider(&[openai]), AiProvider::OpenAi);
    assert_eq!(provider(&[local]), AiProvider::OpenAi);
    assert_eq!(provider(&[gemini, ("AI_PROVIDER", "template")]), AiProvider::Template);
    assert_eq!(provider(&[gemini, local, ("AI_PROVIDER", "openai")]), AiProvider::OpenAi);
    assert!(faults(&[("AI_PROVIDER", "gemini")])[0].starts_with("GEMINI_API_KEY is required"));
    assert!(faults(&[("AI_PROVIDER", "openai")])[0].starts_with("OPENAI_API_KEY is required"));
}

#[test]
fn the_demo_touches_no_real_account_and_no_real_data() {
    let entries = entries();
    let real: Vec<(&str, &str)> = entries
        .iter()
        .filter(|entry| entry.demo == Demo::Ignored)
        .map(|entry| (entry.env.as_str(), entry.example.as_str()))
        .chain([("GEMINI_API_KEY", "g"), ("PORT", "4100")])
        .collect();
    let config = Config::load_demo(&lookup(&real)).unwrap();
    assert!(config.database_url.is_none() && config.reddit.is_none() && config.encryption_key.is_none());
    assert_eq!(config.app_env, AppEnv::Development);
    assert_eq!(config.data_dir, PathBuf::from("./rejoinder-data/demo"));
    assert_eq!(config.port, 4100);
    assert_eq!(config.ai.provider, AiProvider::Template, "a key alone spends nothing in the demo");
    let named = Config::load_demo(&lookup(&[("GEMINI_API_KEY", "g"), ("AI_PROVIDER", "gemini")])).unwrap();
    assert_eq!(named.ai.provider, AiProvider::Gemini);
    assert_eq!(named.ai.gemini.api_key.unwrap().expose_secret(), "g");
}

#[test]
fn no_secret_is_printed_or_debugged_or_quoted_in_a_fault() {
    let secrets = [
        ("DATABASE_URL", "postgres://me:hunter2@127.0.0.1/rejoinder"),
        ("ENCRYPTION_KEY", KEY),
        ("REDDIT_CLIENT_ID", "abc"),
        ("REDDIT_CLIENT_SECRET", "hunter2"),
        ("GEMINI_API_KEY", "hunter2"),
        ("OPENAI_API_KEY", "hunter2"),
        ("SMTP_URL", "smtp://me:hunter2@mail.example.com"),
        ("MAIL_FROM", "replies@example.com"),
    ];
    let config = load(&secrets).unwrap();
    let wrong = ["postgres://me:hunter2@[/rejoinder", "hunter2", "mysql://me:hunter2@127.0.0.1/rejoinder"]
        .map(|url| faults(&[("DATABASE_URL", url), ("ENCRYPTION_KEY", "hunter2")]).join("\n"));
    let mail = faults(&[("SMTP_URL", "smtp://me:hunter2@mail.example.com/x")]).join("\n");
    let shown = [config.print(), format!("{config:?}"), wrong.concat(), mail].concat();
    assert!(!shown.contains("hunter2") && !shown.contains(KEY), "{shown}");
    assert!(config.print().contains("GEMINI_API_KEY=********"));
}

#[test]
fn the_print_out_names_the_source_of_each_value() {
    let printed = load(&[("PORT", "4100")]).unwrap().print();
    let line = |start: &str| printed.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("PORT=4100").ends_with("# environment"));
    assert!(line("PUBLIC_URL=http://localhost:4100").ends_with("# default"));
    assert!(line("# DATABASE_URL").ends_with("# not set"));
    assert_eq!(printed.lines().count(), entries().len());
}

#[test]
fn a_file_may_hold_any_value_and_loses_one_line_end() {
    let file = TextFile::new("4100\n");
    let config = load(&[("PORT_FILE", file.path())]).unwrap();
    assert_eq!(config.port, 4100);
    assert!(config.print().lines().any(|line| line.starts_with("PORT=4100") && line.ends_with("# file")));
    let windows = TextFile::new("secret\r\n");
    let config = load(&[("GEMINI_API_KEY_FILE", windows.path())]).unwrap();
    assert_eq!(config.ai.gemini.api_key.unwrap().expose_secret(), "secret");
}

#[test]
fn a_file_that_cannot_be_used_is_one_fault() {
    let good = TextFile::new("4100\n");
    let empty = TextFile::new("\n");
    let both = faults(&[("PORT", "4100"), ("PORT_FILE", good.path())]);
    assert!(both.len() == 1 && both[0].starts_with("PORT and PORT_FILE are both set"), "{both:?}");
    let missing = faults(&[("PORT_FILE", "/nowhere/port")]);
    assert!(missing.len() == 1 && missing[0].contains("PORT_FILE=/nowhere/port: entity not found"), "{missing:?}");
    assert_eq!(faults(&[("PORT_FILE", empty.path())]).len(), 1);
    let long = TextFile::new(&"1".repeat(70_000));
    assert!(faults(&[("PORT_FILE", long.path())])[0].contains("longer than"));
    let key = faults(&[("DATABASE_URL", "postgres://me@127.0.0.1/rejoinder"), ("ENCRYPTION_KEY_FILE", "/nowhere/key")]);
    assert_eq!(key.len(), 1, "an unreadable key is not called missing as well: {key:?}");
}

#[test]
fn a_misspelt_name_of_ours_is_pointed_out_and_a_foreign_one_is_not() {
    let names =
        ["DATABSE_URL", "GEMINI_APIKEY", "DATABASE_URL", "PORT", "PATH", "HOME", "PUBLIC_URL_FILE", "XDG_DATA_DIRS"];
    let hints = near_misses(names.map(str::to_owned));
    assert_eq!(
        hints,
        [
            "DATABSE_URL is not a setting; is DATABASE_URL meant?",
            "GEMINI_APIKEY is not a setting; is GEMINI_API_KEY meant?",
        ]
    );
}

/// A file in the temporary folder, removed at the end.
struct TextFile(PathBuf);

impl TextFile {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rejoinder-setting-{}", Entropy::System.token(9)));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TextFile {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}
