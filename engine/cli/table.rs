//! Text in aligned columns.

use headwater_contract::Escaped;

/// Lines of cells, each column as wide as its widest cell, two blanks between; no blanks at the end of a line. What a cell holds may come
/// from outside: it stays on its line.
pub(crate) fn align(rows: &[Vec<String>]) -> String {
    let escaped = |row: &Vec<String>| row.iter().map(|cell| Escaped(cell).to_string()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(escaped).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let gap = width - cell.chars().count() + 2;
            line += cell;
            line.extend(std::iter::repeat_n(' ', gap));
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}

/// The most characters of a value that a table shows.
pub(crate) const CELL: usize = 60;

/// One line of at most [`CELL`] characters, without characters that could move a terminal's cursor.
pub(crate) fn cut(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(CELL).map(clean).collect();
    if text.chars().nth(CELL).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::align;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "bcd", ""], ["long", "é", "end"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(align(&rows), "a     bcd\nlong  é    end\n");
        let outside = [["a\u{1b}[2J\nb", "1"], ["c", "2"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(align(&outside), "a\\u{1b}[2J\\nb  1\nc              2\n");
    }
}
