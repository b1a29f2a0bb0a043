// Package text makes text from elsewhere safe to show: on a terminal, in a log line, in a
// cell of a table. It is a package of its own because reports and contract findings both show
// what a server said.
package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// Line returns s as one printable line of at most limit bytes.
//
// What unicode.IsPrint does not count as printable (control characters, ESC, line breaks, marks
// that change the direction of text, spaces other than the ASCII one) is written as an escape,
// and so is each byte that is not UTF-8. A text that is too long is cut between two characters
// and ends in "…". A text that is printable and short enough comes back as it is.
func Line(s string, limit int) string {
	if len(s) <= limit && isPrintable(s) {
		return s
	}
	var b strings.Builder
	cut := 0 // where the text still has room for the ellipsis
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

// Quote returns s in double quotes, as one printable line of some 256 bytes.
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

// Some joins the first values of a list, and counts the others.
func Some(list []string, most int) string {
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// Fit joins as many values of a list as fit a line of the given width, at least one, and counts the others.
func Fit(list []string, columns int) string {
	n, length := 0, 0
	for n < len(list) && (n == 0 || length+len(list[n]) <= columns) {
		length += len(list[n]) + len(", ")
		n++
	}
	return Some(list, n)
}
