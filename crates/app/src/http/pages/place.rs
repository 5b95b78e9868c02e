//! Where a list goes on: the time and the id of the last row shown, as one opaque word.

use crate::http::api::paging::is_plausible;
use time::OffsetDateTime;
use uuid::Uuid;

pub type Place = (OffsetDateTime, Uuid);

pub fn written((at, id): Place) -> String {
    format!("{}.{}", at.unix_timestamp_nanos() / 1_000, id.simple())
}

/// None for what is none of ours; the list then starts at its top.
pub fn read(text: &str) -> Option<Place> {
    let (micros, id) = text.split_once('.')?;
    let nanos = i128::from(micros.parse::<i64>().ok()?) * 1_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().filter(|at| is_plausible(*at))?;
    Some((at, Uuid::parse_str(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_place_leads_back_to_exactly_its_row() {
        let place = (datetime!(2026-03-01 12:00:00.123456 UTC), Uuid::from_u128(7));
        assert_eq!(read(&written(place)), Some(place));
        for text in ["", ".", "1", "x.7", "99999999999999999999.1", "9223372036854775807.0"] {
            assert_eq!(read(text), None, "{text}");
        }
        for at in [datetime!(-9999-01-01 0:00 UTC), datetime!(9999-12-31 0:00 UTC)] {
            assert_eq!(read(&written((at, Uuid::from_u128(7)))), None, "{at}");
        }
    }
}
