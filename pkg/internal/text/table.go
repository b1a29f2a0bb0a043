package text

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// MaxCell is the largest size of a Table's cell or line, in bytes.
const MaxCell = 16 << 10

// Table is lines for people. Consecutive rows form columns. The zero value is an empty table.
type Table struct {
	out  strings.Builder
	rows [][]string // of the present block
}

// Row adds a line with a cell for each value. Values may be foreign: each cell is made printable.
func (t *Table) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = Line(fmt.Sprint(c), MaxCell)
	}
	t.rows = append(t.rows, row)
}

// Line adds a printable line without columns and ends the block of rows before the line.
func (t *Table) Line(line string) {
	t.flush()
	t.out.WriteString(Line(line, MaxCell) + "\n")
}

// flush writes the rows of the block in columns, two blanks apart.
func (t *Table) flush() {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row[:max(0, len(row)-1)] { // the last cell of a row needs no room
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(cell))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-Width(cell)+2))
			}
		}
		t.out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	t.rows = nil
}

// WriteTo writes the table and returns the error of w.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	t.flush()
	n, err := io.WriteString(w, t.out.String())
	return int64(n), err
}

// Width returns the number of terminal columns of a text: two for a wide character, none for a combining character.
func Width(s string) (n int) {
	for _, r := range s {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
