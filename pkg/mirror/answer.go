package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
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
// as they stand there;
// nothing of the body is kept. The error is nil only if the body was one well-formed answer, read
// to its end. Rows handed over before an error stand.
//
// Where a member is not of its type, that member is passed over and the walk goes on: one bad row
// costs one topic. Only what breaks the syntax of JSON ends the walk.
func readAnswer(body io.Reader, add func(row)) (listMeta, error) {
	in := &stepped{r: body, limit: maxValue}
	w := walk{add: add, in: in, dec: jsontext.NewDecoder(in,
		// Both would end the walk otherwise; a row's own checks are finer.
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	err := w.document()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) { // its text quotes the names of members
		err = fmt.Errorf("%w, at byte %d", syntax.Err, syntax.ByteOffset)
	}
	return w.meta, err
}

// row is one element of the answer's data.
type row struct {
	Result
	// named says that the row has exactly one readable name, which stands in Result.Topic.
	named bool
}

// walk holds the state of one walk through an answer.
type walk struct {
	in   *stepped
	dec  *jsontext.Decoder
	add  func(row)
	meta listMeta

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

func (w *walk) document() error {
	if w.dec.PeekKind() != '{' {
		switch err := w.dec.SkipValue(); err {
		case nil:
			return errNotObject
		case io.EOF: //nolint:errorlint // jsontext returns this very error at an end
			return errEmpty
		default:
			return err
		}
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
				return w.array(w.row)
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
	if _, err := w.dec.ReadToken(); err != io.EOF { //nolint:errorlint // jsontext returns this very error at an end
		var syntax *jsontext.SyntacticError
		if err == nil || errors.As(err, &syntax) {
			return errTrailing
		}
		return err
	}
	if shape == nil && ownError {
		return errOwnError
	}
	return shape
}

func (w *walk) metadata(name string) error {
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

// object reads an object; member is called before each value and must read or skip it.
func (w *walk) object(member func(name string) error) error {
	if _, err := w.dec.ReadToken(); err != nil {
		return err
	}
	for w.dec.PeekKind() != '}' {
		w.in.step(w.dec.InputOffset())
		v, err := w.dec.ReadValue()
		if err != nil {
			return err
		}
		if err := member(memberName(v)); err != nil {
			return err
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

// array reads an array; element is called before each value and must read or skip it.
func (w *walk) array(element func() error) error {
	if _, err := w.dec.ReadToken(); err != nil {
		return err
	}
	for w.dec.PeekKind() != ']' {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

// The members that the walk reads. A test holds them to the generated models.
const (
	memberData        = "data"
	memberMetadata    = "metadata"
	memberNext        = "next"
	memberTopic       = "mirror_topic_name"
	memberCode        = "error_code"
	memberMessage     = "error_message"
	memberLags        = "mirror_lags"
	memberTruncated   = "messages_truncated" // of a row and of a truncation row
	memberTruncations = "partition_level_truncation_data"
	memberPartition   = "partition"
	memberLag         = "lag"
	memberFetchOffset = "last_source_fetch_offset"
	memberPartitionID = "partition_id"
	memberTruncatedTo = "offset_truncated_to"
)

// memberNames holds each of them under itself.
var memberNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		memberData, memberMetadata, memberNext, memberTopic, memberCode, memberMessage, memberLags, memberTruncated,
		memberTruncations, memberPartition, memberLag, memberFetchOffset, memberPartitionID, memberTruncatedTo,
	} {
		names[name] = name
	}
	return names
}()

// memberName returns the name without an allocation where it is one that the walk reads; any
// other name is "". Names are told apart by case, as JSON does.
func memberName(v jsontext.Value) string {
	name := []byte(v[1 : len(v)-1])
	if bytes.IndexByte(name, '\\') >= 0 {
		name, _ = jsontext.AppendUnquote(nil, v)
	}
	return memberNames[string(name)]
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

func (w *walk) row() error {
	w.meta.rows++
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

func (w *walk) topic(r *row, state *memberState) error {
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

func (w *walk) code(r *row, state *memberState) error {
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

func (w *walk) message(r *row, state *memberState) error {
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

func (w *walk) lagList(r *row) error {
	unknown := PartitionLag{Partition: -1, Lag: NotKnown, LastSourceFetchOffset: NotKnown}
	kept, err := readList(w, r, memberLags, w.lags[:0], unknown,
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

func (w *walk) truncationList(r *row) error {
	if w.dec.PeekKind() == 'n' {
		return w.dec.SkipValue() // not applicable
	}
	unknown := PartitionTruncation{Partition: -1, OffsetTruncatedTo: NotKnown, MessagesTruncated: NotKnown}
	kept, err := readList(w, r, memberTruncations, w.truncations[:0], unknown,
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
func readList[T comparable](w *walk, r *row, member string, kept []T, unknown T, field func(*T, string, *bool) error) ([]T, error) {
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

func (w *walk) messagesTruncated(r *row) error {
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

// partition reads the number of a partition, which has 32 bits in Kafka's protocol.
func (w *walk) partition(n *int, readable *bool) error {
	wide := NotKnown
	if err := w.integer(&wide, readable); err != nil {
		return err
	}
	if wide < 0 || wide > math.MaxInt32 || *n >= 0 {
		*n, *readable = -1, false
		return nil
	}
	*n = int(wide)
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

// stepped fails where more than limit bytes are read without a step.
type stepped struct {
	r     io.Reader
	read  int64
	last  int64 // where the latest step was
	limit int64
}

// step says that the walk has come as far as this.
func (s *stepped) step(offset int64) { s.last = offset }

func (s *stepped) Read(p []byte) (int, error) {
	if s.read-s.last > s.limit {
		return 0, fmt.Errorf("a value in it is longer than %d bytes", s.limit)
	}
	n, err := s.r.Read(p)
	s.read += int64(n)
	return n, err
}
