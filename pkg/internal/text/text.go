// Package text makes foreign text safe to show on a terminal, in a log line or in a table's cell. Reports and contract
// findings share the package because both show a server's texts.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// Line returns s as a printable line of at most limit bytes.
//
// A character for which unicode.IsPrint is false (control characters, ESC, line breaks, marks that change the direction
// of text, spaces except the ASCII space) is written as an escape. Each byte of invalid UTF-8 is an escape too. A long
// text is cut between two characters and ends in "…". A short printable text is returned unchanged.
func Line(s string, limit int) string {
	if len(s) <= limit && isPrintable(s) {
		return s
	}
	var b strings.Builder
	cut := 0 // the end of the text with room for the ellipsis
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if b.Len()+len(ellipsis) <= limit {
			cut = b.Len()
		}
		switch {
		case r == utf8.RuneError && size == 1:
			writeEscape(&b, 'x', rune(s[i]), 2)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			writeEscape(&b, 'x', r, 2)
		case r < 0x10000:
			writeEscape(&b, 'u', r, 4)
		default:
			writeEscape(&b, 'U', r, 8)
		}
		if b.Len() > limit {
			if limit < len(ellipsis) {
				return ""
			}
			return b.String()[:cut] + ellipsis
		}
		i += size
	}
	return b.String()
}

// Quote returns s in double quotes, as a printable line of at most 258 bytes.
func Quote(s string) string { return `"` + Line(s, 256) + `"` }

func isPrintable(s string) bool {
	for i, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return false
			}
		}
	}
	return true
}

// writeEscape writes a backslash, the letter, and v in the given number of hexadecimal digits.
func writeEscape(b *strings.Builder, letter byte, v rune, digits int) {
	b.WriteByte('\\')
	b.WriteByte(letter)
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b.WriteByte("0123456789abcdef"[v>>shift&0xf])
	}
}

// Count returns "1 topic", "2 topics".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Some joins the first most values of a list and counts the others.
func Some(list []string, most int) string {
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// Fit joins the values of a list that fit a line of the given width and counts the others. The first value always fits.
func Fit(list []string, columns int) string {
	n, length := 0, 0
	for n < len(list) && (n == 0 || length+len(list[n]) <= columns) {
		length += len(list[n]) + len(", ")
		n++
	}
	return Some(list, n)
}

// WithoutName replaces a topic's name in a text by …, if the name stands alone and is no part of a longer name.
func WithoutName(s, topic string) string {
	inName := func(b byte) bool {
		return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("._-", b) >= 0
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(s, topic)
		if !found || topic == "" {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(before)
		dot := strings.HasPrefix(after, ".") && (len(after) == 1 || !inName(after[1])) // the end of a sentence
		if before != "" && inName(before[len(before)-1]) || after != "" && inName(after[0]) && !dot {
			out.WriteString(topic)
		} else {
			out.WriteString("…")
		}
		s = after
	}
}
