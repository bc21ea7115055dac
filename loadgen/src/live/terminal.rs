//! The terminal, taken for the full-screen view and given back.
//!
//! Invariant: as long as a [`FullScreen`] lives the terminal is raw and shows the other screen;
//! when it is dropped, and when any thread panics, both end.

use std::io::{self, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, enable_raw_mode};

/// The terminal while it is ours.
pub(super) struct FullScreen(Terminal<CrosstermBackend<Stdout>>);

impl FullScreen {
    /// Takes it.
    pub(super) fn take() -> io::Result<FullScreen> {
        HOOK.call_once(give_back_on_panic);
        // From here on it is given back, also if a later step fails.
        TAKEN.store(true, Ordering::SeqCst);
        let terminal = enable_raw_mode()
            .and_then(|()| execute!(io::stdout(), EnterAlternateScreen))
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        terminal.map(FullScreen).inspect_err(|_| give_back())
    }

    /// Whether it is still ours: a panic elsewhere may have given it back.
    pub(super) fn is_taken(&self) -> bool {
        TAKEN.load(Ordering::SeqCst)
    }

    /// Shows something.
    pub(super) fn show(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        self.0.draw(draw).map(|_| ())
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        let _ = self.0.show_cursor();
        give_back();
    }
}

/// Waits so long for a key, and whether it asks to stop. A resize ends the waiting too.
pub(super) fn stop_key_within(wait: Duration) -> io::Result<bool> {
    if !event::poll(wait)? {
        return Ok(false);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            matches!((key.code, control), (KeyCode::Char('q'), false) | (KeyCode::Char('c'), true))
        }
        _ => false,
    })
}

/// Leaves the full screen, if there is one: for a program that is about to exit without dropping
/// its view. From any thread.
pub fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // There is nobody left to tell.
        let _ = ratatui::try_restore();
    }
}

fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        give_back();
        before(info);
    }));
}

static HOOK: Once = Once::new();
static TAKEN: AtomicBool = AtomicBool::new(false);
