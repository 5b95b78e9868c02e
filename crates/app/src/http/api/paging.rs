//! Lists by page: a row's place is its time and id, so that rows which come or go meanwhile shift nothing. The cursor is opaque to
//! callers; one that we did not make is a wrong field.

use crate::error::{ApiResult, Problem};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

const DEFAULT_LIMIT: i64 = 25;
const MAX_LIMIT: i64 = 100;

/// Where a row stands in its list.
pub type Place = (OffsetDateTime, Uuid);

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give it back as `cursor` for the next page; null on the last one.
    #[schema(example = "AAZEhVYmwAABmrvHtAB8Hod2VDIQAAAA")]
    pub next_cursor: Option<String>,
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    limit: i64,
    /// The last row of the page before.
    pub from: Option<Place>,
}

impl Paging {
    pub fn read(limit: Option<i64>, cursor: Option<&str>) -> ApiResult<Self> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::field("limit", format!("{limit} is not between 1 and {MAX_LIMIT}")));
        }
        let from = match cursor {
            Some(text) => Some(decode(text).ok_or_else(|| {
                Problem::field("cursor", "is none of ours: pass `next_cursor` of the page before, unchanged")
            })?),
            None => None,
        };
        Ok(Self { limit, from })
    }

    /// How many rows to read: one more than shown tells whether there is a next page.
    pub fn rows(self) -> i64 {
        self.limit + 1
    }

    /// The page of rows that were read with `rows()`.
    pub fn page<R, T: From<R>>(self, mut rows: Vec<R>, place: impl Fn(&R) -> Place) -> Page<T> {
        let shown = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > shown;
        rows.truncate(shown);
        let next_cursor = rows.last().filter(|_| more).map(|row| encode(place(row)));
        Page { items: rows.into_iter().map(T::from).collect(), next_cursor }
    }
}

fn encode((at, id): Place) -> String {
    let micros = i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&micros.to_be_bytes());
    bytes[8..].copy_from_slice(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Rows have times that a calendar of people knows; the database cannot even read some others.
pub(in crate::http) fn is_plausible(at: OffsetDateTime) -> bool {
    (1900..3000).contains(&at.year())
}

fn decode(text: &str) -> Option<Place> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (micros, id) = bytes.split_at(8);
    let micros = i64::from_be_bytes(micros.try_into().ok()?);
    let at =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok().filter(|at| is_plausible(*at))?;
    Some((at, Uuid::from_slice(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const AT: OffsetDateTime = datetime!(2026-03-01 12:00:00.123456 UTC);

    #[test]
    fn a_cursor_leads_back_to_exactly_its_row() {
        for place in [(AT, Uuid::from_u128(7)), (datetime!(1969-12-31 23:59 UTC), Uuid::max())] {
            assert_eq!(decode(&encode(place)), Some(place));
        }
    }

    #[test]
    fn a_cursor_that_we_did_not_make_is_a_wrong_field() {
        let whole = encode((AT, Uuid::from_u128(7)));
        let beyond_time = URL_SAFE_NO_PAD.encode([0x7f; 24]);
        let [before_calendars, after_us] = [datetime!(-9999-01-01 0:00 UTC), datetime!(9999-12-31 23:59 UTC)]
            .map(|at| encode((at, Uuid::from_u128(7))));
        for text in ["", "1", "%", &whole[1..], &format!("{whole}AAAA"), &beyond_time, &before_calendars, &after_us] {
            let problem = Paging::read(None, Some(text)).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].field.as_str()), (422, "cursor"), "{text}");
        }
    }

    #[test]
    fn a_page_has_one_to_a_hundred_rows() {
        assert_eq!(Paging::read(None, None).unwrap().rows(), 26);
        assert_eq!(Paging::read(Some(100), None).unwrap().rows(), 101);
        for limit in [0, -1, 101, i64::MIN] {
            let problem = Paging::read(Some(limit), None).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].field.as_str()), (422, "limit"));
        }
    }

    #[test]
    fn the_next_page_begins_after_the_last_row_shown_and_the_last_page_has_none() {
        let paging = Paging::read(Some(2), None).unwrap();
        let place = |n: &u128| (AT, Uuid::from_u128(*n));
        let page: Page<u128> = paging.page(vec![3, 2, 1], place);
        assert_eq!(page.items, [3, 2]);
        let next = Paging::read(Some(2), page.next_cursor.as_deref()).unwrap();
        assert_eq!(next.from, Some((AT, Uuid::from_u128(2))));
        assert_eq!(paging.page::<_, u128>(vec![2, 1], place).next_cursor, None);
    }
}
