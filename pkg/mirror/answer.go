package mirror

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// listMeta is what the body of a 200 holds beside its rows.
type listMeta struct {
	rows int
	next string // metadata.next; "" if it is not set
}

// readAnswer walks through the body of a 200 and hands each row to add as soon as it is read, its texts
// as they stand there; nothing of the body is kept. The error is nil only if the body was one well-formed answer, read
// to its end. Rows handed over before an error stand.
//
// Where a member is not of its type, that member is passed over and the walk goes on: one bad row
// costs one topic. Only what breaks the syntax of JSON ends the walk.
func readAnswer(body io.Reader, add func(row)) (listMeta, error) {
	w := answerWalk{walk: newWalk(body), add: add}
	w.element = w.row
	err := withoutNames(w.document())
	return w.meta, err
}

// withoutNames returns an error of the walk without the names of members that its text would quote.
func withoutNames(err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w, at byte %d", syntax.Err, syntax.ByteOffset)
	}
	return err
}

// row is one element of the answer's data.
type row struct {
	Result
	// named says that the row has exactly one readable name, which stands in Result.Topic.
	named bool
}

// answerWalk is one walk through an answer.
type answerWalk struct {
	walk
	element func() error // reads one element of data
	add     func(row)
	meta    listMeta

	// What a row's lists are gathered in, before they are copied at their exact length.
	lags        []PartitionLag
	truncations []PartitionTruncation
}

// The shapes of an answer that has no rows to read.
var (
	errEmpty        = errors.New("it is empty")
	errNotObject    = errors.New("it is not a JSON object")
	errNoData       = errors.New(`it has no "data"`)
	errDataTwice    = errors.New(`it has "data" twice`)
	errDataNotArray = errors.New(`its "data" is not an array`)
	errOwnError     = errors.New("it has an error_code beside its rows")
	errTrailing     = errors.New("it has bytes after its end")
)

// begin fails if what begins is not an object.
func (w *answerWalk) begin() error {
	if w.dec.PeekKind() == '{' {
		return nil
	}
	switch err := w.dec.SkipValue(); err {
	case nil:
		return errNotObject
	case io.EOF: //nolint:errorlint // jsontext returns this very error at an end
		return errEmpty
	default:
		return err
	}
}

// end fails if there is something after the document.
func (w *answerWalk) end() error {
	_, err := w.dec.ReadToken()
	var syntax *jsontext.SyntacticError
	switch {
	case err == io.EOF: //nolint:errorlint // jsontext returns this very error at an end
		return nil
	case err == nil || errors.As(err, &syntax):
		return errTrailing
	}
	return err
}

// document reads a list: an object with the elements in its data.
func (w *answerWalk) document() error {
	if err := w.begin(); err != nil {
		return err
	}
	shape := errNoData
	seen, ownError := false, false
	err := w.object(func(name string) error {
		switch name {
		case memberData:
			switch {
			case seen:
				shape = errDataTwice
			case w.dec.PeekKind() == '[':
				shape = nil
			default:
				shape = errDataNotArray
			}
			seen = true
			if w.dec.PeekKind() == '[' {
				return w.array(func() error {
					err := w.element()
					if err == nil {
						w.meta.rows++
					}
					return err
				})
			}
		case memberCode:
			v, err := w.dec.ReadValue()
			ownError = ownError || err == nil && string(v) != "null" && string(v) != "0"
			return err
		case memberMetadata:
			if w.dec.PeekKind() == '{' {
				return w.object(w.metadata)
			}
		}
		return w.dec.SkipValue()
	})
	if err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	if shape == nil && ownError {
		return errOwnError
	}
	return shape
}

func (w *answerWalk) metadata(name string) error {
	if name != memberNext || w.dec.PeekKind() == 'n' {
		return w.dec.SkipValue()
	}
	v, err := w.dec.ReadValue()
	if err != nil {
		return err
	}
	text := string(v)
	if v.Kind() == '"' {
		text, _ = unquote(v)
	}
	if w.meta.next == "" { // given twice, it is set if one of them is
		w.meta.next = text
	}
	return nil
}

// A verdict member is in one of these states.
type memberState uint8

const (
	absent memberState = iota
	unset              // null, 0 or ""
	set
	bad // of the wrong type, or there twice
)

// give moves on the state of a member that has come, for the first time or again.
func (s *memberState) give(now memberState) {
	if *s != absent {
		now = bad
	}
	*s = now
}

func (w *answerWalk) row() error {
	w.in.step(w.dec.InputOffset())
	if w.dec.PeekKind() != '{' {
		if err := w.dec.SkipValue(); err != nil {
			return err
		}
		w.add(row{Result: Result{Notes: []string{"the row is not an object"}}})
		return nil
	}
	var r row
	var name, code, message memberState
	var lags, truncations, truncated bool
	// again tells whether a member has come before; its first value stands.
	again := func(seen *bool, member string) bool {
		was := *seen
		if *seen = true; was {
			r.note(member + " is there twice")
		}
		return was
	}
	err := w.object(func(member string) error {
		switch member {
		case memberTopic:
			return w.topic(&r, &name)
		case memberCode:
			return w.code(&r, &code)
		case memberMessage:
			return w.message(&r, &message)
		case memberLags:
			if !again(&lags, member) {
				return w.lagList(&r)
			}
		case memberTruncations:
			if !again(&truncations, member) {
				return w.truncationList(&r)
			}
		case memberTruncated:
			if !again(&truncated, member) {
				return w.messagesTruncated(&r)
			}
		}
		return w.dec.SkipValue()
	})
	if err != nil {
		return err
	}
	switch name {
	case set:
		r.named = true
	case bad:
		r.note("the topic name cannot be read")
	default:
		r.note("the row has no topic name")
	}
	r.decide(code, message)
	w.add(r)
	return nil
}

// decide gives the row its outcome. Code and message alone decide.
func (r *row) decide(code, message memberState) {
	switch {
	case code == set || message == set:
		r.Outcome = Failed
	case code == bad:
		r.cause = cause("the row's error_code cannot be read", nil)
	case message == bad:
		r.cause = cause("the row's error_message cannot be read", nil)
	case code == absent && message == absent:
		r.cause = cause("the row has neither error_code nor error_message", nil)
	default:
		r.Outcome = Accepted
	}
}

func (w *answerWalk) topic(r *row, state *memberState) error {
	v, err := w.dec.ReadValue()
	if err != nil {
		return err
	}
	now := bad
	if v.Kind() == '"' {
		if text, ok := unquote(v); ok && text != "" {
			r.Topic, now = text, set
		}
	}
	state.give(now)
	return nil
}

func (w *answerWalk) code(r *row, state *memberState) error {
	v, err := w.dec.ReadValue()
	if err != nil {
		return err
	}
	now := bad
	switch v.Kind() {
	case 'n':
		now = unset
	case '0':
		// Kafka's codes are 32 bits wide; what is beyond, or not whole, is no code.
		if n, err := strconv.ParseInt(string(v), 10, 32); err == nil {
			now = unset
			if n != 0 {
				now = set
			}
			r.Code = int(n)
		}
	}
	if state.give(now); *state == bad {
		r.Code = 0
	}
	return nil
}

func (w *answerWalk) message(r *row, state *memberState) error {
	v, err := w.dec.ReadValue()
	if err != nil {
		return err
	}
	now := bad
	switch v.Kind() {
	case 'n':
		now = unset
	case '"':
		now = unset
		if len(v) > len(`""`) {
			now = set
			r.Message, _ = unquote(v)
		}
	}
	if state.give(now); *state == bad {
		r.Message = ""
	}
	return nil
}

func (w *answerWalk) lagList(r *row) error {
	unknown := PartitionLag{Partition: -1, Lag: NotKnown, LastSourceFetchOffset: NotKnown}
	kept, err := readList(&w.walk, r, memberLags, w.lags[:0], unknown,
		func(p *PartitionLag, member string, readable *bool) error {
			switch member {
			case memberPartition:
				return w.partition(&p.Partition, readable)
			case memberLag:
				return w.integer(&p.Lag, readable)
			case memberFetchOffset:
				return w.integer(&p.LastSourceFetchOffset, readable)
			}
			return w.dec.SkipValue()
		})
	w.lags, r.Lags = kept, slices.Clone(kept)
	return err
}

func (w *answerWalk) truncationList(r *row) error {
	if w.dec.PeekKind() == 'n' {
		return w.dec.SkipValue() // not applicable
	}
	unknown := PartitionTruncation{Partition: -1, OffsetTruncatedTo: NotKnown, MessagesTruncated: NotKnown}
	kept, err := readList(&w.walk, r, memberTruncations, w.truncations[:0], unknown,
		func(p *PartitionTruncation, member string, readable *bool) error {
			switch member {
			case memberPartitionID:
				return w.partition(&p.Partition, readable)
			case memberTruncatedTo:
				return w.integer(&p.OffsetTruncatedTo, readable)
			case memberTruncated:
				return w.integer(&p.MessagesTruncated, readable)
			}
			return w.dec.SkipValue()
		})
	w.truncations, r.Truncations = kept, slices.Clone(kept)
	return err
}

// readList gathers in kept the objects of one of the row's lists, each begun as unknown. An
// element of which nothing can be read is left out, and what else cannot be read stays unknown;
// both are noted in the row. What is no list gives nil.
func readList[T comparable](
	w *walk, r *row, member string, kept []T, unknown T,
	field func(*T, string, *bool) error,
) ([]T, error) {
	if w.dec.PeekKind() != '[' {
		r.note(member + " cannot be read")
		return nil, w.dec.SkipValue()
	}
	if kept == nil {
		kept = []T{}
	}
	readable := true
	inLast := func(name string) error { return field(&kept[len(kept)-1], name, &readable) }
	err := w.array(func() error {
		if w.dec.PeekKind() != '{' {
			readable = false
			return w.dec.SkipValue()
		}
		kept = append(kept, unknown)
		err := w.object(inLast)
		if last := len(kept) - 1; kept[last] == unknown {
			readable = false
			kept = kept[:last]
		}
		return err
	})
	if !readable {
		r.note(member + " has something that cannot be read")
	}
	return kept, err
}

func (w *answerWalk) messagesTruncated(r *row) error {
	if w.dec.PeekKind() == 'n' {
		return w.dec.SkipValue()
	}
	total, readable := NotKnown, true
	err := w.integer(&total, &readable)
	if !readable {
		r.note(memberTruncated + " cannot be read")
	}
	if total >= 0 { // negative: not applicable
		r.MessagesTruncated = (*int64)(&total)
	}
	return err
}
