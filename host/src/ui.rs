//! How commands talk: results on standard output, progress and warnings on standard error.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What the global flags say about talking.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ui {
    /// `--json`: one JSON object as the last line of standard output.
    pub json: bool,
    /// `--quiet`: no progress, no notes.
    pub quiet: bool,
    /// `-v`: more detail.
    pub verbose: bool,
}

impl Ui {
    /// A bar that counts `total` things named by `what` ("training", "aligning") in units of `unit` ("images").
    ///
    /// It draws on standard error, only on a terminal and not when quiet.
    pub fn progress(&self, what: &str, unit: &str, total: u64) -> ProgressBar {
        let target = if self.quiet || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(8)
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = format!(
            "{{prefix:<11}}[{{bar:24}}] {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}"
        );
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("## "));
        bar.set_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }

    /// A note or warning on standard error, unless quiet.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            // Where nobody listens, the work goes on.
            let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
        }
    }

    /// A result line on standard output.
    pub fn say(&self, text: impl AsRef<str>) {
        // A reader that has left (`| head -1`) does not stop the work, nor change its exit code.
        let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
    }

    /// The last line of standard output, when `--json` asks for it. Call it once, last.
    pub fn json(&self, value: &serde_json::Value) {
        if self.json {
            self.say(value.to_string());
        }
    }
}

/// Rows of text as columns, the first left-aligned, the others right-aligned, two blanks between them.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate();
        let line: Vec<String> = cells
            .map(
                |(i, (cell, &width))| {
                    if i == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        out.push_str(line.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// `1234567` as `1,234,567`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["layer".into(), "MACs".into()], vec!["a".into(), "1,000".into()]];
        assert_eq!(table(&rows), "layer   MACs\na      1,000\n");
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([thousands(0), thousands(999), thousands(1_234_567)], ["0", "999", "1,234,567"]);
    }
}
