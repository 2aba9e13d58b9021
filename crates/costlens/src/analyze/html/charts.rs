//! Bars, upright and lying, as SVG that stands in the page. Sizes are exact decimals until they are places in a picture.

use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::Escaped;

/// One bar.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) size: Decimal,
    /// The size as people read it.
    pub(super) shown: String,
}

const WIDTH: u32 = 720;

/// The part of `length` that a size is of the largest, in whole units; nothing for what is below nothing.
fn place(size: Decimal, largest: Decimal, length: u32) -> Decimal {
    let part = (size.max(Decimal::ZERO) * Decimal::from(length)).checked_div(largest);
    part.unwrap_or_default().round_dp(1)
}

fn largest(bars: &[Bar]) -> Decimal {
    bars.iter().map(|bar| bar.size).max().unwrap_or_default().max(Decimal::ZERO)
}

/// Upright bars side by side, the first and the last one named below.
pub(super) fn columns(title: &str, bars: &[Bar]) -> String {
    const HEIGHT: u32 = 160;
    let largest = largest(bars);
    let each = Decimal::from(WIDTH).checked_div(Decimal::from(bars.len())).unwrap_or_default();
    let mut svg = open(title, HEIGHT + 20);
    for (at, bar) in bars.iter().enumerate() {
        let height = place(bar.size, largest, HEIGHT - 10);
        let _ = write!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{height}\"><title>{} {}</title></rect>",
            (each * Decimal::from(at)).round_dp(1),
            Decimal::from(HEIGHT) - height,
            (each * Decimal::new(8, 1)).round_dp(1),
            Escaped(&bar.label),
            Escaped(&bar.shown),
        );
    }
    let _ = write!(svg, "<line x1=\"0\" x2=\"{WIDTH}\" y1=\"{HEIGHT}\" y2=\"{HEIGHT}\"/>");
    if let (Some(first), Some(last)) = (bars.first(), bars.last()) {
        let below = HEIGHT + 15;
        let _ = write!(
            svg,
            "<text x=\"0\" y=\"{below}\">{}</text><text x=\"{WIDTH}\" y=\"{below}\" text-anchor=\"end\">{}</text>",
            Escaped(&first.label),
            Escaped(&last.label),
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Lying bars below each other, each with its name and size.
pub(super) fn rows(title: &str, bars: &[Bar]) -> String {
    const ROW: u32 = 20;
    let largest = largest(bars);
    let height = ROW * u32::try_from(bars.len()).unwrap_or(u32::MAX / ROW);
    let mut svg = open(title, height);
    for (y, bar) in (0..).step_by(20).zip(bars) {
        let width = place(bar.size, largest, 340);
        // A long name would run into its bar.
        let label: String = bar.label.chars().take(40).collect();
        let _ = write!(
            svg,
            "<text x=\"0\" y=\"{}\">{}</text><rect x=\"270\" y=\"{}\" width=\"{width}\" height=\"12\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            y + 14,
            Escaped(&label),
            y + 4,
            Decimal::from(276) + width,
            y + 14,
            Escaped(&bar.shown),
        );
    }
    svg.push_str("</svg>");
    svg
}

fn open(title: &str, height: u32) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">", Escaped(title))
}
