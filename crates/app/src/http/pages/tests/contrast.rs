//! The tokens keep words readable: at least 4.5:1 on every ground that they stand on, light and dark.

const TOKENS: &str = include_str!("../../../../assets/tokens.css");

/// Words and the grounds that they stand on.
const PAIRS: &[(&str, &[&str])] = &[
    ("text", &["canvas", "surface", "raised", "hover", "pressed", "accent-tint", "held-tint", "bad-tint"]),
    ("text-2", &["canvas", "surface", "hover", "pressed", "accent-tint"]),
    ("text-3", &["canvas", "surface", "hover", "accent-tint", "bad-tint"]),
    ("accent", &["canvas", "surface", "hover", "accent-tint", "accent-tint-strong"]),
    ("good", &["canvas", "surface", "accent-tint", "good-tint"]),
    ("held", &["canvas", "surface", "accent-tint", "held-tint"]),
    ("bad", &["canvas", "surface", "accent-tint", "bad-tint", "pressed"]),
    ("on-accent", &["accent-fill", "accent-fill-hover", "bad-fill", "bad-fill-hover"]),
];

/// The light and the dark colour of a token, as red, green, blue from 0 to 255.
fn token(name: &str) -> [[f64; 3]; 2] {
    let start = TOKENS.find(&format!("--{name}: ")).unwrap_or_else(|| panic!("no token {name}"));
    let value = TOKENS[start..].split(';').next().unwrap_or_default();
    let colours: Vec<_> = value.split('#').skip(1).map(|hex| rgb(&hex[..6])).collect();
    let first = *colours.first().expect("a colour");
    [first, *colours.get(1).unwrap_or(&first)]
}

fn rgb(hex: &str) -> [f64; 3] {
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits")))
}

/// WCAG 2.2, "relative luminance".
fn luminance(colour: [f64; 3]) -> f64 {
    let [r, g, b] = colour.map(|part| {
        let part = part / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn words_are_readable_in_light_and_dark() {
    for (word, grounds) in PAIRS {
        for ground in *grounds {
            for (mode, (front, back)) in token(word).into_iter().zip(token(ground)).enumerate() {
                let ratio = contrast(front, back);
                assert!(ratio >= 4.5, "{word} on {ground} in mode {mode}: {ratio:.2}");
            }
        }
    }
}
