pub mod accounts;
pub mod clock;
pub mod coord;
pub mod model;
