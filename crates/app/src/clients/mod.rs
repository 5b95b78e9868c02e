//! Outside services that are not social platforms. Each speaks through the one HTTP client that `http` builds.

pub mod ai;
pub mod http;
pub mod signatures;
