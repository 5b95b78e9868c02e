
pub mod cluster;
