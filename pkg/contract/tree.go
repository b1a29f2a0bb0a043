package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// tree is a JSON value with all that encoding/json would hide: duplicate members, and numbers as they
// were written.
type tree struct {
	kind     jsontext.Kind
	pointer  string
	text     string // of a string, or of a number as it was written
	members  []member
	elements []*tree
}

type member struct {
	name  string
	value *tree
}

// parse reads one JSON document.
func parse(body []byte) (*tree, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	t, err := parseValue(dec, "")
	if err != nil {
		return nil, err
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there are bytes after its end")
	}
	return t, nil
}

func parseValue(dec *jsontext.Decoder, pointer string) (*tree, error) {
	t := &tree{kind: dec.PeekKind(), pointer: pointer}
	token, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.kind {
	case '"', '0':
		t.text = token.String()
	case '{':
		for dec.PeekKind() != '}' {
			name, err := dec.ReadToken()
			if err != nil {
				return nil, err
			}
			m := member{name: name.String()}
			if m.value, err = parseValue(dec, pointer+"/"+escape(m.name)); err != nil {
				return nil, err
			}
			t.members = append(t.members, m)
		}
		_, err = dec.ReadToken()
	case '[':
		for dec.PeekKind() != ']' {
			e, err := parseValue(dec, fmt.Sprintf("%s/%d", pointer, len(t.elements)))
			if err != nil {
				return nil, err
			}
			t.elements = append(t.elements, e)
		}
		_, err = dec.ReadToken()
	}
	return t, err
}

// escape writes a name as a part of a JSON Pointer.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// get returns the value at a path of member names; nil if there is none.
func (t *tree) get(names ...string) *tree {
	for _, name := range names {
		if t == nil {
			return nil
		}
		var next *tree
		for _, m := range t.members {
			if m.name == name {
				next = m.value
			}
		}
		t = next
	}
	return t
}

// list returns the elements of an array, and none for anything else.
func (t *tree) list() []*tree {
	if t == nil {
		return nil
	}
	return t.elements
}

// isSet tells whether there is a value, and not null.
func (t *tree) isSet() bool { return t != nil && t.kind != 'n' }

// integer returns the number, if it is an integer of 64 bits.
func (t *tree) integer() (int64, bool) {
	if t == nil || t.kind != '0' {
		return 0, false
	}
	n, err := strconv.ParseInt(t.text, 10, 64)
	return n, err == nil
}
