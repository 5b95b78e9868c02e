//! What an operator's Prometheus reads.

use crate::home::free_port;
use crate::person::client;
use crate::stage::Stage;
use crate::wait::until;
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_tell_what_was_drafted_sent_and_waits() {
    let address = format!("127.0.0.1:{}", free_port());
    let stage = Stage::set(&[("METRICS_BIND", &address)]).await;
    let draft = stage.draft().await;
    stage.approve(&draft).await;
    stage.until_posted(&draft).await;

    let read = async || client().get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap();
    let sent = "post_send_success_total{platform=\"reddit\"} 1";
    let text = until("the send is counted", Duration::from_secs(10), async || {
        Some(read().await).filter(|text| text.contains(sent))
    })
    .await;
    for line in [
        "ai_jobs_total{outcome=\"template\"} 1",
        "post_send_fail_total{platform=\"reddit\",outcome=\"uncertain\"} 0",
        "queue_length{job=\"all\"} ",
        "# TYPE http_request_duration_seconds histogram",
        "# TYPE job_duration_seconds histogram",
        "# TYPE post_send_duration_seconds histogram",
        "# TYPE ai_request_duration_seconds histogram",
        "post_send_duration_seconds_count{platform=\"reddit\"",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    let spoken_of = text.contains(&stage.team) || text.contains(&draft.id);
    assert!(!spoken_of, "a label with an id grows without end:\n{text}");
    check_with_promtool(&text);
}

fn check_with_promtool(text: &str) {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match started {
        Ok(promtool) => promtool,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("promtool is not installed; its check is left out");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
