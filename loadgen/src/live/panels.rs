//! The panels of the full-screen view, each into the area that it is given.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Block, BorderType, LineGauge, Paragraph, RenderDirection, Row, Sparkline, Table, Widget as _,
};

use crate::live::history::labels as labels_of;
use crate::live::{CoreProgress, History, LabelProgress, Moment, Phase, Progress, plain};
use crate::numbers::{count, figure, part, time};
use crate::result::ErrorCount;

/// What may be used to set things apart.
#[derive(Clone, Copy)]
pub(super) struct Paint {
    /// Colours; otherwise only bold and dim text.
    pub(super) colour: bool,
}

impl Paint {
    fn of(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn soft(self) -> Style {
        if self.colour {
            self.of(Color::DarkGray)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    /// Bad news, if there is any.
    fn bad_if(self, bad: bool) -> Style {
        if bad { self.of(Color::Red).add_modifier(Modifier::BOLD) } else { Style::new() }
    }

    fn block(self, title: &str) -> Block<'static> {
        Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(self.soft())
            .title(Line::styled(format!(" {title} "), self.strong()))
    }
}

/// The plan and its target.
pub(super) fn head(progress: &Progress, paint: Paint, area: Rect, out: &mut Buffer) {
    let name = Span::styled(format!(" {} ", progress.plan), paint.of(Color::Cyan).bold_too());
    let target = Span::styled(format!("-> {}", progress.target), paint.soft());
    Line::from(vec![name, target]).render(area, out);
}

/// The phase and how far it is.
pub(super) fn phase(progress: &Progress, paint: Paint, area: Rect, out: &mut Buffer) {
    let done = match (progress.phase, progress.phase_ms) {
        (Phase::SettingUp, _) => part(progress.readers, progress.readers_wanted),
        (Phase::Done, _) => 1.0,
        (_, Some(phase_ms)) => part(progress.elapsed_ms, phase_ms),
        (_, None) => 0.0,
    };
    let done = done.clamp(0.0, 1.0);
    let colour = match progress.phase {
        Phase::SettingUp | Phase::WarmUp => Color::Yellow,
        Phase::Running => Color::Green,
        Phase::Draining | Phase::Done => Color::Blue,
    };
    LineGauge::default()
        .ratio(done)
        .label(format!(" {}  {:.0} %", plain::phase(progress), done * 100.0))
        .filled_symbol("█")
        .unfilled_symbol("░")
        .filled_style(paint.of(colour))
        .unfilled_style(paint.soft())
        .render(area, out);
}

/// Who is there and what went wrong so far.
pub(super) fn state(progress: &Progress, paint: Paint, area: Rect, out: &mut Buffer) {
    let errors: u64 = progress.errors.iter().map(|error| error.count).sum();
    let mut spans = vec![Span::raw(" ")];
    if progress.readers_wanted > 0 {
        spans.push(Span::raw(format!("{}   ", plain::readers(progress))));
    }
    spans.push(Span::raw(format!("{} users   ", count(progress.users))));
    spans.push(Span::raw(format!("{} in flight   ", count(progress.in_flight))));
    spans.push(Span::styled(format!("{} errors   ", count(errors)), paint.bad_if(errors > 0)));
    let faults = progress.faults;
    spans.push(Span::styled(format!("{} faults", count(faults)), paint.bad_if(faults > 0)));
    Line::from(spans).render(area, out);
}

/// Figures per label; more of them where there is room.
pub(super) fn labels(progress: &Progress, paint: Paint, area: Rect, out: &mut Buffer) {
    let wide = area.width >= WIDE;
    let block = paint.block("Labels, whole run");
    let room = usize::from(block.inner(area).height.saturating_sub(1));
    let (shown, more) = fitting(&progress.labels, room);
    let mut rows: Vec<_> = shown.iter().map(|label| label_row(label, paint, wide)).collect();
    if more > 0 {
        rows.push(Row::new([format!("{more} more")]).style(paint.soft()));
    }
    let columns = COLUMNS.iter().filter(|(_, _, only_wide)| wide || !only_wide);
    let widths = columns.clone().map(|(_, width, _)| *width);
    let names = columns.map(|(name, _, _)| figures(name));
    Table::new(rows, widths)
        .header(Row::new(names).style(paint.soft()))
        .block(block)
        .render(area, out);
}

fn label_row(label: &LabelProgress, paint: Paint, wide: bool) -> Row<'static> {
    let at = |percentile| time(label.all.percentile(percentile));
    let cells = [
        label.label.clone(),
        figure(label.per_second),
        count(label.total),
        count(label.failed),
        at(50.0),
        at(90.0),
        at(99.0),
        at(99.9),
        time(label.all.max()),
        time(label.last.percentile(99.0)),
    ];
    let shown = cells.into_iter().zip(COLUMNS).enumerate();
    let shown = shown.filter(|(_, (_, (_, _, only_wide)))| wide || !only_wide);
    Row::new(shown.map(|(place, (cell, _))| match place {
        0 => Line::from(cell).style(paint.strong()),
        3 => figures(&cell).style(paint.bad_if(label.failed > 0)),
        _ => figures(&cell),
    }))
}

/// Rates and tail latency, second by second, newest at the right.
pub(super) fn curves(
    progress: &Progress,
    history: &History,
    paint: Paint,
    area: Rect,
    out: &mut Buffer,
) {
    let kinds = [true, false];
    let kinds = kinds.into_iter().filter(|kind| labels_of(progress, *kind).next().is_some());
    // The second kind only where both are tall enough to read.
    let most = if area.height >= 2 * TALL_CURVE { 2 } else { 1 };
    let kinds: Vec<_> = kinds.take(most).collect();
    let rows = Layout::vertical(vec![Constraint::Fill(1); kinds.len()]).split(area);
    for (deliveries, row) in kinds.into_iter().zip(rows.iter()) {
        let halves = [Constraint::Fill(1), Constraint::Fill(1)];
        let [left, right] = Layout::horizontal(halves).areas(*row);
        let (name, one, colour) = if deliveries {
            ("Deliveries/s", "Delivery p99", Color::Cyan)
        } else {
            ("Operations/s", "Operation p99", Color::Green)
        };
        let rate = |at: &Moment| if deliveries { at.deliveries } else { at.operations };
        let p99 = |at: &Moment| if deliveries { at.deliveries_p99 } else { at.operations_p99 };
        let rates = latest(history, left, |moment| rate(moment).round() as u64);
        let p99s = latest(history, right, p99);
        let said = |rate| figure(rate as f64);
        curve(&rates, &title(name, &rates, said), paint.of(colour), paint, left, out);
        curve(&p99s, &title(one, &p99s, time), paint.of(Color::Magenta), paint, right, out);
    }
}

/// As many as fit between the borders, newest first.
fn latest(history: &History, area: Rect, value: impl Fn(&Moment) -> u64) -> Vec<u64> {
    let room = usize::from(area.width.saturating_sub(BORDERS));
    let mut values: Vec<_> = history.latest(room).map(value).collect();
    values.reverse();
    values
}

fn title(name: &str, values: &[u64], said: impl Fn(u64) -> String) -> String {
    match (values.first(), values.iter().max()) {
        (Some(now), Some(most)) => format!("{name}: {}, most {}", said(*now), said(*most)),
        _ => name.to_owned(),
    }
}

fn curve(values: &[u64], title: &str, style: Style, paint: Paint, area: Rect, out: &mut Buffer) {
    Sparkline::default()
        .data(values)
        .max(values.iter().max().copied().unwrap_or(0).max(1))
        .direction(RenderDirection::RightToLeft)
        .style(style)
        .block(paint.block(title))
        .render(area, out);
}

/// The generator's threads.
pub(super) fn cores(progress: &Progress, paint: Paint, area: Rect, out: &mut Buffer) {
    let line = |core: &CoreProgress| {
        let late = core.lateness_p99;
        let style = match late {
            0..LATE_NS => Style::new(),
            LATE_NS..VERY_LATE_NS => paint.of(Color::Yellow),
            _ => paint.bad_if(true),
        };
        Line::from(vec![
            Span::raw(format!("{:<5}{:>9}/s  ", core.name, figure(core.per_second))),
            Span::styled(format!("late p99 {}", time(late)), style),
        ])
    };
    list("Generator threads", &progress.cores, line, paint, area, out);
}

/// Failures by label and kind.
pub(super) fn errors(progress: &Progress, paint: Paint, area: Rect, out: &mut Buffer) {
    let line = |error: &ErrorCount| {
        Line::from(vec![
            Span::styled(format!("{:>7} ", count(error.count)), paint.bad_if(true)),
            Span::styled(format!("{}: {}  ", error.label, error.kind), paint.strong()),
            Span::styled(error.example.clone(), paint.soft()),
        ])
    };
    list("Errors", &progress.errors, line, paint, area, out);
}

/// What keys do.
pub(super) fn foot(stopping: bool, paint: Paint, area: Rect, out: &mut Buffer) {
    if stopping {
        let text = " Stopping: the last deliveries may still arrive. Ctrl-C again leaves this view";
        Line::styled(text, paint.of(Color::Yellow).bold_too()).render(area, out);
    } else {
        Line::styled(" q or Ctrl-C: stop the run and report", paint.soft()).render(area, out);
    }
}

fn list<T>(
    title: &str,
    entries: &[T],
    line: impl Fn(&T) -> Line<'static>,
    paint: Paint,
    area: Rect,
    out: &mut Buffer,
) {
    let block = paint.block(title);
    let (shown, more) = fitting(entries, usize::from(block.inner(area).height));
    let mut lines: Vec<_> = shown.iter().map(line).collect();
    if more > 0 {
        lines.push(Line::styled(format!("{more} more"), paint.soft()));
    }
    if entries.is_empty() {
        lines.push(Line::styled("none", paint.soft()));
    }
    Paragraph::new(lines).block(block).render(area, out);
}

/// The entries that fit into so many rows, one of which says how many did not.
fn fitting<T>(entries: &[T], rows: usize) -> (&[T], usize) {
    if entries.len() <= rows {
        return (entries, 0);
    }
    let shown = rows.saturating_sub(1);
    (&entries[..shown], entries.len() - shown)
}

fn figures(text: &str) -> Line<'static> {
    let line = Line::from(text.to_owned());
    if text == COLUMNS[0].0 { line } else { line.alignment(Alignment::Right) }
}

/// Colour aside.
trait Bold {
    fn bold_too(self) -> Self;
}

impl Bold for Style {
    fn bold_too(self) -> Style {
        self.add_modifier(Modifier::BOLD)
    }
}

/// Name, width, and whether it is shown only where there is room.
const COLUMNS: [(&str, Constraint, bool); 10] = [
    ("label", Constraint::Fill(1), false),
    ("/s", Constraint::Length(9), false),
    ("total", Constraint::Length(12), false),
    ("failed", Constraint::Length(7), false),
    ("p50", Constraint::Length(8), false),
    ("p90", Constraint::Length(8), true),
    ("p99", Constraint::Length(8), false),
    ("p99.9", Constraint::Length(8), true),
    ("max", Constraint::Length(8), false),
    ("p99 now", Constraint::Length(8), true),
];

const WIDE: u16 = 110;
const BORDERS: u16 = 2;

/// Rows of a curve with its borders.
const TALL_CURVE: u16 = 6;

/// A thread that is so late at p99 shows in the results.
const LATE_NS: u64 = 1_000_000;
const VERY_LATE_NS: u64 = 10_000_000;
