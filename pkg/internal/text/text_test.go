package text_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

func TestLine(t *testing.T) {
	for _, c := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"empty", "", 10, ""},
		{"plain", "Topic 'a' has gone", 100, "Topic 'a' has gone"},
		{"exactly at the limit", "abcde", 5, "abcde"},
		{"one beyond the limit", "abcdef", 5, "ab…"},
		{"cut between characters", "ééééé", 8, "éé…"},
		{"no room for the mark", "abc", 2, ""},
		{"line breaks", "a\r\nb\tc", 100, `a\r\nb\tc`},
		{"escape sequence", "\x1b[31mred", 100, `\x1b[31mred`},
		{"NUL and DEL", "\x00\x7f", 100, `\x00\x7f`},
		{"direction override", "a\u202eb\u2066", 100, `a\u202eb\u2066`},
		{"next line and no-break space", "\u0085\u00a0", 100, `\u0085\u00a0`},
		{"tag character", "\U000e0041", 100, `\U000e0041`},
		{"not UTF-8", "a\xffb", 100, `a\xffb`},
		{"a replacement character as such", "\ufffd", 100, "\ufffd"},
		{"an escape is not cut in two", "abcd\x1b", 7, "abcd…"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, text.Line(c.in, c.limit))
		})
	}
}

func TestQuote(t *testing.T) {
	require.Equal(t, `"a\nb"`, text.Quote("a\nb"))
	require.LessOrEqual(t, len(text.Quote(strings.Repeat("é", 1000))), 258)
}

func TestCountsAndLists(t *testing.T) {
	require.Equal(t, "0 topics, 1 topic, 2 topics", strings.Join([]string{
		text.Count(0, "topic"), text.Count(1, "topic"), text.Count(2, "topic"),
	}, ", "))
	list := []string{"aa", "bb", "cc"}
	require.Equal(t, "aa, bb, cc", text.Some(list, 3))
	require.Equal(t, "aa, bb and 1 more", text.Some(list, 2))
	require.Empty(t, text.Some(nil, 2))
	for columns, want := range map[int]string{0: "aa and 2 more", 1: "aa and 2 more", 6: "aa, bb and 1 more", 10: "aa, bb, cc"} {
		require.Equal(t, want, text.Fit(list, columns), columns)
	}
	require.Equal(t, []string{"aa", "bb", "cc"}, list)
}

func FuzzLine(f *testing.F) {
	f.Add("plain", 10)
	f.Add("\x1b[2J\u202e\xff\n", 3)
	f.Add(strings.Repeat("é", 300), 512)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = max(0, limit%2048)
		got := text.Line(s, limit)
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, len(got), limit)
		for _, r := range got {
			require.True(t, unicode.IsPrint(r), "%q", r)
		}
		require.Equal(t, got, text.Line(got, limit), "a second pass changes nothing")
	})
}
