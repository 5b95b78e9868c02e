//! Mail on its way to a real server: once, with its text readable to nobody on the way.

use crate::harness::{Harness, config};
use crate::smtp::{CA, MailServer, Protection};
use rejoinder_app::accounts::mails::{self, Mail};
use rejoinder_app::clients::mail::{MailError, Mailer};
use time::Duration;

const SECRET: &str = "http://localhost:3000/reset?token=opens-the-door";

pub async fn harness(server: &MailServer) -> Harness {
    Harness::unconnected(&[("SMTP_URL", &server.url()), ("MAIL_FROM", "Rejoinder <replies@example.com>")]).await
}

fn mail() -> Mail {
    Mail {
        to: "ana@example.com".to_owned(),
        subject: "Ein Gruß".to_owned(),
        text: format!("Hello Ana,\n\n{SECRET}\n\n.\nGrüße\n"),
    }
}

async fn post(h: &Harness) {
    let mut tx = h.pool().begin().await.unwrap();
    mails::post(&mut tx, &h.app, &h.app.moment(), &mail()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn rows(h: &Harness) -> i64 {
    sqlx::query_scalar("select count(*) from mails").fetch_one(h.pool()).await.unwrap()
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written_and_nothing_of_it_is_kept() {
    let server = MailServer::start().await;
    let h = harness(&server).await;
    post(&h).await;
    let payload: String = sqlx::query_scalar("select payload::text from graphile_worker._private_jobs")
        .fetch_one(h.pool())
        .await
        .unwrap();
    let sealed: Vec<u8> = sqlx::query_scalar("select sealed from mails").fetch_one(h.pool()).await.unwrap();
    let sealed = String::from_utf8_lossy(&sealed);
    for word in ["opens-the-door", "ana@example.com", "Hello"] {
        assert!(!payload.contains(word) && !sealed.contains(word), "{word} can be read: {payload}");
    }
    h.run_due().await;
    let got = server.take_one();
    assert_eq!((got.from.as_str(), got.to.as_str()), ("replies@example.com", "ana@example.com"));
    assert_eq!(got.text.trim_end(), mail().text.trim_end());
    assert_eq!(got.header("Date"), "Mon, 02 Mar 2026 09:00:00 +0000");
    assert!(got.header("From").contains("replies@example.com"));
    assert_eq!(rows(&h).await, 0);
    h.finish().await;
}

#[tokio::test]
async fn what_is_rolled_back_sends_nothing() {
    let server = MailServer::start().await;
    let h = harness(&server).await;
    let mut tx = h.pool().begin().await.unwrap();
    mails::post(&mut tx, &h.app, &h.app.moment(), &mail()).await.unwrap();
    tx.rollback().await.unwrap();
    h.run_due().await;
    assert_eq!((server.take().len(), rows(&h).await), (0, 0));
    h.finish().await;
}

#[tokio::test]
async fn a_server_that_puts_us_off_gets_the_same_mail_again() {
    let server = MailServer::start().await;
    let h = harness(&server).await;
    server.refuse_next("451 4.7.1 ana@example.com: come back later");
    post(&h).await;
    let report = h.run_due().await;
    let failure = report.ran[0].failure.as_ref().unwrap();
    assert!(failure.reason.contains("come back later"), "{}", failure.reason);
    assert!(!failure.reason.contains("ana@"), "{}", failure.reason);
    assert_eq!((server.received().len(), rows(&h).await), (0, 1));
    h.run_for(Duration::minutes(5)).await;
    let got = server.take_one();
    assert_eq!(got.header("Date"), "Mon, 02 Mar 2026 09:00:00 +0000", "the mail of then");
    assert_eq!(rows(&h).await, 0);
    h.finish().await;
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_given_up_at_once_and_said_in_the_log() {
    let server = MailServer::start().await;
    let h = harness(&server).await;
    server.refuse_next("550 5.1.1 no such mailbox");
    post(&h).await;
    let report = h.run_due().await;
    assert_eq!((report.dead.len(), rows(&h).await), (1, 0));
    assert!(report.dead[0].reason.contains("no such mailbox"), "{}", report.dead[0].reason);
    h.finish_leaving(&[]).await;
}

#[tokio::test]
async fn what_is_said_of_the_sender_or_of_nothing_loses_no_mail() {
    let server = MailServer::start().await;
    let h = harness(&server).await;
    for line in ["554 no service here", "550 5.1.8 the sender's domain is not known"] {
        server.refuse_next(line);
        post(&h).await;
        let report = h.run_due().await;
        assert!(report.dead.is_empty(), "{line}: {:?}", report.dead);
        assert_eq!((server.received().len(), rows(&h).await), (0, 1), "{line}");
        h.run_for(Duration::minutes(5)).await;
        assert_eq!(server.take_one().to, "ana@example.com", "{line}");
    }
    h.finish().await;
}

#[tokio::test]
async fn a_wrong_login_loses_no_mail() {
    let server = MailServer::start().await;
    server.require_login("replies", "right");
    let url = server.url().replace("smtp://", "smtp://replies:wrong@");
    let h = Harness::unconnected(&[("SMTP_URL", &url), ("MAIL_FROM", "replies@example.com")]).await;
    post(&h).await;
    let report = h.run_due().await;
    assert!(report.dead.is_empty(), "the operator can mend it: {:?}", report.dead);
    assert_eq!((server.received().len(), rows(&h).await), (0, 1));
    server.require_login("replies", "wrong");
    h.run_for(Duration::minutes(5)).await;
    assert_eq!(server.take_one().to, "ana@example.com");
    h.finish().await;
}

#[tokio::test]
async fn a_mail_that_nobody_took_for_two_days_is_forgotten() {
    let server = MailServer::start().await;
    let h = harness(&server).await;
    post(&h).await;
    h.advance(Duration::days(2) + Duration::SECOND);
    mails::forget_old(&mut *h.conn().await, h.now()).await.unwrap();
    assert_eq!(rows(&h).await, 0);
    h.run_due().await;
    assert_eq!(server.take().len(), 0);
    h.finish().await;
}

/// Mail under a server's own authority, to this address of the server. Gives what the doctor would be told.
async fn handed_over(url: &str, ca: &str) -> Result<(), MailError> {
    let env = [("SMTP_URL", url), ("MAIL_FROM", "Rejoinder <replies@example.com>"), ("SMTP_CA", ca)];
    let config = config(&"http://127.0.0.1:9".parse().unwrap(), &env);
    let mailer = Mailer::new(config.mail.as_ref().unwrap(), &config.public_url).unwrap();
    mailer.greet().await
}

#[tokio::test]
async fn over_tls_a_mail_goes_to_a_server_whose_authority_is_named_and_to_no_other() {
    for protection in [Protection::Tls, Protection::StartTls] {
        let server = MailServer::protected(protection).await;
        server.require_login("ana", "secret");
        let url = server.url().replace("://", "://ana:secret@");
        let settings = [("SMTP_URL", url.as_str()), ("SMTP_CA", CA), ("MAIL_FROM", "Rejoinder <replies@example.com>")];
        let h = Harness::unconnected(&settings).await;
        post(&h).await;
        h.run_due().await;
        assert_eq!(server.take_one().text.trim_end(), mail().text.trim_end(), "{protection:?}");
        h.finish().await;

        assert_eq!(handed_over(&url, CA).await, Ok(()), "{protection:?}");
        let unknown = handed_over(&url, "").await.unwrap_err().to_string();
        assert!(unknown.contains("certificate"), "{protection:?}: {unknown}");
        let elsewhere = handed_over(&url.replace("localhost", "127.0.0.1"), CA).await.unwrap_err().to_string();
        assert!(elsewhere.contains("certificate"), "{protection:?}: {elsewhere}");
    }
    // A server that offers no TLS gets nothing, the password neither.
    let plain = MailServer::start().await;
    plain.require_login("ana", "secret");
    let stripped = plain.url().replace("?tls=none", "").replace("://", "://ana:secret@");
    assert!(handed_over(&stripped, CA).await.is_err());
}
