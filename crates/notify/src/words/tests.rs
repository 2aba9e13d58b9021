//! The colours' contrasts, computed from the styles themselves.

use crate::words::styles::{DARK, inline};

/// Relative luminance in millionths, by a table-free integer approximation of the sRGB curve (WCAG 2.2): linear values
/// in 16 bits by `((c + 0.055) / 1.055) ^ 2.4`, taken as `c ^ 2.2`, whose square is exact and whose fifth root is sought.
fn luminance(hex: &str) -> u128 {
    let part = |at: usize| u128::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    // (c/255)^2.2 = ((c/255)^11)^(1/5); in millionths: the largest x with x^5 <= 10^30 * (c/255)^11.
    let linear = |c: u128| {
        let mut low = 0_u128;
        let mut high = 1_000_000_u128;
        let wanted = (0..11).fold(10_u128.pow(30), |value, _| value * c / 255);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if middle.pow(5) <= wanted { low = middle } else { high = middle - 1 }
        }
        low
    };
    (2126 * linear(part(0)) + 7152 * linear(part(2)) + 722 * linear(part(4))) / 10_000
}

/// The contrast in hundredths.
fn contrast(one: &str, other: &str) -> u128 {
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 50_000) * 100 / (a.min(b) + 50_000)
}

#[test]
fn black_on_white_is_twenty_one_to_one() {
    assert_eq!(contrast("000000", "ffffff"), 2100);
    assert_eq!(contrast("777777", "ffffff") / 10, 44);
}

#[test]
fn every_text_can_be_read_by_day_and_by_night() {
    for (name, style) in inline() {
        let Some((_, color)) =
            style.split(';').filter_map(|part| part.split_once(':')).find(|(key, _)| *key == "color")
        else {
            continue;
        };
        let ground = match name {
            "preheader" => continue,
            "button" => "1d4ed8",
            "footer" | "link" => "f3f4f6",
            _ => "ffffff",
        };
        let got = contrast(&color[1..], ground);
        assert!(got >= 450, "{name}: {color} on #{ground} is {got}");
    }
    let night = DARK.split("@media (max-width").next().unwrap();
    for rule in night.lines().filter(|line| line.contains("{ color: #")) {
        let color = rule.split('#').nth(1).unwrap().get(..6).unwrap();
        for ground in ["151b28", "0b0f19", "1b2333"] {
            assert!(contrast(color, ground) >= 450, "{rule} on {ground}");
        }
    }
}
