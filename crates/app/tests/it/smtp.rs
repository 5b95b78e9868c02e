//! A mail server: takes mail over TCP and keeps it. It speaks as much SMTP as a real client needs, and refuses when told to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

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
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    /// What the next mails are answered with in the place of 250.
    refusals: VecDeque<&'static str>,
    login: Option<String>,
}

/// Ends when it goes.
pub struct MailServer {
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { port, state, task }
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.port)
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

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut mail = Received::default();
    let login = state.lock().unwrap().login.clone();
    let mut trusted = login.is_none();
    write.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
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
                return;
            }
            _ => "250 fine",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
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
