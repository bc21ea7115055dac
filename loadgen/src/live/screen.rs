//! The full-screen view: where each panel is, for any size of terminal.
//!
//! Invariant: pure. The same board and history fill the same cells.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use crate::live::panels::{self, Paint};
use crate::live::{History, Progress};

/// What is to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Screen<'a> {
    /// The board.
    pub progress: &'a Progress,
    /// What came before.
    pub history: &'a History,
    /// Colours, or only bold and reversed text.
    pub colour: bool,
    /// Whether the run was asked to stop.
    pub stopping: bool,
}

/// Fills `area`. On a small terminal the lists get shorter first, then the curves go.
pub fn draw(screen: &Screen<'_>, area: Rect, out: &mut Buffer) {
    let (progress, paint) = (screen.progress, Paint { colour: screen.colour });
    let labels = rows(progress.labels.len(), area.height / 3);
    let lists = rows(progress.cores.len().max(progress.errors.len()), area.height / 5);
    let [head, phase, state, table, curves, bottom, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(labels + BORDERS + 1),
        Constraint::Min(0),
        Constraint::Length(lists + BORDERS),
        Constraint::Length(1),
    ])
    .areas(area);
    panels::head(progress, paint, head, out);
    panels::phase(progress, paint, phase, out);
    panels::state(progress, paint, state, out);
    panels::labels(progress, paint, table, out);
    panels::curves(progress, screen.history, paint, curves, out);
    let halves = [Constraint::Percentage(45), Constraint::Percentage(55)];
    let [cores, errors] = Layout::horizontal(halves).areas(bottom);
    panels::cores(progress, paint, cores, out);
    panels::errors(progress, paint, errors, out);
    panels::foot(screen.stopping, paint, foot, out);
}

/// Rows of a list of `entries`: at least one, at most `most`.
fn rows(entries: usize, most: u16) -> u16 {
    u16::try_from(entries).unwrap_or(u16::MAX).min(most).max(1)
}

const BORDERS: u16 = 2;

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::live::{CoreProgress, LabelProgress, Phase};
    use crate::result::{ErrorCount, Times};

    fn label(name: &str, deliveries: bool) -> LabelProgress {
        let mut all = Times::new();
        (1..=1000).for_each(|ms| all.record(ms * 1_000_000));
        LabelProgress {
            label: name.to_owned(),
            deliveries,
            total: 1_234_567,
            failed: 7,
            per_second: 54_321.0,
            last: all.clone(),
            all,
        }
    }

    fn example() -> Progress {
        let core = |core: u32| CoreProgress {
            name: core.to_string(),
            per_second: 25_000.0,
            lateness_p99: 45_000,
        };
        let error = |kind: &str| ErrorCount {
            label: "read".to_owned(),
            kind: kind.to_owned(),
            count: 12,
            example: "GET /x: \u{1b}[31mno".to_owned(),
        };
        Progress {
            plan: "fan-out".to_owned(),
            target: "http://127.0.0.1:4437/v1/stream".to_owned(),
            phase: Phase::Running,
            elapsed_ms: 30_000,
            phase_ms: Some(60_000),
            users: 4,
            readers: 10_000,
            readers_wanted: 10_000,
            in_flight: 3,
            delivered: 0,
            labels: vec![label("publish", false), label("tail", true)],
            cores: (0..2).map(core).collect(),
            errors: vec![error("status 503"), error("timeout")],
            faults: 5,
        }
    }

    fn remembered(progress: &Progress) -> History {
        let mut history = History::default();
        for second in 0..200 {
            history.observe(&Progress { elapsed_ms: second * 1000, ..progress.clone() });
        }
        history
    }

    fn text(progress: &Progress, width: u16, height: u16, stopping: bool) -> String {
        let history = remembered(progress);
        let screen = Screen { progress, history: &history, colour: true, stopping };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(&screen, frame.area(), frame.buffer_mut())).unwrap();
        let cells = terminal.backend().buffer().content.chunks(width.into());
        let line = |cells: &[ratatui::buffer::Cell]| {
            cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>()
        };
        cells.map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_matters_is_there_on_narrow_and_wide_terminals() {
        for (width, height) in [(80, 24), (120, 40), (250, 70)] {
            let text = text(&example(), width, height, false);
            for wanted in [
                "fan-out",
                "127.0.0.1:4437",
                "running 30 s of 1 min 00 s",
                "50 %",
                "10,000 of 10,000 readers",
                "4 users",
                "24 errors",
                "5 faults",
                "publish",
                "tail",
                "54,321",
                "1,234,567",
                "500 ms",
                "990 ms",
                "1.00 s",
                "Deliveries/s",
                "Delivery p99: 990 ms",
                "45.0 µs",
                "status 503",
                "timeout",
                "q or Ctrl-C",
                "█",
            ] {
                assert!(text.contains(wanted), "{width}x{height} lacks {wanted}:\n{text}");
            }
            assert!(!text.contains('\u{1b}'));
        }
        assert!(text(&example(), 80, 24, true).contains("Stopping"));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut progress = example();
        progress.labels = (0..50).map(|n| label(&format!("label {n}"), false)).collect();
        let text = text(&progress, 80, 24, false);
        assert!(text.contains("label 0") && text.contains("43 more"), "{text}");
    }

    #[test]
    fn no_size_and_no_board_panics() {
        for progress in [example(), Progress::default()] {
            for (width, height) in [(1, 1), (2, 9), (10, 3), (40, 10), (79, 23), (300, 5), (5, 200)]
            {
                assert!(!text(&progress, width, height, true).is_empty());
            }
        }
    }

    #[test]
    fn without_colour_there_is_none() {
        let progress = example();
        let history = remembered(&progress);
        let coloured = |colour| {
            let screen = Screen { progress: &progress, history: &history, colour, stopping: false };
            let mut out = Buffer::empty(Rect::new(0, 0, 100, 30));
            draw(&screen, out.area, &mut out);
            let plain = ratatui::style::Color::Reset;
            out.content.iter().any(|cell| cell.fg != plain || cell.bg != plain)
        };
        assert!(coloured(true) && !coloured(false));
    }
}
