//! Sends X's events to the webhook that was registered, over plain HTTP to this machine, until each was answered 200. A failing receiver
//! is asked again every few seconds, as long as the sandbox runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::Shared;
use crate::vendors::x::activity::{Webhook, signature};

const EVERY: Duration = Duration::from_millis(250);
const AFTER_FAILURE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST_ANSWER: u64 = 64 * 1024;

/// Status and body; an error where no answer came.
async fn exchange(method: &str, url: &Url, headers: &[(&str, String)], body: &str) -> std::io::Result<(u16, String)> {
    let (host, port) = (url.host_str().unwrap_or("127.0.0.1"), url.port_or_known_default().unwrap_or(80));
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let talk = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LARGEST_ANSWER).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, talk).await.map_err(std::io::Error::other)??;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned()))
}

/// Whether the address answers a challenge as its owner must.
pub(crate) async fn answers_challenge(url: &Url) -> bool {
    let token = "sandbox-crc-token";
    let mut asked = url.clone();
    asked.query_pairs_mut().append_pair("crc_token", token);
    let answered = exchange("GET", &asked, &[], "").await;
    answered.is_ok_and(|(status, body)| status == 200 && body.contains(&signature(token.as_bytes())))
}

/// Runs until the sandbox stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut wait = EVERY;
    while shared.stopping.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        wait = EVERY;
        let (webhook, events) = {
            let world = shared.world();
            (world.x.activity.webhook.clone(), world.x.events())
        };
        let Some(Ok(url)) = webhook.filter(Webhook::is_address).map(|webhook| Url::parse(&webhook.url)) else {
            continue;
        };
        for (uuid, message) in events {
            let status = exchange("POST", &url, &message.headers, &message.body).await.map_or(0, |(status, _)| status);
            shared.world().x.activity.answered(uuid, status);
            if status != 200 {
                wait = AFTER_FAILURE;
                break;
            }
        }
    }
}
