package mirror

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Status is a mirror topic's status, as a cluster gives it. The set is open: a server may give others.
type Status string

// The statuses that are known. What is said here of their meaning is observed, but for the last words about
// PENDING_MIRROR and PENDING_RESTORE, which are assumed.
const (
	StatusActive                 Status = "ACTIVE"          // kept up to date by its link; not proof that it has caught up
	StatusPaused                 Status = "PAUSED"          // not kept up to date until it is resumed
	StatusStopped                Status = "STOPPED"         // no mirror any more: an ordinary, writable topic
	StatusPendingStopped         Status = "PENDING_STOPPED" // being stopped: accepted, not done
	StatusPendingMirror          Status = "PENDING_MIRROR"  // about to be a mirror
	StatusPendingSetupForRestore Status = "PENDING_SETUP_FOR_RESTORE"
	StatusPendingRestore         Status = "PENDING_RESTORE" // being truncated and restored
	StatusPendingSynchronize     Status = "PENDING_SYNCHRONIZE"
	StatusFailed                 Status = "FAILED"             // the mirror has failed
	StatusLinkFailed             Status = "LINK_FAILED"        // its link has failed
	StatusLinkPaused             Status = "LINK_PAUSED"        // its link is paused
	StatusSourceUnavailable      Status = "SOURCE_UNAVAILABLE" // its source cannot be reached; it can hide a failover
)

// Mirror is a mirror topic as its cluster gives it. Its texts are printable and shortened.
type Mirror struct {
	// Topic is its name, and Source that of its source on the other cluster.
	Topic  string `json:"topic"`
	Source string `json:"source,omitempty"`
	// Status is its status; "" if it could not be read.
	Status Status `json:"status"`
	// Since is the server's state_time_ms, by that cluster's own clock: when the status began (assumed). It
	// is the zero time if it is not known.
	Since time.Time `json:"since,omitzero"`
	// Error is the name of what is wrong with the mirror, such as SOURCE_TOPIC_MAY_BE_DELETED; "" if the
	// server names nothing. The set is open.
	Error string `json:"error,omitempty"`
	// Partitions is how many the topic has; -1 if it is not known.
	Partitions int `json:"partitions"`
	// Lags are the partitions' lags as the server gave them: in any order, gaps and all. Those of a STOPPED
	// mirror are left over from before (observed).
	Lags []PartitionLag `json:"lags,omitzero"`
	// Reasons say why a change of the topic did not succeed, 100 at most. Only Client.Mirror asks for them,
	// and Confluent Platform of mid-2024 does not support the parameter.
	Reasons []Reason `json:"reasons,omitempty"`
}

// Reason is why something did not succeed.
type Reason struct {
	// Code is a name, such as CONSUMER_GROUP_IN_USE_ERROR. The set is open.
	Code string `json:"code"`
	// Message says it in words; it may be empty.
	Message string `json:"message,omitempty"`
}

// String returns code and message on one printable line.
func (r Reason) String() string {
	if r.Code == "" || r.Message == "" {
		return clean(r.Code + r.Message)
	}
	return clean(r.Code + ": " + r.Message)
}

// Lag adds up the lags of the mirror's partitions.
func (m Mirror) Lag() LagSummary {
	var s LagSummary
	s.add(m.Topic, m.Lags)
	return s
}

// CaughtUp tells whether the cluster reported no lag at all: the mirror is ACTIVE and without an error, there
// is a lag for each of its partitions, and each is 0. A partition of which nothing was ever fetched is not
// caught up, although its lag is 0 (Lag().NeverFetched counts them). A cluster that has lost touch with the
// source may not know of newer messages (assumed), so stop the producers and look twice, some time apart.
func (m Mirror) CaughtUp() bool {
	seen := map[int]bool{}
	for _, p := range m.Lags {
		known := p.Partition >= 0 && p.Partition < m.Partitions && !seen[p.Partition]
		if !known || p.Lag != 0 || p.LastSourceFetchOffset < 0 {
			return false
		}
		seen[p.Partition] = true
	}
	return m.Status == StatusActive && m.Error == "" && len(seen) > 0 && len(seen) == m.Partitions
}

// behind says why a mirror that has not caught up has not.
func (m Mirror) behind() string {
	lag := m.Lag()
	s := fmt.Sprintf("%s is %s with a lag of %d", m.Topic, cmp.Or(m.Status, "of unknown status"), lag.Total)
	if m.Error != "" {
		s += " and " + m.Error
	}
	if lag.NeverFetched > 0 {
		s += ", " + count(lag.NeverFetched, "partition") + " never fetched from"
	}
	if missing := m.Partitions - lag.Partitions; missing > 0 {
		s += ", " + count(missing, "partition") + " without a lag"
	}
	return s
}

// Listing is what a cluster says of the mirror topics of a link. It belongs to the caller, and holds no
// reference to the Client.
type Listing struct {
	// ClusterID and Link are the call's own.
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	// At is the time of the answer by the server's clock, its Date header; the zero time if it had none.
	At time.Time `json:"at,omitzero"`
	// Mirrors are the mirror topics in the order of the answer, those that are STOPPED included.
	Mirrors []Mirror `json:"mirrors"`
	// Complete says that nothing is missing: the list was read to its end, there is no further page, and
	// each row could be read. If it is false, a topic's absence proves nothing.
	Complete bool `json:"complete"`
	// Next is the list's metadata.next; "" if it was not set, as it should be. If it is set, rows are
	// missing.
	Next string `json:"next,omitempty"`

	index    map[string]int // topic to place in Mirrors
	answered time.Time      // when the answer that was read began to come; zero if nothing of a list was read
}

// UnmarshalJSON reads a listing that was kept.
func (l *Listing) UnmarshalJSON(data []byte) error {
	type fields Listing // without the method
	var in fields
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*l = Listing(in)
	l.Next, l.index = clean(l.Next), make(map[string]int, len(l.Mirrors))
	for i := range l.Mirrors {
		m := &l.Mirrors[i]
		m.Topic, m.Source, m.Error = clean(m.Topic), clean(m.Source), clean(m.Error)
		m.Status = Status(clean(string(m.Status)))
		for j := range m.Reasons {
			m.Reasons[j] = Reason{Code: clean(m.Reasons[j].Code), Message: clean(m.Reasons[j].Message)}
		}
		l.index[m.Topic] = i
	}
	return nil
}

// Mirror returns the mirror topic with the name, and whether it is listed.
func (l *Listing) Mirror(topic string) (Mirror, bool) {
	i, found := placeOf(topic, l.index, len(l.Mirrors), func(i int) string { return l.Mirrors[i].Topic })
	if !found {
		return Mirror{}, false
	}
	return l.Mirrors[i], true
}

// Topics returns the names of the mirror topics with one of the statuses, in the order of Mirrors. Without
// a status it is those that are not STOPPED, whatever else they are: those that a failover still has to see
// to.
func (l *Listing) Topics(statuses ...Status) []string {
	var names []string
	for i := range l.Mirrors {
		m := &l.Mirrors[i]
		if len(statuses) == 0 && m.Status != StatusStopped || slices.Contains(statuses, m.Status) {
			names = append(names, m.Topic)
		}
	}
	return names
}

// Lag adds up the lags of the mirror topics that are not STOPPED.
func (l *Listing) Lag() LagSummary {
	var s LagSummary
	for i := range l.Mirrors {
		if m := &l.Mirrors[i]; m.Status != StatusStopped {
			s.add(m.Topic, m.Lags)
		}
	}
	return s
}

// CaughtUp tells whether the topic is listed and has caught up, as Mirror.CaughtUp has it.
func (l *Listing) CaughtUp(topic string) bool {
	m, listed := l.Mirror(topic)
	return listed && m.CaughtUp()
}

// CheckCaughtUp is a gate for a planned failover. It returns nil if two readings of a link, one after the
// other, both say that each of the topics has caught up, and nothing was fetched in between. Stop the
// producers before the first, and let at least 10 s pass between the two: a cluster may learn late of what
// its source got (assumed). The error says of the first few topics what they lack; it matches
// ErrInvalidArgument if there are no topics, or if these are not two readings of one link of one cluster, the
// older one first.
func CheckCaughtUp(first, second *Listing, topics ...string) error {
	bad := &argumentError{}
	switch {
	case first == nil || second == nil || first == second:
		bad.add("Listing", "the gate needs two readings")
	case first.ClusterID != second.ClusterID || first.Link != second.Link:
		bad.add("Listing", "the readings are of two links: %q of %q and %q of %q",
			first.Link, first.ClusterID, second.Link, second.ClusterID)
	case !second.At.IsZero() && second.At.Before(first.At):
		bad.add("Listing", "the second reading is older than the first")
	}
	if len(topics) == 0 {
		bad.add("topics", "there are none")
	}
	if err := bad.err(); err != nil {
		return err
	}
	var behind []string
	for _, topic := range topics {
		before, _ := first.Mirror(topic)
		after, listed := second.Mirror(topic)
		switch {
		case !listed:
			behind = append(behind, text.Line(topic, maxText)+" is not listed")
		case !after.CaughtUp():
			behind = append(behind, after.behind())
		case !before.CaughtUp(), !slices.Equal(byPartition(before.Lags), byPartition(after.Lags)):
			behind = append(behind, after.Topic+" moved between the readings (has its producer stopped?)")
		}
	}
	if len(behind) == 0 {
		return nil
	}
	return cause(fmt.Sprintf("%d of %s not caught up: %s", len(behind), count(len(topics), "topic"),
		shown(behind, maxBehind)), nil)
}

// maxBehind bounds how many topics the error of CheckCaughtUp names.
const maxBehind = 5

// byPartition returns the lags in the order of their partitions.
func byPartition(lags []PartitionLag) []PartitionLag {
	return slices.SortedFunc(slices.Values(lags), func(a, b PartitionLag) int { return a.Partition - b.Partition })
}

// Mirrors lists the mirror topics of a link, with one GET. The Listing is never nil, and holds what was
// read even when the error is not nil. The error is nil only if the Listing is Complete. It matches ErrNoLink
// if the server says that there is no such link (it may say so of a new one for up to 30 s: observed),
// ErrInvalidArgument, ErrUnauthenticated and ErrRateLimited as for a verb, and *APIError for what the
// server said. A read changes nothing, and is retried as a dry run is.
func (c *Client) Mirrors(ctx context.Context, link string) (*Listing, error) {
	return c.list(ctx, link, listOptions{})
}

// listOptions say how to list: with one attempt, and which topics to keep; nil is all.
type listOptions struct {
	single bool
	only   map[string]int
}

// list lists the mirror topics.
func (c *Client) list(ctx context.Context, link string, o listOptions) (*Listing, error) {
	l := &Listing{Link: link, Mirrors: []Mirror{}}
	if err := c.checkRead(link); err != nil {
		return l, err
	}
	l.ClusterID = c.clusterID
	var odd oddRows
	q := reading("list mirrors", link, "/mirrors", func(server, clusterID, link string) (*http.Request, error) {
		var params gen.ListKafkaMirrorTopicsUnderLinkParams
		return gen.NewListKafkaMirrorTopicsUnderLinkRequest(server, clusterID, link, &params)
	})
	q.single = o.single
	q.reset = func() {
		*l = Listing{ClusterID: l.ClusterID, Link: l.Link, Mirrors: []Mirror{}, index: map[string]int{}}
		odd = oddRows{}
	}
	q.read = func(header http.Header, body io.Reader) (rows int, err error) {
		began := time.Now()
		l.At = date(header)
		meta, err := readMirrors(body, o.only, q.hide, &odd, l.add)
		if err == nil || meta.rows > 0 { // otherwise nothing of a list was read
			l.answered = began
		}
		l.Next = clean(q.hide.text(meta.next))
		return meta.rows, err
	}
	c.send(ctx, ctx, q)
	err := q.verdict.err
	if err == nil && l.Next != "" {
		err = goesOn(l.Next)
	}
	if err == nil {
		err = odd.err()
	}
	l.Complete = err == nil
	if err != nil {
		err = cause("the mirror topics of "+c.named(link)+" were not all read", err)
	}
	return l, err
}

// add takes in a mirror topic. Two rows that do not agree leave its status and lags open.
func (l *Listing) add(m Mirror) (twice bool) {
	i, known := l.index[m.Topic]
	if !known {
		l.index[m.Topic] = len(l.Mirrors)
		l.Mirrors = append(l.Mirrors, m)
		return false
	}
	have := &l.Mirrors[i]
	if have.Status != m.Status || have.Partitions != m.Partitions || !slices.Equal(have.Lags, m.Lags) {
		have.Status, have.Partitions, have.Lags = "", -1, nil
	}
	return true
}

// Mirror reads one mirror topic, with the reasons why a change of it did not succeed; servers that do not
// support the parameter give none. The error matches ErrNoLink or ErrNoMirror where the server says so, and
// is otherwise as for Mirrors.
func (c *Client) Mirror(ctx context.Context, link, topic string) (Mirror, error) {
	return c.readMirror(ctx, link, topic, false)
}

func (c *Client) readMirror(ctx context.Context, link, topic string, single bool) (Mirror, error) {
	var m Mirror
	if err := c.checkRead(link, topic); err != nil {
		return m, err
	}
	var odd oddRows
	q := reading("read mirror", link, "/mirrors/"+url.PathEscape(topic), func(
		server, clusterID, link string,
	) (*http.Request, error) {
		params := gen.ReadKafkaMirrorTopicParams{IncludeStateTransitionErrors: new(true)}
		return gen.NewReadKafkaMirrorTopicRequest(server, clusterID, link, topic, &params)
	})
	q.single = single
	q.reset = func() { m, odd = Mirror{}, oddRows{} }
	q.read = func(_ http.Header, body io.Reader) (rows int, err error) {
		return oneObject, readMirror(body, topic, q.hide, &odd, func(one Mirror) bool { m = one; return false })
	}
	c.send(ctx, ctx, q)
	err := q.verdict.err
	if err == nil {
		err = odd.err()
	}
	if err == nil && m.Topic != topic {
		err = cause("the answer is about "+text.Quote(m.Topic), nil)
		m = Mirror{}
	}
	if err != nil {
		err = cause("the mirror topic "+text.Quote(topic)+" of "+c.named(link)+" was not read", err)
	}
	return m, err
}

// named names a link and its side.
func (c *Client) named(link string) string {
	return "link " + text.Quote(link) + " on " + text.Quote(c.clusterID)
}

// checkRead returns what is wrong with the arguments of a read.
func (c *Client) checkRead(link string, topics ...string) error {
	bad := &argumentError{}
	if c == nil || c.roundTripper == nil {
		bad.add("Client", "it was not made by NewClient")
	}
	checkID(bad, "link", link)
	if len(topics) > 0 {
		checkTopics(bad, topics)
	}
	return bad.err()
}

// reading returns a request that reads. What it does with the answer is left to set.
func reading(name, link, path string, newRequest func(server, clusterID, link string) (*http.Request, error)) *request {
	return &request{
		name: name, link: link, path: path, safe: true,
		make: func(server, clusterID, link string, _ io.Reader) (*http.Request, error) {
			return newRequest(server, clusterID, link)
		},
		reset: func() {},
	}
}

// date reads the Date header.
func date(h http.Header) time.Time {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at
}

// oddRows gathers what is wrong with the rows of a list.
type oddRows struct {
	n     int
	first string
}

func (o *oddRows) add(format string, args ...any) {
	if o.n++; o.n == 1 {
		o.first = fmt.Sprintf(format, args...)
	}
}

// err returns an error that says it; nil if nothing is wrong.
func (o *oddRows) err() error {
	switch o.n {
	case 0:
		return nil
	case 1:
		return cause(o.first, nil)
	}
	return cause(fmt.Sprintf("%d rows have something wrong, the first: %s", o.n, o.first), nil)
}
