//! A mail server: takes mail over TCP or TLS and keeps it. It speaks as much SMTP as a real client needs, and refuses when told to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One mail as it came in.
#[derive(Debug, Clone, Default)]
pub struct Received {
    pub from: String,
    pub to: String,
    pub head: String,
    /// Decoded.
    pub text: String,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    /// The only link in it.
    pub fn link(&self) -> &str {
        let mut links = self.text.split_whitespace().filter(|word| word.starts_with("http"));
        let link = links.next().unwrap_or_else(|| panic!("no link in {}", self.text));
        assert_eq!(links.next(), None, "one link only: {}", self.text);
        link
    }
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    /// What the next mails are answered with in the place of 250.
    refusals: VecDeque<&'static str>,
    login: Option<String>,
}

/// Who signed the certificate of a server with TLS, which is one for `localhost`.
pub const CA: &str = include_str!("smtp/ca.pem");

/// How a server protects the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    None,
    Tls,
    StartTls,
}

/// Ends when it goes.
pub struct MailServer {
    port: u16,
    protection: Protection,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl MailServer {
    pub async fn start() -> Self {
        Self::protected(Protection::None).await
    }

    pub async fn protected(protection: Protection) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, protection, Arc::clone(&shared)));
            }
        });
        Self { port, protection, state, task }
    }

    pub fn url(&self) -> String {
        match self.protection {
            Protection::None => format!("smtp://127.0.0.1:{}?tls=none", self.port),
            Protection::Tls => format!("smtps://localhost:{}", self.port),
            Protection::StartTls => format!("smtp://localhost:{}", self.port),
        }
    }

    /// From now on it asks who sends.
    pub fn require_login(&self, user: &str, password: &str) {
        self.state.lock().unwrap().login = Some(STANDARD.encode(format!("\0{user}\0{password}")));
    }

    /// Answers the next mail with this line.
    pub fn refuse_next(&self, line: &'static str) {
        self.state.lock().unwrap().refusals.push_back(line);
    }

    pub fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// All that came since the last call.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.lock().unwrap().received)
    }

    /// The only mail that came since the last call.
    pub fn take_one(&self) -> Received {
        let mut mails = self.take();
        assert_eq!(mails.len(), 1, "{mails:?}");
        mails.remove(0)
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("smtp/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("smtp/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()))
}

/// A client that does not trust us hangs up.
async fn take(stream: TcpStream, protection: Protection, state: Arc<Mutex<State>>) {
    match protection {
        Protection::None => serve(stream, true, state).await,
        Protection::Tls => {
            if let Ok(stream) = acceptor().accept(stream).await {
                serve(stream, true, state).await;
            }
        }
        Protection::StartTls => {
            let mut plain = BufStream::new(stream);
            plain.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
            plain.flush().await.unwrap();
            let mut line = String::new();
            while plain.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                let answer = match line.trim_end() {
                    "STARTTLS" => "220 go on",
                    hello if hello.starts_with("EHLO") => "250-mail.example\r\n250 STARTTLS",
                    _ => "530 5.7.0 not in the clear",
                };
                plain.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
                plain.flush().await.unwrap();
                if answer.starts_with("220") {
                    if let Ok(stream) = acceptor().accept(plain.into_inner()).await {
                        serve(stream, false, state).await;
                    }
                    return;
                }
                line.clear();
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite, greet: bool, state: Arc<Mutex<State>>) {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = BufReader::new(read).lines();
    let mut mail = Received::default();
    let login = state.lock().unwrap().login.clone();
    let mut trusted = login.is_none();
    if greet {
        write.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        write.flush().await.unwrap();
    }
    while let Ok(Some(line)) = lines.next_line().await {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "AUTH" => {
                trusted = line.split(' ').nth(2) == login.as_deref();
                if trusted { "235 welcome" } else { "535 5.7.8 wrong user name or password" }
            }
            "MAIL" if !trusted => "530 5.7.0 say who you are first",
            "MAIL" => {
                mail.from = address(&line);
                "250 fine"
            }
            "RCPT" => {
                mail.to = address(&line);
                "250 fine"
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.unwrap();
                write.flush().await.unwrap();
                let mut data = Vec::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    data.push(line.strip_prefix('.').map_or(line.clone(), str::to_owned));
                }
                keep(&state, std::mem::take(&mut mail), &data)
            }
            "QUIT" => {
                write.write_all(b"221 goodbye\r\n").await.unwrap();
                write.flush().await.unwrap();
                return;
            }
            _ => "250 fine",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        write.flush().await.unwrap();
    }
}

/// `MAIL FROM:<a@example.com> BODY=8BITMIME`
fn address(line: &str) -> String {
    let (_, after) = line.split_once('<').unwrap();
    after.split('>').next().unwrap().to_owned()
}

fn keep(state: &Mutex<State>, mut mail: Received, data: &[String]) -> &'static str {
    let mut state = state.lock().unwrap();
    if let Some(refusal) = state.refusals.pop_front() {
        return refusal;
    }
    let end_of_head = data.iter().position(String::is_empty).unwrap();
    mail.head = data[..end_of_head].join("\n");
    let body = &data[end_of_head + 1..];
    mail.text = match mail.header("Content-Transfer-Encoding") {
        "base64" => String::from_utf8(STANDARD.decode(body.concat()).unwrap()).unwrap(),
        "quoted-printable" => quoted_printable(&body.join("\n")),
        _ => body.join("\n"),
    };
    state.received.push(mail);
    "250 taken"
}

fn quoted_printable(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}
