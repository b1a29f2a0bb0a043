package mirror

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

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

// object reads an object; member is called before each value and must read or skip it.
func (w *walk) object(member func(name string) error) error {
	return w.each('}', func() error {
		w.in.step(w.dec.InputOffset())
		v, err := w.dec.ReadValue()
		if err != nil {
			return err
		}
		return member(memberName(v))
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

// memberName returns the name without an allocation where it is one that the walk reads; any
// other name is "". Names are told apart by case, as JSON does.
func memberName(v jsontext.Value) string {
	name := []byte(v[1 : len(v)-1])
	if bytes.IndexByte(name, '\\') >= 0 {
		name, _ = jsontext.AppendUnquote(nil, v)
	}
	return memberNames[string(name)]
}

// integer reads a number of 64 bits into n, which is NotKnown. What is none leaves n alone and clears
// readable; a number that is given again makes it NotKnown.
func (w *walk) integer(n *Number, readable *bool) error {
	v, err := w.dec.ReadValue()
	if err != nil {
		return err
	}
	parsed, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || Number(parsed) == NotKnown || *n != NotKnown {
		*n, *readable = NotKnown, false
		return nil
	}
	*n = Number(parsed)
	return nil
}

// unquote returns the text of a JSON string, and whether all of it was UTF-8.
func unquote(v jsontext.Value) (string, bool) {
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
