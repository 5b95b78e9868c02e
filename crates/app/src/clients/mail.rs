//! Mail by SMTP: one connection per mail, plain text, at most 30 s.
//!
//! What can go wrong: the server is away or puts us off (try again later), or it refuses recipient or content
//! for good. What it says is kept for
//! the log without the addresses in it. Handing a mail over twice is possible where its answer got lost; the `Message-ID`, which
//! is the same each time, lets a mailbox show it once.

use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use url::{Host, Url};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(30);

/// How the way to the server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// A plain greeting, then TLS or nothing.
    StartTls,
    None,
}

/// Where mail is handed over, as the operator set it.
#[derive(Debug, Clone)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// Who may have signed the server's certificate beside those that this machine trusts, as PEM.
    pub ca: Option<String>,
    pub login: Option<(String, SecretString)>,
    pub from: Mailbox,
}

/// One mail to one person.
pub struct Outgoing<'a> {
    /// The same at each try.
    pub id: Uuid,
    pub to: &'a str,
    pub subject: &'a str,
    pub text: &'a str,
    pub date: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Try again later.
    #[error("{0}")]
    Later(String),
    /// This mail will never be taken.
    #[error("{0}")]
    Never(String),
}

/// Hands mails over. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// How we greet the server, and the right side of each `Message-ID`.
    hello: String,
}

impl Mailer {
    /// # Errors
    /// The TLS set-up of this machine is unusable, or the host is no name; the operator must act.
    pub fn new(settings: &Settings, public_url: &Url) -> Result<Self, String> {
        let hello = match public_url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => format!("[{address}]"),
            Some(Host::Ipv6(address)) => format!("[IPv6:{address}]"),
            None => "localhost".to_owned(),
        };
        // An error means that another client installed it before: just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let host = settings.host.as_str();
        let builder = match settings.security {
            Security::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(host),
            Security::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host),
            Security::None => Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)),
        };
        let mut builder = builder
            .map_err(|error| format!("SMTP_URL: {error}"))?
            .port(settings.port)
            .timeout(Some(TIMEOUT))
            .hello_name(ClientId::Domain(hello.clone()));
        if let Some(ca) = &settings.ca {
            let tls = tls(host, ca).map_err(|error| format!("SMTP_CA: {error}"))?;
            builder = match settings.security {
                Security::Tls => builder.tls(Tls::Wrapper(tls)),
                Security::StartTls => builder.tls(Tls::Required(tls)),
                Security::None => builder,
            };
        }
        if let Some((user, password)) = &settings.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        Ok(Self { transport: builder.build(), from: settings.from.clone(), hello })
    }

    pub async fn send(&self, mail: Outgoing<'_>) -> Result<(), MailError> {
        let to: Address = mail.to.parse().map_err(|_| MailError::Never("the address takes no mail".to_owned()))?;
        let message = self
            .head(&mail)
            .to(Mailbox::new(None, to))
            .body(mail.text.to_owned())
            .map_err(|_| MailError::Never("the mail could not be put together".to_owned()))?;
        // The library's own limit is for each step of the conversation.
        match tokio::time::timeout(TIMEOUT, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_permanent() && is_about_mail(&told(&error)) => {
                Err(MailError::Never(told(&error)))
            }
            Ok(Err(error)) => Err(MailError::Later(told(&error))),
            Err(_) => Err(MailError::Later(format!("the mail server took longer than {} s", TIMEOUT.as_secs()))),
        }
    }

    /// Connects, says who we are as for a mail, and leaves.
    pub async fn greet(&self) -> Result<(), MailError> {
        match self.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(MailError::Later("the mail server ended the conversation".to_owned())),
            Err(error) => Err(MailError::Later(told(&error))),
        }
    }

    fn head(&self, mail: &Outgoing<'_>) -> MessageBuilder {
        Message::builder()
            .from(self.from.clone())
            .subject(mail.subject)
            .date(SystemTime::from(mail.date))
            .message_id(Some(format!("<{}@{}>", mail.id, self.hello)))
            .header(lettre::message::header::ContentType::TEXT_PLAIN)
    }
}

fn tls(host: &str, ca: &str) -> Result<TlsParameters, lettre::transport::smtp::Error> {
    TlsParameters::builder(host.to_owned()).add_root_certificate(Certificate::from_pem(ca.as_bytes())?).build()
}

/// Whether it refuses the recipient or the content, by its enhanced code (RFC 3463). Every other refusal may be about us, such as the
/// login, our address or `MAIL_FROM`, and passes when the operator has mended it.
fn is_about_mail(words: &str) -> bool {
    let class = words.split_whitespace().find_map(|word| word.strip_prefix("5."));
    let Some((subject, detail)) = class.and_then(|class| class.split_once('.')) else { return false };
    match subject {
        // 5.1.7 and 5.1.8: the sender's address.
        "1" => matches!(detail, "1" | "2" | "3" | "4" | "6" | "10"),
        "2" | "6" => true,
        "3" => detail == "4",
        _ => false,
    }
}

/// What the server said, without the addresses that it repeats.
fn told(error: &lettre::transport::smtp::Error) -> String {
    let text = crate::error::chain(error);
    let words = text.split_whitespace().map(|word| if word.contains('@') { "[address]" } else { word });
    format!("the mail server: {}", words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_recipient_or_content_is_final() {
        let final_ones =
            ["5.1.1 no such user", "5.1.10 null MX", "5.2.1 mailbox is closed", "5.3.4 too big", "5.6.0 bad body"];
        for text in final_ones {
            assert!(is_about_mail(&format!("the mail server: permanent error (550): {text}")), "{text}");
        }
        for text in
            ["no service here", "5.1.8 sender domain", "5.1.7 sender address", "5.7.8 wrong password", "5.7.1 denied"]
        {
            assert!(!is_about_mail(&format!("the mail server: permanent error (554): {text}")), "{text}");
        }
    }

    #[test]
    fn a_mail_carries_its_own_date_and_the_same_id_each_time() {
        let settings = Settings {
            host: "mail.example".to_owned(),
            port: 587,
            security: Security::StartTls,
            ca: None,
            login: None,
            from: "Rejoinder <replies@example.com>".parse().unwrap(),
        };
        let mailer = Mailer::new(&settings, &Url::parse("https://replies.example.com").unwrap()).unwrap();
        let id = Uuid::from_u128(7);
        let date = time::macros::datetime!(2026-03-02 09:00 UTC);
        let mail = Outgoing { id, to: "ana@example.com", subject: "Grüße\r\nBcc: x@example.com", text: "", date };
        let message = mailer.head(&mail).to("ana@example.com".parse().unwrap()).body(String::new()).unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(text.contains("Date: Mon, 02 Mar 2026 09:00:00 +0000\r\n"), "{text}");
        assert!(text.contains(&format!("Message-ID: <{id}@replies.example.com>\r\n")), "{text}");
        assert!(!text.contains("\r\nBcc:"), "a subject is one line: {text}");
    }
}
