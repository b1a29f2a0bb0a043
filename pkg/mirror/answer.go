package mirror

import (
	"cmp"
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
// as they stand there; nothing of the body is kept. Known returns the text of a topic's name that is there
// already, so that it is not copied. The error is nil only if the body was one well-formed answer, read
// to its end. Rows handed over before an error stand.
//
// Where a member is not of its type, that member is passed over and the walk goes on: one bad row
// costs one topic. Only what breaks the syntax of JSON ends the walk.
func readAnswer(body io.Reader, known func(name []byte) (string, bool), add func(row)) (listMeta, error) {
	w := answerWalk{walk: newWalk(body), known: known}
	w.element = func(v jsontext.Value) error {
		add(w.row(v))
		return nil
	}
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
	memberSource      = "source_topic_name"
	memberStatus      = "mirror_status"
	memberMirrorError = "mirror_topic_error"
	memberPartitions  = "num_partitions"
	memberStateTime   = "state_time_ms"
	memberReasons     = "mirror_state_transition_errors"
)

// row is one element of the answer's data.
type row struct {
	Result
	// named says that the row has exactly one readable name, which stands in Result.Topic.
	named bool
}

// answerWalk is one walk through an answer.
type answerWalk struct {
	walk
	element func(jsontext.Value) error // reads one element of data
	known   func(name []byte) (string, bool)
	meta    listMeta

	kept        [][3]Number // what each of the rows' lists is gathered in, before it is copied at its exact length
	lags        slab[PartitionLag]
	truncations slab[PartitionTruncation]
}

// begin fails if what begins is not an object.
func (w *answerWalk) begin() error {
	if w.dec.PeekKind() == '{' {
		return nil
	}
	switch err := w.dec.SkipValue(); err {
	case nil:
		return errors.New("it is not a JSON object")
	case io.EOF: //nolint:errorlint // jsontext returns this very error at an end
		return errors.New("it is empty")
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
		return errors.New("it has bytes after its end")
	}
	return err
}

// document reads a list: an object with the elements in its data. Its error says what is wrong with it as a
// whole.
func (w *answerWalk) document() error {
	if err := w.begin(); err != nil {
		return err
	}
	problem := `it has no "data"`
	seen, ownError := false, false
	err := w.object(func(name string) error {
		switch name {
		case memberData:
			switch {
			case seen:
				problem = `it has "data" twice`
			case w.dec.PeekKind() == '[':
				problem = ""
			default:
				problem = `its "data" is not an array`
			}
			seen = true
			if w.dec.PeekKind() == '[' {
				return w.each(']', func() error {
					v, err := w.dec.ReadValue()
					if err != nil {
						return err
					}
					if err := w.element(v); err != nil {
						return err
					}
					w.meta.rows++
					return nil
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
	switch {
	case problem != "":
		return errors.New(problem)
	case ownError:
		return errors.New("it has an error_code beside its rows")
	}
	return nil
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
	w.meta.next = cmp.Or(w.meta.next, text) // given twice, it is set if one of them is
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

// row reads one element of the answer's data.
func (w *answerWalk) row(v jsontext.Value) row {
	if v.Kind() != '{' {
		return row{Result: Result{Notes: []string{"the row is not an object"}}}
	}
	var r row
	var name, code, message memberState
	var lags, truncations, truncated bool
	c := cursor{v}
	for c.open(); c.more(); {
		switch string(c.name()) {
		case memberTopic:
			name.give(r.readName(c.value(), w.known))
		case memberCode:
			code.give(r.readCode(c.value()))
		case memberMessage:
			message.give(r.readMessage(c.value()))
		case memberLags:
			if r.first(&c, &lags, memberLags) {
				w.lagList(&c, &r)
			}
		case memberTruncations:
			if r.first(&c, &truncations, memberTruncations) {
				w.truncationList(&c, &r)
			}
		case memberTruncated:
			if r.first(&c, &truncated, memberTruncated) {
				r.readTruncated(&c)
			}
		default:
			c.value()
		}
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
	return r
}

// first tells whether a member comes for the first time. One that comes again is passed over: its first
// value stands.
func (r *row) first(c *cursor, seen *bool, member string) bool {
	if *seen {
		r.note(member + " is there twice")
		c.value()
		return false
	}
	*seen = true
	return true
}

// decide gives the row its outcome. Code and message alone decide.
func (r *row) decide(code, message memberState) {
	if code == bad {
		r.Code = 0
	}
	if message == bad {
		r.Message = ""
	}
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

// readName takes the topic's name.
func (r *row) readName(v jsontext.Value, known func([]byte) (string, bool)) memberState {
	if v.Kind() == '"' {
		if name, ok := known(v[1 : len(v)-1]); ok { // what is asked for needs no escapes
			r.Topic = name
			return set
		}
	}
	text, ok := unquote(v)
	if !ok || text == "" {
		return bad
	}
	r.Topic = text
	return set
}

// readCode takes the error code. Kafka's codes are 32 bits wide; what is beyond, or not whole, is no code.
func (r *row) readCode(v jsontext.Value) memberState {
	if v.Kind() == 'n' {
		return unset
	}
	n, err := strconv.ParseInt(string(v), 10, 32)
	switch {
	case err != nil:
		return bad
	case n == 0:
		return unset
	}
	r.Code = int(n)
	return set
}

// readMessage takes the error message.
func (r *row) readMessage(v jsontext.Value) memberState {
	switch {
	case v.Kind() == 'n' || string(v) == `""`:
		return unset
	case v.Kind() != '"':
		return bad
	}
	r.Message, _ = unquote(v)
	return set
}

func (w *answerWalk) lagList(c *cursor, r *row) {
	list, ok := w.list(c, r, memberLags, memberPartition, memberLag, memberFetchOffset)
	if !ok {
		return
	}
	r.Lags = w.lags.take(len(list))
	for i, n := range list {
		r.Lags[i] = PartitionLag{Partition: int(max(-1, n[0])), Lag: n[1], LastSourceFetchOffset: n[2]}
	}
}

func (w *answerWalk) truncationList(c *cursor, r *row) {
	if c.next() == 'n' {
		c.value() // not applicable
		return
	}
	list, ok := w.list(c, r, memberTruncations, memberPartitionID, memberTruncatedTo, memberTruncated)
	if !ok {
		return
	}
	r.Truncations = w.truncations.take(len(list))
	for i, n := range list {
		r.Truncations[i] = PartitionTruncation{
			Partition: int(max(-1, n[0])), OffsetTruncatedTo: n[1], MessagesTruncated: n[2],
		}
	}
}

// list reads one of the row's lists, of objects with three numbers each, the first of which is the
// partition's. It is good until the next list is read. An element of which nothing can be read is left
// out, and what else cannot be read stays NotKnown; both are noted in the row. What is no list is not ok.
func (w *answerWalk) list(c *cursor, r *row, member string, names ...string) (list [][3]Number, ok bool) {
	if c.next() != '[' {
		r.note(member + " cannot be read")
		c.value()
		return nil, false
	}
	unknown := [3]Number{NotKnown, NotKnown, NotKnown}
	readable := true
	list = w.kept[:0]
	for c.open(); c.more(); {
		if c.next() != '{' {
			readable = false
			c.value()
			continue
		}
		numbers := unknown
		for c.open(); c.more(); {
			name := c.name()
			i := slices.IndexFunc(names, func(known string) bool { return known == string(name) })
			if i < 0 {
				c.value()
				continue
			}
			n := &numbers[i]
			readable = c.integer(n) && readable
			if i == 0 && (*n < 0 || *n > math.MaxInt32) { // a partition has 32 bits in Kafka's protocol
				*n, readable = NotKnown, false
			}
		}
		if numbers == unknown {
			readable = false
			continue
		}
		list = append(list, numbers)
	}
	if !readable {
		r.note(member + " has something that cannot be read")
	}
	w.kept = list
	return list, true
}

// readTruncated takes the server's own total.
func (r *row) readTruncated(c *cursor) {
	if c.next() == 'n' {
		c.value()
		return
	}
	total := NotKnown
	if !c.integer(&total) {
		r.note(memberTruncated + " cannot be read")
	}
	if total >= 0 { // negative: not applicable
		r.MessagesTruncated = new(int64(total))
	}
}
