//! A site on loopback that answers canned bytes and remembers what it was asked.

use rejoinder_platforms::{
    Account, AppCredentials, OutboundReply, Readers, RedditConfig, Session, Settings, Writers, connect,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// The moment at which all tests play, in epoch seconds.
pub const NOW: i64 = 1_800_000_000;

pub enum Canned {
    Json(u16, String),
    Bytes(Vec<u8>),
    /// Closes the connection after reading the request.
    Drop,
    /// Keeps the connection open and says nothing.
    Silence,
}

pub fn json(body: serde_json::Value) -> Canned {
    Canned::Json(200, body.to_string())
}

#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: HashMap<String, String>,
    pub head: String,
    pub form: HashMap<String, String>,
}

pub struct Site {
    pub base: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Site {
    pub async fn start(answer: impl Fn(&Asked) -> Canned + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (seen, answer) = (asked.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), seen.clone()));
            }
        });
        Self { base, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn times_asked(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.path == path).count()
    }

    pub fn connect(&self) -> (Readers, Writers) {
        self.connect_with(Duration::from_secs(10))
    }

    pub fn connect_with(&self, write_timeout: Duration) -> (Readers, Writers) {
        let settings = Settings { reddit: Some(config(&self.base, write_timeout)), ..Settings::default() };
        connect(settings, Arc::new(|| at(0))).unwrap()
    }
}

pub fn config(base: &Url, write_timeout: Duration) -> RedditConfig {
    RedditConfig {
        app: Some(AppCredentials { client_id: "our-app".into(), client_secret: "our-secret".into() }),
        user_agent: "web:org.example.test:0.1 (by /u/acme)".into(),
        auth_base: base.clone(),
        api_base: base.clone(),
        write_timeout,
        settle_window: Duration::from_secs(120),
        marks_read: true,
    }
}

/// `NOW` and some seconds.
pub fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW + seconds).unwrap()
}

pub fn session() -> Session {
    Session { account: Account { id: "t2_me".into(), name: "acme".into() }, access_token: "our-token".into() }
}

pub fn reply() -> OutboundReply {
    OutboundReply { target_id: "t1_aaa".into(), post_id: "t3_p".into(), text: "Thanks & welcome".into() }
}

async fn serve(mut stream: TcpStream, answer: Arc<impl Fn(&Asked) -> Canned>, seen: Arc<Mutex<Vec<Asked>>>) {
    let Some(asked) = read(&mut stream).await else {
        return;
    };
    seen.lock().unwrap().push(asked.clone());
    let bytes = match answer(&asked) {
        Canned::Json(status, body) => format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json; charset=UTF-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
        Canned::Bytes(bytes) => bytes,
        Canned::Drop => return,
        Canned::Silence => return std::future::pending().await,
    };
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head_lines = head.to_ascii_lowercase();
            let length =
                head_lines.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(asked(head, body));
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn asked(head: &str, body: &str) -> Asked {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let url = Url::parse("http://site").unwrap().join(target).unwrap();
    let pairs = |text: &str| url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    Asked {
        method: method.to_owned(),
        path: url.path().to_owned(),
        query: pairs(url.query().unwrap_or_default()),
        head: head.to_owned(),
        form: pairs(body),
    }
}
