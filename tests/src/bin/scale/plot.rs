//! A sweep as a picture: a panel for each figure, both axes logarithmic.

use std::fmt::Write as _;

use super::sweep::{Column, Sweep, rounded};

/// Of a panel, in units of the picture.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 250.0;
/// Around the axes of a panel: above, to the right, below, to the left.
const MARGIN: [f64; 4] = [34.0, 14.0, 44.0, 50.0];

/// Colours that are readable on light and on dark ground: which of them a page has, a picture in it cannot know.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#6e7781}\
.title{font-weight:600}\
.axis{stroke:#8c959f;fill:none}\
.grid{stroke:#8c959f;stroke-opacity:.25}\
.guide{stroke:#8c959f;stroke-dasharray:4 4;fill:none}\
.line{stroke:#2f81f7;stroke-width:2;fill:none}\
.dot{fill:#2f81f7}";

/// The picture, as SVG.
pub(crate) fn svg(sweep: &Sweep) -> String {
    let plotted: Vec<_> = sweep.columns.iter().enumerate().filter(|(_, column)| column.is_plotted).collect();
    let width = WIDTH * plotted.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" \
         height=\"{HEIGHT}\" role=\"img\">\n<title>By {}</title>\n<style>{STYLE}</style>\n",
        sweep.of
    );
    for (place, (index, column)) in plotted.into_iter().enumerate() {
        let points = sweep.rows.iter().map(|(number, figures)| (*number as f64, figures[index]));
        let _ = writeln!(svg, "<g transform=\"translate({} 0)\">", WIDTH * place as f64);
        panel(&mut svg, sweep.of, column, &points.collect::<Vec<_>>());
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, of: &str, column: &Column, points: &[(f64, f64)]) {
    let [top, right, bottom, left] = MARGIN;
    let across = Axis::of(points.iter().map(|(x, _)| *x), left, WIDTH - right);
    let up = Axis::of(points.iter().map(|(_, y)| *y), HEIGHT - bottom, top);
    let (near, far) = (WIDTH - right, HEIGHT - bottom);
    let _ = writeln!(svg, "<text class=\"title\" x=\"{left}\" y=\"20\">{}</text>", column.title);
    for power in across.powers() {
        let x = across.at(power);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{x:.1} {top}V{far}\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            far + 17.0,
            short(power)
        );
    }
    for power in up.powers() {
        let y = up.at(power);
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{left} {y:.1}H{near}\"/>");
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y + 4.0,
            short(power)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{of}</text>",
        f64::midpoint(left, near),
        HEIGHT - 8.0
    );
    let _ = writeln!(svg, "<path class=\"axis\" d=\"M{left} {top}V{far}H{near}\"/>");
    guide(svg, &across, &up, points);
    let line: Vec<_> = points.iter().map(|&(x, y)| format!("{:.1} {:.1}", across.at(x), up.at(y))).collect();
    let _ = writeln!(svg, "<path class=\"line\" d=\"M{}\"/>", line.join("L"));
    for &(x, y) in points {
        let _ = writeln!(
            svg,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}: {}</title></circle>",
            across.at(x),
            up.at(y),
            rounded(x),
            rounded(y)
        );
    }
}

/// What grows in proportion to what it is plotted by would run beside this line.
fn guide(svg: &mut String, across: &Axis, up: &Axis, points: &[(f64, f64)]) {
    let Some(&(x, y)) = points.last() else { return };
    // Down to the left, as far as both axes reach.
    let by = (x / across.least).min(y / up.least);
    let _ = writeln!(
        svg,
        "<path class=\"guide\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
        across.at(x / by),
        up.at(y / by),
        across.at(x),
        up.at(y)
    );
}

/// A logarithmic axis, from a place in the picture to another.
struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// One that holds all figures, and at least a whole power of ten.
    fn of(figures: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        // A figure that is too small to be measured.
        let least = figures.clone().fold(f64::MAX, f64::min).max(0.01);
        let most = figures.fold(0.0, f64::max).max(least);
        let (least, most) = (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().ceil()));
        Self { least, most: most.max(least * 10.0), from, to }
    }

    fn at(&self, figure: f64) -> f64 {
        let part = (figure.max(self.least) / self.least).log10() / (self.most / self.least).log10();
        self.from + part * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> + use<> {
        let most = self.most * 1.001;
        std::iter::successors(Some(self.least), |power| Some(power * 10.0))
            .take_while(move |power| *power <= most)
    }
}

/// `10k` for 10 000.
fn short(power: f64) -> String {
    match power {
        power if power >= 0.999e6 => format!("{}M", (power / 1e6).round()),
        power if power >= 0.999e3 => format!("{}k", (power / 1e3).round()),
        power if power >= 0.999 => format!("{}", power.round()),
        power => format!("{}", (power * 1e3).round() / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_its_figures_between_whole_powers_of_ten() {
        let axis = Axis::of([3.0, 450.0].into_iter(), 0.0, 300.0);
        assert_eq!(axis.powers().map(short).collect::<Vec<_>>(), ["1", "10", "100", "1k"]);
        assert!((axis.at(10.0) - 100.0).abs() < 1e-6);
        let flat = Axis::of([10.0, 10.0].into_iter(), 0.0, 1.0);
        assert_eq!(flat.powers().map(short).collect::<Vec<_>>(), ["10", "100"]);
    }

    #[test]
    fn a_picture_has_a_panel_for_each_figure_that_is_plotted_and_a_dot_for_each_row() {
        let mut sweep = Sweep::new("x", "things", &[("µs", true), ("MiB", false), ("ms", true)]);
        sweep.push(1, vec![1.0, 2.0, 0.0]);
        sweep.push(1_000, vec![20.0, 2.0, 4_000.0]);
        let svg = svg(&sweep);
        assert_eq!((svg.matches("<g ").count(), svg.matches("<circle").count()), (2, 4));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
