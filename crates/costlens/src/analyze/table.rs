//! Tables whose columns line up, on a terminal as in a file.

use std::io::Write;

/// On which side a column lines up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A table that is built row by row and written once its widths are known.
pub(super) struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

/// Where the widest column of text is cut: resource names may have two hundred letters.
const WIDEST: usize = 72;

impl Table {
    pub(super) fn new(sides: &[Side]) -> Self {
        Self { sides: sides.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| shortened(&cell)).collect());
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.sides.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::from(" ");
            for ((cell, side), width) in row.iter().zip(&self.sides).zip(&widths) {
                let pad = width.saturating_sub(cell.chars().count());
                line.push(' ');
                if *side == Side::Right {
                    line.extend(std::iter::repeat_n(' ', pad));
                }
                line.push_str(cell);
                if *side == Side::Left {
                    line.extend(std::iter::repeat_n(' ', pad));
                }
                line.push(' ');
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The end of a long name tells more than its beginning (`…:application-inference-profile/abc`).
fn shortened(cell: &str) -> String {
    let letters = cell.chars().count();
    if letters <= WIDEST {
        return cell.to_owned();
    }
    let tail: String = cell.chars().skip(letters + 1 - WIDEST).collect();
    format!("…{tail}")
}
