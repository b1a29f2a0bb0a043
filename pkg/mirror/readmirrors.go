package mirror

import (
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// mirrorWalk is one walk through mirror topics as a cluster gives them.
type mirrorWalk struct {
	answerWalk                // for the list, and for the lags of a row
	asked      string         // the topic that the caller named; "" for a list
	only       map[string]int // the topics that are wanted; nil for all
	hide       *redactor
	odd        *oddRows
	add        func(Mirror) (twice bool)
	texts      map[string]string // names that come again and again, each once
}

func newMirrorWalk(body io.Reader, hide *redactor, odd *oddRows, add func(Mirror) bool) *mirrorWalk {
	w := &mirrorWalk{hide: hide, odd: odd, add: add, texts: map[string]string{}}
	w.answerWalk = answerWalk{walk: newWalk(body), element: w.mirror}
	return w
}

// readMirrors walks through the body of a list and hands over each row that has a name, as soon as it is
// read, if it is wanted. Odd gathers what is wrong with rows. The error is nil only if the body was one
// well-formed list, read to its end.
func readMirrors(
	body io.Reader, only map[string]int, hide *redactor, odd *oddRows, add func(Mirror) (twice bool),
) (listMeta, error) {
	w := newMirrorWalk(body, hide, odd, add)
	w.only = only
	err := withoutNames(w.document())
	return w.meta, err
}

// readMirror reads a body that is the mirror topic that was asked for.
func readMirror(body io.Reader, asked string, hide *redactor, odd *oddRows, add func(Mirror) (twice bool)) error {
	w := newMirrorWalk(body, hide, odd, add)
	w.asked = asked
	if err := w.begin(); err != nil {
		return withoutNames(err)
	}
	v, err := w.dec.ReadValue()
	if err == nil {
		err = w.mirror(v)
	}
	if err == nil {
		err = w.end()
	}
	return withoutNames(err)
}

// mirrorMembers are the members of a mirror topic that are read.
var mirrorMembers = [...]string{
	memberTopic, memberSource, memberStatus, memberMirrorError, memberPartitions, memberStateTime, memberLags,
	memberReasons,
}

// mirror reads one mirror topic.
func (w *mirrorWalk) mirror(v jsontext.Value) error {
	number := w.meta.rows + 1
	if v.Kind() != '{' {
		w.odd.add("row %d is not an object", number)
		return nil
	}
	m := Mirror{Partitions: -1}
	partitions, since := NotKnown, NotKnown
	readable, statusReadable := true, true
	var lags row // takes in the lags, and what is wrong with them
	var seen [len(mirrorMembers)]bool
	twice := ""
	c := cursor{v}
	for c.open(); c.more(); {
		i := slices.Index(mirrorMembers[:], string(c.name()))
		if i < 0 || seen[i] {
			if i >= 0 {
				twice = mirrorMembers[i]
			}
			c.value()
			continue
		}
		seen[i] = true
		switch mirrorMembers[i] {
		case memberTopic:
			m.Topic, readable = unquote(c.value())
		case memberSource:
			m.Source, _ = unquote(c.value())
		case memberStatus:
			status, ok := unquote(c.value())
			m.Status, statusReadable = Status(status), ok
		case memberMirrorError:
			m.Error, _ = unquote(c.value())
		case memberPartitions:
			c.integer(&partitions)
		case memberStateTime:
			c.integer(&since)
		case memberLags:
			w.lagList(&c, &lags)
		case memberReasons:
			m.Reasons = w.reasons(&c)
		}
	}
	if _, wanted := w.only[m.Topic]; w.only != nil && readable && m.Topic != "" && !wanted {
		return nil // it is of no interest what else is in it
	}
	switch {
	case !readable || m.Topic == "":
		w.odd.add("row %d has no topic name that can be read", number)
		return nil
	case m.Topic != w.asked && w.only == nil && w.hide.inName(m.Topic): // what the caller named is no secret
		w.odd.add("row %d has a name with the credential in it", number)
		return nil
	case !isTopicName(m.Topic):
		w.odd.add("row %d has a name that no topic can have", number)
		return nil
	case twice != "": // which of the two is so cannot be told
		w.odd.add("the row of %s has %s twice", m.Topic, twice)
		m.Status, statusReadable = "", false
		partitions, lags.Lags = NotKnown, nil
	}
	if !statusReadable || m.Status == "" {
		w.odd.add("the row of %s has no status that can be read", m.Topic)
		m.Status = ""
	}
	if !isTopicName(m.Source) || w.hide.inName(m.Source) {
		m.Source = clean(w.hide.text(m.Source))
	}
	m.Status = Status(w.known(string(m.Status)))
	if m.Error = w.known(m.Error); m.Error == noError || m.Error == "NOT_SET" {
		m.Error = ""
	}
	if m.Source == m.Topic {
		m.Source = m.Topic // one text for both
	}
	if partitions >= 0 {
		m.Partitions = int(min(partitions, 1<<31-1))
	}
	if since > 0 && since <= lastMillisecond {
		m.Since = time.UnixMilli(int64(since)).UTC()
	}
	if m.Lags = lags.Lags; len(lags.Notes) > 0 { // something in it could not be read
		m.Lags = append(m.Lags, PartitionLag{Partition: -1, Lag: NotKnown, LastSourceFetchOffset: NotKnown})
	}
	if w.add(m) {
		w.odd.add("%s has more than one row", m.Topic)
	}
	return nil
}

// lastMillisecond is the last of the year 9999: later times have no text form.
const lastMillisecond = 253402300799999

// known makes a name safe to keep; the same one is kept once.
func (w *mirrorWalk) known(text string) string {
	shown, seen := w.texts[text]
	if !seen {
		shown = clean(w.hide.text(text))
		if len(w.texts) < maxKnownTexts && len(text) <= maxKnownText {
			w.texts[text] = shown
		}
	}
	return shown
}

// maxKnownTexts bounds how many names are kept to be used again, and maxKnownText their length in bytes.
const (
	maxKnownTexts = 1000
	maxKnownText  = 64
)

// reasons reads why a change did not succeed.
func (w *mirrorWalk) reasons(c *cursor) (reasons []Reason) {
	if c.next() != '[' {
		c.value()
		return nil
	}
	for c.open(); c.more(); {
		if c.next() != '{' || len(reasons) >= maxReasons {
			c.value()
			continue
		}
		var r Reason
		for c.open(); c.more(); {
			switch string(c.name()) {
			case memberCode:
				r.Code, _ = unquote(c.value())
			case memberMessage:
				r.Message, _ = unquote(c.value())
			default:
				c.value()
			}
		}
		reasons = append(reasons, Reason{Code: clean(w.hide.text(r.Code)), Message: clean(w.hide.text(r.Message))})
	}
	return reasons
}

// maxReasons bounds how many reasons of one topic are kept.
const maxReasons = 100

// noError is the name that says that there is no error.
const noError = "NO_ERROR"
