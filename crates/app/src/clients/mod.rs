//! Outside services that are not social platforms. What speaks HTTP does so through the one client that `http` builds.

pub mod ai;
pub mod http;
pub mod mail;
pub mod meta;
pub mod outbound;
pub mod signatures;
pub mod x_signing;
