//! Calls to addresses that people of a team chose: webhooks that we send.
//!
//! Such an address must not lead into our own network. So: https only, no name and password in it, no port of another service, and every address that its name stands for
//! is a public one. The name is looked up once per call, by us, and the connection goes to what was checked then: a name that stands
//! for something else a moment later changes nothing. No proxy, no redirect, no connection kept for the next call. An operator whose receivers
//! live in a private network allows those (`WEBHOOK_ALLOW_PRIVATE`); addresses of machines' metadata stay out even then.

use super::http::{self, CallError};
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// A receiver that needs longer has not taken it.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// So much of an answer is read.
pub const ANSWER_BYTES: usize = 1024;
pub const LONGEST_URL: usize = 2_000;

/// Looks a name up.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// Nothing was sent: the address is none that we call.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub status: u16,
    /// At most `ANSWER_BYTES` of it.
    pub answer: String,
}

#[derive(Clone)]
pub struct Outbound {
    client: reqwest::Client,
    allow_private: bool,
}

impl Outbound {
    /// # Errors
    /// The TLS set-up of this machine is unusable; the operator must act.
    pub fn new(allow_private: bool) -> Result<Self, reqwest::Error> {
        Self::with_lookup(allow_private, Arc::new(|name| Box::pin(system_lookup(name))))
    }

    pub fn with_lookup(allow_private: bool, lookup: Lookup) -> Result<Self, reqwest::Error> {
        let client = http::outbound_client(Checked { lookup, allow_private }, TIMEOUT)?;
        Ok(Self { client, allow_private })
    }

    pub fn allows_private(&self) -> bool {
        self.allow_private
    }

    /// Posts JSON, once. Every status is an answer.
    pub async fn post(&self, url: &str, headers: HeaderMap, body: String) -> Result<Taken, OutboundError> {
        let url = check_url(url, self.allow_private).map_err(OutboundError::Refused)?;
        let request = self.client.post(url).headers(headers).header("content-type", "application/json").body(body);
        let mut response = request.send().await.map_err(named)?;
        let status = response.status().as_u16();
        let mut answer = Vec::new();
        // The status is the answer; a body that breaks off changes nothing.
        while answer.len() < ANSWER_BYTES
            && let Ok(Some(chunk)) = response.chunk().await
        {
            answer.extend_from_slice(&chunk);
        }
        answer.truncate(ANSWER_BYTES);
        Ok(Taken { status, answer: String::from_utf8_lossy(&answer).replace('\0', "") })
    }
}

fn named(error: reqwest::Error) -> OutboundError {
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if let Some(blocked) = cause.downcast_ref::<Blocked>() {
            return OutboundError::Refused(blocked.to_string());
        }
        source = cause.source();
    }
    OutboundError::Call(http::named(error))
}

/// The address as it will be called, or what is wrong with it. Names are looked up when they are called, not here.
pub fn check_url(text: &str, allow_private: bool) -> Result<Url, String> {
    if text.len() > LONGEST_URL {
        return Err(format!("may have at most {LONGEST_URL} characters"));
    }
    let wanted = "must be an https address like https://example.com/hooks";
    let url = Url::parse(text).map_err(|_| wanted.to_owned())?;
    let host = url.host().ok_or(wanted)?.to_owned();
    if !url.username().is_empty() || url.password().is_some() {
        return Err("may not hold a name or password; the signature shows that the call is ours".to_owned());
    }
    if url.fragment().is_some() {
        return Err("may not have a part after #, which is never sent".to_owned());
    }
    if url.port().is_some_and(|port| port < 1024) {
        return Err("must use port 443 or one from 1024 on; the others belong to other services".to_owned());
    }
    let address = match host {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    };
    if let Some(address) = address {
        check_address(address, allow_private).map_err(|blocked| blocked.to_string())?;
    }
    let on_this_machine = address.map_or(url.host_str() == Some("localhost"), |address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_private && on_this_machine => Ok(url),
        _ => Err(wanted.to_owned()),
    }
}

/// Why an address is not called. What a name stands for is not told: it could be one of our own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    #[error("leads into a private network, which this server does not call")]
    Private,
    #[error("leads to no public address")]
    Special,
    #[error("leads nowhere: the name has no address")]
    NoAddress,
}

fn check_address(address: IpAddr, allow_private: bool) -> Result<(), Blocked> {
    match reach(address) {
        Reach::Public => Ok(()),
        Reach::Private if allow_private => Ok(()),
        Reach::Private => Err(Blocked::Private),
        Reach::Special => Err(Blocked::Special),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Public,
    /// This machine and private networks: an operator may allow them.
    Private,
    /// Metadata services, multicast, reserved, and forms that hide another address.
    Special,
}

/// By the registries of special-purpose addresses (IANA).
fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    // Metadata services outside the link-local range: Alibaba Cloud, Azure.
    if address == Ipv4Addr::new(100, 100, 100, 200) || address == Ipv4Addr::new(168, 63, 129, 16) {
        return Reach::Special;
    }
    match address.octets() {
        [10, ..] | [127, ..] | [192, 168, ..] => Reach::Private,
        [172, second, ..] if (16..32).contains(&second) => Reach::Private,
        [100, second, ..] if (64..128).contains(&second) => Reach::Private,
        [0, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] => Reach::Special,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => Reach::Special,
        _ => Reach::Public,
    }
}

/// Metadata services of AWS, Google Cloud and Scaleway.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

fn reach_v6(address: Ipv6Addr) -> Reach {
    if address == Ipv6Addr::LOCALHOST {
        return Reach::Private;
    }
    if METADATA_V6.contains(&address) {
        return Reach::Special;
    }
    match address.segments() {
        [0xfc00..=0xfdff, ..] => Reach::Private,
        // Teredo and other protocol assignments, documentation, 6to4, SRv6: the last three hide or hold no host.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => Reach::Special,
        [0x2000..=0x3fff, ..] => Reach::Public,
        // Everything else: mapped and translated IPv4 (::ffff:0:0/96, 64:ff9b::/96), link-local, multicast, unassigned.
        _ => Reach::Special,
    }
}

async fn system_lookup(name: String) -> std::io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
}

/// Gives the client only addresses that were checked; it connects to no others.
struct Checked {
    lookup: Lookup,
    allow_private: bool,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, allow_private) = ((self.lookup)(name.as_str().to_owned()), self.allow_private);
        Box::pin(async move {
            let found = found.await?;
            if found.is_empty() {
                return Err(Blocked::NoAddress.into());
            }
            // One bad address is enough: whoever names both tries something.
            for address in &found {
                check_address(*address, allow_private)?;
            }
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
