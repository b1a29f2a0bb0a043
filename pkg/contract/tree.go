package contract

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// tree is a JSON value with all that encoding/json would hide: duplicate members, and numbers as they
// were written.
type tree struct {
	kind     jsontext.Kind
	text     string // of a string, or of a number as it was written
	parent   *tree
	name     string // as a member
	index    int    // as an element
	children []*tree
}

// pointer returns the JSON Pointer of the value, "" if there is none.
func (t *tree) pointer() string {
	var parts []string
	for ; t != nil && t.parent != nil; t = t.parent {
		part := strconv.Itoa(t.index)
		if t.parent.kind == '{' {
			part = strings.NewReplacer("~", "~0", "/", "~1").Replace(t.name)
		}
		parts = append(parts, part)
	}
	var b strings.Builder
	for _, part := range slices.Backward(parts) {
		b.WriteString("/" + part)
	}
	return text.Line(b.String(), maxPointer)
}

const maxPointer = 1024 // bytes; a body can be thousands of levels deep

// get returns the value at a path of member names, the last one if a name is there twice; nil if
// there is none.
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

// list returns the elements of an array, and none for anything else.
func (t *tree) list() []*tree {
	if t == nil || t.kind != '[' {
		return nil
	}
	return t.children
}

// isSet tells whether there is a value, and not null.
func (t *tree) isSet() bool { return t != nil && t.kind != 'n' }

// hasText tells whether there is a member that is text.
func (t *tree) hasText(name string) bool {
	member := t.get(name)
	return member != nil && member.kind == '"'
}

// integer returns the number, if it is an integer of 64 bits.
func (t *tree) integer() (int64, bool) {
	if t == nil || t.kind != '0' {
		return 0, false
	}
	n, err := strconv.ParseInt(t.text, 10, 64)
	return n, err == nil
}

// reader reads a JSON document once, from its start to its end, and checks all of it on the way. It
// keeps the values that their shape knows.
type reader struct {
	dec   *jsontext.Decoder
	judge *judge
	// row, if set, gets each element of the list data, which is not kept then.
	row func(*tree)
	// lenient takes text that is not UTF-8, as some servers do.
	lenient bool
}

var (
	errEnough = errors.New("enough was found")
	errMore   = errors.New("there are bytes after its end")
)

// maxDepth is how deep the decoder goes. A document that is deeper is one all the same.
const maxDepth = 10_000

// read returns the document's root. Other errors than errEnough and errTooDeep say that it is not one
// JSON document in UTF-8, errMore that one is there and more; the root is then what was read of it.
func (r *reader) read(body []byte, s *shape) (root *tree, err error) {
	r.dec = jsontext.NewDecoder(
		bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(r.lenient),
	)
	root = &tree{}
	if err := r.value(root, s); err != nil {
		return root, err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return root, errMore
	}
	return root, nil
}

func (r *reader) value(t *tree, s *shape) error {
	t.kind = r.dec.PeekKind()
	if (t.kind == '{' || t.kind == '[') && r.dec.StackDepth() >= maxDepth {
		return errTooDeep
	}
	token, err := r.dec.ReadToken()
	if err != nil {
		return err
	}
	if t.kind == '"' || t.kind == '0' {
		t.text = token.String()
	}
	if s != nil {
		if err := r.checkValue(t, s.own); err != nil {
			return err
		}
	}
	switch t.kind {
	case '{':
		return r.object(t, s)
	case '[':
		return r.array(t, s)
	}
	return nil
}

func (r *reader) object(t *tree, s *shape) error {
	seen := map[string]bool{}
	for r.dec.PeekKind() != '}' {
		token, err := r.dec.ReadToken()
		if err != nil {
			return err
		}
		member := &tree{parent: t, name: token.String()}
		if seen[member.name] {
			if err := r.judge.at(RuleDuplicate, Violation, member, "the member is there twice"); err != nil {
				return err
			}
		}
		seen[member.name] = true
		property, declared := s.property(member.name)
		if s != nil {
			t.children = append(t.children, member)
		}
		if s != nil && s.closed && !declared {
			if err := r.judge.at(RuleSchema, Violation, member, "the member is not declared"); err != nil {
				return err
			}
		}
		if err := r.value(member, property); err != nil {
			return err
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	if s == nil {
		return nil
	}
	for _, name := range s.required {
		missing := &tree{parent: t, name: name}
		if t.get(name) == nil {
			if err := r.judge.at(RuleSchema, missing.severity(), missing, "the member is missing"); err != nil {
				return err
			}
		}
	}
	return nil
}

// severity says how bad it is that a member is missing: servers from before September 2024 leave two
// members out of a row (observed).
func (t *tree) severity() Severity {
	list := t.parent.parent // t.parent may be a row of it
	known := t.name == "messages_truncated" || t.name == "partition_level_truncation_data"
	if known && list != nil && list.name == "data" {
		return Drift
	}
	return Violation
}

func (r *reader) array(t *tree, s *shape) error {
	var items *shape
	if s != nil {
		items = s.items
	}
	isRows := r.row != nil && t.name == "data" && t.parent != nil && t.parent.parent == nil
	for i := 0; r.dec.PeekKind() != ']'; i++ {
		element := &tree{parent: t, index: i}
		if err := r.value(element, items); err != nil {
			return err
		}
		switch {
		case isRows:
			r.row(element)
		case s != nil:
			t.children = append(t.children, element)
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// checkValue checks a value by itself, without its members or elements.
func (r *reader) checkValue(t *tree, s *openapi3.Schema) error {
	var value any
	switch t.kind {
	case '{':
		value = map[string]any{}
	case '[':
		value = []any{}
	case '"':
		value = t.text
	case 't', 'f':
		value = t.kind == 't'
	case '0':
		number, _ := strconv.ParseFloat(t.text, 64)
		bits := 64
		if s.Format == "int32" {
			bits = 32
		}
		_, err := strconv.ParseInt(t.text, 10, bits)
		if s.Type.Is("integer") && err != nil && number == math.Trunc(number) && t.text != "" {
			text := text.Line(t.text, 64)
			return r.judge.at(RuleInteger, Violation, t, "%s is not written as an integer, or does not fit %d bits", text, bits)
		}
		value = number
	}
	err := s.VisitJSON(value)
	var wrong *openapi3.SchemaError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && wrong.Reason != "":
		return r.judge.at(RuleSchema, Violation, t, "%s", wrong.Reason)
	}
	return r.judge.at(RuleSchema, Violation, t, "it is not as the contract has it")
}
