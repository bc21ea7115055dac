//! A calibration as a few lines of text.

use std::fmt::Write as _;

use super::{Calibration, Figure};
use crate::result::Machine;
use crate::result::units::{percent, rate};

impl Calibration {
    /// The figures per core, then what their reader must know.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let Machine { cpu, cpus, kernel, .. } = &self.machine;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "machine    {cpu}, {cpus} CPUs, {kernel}");
        let _ = writeln!(out, "generator  {}\n", self.layout());
        let _ = writeln!(
            out,
            "{:<44}{:>12}{:>12}{:>14}",
            "per core", "per second", "CPU", "null server"
        );
        for figure in &self.figures {
            let per_core = rate(figure.per_second / f64::from(self.ceiling.cores.max(1)));
            let (own, other) = (percent(figure.generator_busy), percent(figure.server_busy));
            let _ = writeln!(out, "{:<44}{per_core:>12}{own:>12}{other:>14}", figure.name);
        }
        for warning in self.warnings() {
            let _ = write!(out, "\nWARNING  {warning}\n");
        }
        out
    }

    fn layout(&self) -> String {
        let cores = match self.ceiling.cores {
            1 => "1 core".to_owned(),
            cores => format!("{cores} cores"),
        };
        let cpus: Vec<String> = self.cpus.iter().map(usize::to_string).collect();
        match (cpus.as_slice(), self.apart) {
            ([], _) => format!("{cores}, not pinned"),
            (cpus, true) => {
                format!("{cores} (CPU {}); the null server has others", cpus.join(", "))
            }
            (cpus, false) => format!("{cores} (CPU {})", cpus.join(", ")),
        }
    }

    /// Why the generator may be able to do more than the figures say.
    fn warnings(&self) -> Vec<String> {
        if !self.apart {
            let text = "the null server had no processor of its own: the generator can do more \
                        than this; use fewer cores";
            return vec![text.to_owned()];
        }
        let low = self.figures.iter().filter(|figure| figure.is_lower_bound());
        let text = |figure: &Figure| {
            format!(
                "{}: the generator was busy for {} of the time only, so it was not the limit (the \
                 null server: {}): it can do more than this",
                figure.name,
                percent(figure.generator_busy),
                percent(figure.server_busy)
            )
        };
        low.map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Ceiling;

    #[test]
    fn who_was_the_limit() {
        let figure = |name: &str, generator_busy| Figure {
            name: name.to_owned(),
            per_second: 200_000.0,
            generator_busy,
            server_busy: 0.8,
        };
        let mut calibration = Calibration {
            version: "1".into(),
            machine: Machine { cpu: "x".into(), cpus: 4, ..Machine::default() },
            measured_unix_ms: 0,
            cpus: vec![2, 3],
            apart: true,
            ceiling: Ceiling { cores: 2, ..Ceiling::default() },
            figures: vec![figure("requests", 0.97), figure("deliveries", 0.80)],
        };
        let text = calibration.text();
        assert!(text.contains("2 cores (CPU 2, 3); the null server has others"), "{text}");
        assert!(text.contains(" 100,000 "), "{text}");
        assert_eq!(text.matches("WARNING").count(), 1, "{text}");
        assert!(text.contains("deliveries: the generator was busy for 80.0 %"), "{text}");
        (calibration.apart, calibration.cpus) = (false, Vec::new());
        let text = calibration.text();
        assert!(text.contains("2 cores, not pinned"), "{text}");
        assert!(text.contains("no processor of its own"), "{text}");
    }
}
