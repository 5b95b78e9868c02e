//! Log lines and numbers about the running process. Logs go to standard error, so that a command's output stays clean.
//!
//! All metrics are named here, with their help and labels; other code calls the functions below and no macro, so that a
//! label never gets unbounded values (no user, post or team in a label) and never carries a secret. Counters are registered
//! at start: a rate over a counter that is not there yet reads as "no data" instead of zero.

use crate::config::LogFormat;
use axum::http::{Method, StatusCode};
use metrics::{Label, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::io::IsTerminal;
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

const AI_JOBS: &str = "ai_jobs_total";
const SENT: &str = "post_send_success_total";
const SEND_FAILED: &str = "post_send_fail_total";
const WEBHOOKS: &str = "webhook_deliveries_total";
const QUEUE_LENGTH: &str = "queue_length";
const HTTP_SECONDS: &str = "http_request_duration_seconds";
const AI_SECONDS: &str = "ai_request_duration_seconds";
const SEND_SECONDS: &str = "post_send_duration_seconds";
const PUSHED: &str = "platform_webhooks_total";
const JOB_SECONDS: &str = "job_duration_seconds";

/// From a cached page to the longest wait for a model.
const SECONDS_BUCKETS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0];

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the log filter is wrong: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something in this process set up logging or metrics before.
    #[error("logging or metrics are already set up in this process")]
    AlreadySetUp,
}

/// Sets up logging for the whole process. Once, at start.
pub fn start_logging(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    subscriber(format, filter, std::io::stderr().is_terminal(), std::io::stderr)?
        .try_init()
        .map_err(|_| TelemetryError::AlreadySetUp)
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    terminal: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(terminal);
    let pretty = match format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => terminal,
    };
    let lines = if pretty { lines.boxed() } else { lines.json().flatten_event(true).boxed() };
    Ok(tracing_subscriber::registry().with(filter).with(lines))
}

/// Hands out what Prometheus reads. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Makes this process record its metrics. Once, at start; the platforms are those that replies can go to.
    pub fn start(platforms: &[&str]) -> Result<Self, TelemetryError> {
        let recorder = recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::AlreadySetUp)?;
        register(platforms);
        Ok(Self { handle })
    }

    /// The text that `/metrics` answers with.
    pub fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }
}

fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .expect("there are buckets")
        .build_recorder()
}

fn register(platforms: &[&str]) {
    metrics::describe_counter!(AI_JOBS, "Drafting jobs that ended, by outcome.");
    metrics::describe_counter!(SENT, "Replies that a platform gave an id to.");
    metrics::describe_counter!(SEND_FAILED, "Send attempts that did not end with a platform id, by outcome.");
    metrics::describe_counter!(WEBHOOKS, "Calls of webhooks that teams have set up, by outcome.");
    metrics::describe_counter!(PUSHED, "Deliveries that platforms sent to our webhooks, by what became of them.");
    metrics::describe_gauge!(QUEUE_LENGTH, "Jobs that wait in the queue, by job.");
    metrics::describe_histogram!(HTTP_SECONDS, Unit::Seconds, "Time to answer an HTTP request, by route and status.");
    metrics::describe_histogram!(AI_SECONDS, Unit::Seconds, "Time a drafting provider took to answer.");
    metrics::describe_histogram!(SEND_SECONDS, Unit::Seconds, "Time a platform took to answer a reply.");
    metrics::describe_histogram!(JOB_SECONDS, Unit::Seconds, "Time a job ran, by job and outcome.");
    for outcome in AiOutcome::ALL {
        metrics::counter!(AI_JOBS, "outcome" => outcome.label()).absolute(0);
    }
    for platform in platforms {
        metrics::counter!(SENT, labels(platform)).absolute(0);
        for outcome in Delivery::ALL {
            metrics::counter!(PUSHED, delivery_labels(platform, outcome)).absolute(0);
        }
        for outcome in SendFailure::ALL {
            metrics::counter!(SEND_FAILED, failure_labels(platform, outcome)).absolute(0);
        }
    }
    for outcome in WebhookOutcome::ALL {
        metrics::counter!(WEBHOOKS, "outcome" => outcome.label()).absolute(0);
    }
    metrics::gauge!(QUEUE_LENGTH, "job" => "all").set(0.0);
}

fn labels(platform: &str) -> Vec<Label> {
    vec![Label::new("platform", platform.to_owned())]
}

fn failure_labels(platform: &str, outcome: SendFailure) -> Vec<Label> {
    vec![Label::new("platform", platform.to_owned()), Label::new("outcome", outcome.label())]
}

fn delivery_labels(platform: &str, outcome: Delivery) -> Vec<Label> {
    vec![Label::new("platform", platform.to_owned()), Label::new("outcome", outcome.label())]
}

/// What became of a delivery to one of our webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Kept,
    /// Nothing in it is for us.
    Ignored,
    /// Signed, and no delivery.
    Unreadable,
    /// Not signed, or not by one of our secrets.
    Unsigned,
    /// There was no room for it.
    TurnedAway,
}

impl Delivery {
    const ALL: [Self; 5] = [Self::Kept, Self::Ignored, Self::Unreadable, Self::Unsigned, Self::TurnedAway];

    fn label(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Ignored => "ignored",
            Self::Unreadable => "unreadable",
            Self::Unsigned => "unsigned",
            Self::TurnedAway => "turned_away",
        }
    }
}

/// How a drafting job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AiOutcome {
    /// A model wrote a draft.
    Drafted,
    /// A template stood in.
    Template,
    /// There was nothing that should be answered.
    Skipped,
    Failed,
}

impl AiOutcome {
    const ALL: [Self; 4] = [Self::Drafted, Self::Template, Self::Skipped, Self::Failed];

    fn label(self) -> &'static str {
        match self {
            Self::Drafted => "drafted",
            Self::Template => "template",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// Why a send attempt has no platform id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFailure {
    Refused,
    NotSent,
    Uncertain,
}

impl SendFailure {
    const ALL: [Self; 3] = [Self::Refused, Self::NotSent, Self::Uncertain];

    fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NotSent => "not_sent",
            Self::Uncertain => "uncertain",
        }
    }
}

/// What one call of a webhook came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookOutcome {
    Delivered,
    /// Failed, and comes again.
    Retried,
    /// Failed for the last time.
    GivenUp,
}

impl WebhookOutcome {
    const ALL: [Self; 3] = [Self::Delivered, Self::Retried, Self::GivenUp];

    fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::GivenUp => "given_up",
        }
    }
}

pub fn webhook_called(outcome: WebhookOutcome) {
    metrics::counter!(WEBHOOKS, "outcome" => outcome.label()).increment(1);
}

pub fn ai_job_ended(outcome: AiOutcome) {
    metrics::counter!(AI_JOBS, "outcome" => outcome.label()).increment(1);
}

pub fn webhook_answered(platform: &'static str, outcome: Delivery) {
    metrics::counter!(PUSHED, delivery_labels(platform, outcome)).increment(1);
}

/// `provider` is one of ours ("gemini"), never a model's name.
pub fn ai_answered(provider: &'static str, took: Duration) {
    metrics::histogram!(AI_SECONDS, "provider" => provider).record(took);
}

pub fn reply_posted(platform: &str, took: Duration) {
    metrics::counter!(SENT, labels(platform)).increment(1);
    metrics::histogram!(SEND_SECONDS, labels(platform)).record(took);
}

pub fn reply_not_posted(platform: &str, outcome: SendFailure, took: Duration) {
    metrics::counter!(SEND_FAILED, failure_labels(platform, outcome)).increment(1);
    metrics::histogram!(SEND_SECONDS, labels(platform)).record(took);
}

/// `job` is a name from the list of jobs, or "all".
pub fn queue_length(job: &'static str, waiting: u32) {
    metrics::gauge!(QUEUE_LENGTH, "job" => job).set(f64::from(waiting));
}

/// `job` is a name from the list of jobs.
pub fn job_ended(job: &'static str, succeeded: bool, took: Duration) {
    let outcome = if succeeded { "ok" } else { "failed" };
    metrics::histogram!(JOB_SECONDS, "job" => job, "outcome" => outcome).record(took);
}

/// `route` is the matched pattern (`/api/posts/{post_id}`), never the path that was asked for.
pub fn http_answered(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let labels = vec![
        Label::new("method", method_label(method)),
        Label::new("route", route.to_owned()),
        Label::new("status", status.as_u16().to_string()),
    ];
    metrics::histogram!(HTTP_SECONDS, labels).record(took);
}

/// A client may invent methods; labels stay a short list.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::sync::{Arc, Mutex};

    /// Renders what `record` leaves, apart from the process-wide recorder.
    fn rendered(record: impl FnOnce()) -> String {
        let recorder = recorder();
        metrics::with_local_recorder(&recorder, || {
            register(&["reddit"]);
            record();
        });
        Metrics { handle: recorder.handle() }.render()
    }

    fn record_one_of_each() {
        let took = Duration::from_millis(30);
        ai_job_ended(AiOutcome::Drafted);
        ai_answered("gemini", took);
        reply_posted("reddit", took);
        reply_not_posted("reddit", SendFailure::Uncertain, took);
        webhook_called(WebhookOutcome::Retried);
        queue_length("all", 3);
        job_ended("post.send", true, took);
        http_answered(&Method::GET, "/api/health", StatusCode::OK, took);
    }

    #[test]
    fn counters_stand_at_zero_before_anything_happened() {
        let text = rendered(|| ());
        for line in [
            "ai_jobs_total{outcome=\"drafted\"} 0",
            "post_send_success_total{platform=\"reddit\"} 0",
            "post_send_fail_total{platform=\"reddit\",outcome=\"refused\"} 0",
            "queue_length{job=\"all\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
        }
    }

    #[test]
    fn durations_are_histograms_in_seconds() {
        let text = rendered(record_one_of_each);
        let line =
            "http_request_duration_seconds_bucket{method=\"GET\",route=\"/api/health\",status=\"200\",le=\"0.05\"} 1";
        assert!(text.contains(line), "{text}");
        for name in [HTTP_SECONDS, AI_SECONDS, SEND_SECONDS, JOB_SECONDS] {
            assert!(text.contains(&format!("# TYPE {name} histogram")), "{name} in:\n{text}");
        }
        assert!(text.contains("post_send_fail_total{platform=\"reddit\",outcome=\"uncertain\"} 1"), "{text}");
    }

    #[test]
    fn an_invented_method_makes_no_label_of_its_own() {
        let invented = Method::from_bytes(b"SPAM123").unwrap();
        let text = rendered(|| http_answered(&invented, "/", StatusCode::NOT_FOUND, Duration::ZERO));
        assert!(text.contains("method=\"other\"") && !text.contains("SPAM123"), "{text}");
    }

    #[test]
    fn prometheus_finds_no_fault_with_the_metrics() {
        let started =
            Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let Ok(mut promtool) = started else {
            println!("skipped: promtool is not installed");
            return;
        };
        promtool.stdin.take().unwrap().write_all(rendered(record_one_of_each).as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let findings = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && findings.trim().is_empty(), "{findings}");
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, terminal: bool, filter: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(format, filter, terminal, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(job = "post.send", "job ended");
            tracing::info!(target: "sqlx::query", "statement");
            tracing::debug!("detail");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_has_its_fields_at_the_top() {
        let text = logged(LogFormat::Json, true, "info,sqlx=warn");
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["message"], &line["job"], &line["level"]),
            (&"job ended".into(), &"post.send".into(), &"INFO".into())
        );
    }

    #[test]
    fn auto_is_readable_on_a_terminal_and_json_elsewhere() {
        assert!(logged(LogFormat::Auto, false, "info").starts_with('{'));
        assert!(!logged(LogFormat::Auto, true, "info").starts_with('{'));
        assert_eq!(logged(LogFormat::Pretty, false, "debug").lines().count(), 3);
    }
}
