//! The picture of sweeps: for each a panel of throughput and one of memory.

use anyhow::Result;
use plotters::prelude::*;

use super::axis::Axis;
use super::contender::Contender;
use super::ring::Taken;
use super::sweep::{Point, Sweep};

const WIDTH: u32 = 1000;
/// Where the legend begins.
const LEGEND: i32 = 860;
/// Of a sweep, and of what stands above all of them.
const HEIGHT: u32 = 300;
const HEAD: u32 = 64;

/// Whatever the reader's machine has: nothing is embedded.
const FONT: &str = "sans-serif";

/// One picture, which is as wide as one sweep has panels.
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// One kind of measurement over what grows.
struct Panel {
    title: String,
    x: Axis,
    y: Axis,
    lines: Vec<Line>,
}

/// The medians of one contender.
struct Line {
    contender: Contender,
    points: Vec<(f64, f64)>,
}

/// The picture as SVG; `caption` is what the figures are of, a line each.
pub(crate) fn svg(caption: [&str; 2], sweeps: &[(Sweep, Vec<Point>)]) -> Result<String> {
    let mut svg = String::new();
    {
        let rows = u32::try_from(sweeps.len())?;
        let size = (WIDTH, HEAD + HEIGHT * rows);
        let picture = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        picture.fill(&WHITE)?;
        let (head, panels) = picture.split_vertically(HEAD);
        let style = (FONT, 15).into_text_style(&head);
        for (line, top) in caption.into_iter().zip([14, 36]) {
            head.draw_text(line, &style, (16, top))?;
        }
        let is_there = |contender: &Contender| {
            let mut points = sweeps.iter().flat_map(|(_, points)| points);
            points.any(|point| point.table.median(*contender).is_some())
        };
        // One legend for all, where it hides nothing.
        for (contender, top) in Contender::ALL.into_iter().filter(is_there).zip([14, 36]) {
            let (left, middle) = (LEGEND, top + 7);
            let line = vec![(left, middle), (left + 24, middle)];
            head.draw(&PathElement::new(line, colour(contender).stroke_width(3)))?;
            head.draw_text(contender.name(), &style, (left + 32, top))?;
        }
        let places = panels.split_evenly((sweeps.len(), 2));
        let drawn = sweeps
            .iter()
            .flat_map(|(sweep, points)| panels_of(*sweep, points));
        for (panel, place) in drawn.zip(&places) {
            draw(&panel, place)?;
        }
        picture.present()?;
    }
    Ok(svg)
}

fn panels_of(sweep: Sweep, points: &[Point]) -> [Panel; 2] {
    const MIB: f64 = (1 << 20) as f64;
    let (unit, throughput): (&str, fn(&Point, Taken) -> f64) = match sweep {
        Sweep::Body => ("MiB a second", |point, taken| {
            taken.rate * f64::from(point.value) / MIB
        }),
        _ => ("messages a second", |_, taken| taken.rate),
    };
    [
        panel(sweep, points, "throughput", unit, throughput),
        panel(
            sweep,
            points,
            "peak memory of the client",
            "MiB",
            |_, taken| taken.memory,
        ),
    ]
}

fn panel(
    sweep: Sweep,
    points: &[Point],
    what: &str,
    unit: &str,
    of: fn(&Point, Taken) -> f64,
) -> Panel {
    let ticks = points
        .iter()
        .map(|point| (point.value.into(), sweep.label(point.value)));
    let ticks: Vec<(f64, String)> = ticks.collect();
    let mut lines = Vec::new();
    for contender in Contender::ALL {
        let value = |point: &Point| {
            let taken = point.table.median(contender)?;
            Some((f64::from(point.value), of(point, taken)))
        };
        let mut points: Vec<(f64, f64)> = points.iter().filter_map(value).collect();
        // A series with a single point is drawn as a horizontal line.
        if let ([(_, height)], Some((last, _))) = (&points[..], ticks.last()) {
            points.push((*last, *height));
        }
        if !points.is_empty() {
            lines.push(Line { contender, points });
        }
    }
    let heights = lines.iter().flat_map(|line| &line.points);
    let heights: Vec<f64> = heights.map(|(_, height)| *height).collect();
    Panel {
        title: format!("{what} over {}", sweep.name()),
        x: Axis::at(sweep.axis(), &ticks),
        y: Axis::over(unit, &heights),
        lines,
    }
}

fn draw(panel: &Panel, place: &Area<'_>) -> Result<()> {
    let Panel { title, x, y, lines } = panel;
    let mut chart = ChartBuilder::on(place)
        .margin(10)
        .margin_right(24)
        .caption(title, (FONT, 16))
        .x_label_area_size(40)
        .y_label_area_size(72)
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .bold_line_style(BLACK.mix(0.12))
        .light_line_style(TRANSPARENT)
        .label_style((FONT, 12))
        .axis_desc_style((FONT, 13))
        .x_desc(&x.title)
        .y_desc(&y.title)
        .x_label_formatter(&|at| x.label(*at))
        .y_label_formatter(&|at| y.label(*at))
        .draw()?;
    for line in lines {
        let colour = colour(line.contender);
        chart.draw_series(LineSeries::new(
            line.points.iter().copied(),
            colour.stroke_width(2),
        ))?;
        let mark = |place: &(f64, f64)| Circle::new(*place, 3, colour.filled());
        chart.draw_series(line.points.iter().map(mark))?;
    }
    Ok(())
}

fn colour(contender: Contender) -> RGBColor {
    match contender {
        Contender::HiveReused => RGBColor(200, 80, 20),
        _ => RGBColor(30, 100, 180),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Table;
    use super::*;

    fn measured(sweep: Sweep) -> (Sweep, Vec<Point>) {
        let point = |value: &u32| {
            let mut table = Table::default();
            let taken = Taken {
                rate: 40_000.0 / f64::from(*value).sqrt(),
                client: 10.0,
                broker: 20.0,
                memory: 30.0 + f64::from(*value).sqrt(),
            };
            table.add(Contender::HiveReused, taken);
            if *value == 1 {
                table.add(Contender::NativeBest, taken);
            }
            Point {
                value: *value,
                table,
            }
        };
        (sweep, sweep.values().iter().map(point).collect())
    }

    #[test]
    fn a_picture_has_a_line_and_two_axes_for_all_that_was_measured() -> Result<()> {
        let sweeps = Sweep::ALL.map(measured);
        let svg = svg(["what it is of", "and when"], &sweeps)?;
        for (sweep, points) in &sweeps {
            for panel in panels_of(*sweep, points) {
                for text in [&panel.title, &panel.x.title, &panel.y.title] {
                    assert!(svg.contains(text.as_str()), "`{text}` is missing");
                }
            }
            for value in sweep.values() {
                let label = sweep.label(*value);
                assert!(svg.contains(&label), "`{label}` is missing");
            }
        }
        // A line in each of the eight panels for the host, in six of them one for the native consumer, and
        // both in the legend.
        for contender in [Contender::HiveReused, Contender::NativeBest] {
            assert_eq!(svg.matches(contender.name()).count(), 1);
        }
        let in_colour = |hex: &str| {
            let lines = svg.lines().filter(|line| line.starts_with("<polyline"));
            lines.filter(|line| line.contains(hex)).count()
        };
        assert_eq!(in_colour("#C85014"), 8 + 1);
        assert_eq!(in_colour("#1E64B4"), 6 + 1);
        let marks = 2 * Sweep::ALL
            .iter()
            .map(|one| one.values().len())
            .sum::<usize>();
        assert_eq!(svg.matches("<circle").count(), marks + 3 * 4);
        assert!(svg.contains("what it is of") && svg.contains("and when"));
        assert!(svg.len() < 150_000, "{} bytes", svg.len());
        Ok(())
    }

    #[test]
    fn what_was_measured_once_is_as_high_everywhere() {
        let (sweep, points) = measured(Sweep::Concurrency);
        let [throughput, _] = panels_of(sweep, &points);
        let native = |line: &&Line| line.contender == Contender::NativeBest;
        let line = throughput.lines.iter().find(native).expect("it is there");
        assert_eq!(line.points, [(1.0, 40_000.0), (64.0, 40_000.0)]);
    }
}
