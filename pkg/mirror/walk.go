package mirror

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
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

// object reads an object, whose names are told apart by case, as JSON does; member is called before each value and must read or skip it.
func (w *walk) object(member func(name string) error) error {
	return w.each('}', func() error {
		w.in.step(w.dec.InputOffset())
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
		if err := element(); err != nil {
			return err
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

// cursor goes through a value that jsontext has read, and so knows to be well-formed.
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
	v := c.value()
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1]
	}
	name, _ := jsontext.AppendUnquote(nil, v)
	return name
}

// value reads a value, or a name.
func (c *cursor) value() jsontext.Value {
	n := 0
	switch c.next() {
	case '"':
		n = stringLen(c.rest)
	case '{', '[':
		for depth := 1; depth > 0; {
			n++
			switch c.rest[n] {
			case '"':
				n += stringLen(c.rest[n:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
		}
		n++
	default:
		for n < len(c.rest) && !strings.ContainsRune(",]} \t\r\n", rune(c.rest[n])) {
			n++
		}
	}
	v := c.rest[:n]
	c.rest = c.rest[n:]
	return v
}

// stringLen returns how long the string is that b begins with, quotes included.
func stringLen(b []byte) int {
	for i := 1; ; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// integer reads a number of 64 bits into n, which is NotKnown. What is none leaves n alone, and a number that
// is given again makes it NotKnown; both are not readable.
func (c *cursor) integer(n *Number) (readable bool) {
	parsed, err := strconv.ParseInt(string(c.value()), 10, 64)
	if err != nil || Number(parsed) == NotKnown || *n != NotKnown {
		*n = NotKnown
		return false
	}
	*n = Number(parsed)
	return true
}

// unquote returns the text of a JSON string, and whether all of it was UTF-8. What is no string is "" and false.
func unquote(v jsontext.Value) (string, bool) {
	if v.Kind() == '"' && bytes.IndexByte(v, '\\') < 0 && utf8.Valid(v) {
		return string(v[1 : len(v)-1]), true
	}
	text, err := jsontext.AppendUnquote(nil, v)
	return string(text), err == nil
}

// maxValue bounds one value of an answer, in bytes: the decoder has to hold a string whole, and a
// server might send nothing but one.
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
