package contract

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// tree is a JSON value that keeps duplicate members, and numbers as written. The package encoding/json hides both.
type tree struct {
	kind     jsontext.Kind
	text     string // of a string, or of a number as written
	parent   *tree
	name     string // as a member
	index    int    // as an element
	children []*tree
	cut      int // the number of elements not kept
}

// pointer returns the JSON Pointer of the value, or "" for no value.
func (t *tree) pointer() string {
	var parts []string
	for ; t != nil && t.parent != nil; t = t.parent {
		part := strconv.Itoa(t.index)
		if t.parent.kind == '{' {
			part = escaped(t.name)
		}
		parts = append(parts, part)
	}
	var b strings.Builder
	for _, part := range slices.Backward(parts) {
		b.WriteString("/" + part)
	}
	return b.String()
}

// escaped returns a part of a JSON Pointer (RFC 6901).
func escaped(part string) string { return escapes.Replace(part) }

var escapes = strings.NewReplacer("~", "~0", "/", "~1")

// get returns the value at a path of member names, or nil. Of duplicate members the last counts.
func (t *tree) get(names ...string) *tree {
	for _, name := range names {
		if t == nil || t.kind != '{' {
			return nil
		}
		var next *tree
		for _, m := range t.children {
			if m.name == name {
				next = m
			}
		}
		t = next
	}
	return t
}

// list returns the elements of an array, and none for any other value.
func (t *tree) list() []*tree {
	if t == nil || t.kind != '[' {
		return nil
	}
	return t.children
}

// isSet returns whether there is a value other than null.
func (t *tree) isSet() bool { return t != nil && t.kind != 'n' }

// hasText returns whether there is a member with text.
func (t *tree) hasText(name string) bool {
	member := t.get(name)
	return member != nil && member.kind == '"'
}

// integer returns the number, if the number is an integer of 64 bits.
func (t *tree) integer() (int64, bool) {
	if t == nil || t.kind != '0' {
		return 0, false
	}
	n, err := strconv.ParseInt(t.text, 10, 64)
	return n, err == nil
}

// float returns the number in the form of the OpenAPI library.
func (t *tree) float() float64 {
	n, _ := strconv.ParseFloat(t.text, 64)
	return min(max(n, -math.MaxFloat64), math.MaxFloat64)
}

// isOdd returns whether the value is, or holds, a whole number that is not written as an integer of 64 bits: 1e3,
// 1.0, or a number that is too large.
func (t *tree) isOdd() bool {
	if _, ok := t.integer(); t.kind == '0' && !ok {
		return t.float() == math.Trunc(t.float())
	}
	return slices.ContainsFunc(t.children, (*tree).isOdd)
}

// oddMark is not an integer, and not a number that anybody sends.
const oddMark = float64(0.123456789)

// value returns the value in the form of the OpenAPI library. Elements not kept become distinct numbers. If findOdd
// is set, oddMark replaces odd numbers.
func (t *tree) value(findOdd bool) any {
	switch t.kind {
	case '{':
		members := make(map[string]any, len(t.children))
		for _, m := range t.children {
			members[m.name] = m.value(findOdd)
		}
		return members
	case '[':
		elements := make([]any, 0, len(t.children)+t.cut)
		for _, e := range t.children {
			elements = append(elements, e.value(findOdd))
		}
		for i := range t.cut {
			elements = append(elements, float64(i))
		}
		return elements
	case '"':
		return t.text
	case 't', 'f':
		return t.kind == 't'
	case '0':
		if findOdd && t.isOdd() {
			return oddMark
		}
		return t.float()
	}
	return nil
}

// reader reads a JSON document once, from its start to its end.
type reader struct {
	dec   *jsontext.Decoder
	judge *judge
	// row, if set, gets each element of the list data. The element is kept only if keepRows is set. An error ends the
	// reading.
	row      func(*tree) error
	keepRows bool
	// lenient accepts text that is not UTF-8, as some servers do.
	lenient bool
}

var (
	errEnough = errors.New("enough was found")
	errMore   = errors.New("there are bytes after its end")
)

// maxDepth is the limit of the decoder. A deeper document is still JSON.
const maxDepth = 10_000

// read returns the document's root. With errMore, more bytes follow the document. With any other error except
// errEnough and errTooDeep, the body is not a JSON document in UTF-8. The root then holds the part that was read.
func (r *reader) read(body []byte) (root *tree, err error) {
	r.dec = jsontext.NewDecoder(
		bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(r.lenient),
	)
	root = &tree{}
	if err := r.value(root); err != nil {
		return root, err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return root, errMore
	}
	return root, nil
}

func (r *reader) value(t *tree) error {
	t.kind = r.dec.PeekKind()
	if (t.kind == '{' || t.kind == '[') && r.dec.StackDepth() >= maxDepth {
		return errTooDeep
	}
	token, err := r.dec.ReadToken()
	if err != nil {
		return err
	}
	switch t.kind {
	case '"', '0':
		t.text = token.String()
	case '{':
		return r.object(t)
	case '[':
		return r.array(t)
	}
	return nil
}

func (r *reader) object(t *tree) error {
	seen := map[string]bool{}
	for r.dec.PeekKind() != '}' {
		token, err := r.dec.ReadToken()
		if err != nil {
			return err
		}
		member := &tree{parent: t, name: token.String()}
		t.children = append(t.children, member)
		if seen[member.name] {
			if err := r.judge.at(RuleDuplicate, Violation, member, "the member is there twice"); err != nil {
				return err
			}
		}
		seen[member.name] = true
		if err := r.value(member); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

func (r *reader) array(t *tree) error {
	isRows := r.row != nil && t.name == "data" && t.parent != nil && t.parent.parent == nil
	for i := 0; r.dec.PeekKind() != ']'; i++ {
		element := &tree{parent: t, index: i}
		if err := r.value(element); err != nil {
			return err
		}
		if isRows {
			if err := r.row(element); err != nil {
				return err
			}
		}
		if isRows && !r.keepRows {
			t.cut++
		} else {
			t.children = append(t.children, element)
		}
	}
	_, err := r.dec.ReadToken()
	return err
}
