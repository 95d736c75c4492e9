//! Figures for growing numbers of something. It must not know what they are.

use std::fmt::Write as _;

/// One row of figures for each number of something.
pub(crate) struct Sweep {
    /// What its picture is called.
    pub(crate) name: &'static str,
    /// What grows.
    pub(crate) of: &'static str,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<(usize, Vec<f64>)>,
}

/// One of the figures.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// Whether the picture shows it.
    pub(crate) is_plotted: bool,
}

impl Sweep {
    pub(crate) fn new(name: &'static str, of: &'static str, columns: &[(&'static str, bool)]) -> Self {
        let columns = columns.iter().map(|&(title, is_plotted)| Column { title, is_plotted }).collect();
        Self { name, of, columns, rows: Vec::new() }
    }

    /// Adds the next row, and says on standard error that it is there.
    pub(crate) fn push(&mut self, number: usize, figures: Vec<f64>) {
        debug_assert_eq!(figures.len(), self.columns.len());
        eprintln!("{} {}", thousands(&number.to_string()), self.of);
        self.rows.push((number, figures));
    }

    /// As a table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("| {} |", self.of);
        for column in &self.columns {
            let _ = write!(table, " {} |", column.title);
        }
        let _ = write!(table, "\n|{}\n", " ---: |".repeat(self.columns.len() + 1));
        for (number, figures) in &self.rows {
            let _ = write!(table, "| {} |", thousands(&number.to_string()));
            for figure in figures {
                let _ = write!(table, " {} |", rounded(*figure));
            }
            table.push('\n');
        }
        table
    }
}

/// Two digits that say something, and no fraction of what is large.
pub(crate) fn rounded(figure: f64) -> String {
    match figure {
        figure if figure >= 20.0 || figure.fract() == 0.0 => thousands(&format!("{figure:.0}")),
        figure if figure >= 0.95 => format!("{figure:.1}"),
        figure => format!("{figure:.2}"),
    }
}

/// `12 345`, with a space that does not break.
fn thousands(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_to_what_they_say() {
        for (figure, text) in
            [(0.123, "0.12"), (1.26, "1.3"), (4.0, "4"), (20.4, "20"), (1_234_567.0, "1\u{a0}234\u{a0}567")]
        {
            assert_eq!(rounded(figure), text);
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_number() {
        let mut sweep = Sweep::new("x", "things", &[("µs", true), ("MiB", false)]);
        sweep.push(1_000, vec![1.0, 2.0]);
        assert_eq!(sweep.table(), "| things | µs | MiB |\n| ---: | ---: | ---: |\n| 1\u{a0}000 | 1 | 2 |\n");
    }
}
