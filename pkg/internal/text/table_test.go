package text_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

func written(t *testing.T, table *text.Table) string {
	t.Helper()
	var b strings.Builder
	n, err := table.WriteTo(&b)
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), n)
	return b.String()
}

func TestTable_ColumnsAreThoseOfTheirBlock(t *testing.T) {
	var table text.Table
	table.Line("first line, which is in no column")
	table.Row("A", "B", "C")
	table.Row("long cell", 7, "")
	table.Row("short")
	table.Row("a row with one cell is as long as it likes")
	table.Line("")
	table.Row("x", "y")
	require.Equal(t, `first line, which is in no column
A          B  C
long cell  7
short
a row with one cell is as long as it likes

x  y
`, written(t, &table))
	require.Empty(t, written(t, &text.Table{}))
}

// Columns are straight for wide and combining characters.
func TestTable_ColumnsAreStraight(t *testing.T) {
	var table text.Table
	for _, cell := range []string{"ab", "漢", "e\u0301f", "ｆ", "é\u20dd!"} {
		table.Row(cell, "|")
	}
	for line := range strings.Lines(written(t, &table)) {
		before, _, found := strings.Cut(line, "|")
		require.True(t, found)
		require.Equal(t, 4, text.Width(before), "%q", line)
	}
}

// Whatever is put in, a cell or a line stays one printable line.
func TestTable_IsPrintable(t *testing.T) {
	var table text.Table
	table.Row("a\nb", errors.New("\x1b[2J"), "\u202e", "\xff")
	table.Line("c\rd")
	require.Equal(t, "a\\nb  \\x1b[2J  \\u202e  \\xff\nc\\rd\n", written(t, &table))
	table = text.Table{}
	table.Row(strings.Repeat("x", 2*text.MaxCell))
	require.Len(t, written(t, &table), text.MaxCell+1)
}

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "漢字": 4, "e\u0301": 1, "ｆ": 2, "…": 1, "–": 1} {
		require.Equal(t, want, text.Width(s), s)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestTable_ItsErrorIsTheWriters(t *testing.T) {
	var table text.Table
	table.Row("a")
	_, err := table.WriteTo(full{})
	require.EqualError(t, err, "disk full")
}
