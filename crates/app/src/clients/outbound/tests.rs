use super::*;
use axum::Router;
use axum::routing::post;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const PUBLIC: &str = "93.184.216.34";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A receiver on this machine, and how often it was called.
async fn receiver() -> (u16, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let answer = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { "x".repeat(5_000) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
    (port, calls)
}

/// A resolver that gives these answers one after the other, the last one for ever, and counts.
fn answering(answers: &[&[&str]]) -> (Lookup, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let answers: Vec<Vec<IpAddr>> =
        answers.iter().map(|answer| answer.iter().map(|text| address(text)).collect()).collect();
    let (counter, answers) = (Arc::clone(&asked), Mutex::new(answers));
    let lookup: Lookup = Arc::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        let mut answers = answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok(answer) })
    });
    (lookup, asked)
}

async fn called(outbound: &Outbound, url: &str) -> Result<Taken, OutboundError> {
    outbound.post(url, HeaderMap::new(), "{}".to_owned()).await
}

#[test]
fn an_address_is_public_by_the_registries() {
    for text in [PUBLIC, "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "223.255.255.254"] {
        assert_eq!(reach(address(text)), Reach::Public, "{text}");
    }
    for text in ["2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888"] {
        assert_eq!(reach(address(text)), Reach::Public, "{text}");
    }
}

#[test]
fn private_networks_are_for_operators_who_allow_them() {
    for text in [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fc00::1",
        "fd12:3456::1",
    ] {
        assert_eq!(check_address(address(text), false), Err(Blocked::Private), "{text}");
        assert_eq!(check_address(address(text), true), Ok(()), "{text}");
    }
}

#[test]
fn what_leads_to_metadata_or_hides_another_address_is_never_called() {
    for text in [
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.216.34",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001::1",
        "2001:db8::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fd00:42::42",
        "100::1",
        "3fff::1",
        "5f00::1",
    ] {
        for allow_private in [false, true] {
            let blocked = check_address(address(text), allow_private);
            assert_eq!(blocked, Err(Blocked::Special), "{text}");
        }
    }
}

#[test]
fn a_url_is_refused_for_what_it_leads_to_however_it_is_written() {
    for text in [
        "",
        "example.com",
        "/hooks",
        "ftp://example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://example.com/hooks",
        "http://127.0.0.1/",
        "http://localhost/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://①②⑦.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/latest",
        "https://169.254.169.254/latest/meta-data/",
        "https://0/",
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://:pass@example.com/",
        "https://example.com/#part",
        "https://example.com:22/",
        "https://example.com:25/",
        "https://example.com:80/",
        "https://example.com:0/",
        "https://exa mple.com/",
    ] {
        assert!(check_url(text, false).is_err(), "{text}");
    }
    let long = format!("https://example.com/{}", "a".repeat(LONGEST_URL));
    assert!(check_url(&long, false).is_err());
    for text in [
        "https://example.com/hooks?key=1",
        "https://example.com:443/",
        "https://example.com:8443",
        "https://bücher.example/",
        "https://93.184.216.34/",
    ] {
        assert!(check_url(text, false).is_ok(), "{text}");
    }
}

#[test]
fn plain_http_is_for_this_machine_alone_and_only_where_private_is_allowed() {
    for text in [
        "http://127.0.0.1:8080/",
        "http://localhost:8080/",
        "http://[::1]/",
        "https://10.0.0.1/",
        "https://2130706433/",
    ] {
        assert!(check_url(text, true).is_ok(), "{text}");
    }
    for text in [
        "http://10.0.0.1/",
        "http://example.com/",
        "http://93.184.216.34/",
        "https://169.254.169.254/",
        "http://[::ffff:127.0.0.1]/",
    ] {
        assert!(check_url(text, true).is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_called() {
    let (port, calls) = receiver().await;
    for found in [
        &["127.0.0.1"][..],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["169.254.169.254"],
        &[PUBLIC, "127.0.0.1"],
        &["127.0.0.1", PUBLIC],
    ] {
        let (lookup, asked) = answering(&[found]);
        let outbound = Outbound::with_lookup(false, lookup).unwrap();
        let error = called(&outbound, &format!("https://hooks.example:{port}/")).await.unwrap_err();
        assert!(matches!(&error, OutboundError::Refused(why) if why.starts_with("leads ")), "{found:?}: {error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
    let (lookup, _) = answering(&[&[]]);
    let nowhere = called(&Outbound::with_lookup(false, lookup).unwrap(), "https://hooks.example/").await;
    assert_eq!(nowhere, Err(OutboundError::Refused(Blocked::NoAddress.to_string())));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_checked_and_the_name_is_asked_once_a_call() {
    let (port, calls) = receiver().await;
    // Good at the first question, and another machine's at every later one.
    let (lookup, asked) = answering(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let outbound = Outbound::with_lookup(true, lookup).unwrap();
    let url = format!("http://localhost:{port}/");
    assert_eq!(called(&outbound, &url).await.unwrap().status, 200);
    assert_eq!(
        (asked.load(Ordering::SeqCst), calls.load(Ordering::SeqCst)),
        (1, 1),
        "no second question between check and call"
    );
    let error = called(&outbound, &url).await.unwrap_err();
    assert_eq!(error, OutboundError::Refused(Blocked::Special.to_string()));
    assert_eq!(
        (asked.load(Ordering::SeqCst), calls.load(Ordering::SeqCst)),
        (2, 1),
        "a kept connection would have gone on"
    );
}

#[tokio::test]
async fn of_a_long_answer_the_first_part_is_kept() {
    let (port, _) = receiver().await;
    let taken = called(&Outbound::new(true).unwrap(), &format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(taken.answer.len(), ANSWER_BYTES);
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let resolver = Checked { lookup: answering(&[&[]]).0, allow_private: true };
    let client = http::outbound_client(resolver, Duration::from_millis(300)).unwrap();
    let taken = called(&Outbound { client, allow_private: true }, &url).await;
    assert_eq!(taken, Err(OutboundError::Call(CallError::Timeout)));
}
