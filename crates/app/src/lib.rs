pub mod clients;
pub mod clock;
