//! A QR code as the path of an inline drawing: no image, no script, no style of its own.

use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write;

/// Light around the squares, without which cameras do not find them.
const BORDER: i32 = 4;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// Width and height in squares; 0: the text is too long to be drawn.
    pub size: i32,
    /// The dark ones, for the attribute `d`.
    pub path: String,
}

pub fn picture(text: &str) -> Picture {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return Picture::default() };
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            write!(path, "M{} {}h1v1h-1z", x + BORDER, y + BORDER).expect("a String takes every write");
        }
    }
    Picture { size: code.size() + 2 * BORDER, path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_corners_by_which_a_camera_finds_it_are_there() {
        let picture = picture("otpauth://totp/Rejoinder:ana@example.com?secret=MZXW6YTBOI&issuer=Rejoinder");
        let last = picture.size - BORDER - 1;
        for (x, y) in [(BORDER, BORDER), (last, BORDER), (BORDER, last)] {
            assert!(picture.path.contains(&format!("M{x} {y}h1")), "{x} {y}");
        }
        assert!(!picture.path.contains(&format!("M{} ", BORDER - 1)), "the border is light");
        assert_eq!(super::picture(&"x".repeat(5_000)).size, 0);
    }
}
