package mirror

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/wire"
)

// maxValue is the largest size of a value in an answer, in bytes. The decoder must hold a whole row.
const maxValue = 16 << 20

// bounded is the body of an answer. Reading fails if a value is longer than maxValue bytes.
type bounded struct {
	r          io.Reader
	read, last int64
}

func (b *bounded) Read(p []byte) (int, error) {
	room := maxValue - (b.read - b.last)
	if room <= 0 {
		return 0, fmt.Errorf("a value in it is longer than %d bytes", maxValue)
	}
	n, err := b.r.Read(p[:min(int64(len(p)), room)])
	b.read += int64(n)
	return n, err
}

// walk reads a JSON document, value by value. Repeated members and invalid UTF-8 are allowed, since an error of the
// decoder would end the whole list.
type walk struct {
	in  *bounded
	dec *jsontext.Decoder
}

func newWalk(body io.Reader) *walk {
	in := &bounded{r: body}
	return &walk{in, jsontext.NewDecoder(in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
}

// each reads an object or an array to its end. element is called before each name or value and must read or skip it.
func each(dec *jsontext.Decoder, end jsontext.Kind, element func() error) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != end {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// object reads an object. member is called before each value and must read or skip it.
func (w *walk) object(member func(name string) error) error {
	return each(w.dec, '}', func() error {
		w.in.last = w.dec.InputOffset()
		name, err := w.dec.ReadToken()
		if err != nil {
			return err
		}
		return member(name.String())
	})
}

// document reads a body that must be a single JSON object.
func (w *walk) document(member func(name string) error) error {
	if w.dec.PeekKind() != '{' {
		if err := w.dec.SkipValue(); errors.Is(err, io.EOF) {
			return errors.New("it is empty")
		} else if err != nil {
			return plain(err)
		}
		return errors.New("it is not a JSON object")
	}
	if err := w.object(member); err != nil {
		return plain(err)
	}
	return w.end()
}

// end fails unless the body ends here.
func (w *walk) end() error {
	switch _, err := w.dec.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil || errors.As(err, new(*jsontext.SyntacticError)):
		return errors.New("it has bytes after its end")
	default:
		return err
	}
}

// plain returns an error of the decoder without the members' names that the decoder quotes.
func plain(err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w, at byte %d", syntax.Err, syntax.ByteOffset)
	}
	return err
}

// answer has the parts of an answer beside its rows.
type answer struct {
	next     string   // metadata.next; "" if not set
	problems []string // everything wrong with the answer beside its rows
}

// readList reads a list and calls element for each element of data. The error is nil only if the body was a single
// list, read to its end. Elements passed on before an error are valid.
func readList(body io.Reader, s *wire.Secrets, element func(jsontext.Value)) (a answer, err error) {
	w := newWalk(body)
	missing := `it has no "data"`
	seen := false
	err = w.document(func(name string) error {
		switch {
		case name == "data" && w.dec.PeekKind() == '[':
			missing = ""
			if seen {
				missing = `it has "data" twice`
			}
			seen = true
			return each(w.dec, ']', func() error {
				w.in.last = w.dec.InputOffset()
				v, err := w.dec.ReadValue()
				if err == nil {
					element(v)
				}
				return err
			})
		case name == "data":
			missing, seen = `its "data" is not an array`, true
		case name == "metadata" && w.dec.PeekKind() == '{':
			return w.object(func(name string) error {
				v, err := w.dec.ReadValue()
				if err != nil || name != "next" || v.Kind() == 'n' {
					return err
				}
				a.next = cmp.Or(a.next, s.Show(unquote(v), maxText)) // of two members either may be set
				return nil
			})
		case name == "error_code" || name == "errors":
			v, err := w.dec.ReadValue()
			if said := string(v); err == nil && said != "null" && said != "0" && said != `""` && said != "[]" {
				a.problems = append(a.problems, "the answer has an error beside its rows: "+name)
			}
			return err
		}
		return w.dec.SkipValue()
	})
	if err == nil && missing != "" {
		err = errors.New(missing)
	}
	if a.next != "" {
		a.problems = append(a.problems, "the answer goes on at "+text.Quote(a.next)+", so rows are missing")
	}
	return a, err
}

// unquote returns the text of a JSON string. Any other value is returned unchanged.
func unquote(v jsontext.Value) string {
	if v.Kind() != '"' {
		return string(v)
	}
	t, _ := jsontext.AppendUnquote(nil, v)
	return string(t)
}

// readObject reads a body that must be a single object and calls object with the value.
func readObject(body io.Reader, object func(jsontext.Value) error) error {
	w := newWalk(body)
	if w.dec.PeekKind() != '{' {
		return w.document(nil)
	}
	v, err := w.dec.ReadValue()
	if err != nil {
		return plain(err)
	}
	if err := object(v); err != nil {
		return err
	}
	return w.end()
}

// membersOf returns the named members of an object. A repeated member is an empty array, which no valid member is.
func membersOf(v jsontext.Value, names ...string) map[string]jsontext.Value {
	members := map[string]jsontext.Value{}
	if v.Kind() != '{' {
		return members
	}
	w := newWalk(bytes.NewReader(v))
	_ = w.object(func(name string) error { // v was read before, so v is well-formed
		value, err := w.dec.ReadValue()
		if _, twice := members[name]; twice {
			value = jsontext.Value("[]")
		}
		if slices.Contains(names, name) {
			members[name] = value.Clone()
		}
		return err
	})
	return members
}

// legible returns the text of a JSON string, or "" if the value is no string or no UTF-8.
func legible(v jsontext.Value) (t string) {
	if jsonv2.Unmarshal(v, &t) != nil {
		return ""
	}
	return t
}

// number is a whole number of 64 bits; -1 if the number cannot be read.
type number int64

// UnmarshalJSONFrom reads any value.
func (n *number) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	*n = numberOf(v)
	return err
}

func numberOf(v jsontext.Value) number {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return number(n)
}

// numbersOf reads any value and returns the numbers of the members with the given names. The names are in quotes. A
// missing or unreadable number is -1, as are all numbers if the value is no object.
func numbersOf(dec *jsontext.Decoder, names ...string) (numbers [3]int64, err error) {
	numbers = [3]int64{-1, -1, -1}
	if dec.PeekKind() != '{' {
		return numbers, dec.SkipValue()
	}
	err = each(dec, '}', func() error {
		name, err := dec.ReadValue()
		if err != nil {
			return err
		}
		i := slices.Index(names, string(name))
		v, err := dec.ReadValue()
		if i >= 0 {
			numbers[i] = int64(numberOf(v))
		}
		return err
	})
	return numbers, err
}
