package mirror

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// walk goes through a JSON document, value by value. Only what breaks the syntax of JSON ends it.
type walk struct {
	in  *stepped
	dec *jsontext.Decoder
}

// newWalk begins a walk. Members that are there twice and texts that are not UTF-8 do not end it: the
// checks of those who read them are finer.
func newWalk(body io.Reader) walk {
	in := &stepped{r: body}
	return walk{in: in, dec: jsontext.NewDecoder(in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
}

// object reads an object; member is called before each value and must read or skip it. Names are told apart by
// case, as JSON does.
func (w *walk) object(member func(name string) error) error {
	return w.each('}', func() error {
		v, err := w.dec.ReadValue()
		if err != nil {
			return err
		}
		name, _ := unquote(v)
		return member(name)
	})
}

// each reads an object or an array as far as its end; element is called before each name or value, and
// must read or skip it.
func (w *walk) each(end jsontext.Kind, element func() error) error {
	if _, err := w.dec.ReadToken(); err != nil {
		return err
	}
	for w.dec.PeekKind() != end {
		w.in.step(w.dec.InputOffset())
		if err := element(); err != nil {
			return err
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

// cursor goes through a value that jsontext has read whole, and so found to be well-formed. It must not be
// used beyond the value's end.
type cursor struct{ rest []byte }

// next returns the first byte of the next name, value or end.
func (c *cursor) next() byte {
	for {
		switch b := c.rest[0]; b {
		case ' ', '\t', '\r', '\n', ',', ':':
			c.rest = c.rest[1:]
		default:
			return b
		}
	}
}

// open enters an object or an array.
func (c *cursor) open() {
	c.next()
	c.rest = c.rest[1:]
}

// more tells whether a member or an element comes next. If none does, it leaves the object or array.
func (c *cursor) more() bool {
	if b := c.next(); b != '}' && b != ']' {
		return true
	}
	c.rest = c.rest[1:]
	return false
}

// name reads a member's name. Names are told apart by case, as JSON does.
func (c *cursor) name() []byte {
	c.next()
	n, escaped := stringLen(c.rest)
	name := c.rest[1 : n-1]
	if escaped {
		name, _ = jsontext.AppendUnquote(nil, c.rest[:n])
	}
	c.rest = c.rest[n:]
	return name
}

// value reads a value.
func (c *cursor) value() jsontext.Value {
	var n int
	switch c.next() {
	case '"':
		n, _ = stringLen(c.rest)
	case '{', '[':
		n = nestedLen(c.rest)
	default:
		n = plainLen(c.rest)
	}
	v := c.rest[:n]
	c.rest = c.rest[n:]
	return v
}

// stringLen returns how long the string is that b begins with, quotes included, and whether it has escapes.
func stringLen(b []byte) (n int, escaped bool) {
	for n = 1; ; n++ {
		switch b[n] {
		case '\\':
			escaped = true
			n++
		case '"':
			return n + 1, escaped
		}
	}
}

// nestedLen returns how long the object or array is that b begins with.
func nestedLen(b []byte) (n int) {
	for depth := 0; ; n++ {
		switch b[n] {
		case '"':
			text, _ := stringLen(b[n:])
			n += text - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return n + 1
			}
		}
	}
}

// plainLen returns how long the number, null, true or false is that b begins with.
func plainLen(b []byte) int {
	for n, c := range b {
		switch c {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return n
		}
	}
	return len(b)
}

// integer reads a number of 64 bits into n, which is NotKnown before. It stays so if that cannot be read, and
// becomes so again if there is a second one.
func (c *cursor) integer(n *Number) (readable bool) {
	parsed, ok := parseInt(c.value())
	if !ok || Number(parsed) == NotKnown || *n != NotKnown {
		*n = NotKnown
		return false
	}
	*n = Number(parsed)
	return true
}

// parseInt returns a whole number of 64 bits, and whether v is one.
func parseInt(v jsontext.Value) (n int64, ok bool) {
	digits, negative := v, v[0] == '-'
	if negative {
		digits = v[1:]
	}
	if len(digits) > 18 { // it may have more than 64 bits
		n, err := strconv.ParseInt(string(v), 10, 64)
		return n, err == nil
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = 10*n + int64(d-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// unquote returns the text of a JSON string, and whether all of it was UTF-8. What is no string is "" and false.
func unquote(v jsontext.Value) (string, bool) {
	if v.Kind() == '"' && bytes.IndexByte(v, '\\') < 0 && utf8.Valid(v) {
		return string(v[1 : len(v)-1]), true
	}
	text, err := jsontext.AppendUnquote(nil, v)
	return string(text), err == nil
}

// maxValue bounds one value of an answer, in bytes: the decoder has to hold a row whole, and a server might
// send nothing but one.
const maxValue = 16 << 20

// stepped fails where more than maxValue bytes are read without a step.
type stepped struct {
	r    io.Reader
	read int64
	last int64 // where the latest step was
}

// step says that the walk has come as far as this.
func (s *stepped) step(offset int64) { s.last = offset }

func (s *stepped) Read(p []byte) (int, error) {
	if s.read-s.last > maxValue {
		return 0, fmt.Errorf("a value in it is longer than %d bytes", maxValue)
	}
	n, err := s.r.Read(p)
	s.read += int64(n)
	return n, err
}

// maxSlab bounds the length of what a slab cuts lists from: all of it is kept as long as one of them is.
const maxSlab = 512

// slab makes short lists, several from one allocation.
type slab[T any] struct {
	free  []T
	taken int // how long all lists are
}

// take returns a list of n elements that are zero. It is never nil.
func (s *slab[T]) take(n int) []T {
	if n > maxSlab/8 { // for it, too much would be thrown away of a slab that is nearly used up
		return make([]T, n)
	}
	if s.free == nil || n > len(s.free) {
		s.free = make([]T, max(n, min(s.taken, maxSlab)))
	}
	list := s.free[:n:n]
	s.free, s.taken = s.free[n:], s.taken+n
	return list
}
