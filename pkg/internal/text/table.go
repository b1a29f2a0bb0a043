package text

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// MaxCell bounds, in bytes, what one cell or line of a Table shows.
const MaxCell = 16 << 10

// Table is lines for people. Consecutive rows form columns. The zero value is an empty table.
type Table struct {
	out  strings.Builder
	rows [][]string // of the present block
}

// Row adds a line with a cell for each value. What is put in may come from anywhere: each cell is made printable.
func (t *Table) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = Line(fmt.Sprint(c), MaxCell)
	}
	t.rows = append(t.rows, row)
}

// Line adds a line that is in no column, made printable. It ends the block of rows before it.
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

// WriteTo writes the table. The error is w's.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	t.flush()
	n, err := io.WriteString(w, t.out.String())
	return int64(n), err
}

// Width returns how many columns of a terminal a text takes: two for a wide character, none for a combining one.
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
