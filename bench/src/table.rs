//! Tables of text: Markdown whose columns line up, so that a terminal shows the same.

/// Rows of cells. The first row is the heading, the first column is left-aligned.
pub(crate) fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (at, row) in rows.iter().enumerate() {
        line(&mut out, &widths, |column| row.get(column).map_or("", String::as_str).to_owned());
        if at == 0 {
            line(&mut out, &widths, |column| match column {
                0 => "-".repeat(widths[column]),
                _ => "-".repeat(widths[column] - 1) + ":",
            });
        }
    }
    out
}

fn line(out: &mut String, widths: &[usize], cell: impl Fn(usize) -> String) {
    for (column, width) in widths.iter().enumerate() {
        // A bar would end the cell.
        let text = cell(column).replace('|', "/");
        let padding = " ".repeat(width.saturating_sub(text.chars().count()));
        let (before, after) = if column == 0 { ("", &*padding) } else { (&*padding, "") };
        out.extend(["| ", before, &text, after, " "]);
    }
    out.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let rows: Vec<Vec<String>> =
            vec![row(&["who", "p99 ms"]), row(&["a|b µ", "7"]), row(&["long name"])];
        let want = "| who       | p99 ms |\n\
                    | --------- | -----: |\n\
                    | a/b µ     |      7 |\n\
                    | long name |        |\n";
        assert_eq!(markdown(&rows), want);
        assert_eq!(markdown(&[]), "");
    }
}
