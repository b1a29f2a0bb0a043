package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/wire"
)

// Status is a mirror topic's status, as a cluster gives it. The set is open: a server may give others.
type Status string

// The statuses that are known. What is said here of their meaning is observed, but for the words about PENDING_MIRROR and
// PENDING_RESTORE, which are assumed.
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
	// Since is the server's state_time_ms, by that cluster's own clock: when the status began (assumed). It is the zero
	// time if it is not known.
	Since time.Time `json:"since,omitzero"`
	// Error is the name of what is wrong with the mirror, such as SOURCE_TOPIC_MAY_BE_DELETED; "" if the server names
	// nothing. The set is open.
	Error string `json:"error,omitempty"`
	// Partitions is how many the topic has; -1 if it is not known.
	Partitions int `json:"partitions"`
	// Lags are the partitions' lags as the server gave them: in any order, gaps and all. Those of a STOPPED mirror are left
	// over from before (observed).
	Lags []PartitionLag `json:"lags,omitempty"`
	// Reasons say why a change of the topic did not succeed, 100 at most. Only Client.Mirror asks for them, and Confluent
	// Platform of mid-2024 does not support the parameter.
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
		return text.Line(r.Code+r.Message, maxText)
	}
	return text.Line(r.Code+": "+r.Message, maxText)
}

// Lag adds up the lags of the mirror's partitions.
func (m Mirror) Lag() LagSummary {
	var s LagSummary
	s.add(m.Topic, m.Lags)
	return s
}

// Listing is what a cluster says of the mirror topics of a link. It belongs to the caller.
type Listing struct {
	// ClusterID and Link are the call's own.
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	// At is the time of the answer by the server's clock, its Date header; the zero time if it had none. Age is how long
	// the answer lay in a cache, its Age header; 0 if it had none.
	At  time.Time     `json:"at,omitzero"`
	Age time.Duration `json:"age_ns,omitempty"`
	// Mirrors are the mirror topics in the order of the answer, those that are STOPPED included; where the call named
	// topics, only those.
	Mirrors []Mirror `json:"mirrors"`
	// Read says that the answer was one list, read to its end. Complete says that nothing is missing from it either: there
	// is no further page, and each row has a name and a status, is of this link, and is there once. If Complete is false, a
	// topic's absence proves nothing.
	Read     bool `json:"read"`
	Complete bool `json:"complete"`
	// Fetched says that an ACTIVE mirror topic of the link, kept in Mirrors or not, has an offset above 0: something was
	// fetched over the link.
	Fetched bool `json:"fetched"`
}

// Mirror returns the mirror topic with the name, and whether it is listed. It looks through Mirrors.
func (l *Listing) Mirror(topic string) (Mirror, bool) {
	i := slices.IndexFunc(l.Mirrors, func(m Mirror) bool { return m.Topic == topic })
	if i < 0 {
		return Mirror{}, false
	}
	return l.Mirrors[i], true
}

// Topics returns the names of the mirror topics with one of the statuses, in the order of Mirrors. Without a status it
// returns those that are not STOPPED, whatever else they are: those that a failover still has to see to.
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

// Lag adds up the lags of the mirror topics that are not STOPPED. Of a source that has died a cluster shows no lag, whatever
// never came over (observed).
func (l *Listing) Lag() LagSummary {
	var s LagSummary
	for i := range l.Mirrors {
		if m := &l.Mirrors[i]; m.Status != StatusStopped {
			s.add(m.Topic, m.Lags)
		}
	}
	return s
}

// LogValue gives a log record the listing in a few attributes: counts, not topics.
func (l *Listing) LogValue() slog.Value {
	if l == nil {
		return slog.StringValue("<nil>")
	}
	return slog.GroupValue(
		slog.String("cluster_id", text.Line(l.ClusterID, maxText)), slog.String("link", text.Line(l.Link, maxText)),
		slog.Int("mirrors", len(l.Mirrors)), slog.Time("at", l.At), slog.Bool("complete", l.Complete),
	)
}

// Mirrors lists the mirror topics of a link, with one GET; if topics are named, it keeps only those. A named topic that is
// not listed is no error: look it up with Listing.Mirror. The Listing is never
// nil, and holds what was read even when the error is not nil. The error is nil only if the Listing is Complete. The error
// matches ErrNoLink if the server says that there is no such link (of a new one for up to 30 s: observed),
// ErrInvalidArgument, ErrUnauthenticated and ErrRateLimited as for a verb, and *APIError for what the server said. A read
// changes nothing, and is retried as a dry run is. It ends at once when ctx ends.
func (c *Client) Mirrors(ctx context.Context, link string, topics ...string) (*Listing, error) {
	l := &Listing{ClusterID: c.ClusterID(), Link: link, Mirrors: []Mirror{}}
	if err := c.checkRead(link, topics); err != nil {
		return l, err
	}
	var wanted map[string]bool // nil is all
	if len(topics) > 0 {
		wanted = make(map[string]bool, len(topics))
		for _, topic := range topics {
			wanted[topic] = true
		}
	}
	var odd oddRows
	err := c.read(ctx, "the list of mirror topics of "+c.named(link), "/mirrors", link, func(
		h http.Header, body io.Reader, s *wire.Secrets,
	) error {
		*l, odd = Listing{ClusterID: l.ClusterID, Link: link, Mirrors: []Mirror{}, Age: age(h)}, oddRows{}
		l.At, _ = http.ParseTime(h.Get("Date"))
		places := map[string]int{}
		answer, err := readList(body, s, func(v jsontext.Value) {
			m, wrong := readMirror(v, link, s)
			if wrong != "" {
				odd.add(wrong)
			}
			l.Fetched = l.Fetched || m.Status == StatusActive &&
				slices.ContainsFunc(m.Lags, func(p PartitionLag) bool { return p.LastSourceFetchOffset > 0 })
			if m.Topic == "" || wanted != nil && !wanted[m.Topic] {
				return
			}
			if i, twice := places[m.Topic]; twice {
				odd.add(s.Hide(m.Topic) + " has more than one row")
				if have := &l.Mirrors[i]; have.Status != m.Status { // which of the two is so cannot be told
					*have = Mirror{Topic: m.Topic, Partitions: -1}
				}
				return
			}
			places[m.Topic] = len(l.Mirrors)
			l.Mirrors = append(l.Mirrors, m)
		})
		l.Read = err == nil
		for _, p := range answer.problems {
			odd.add(p)
		}
		return err
	}, newListRequest)
	if err == nil {
		err = odd.err("the list of mirror topics of " + c.named(link))
	}
	l.Complete = err == nil
	return l, err
}

// Mirror reads one mirror topic, with the reasons why a change of it did not succeed; servers that do not support the
// parameter give none. The error matches ErrNoLink or ErrNoMirror where the server says so, and is otherwise as for
// Mirrors.
func (c *Client) Mirror(ctx context.Context, link, topic string) (Mirror, error) {
	var m Mirror
	if err := c.checkRead(link, []string{topic}); err != nil {
		return m, err
	}
	what := "the mirror topic " + text.Quote(topic) + " of " + c.named(link)
	err := c.read(ctx, what, "/mirrors/"+url.PathEscape(topic), link, func(_ http.Header, body io.Reader, s *wire.Secrets) error {
		return readObject(body, func(v jsontext.Value) (err error) {
			var odd string
			if m, odd = readMirror(v, link, s); odd == "" && m.Topic != topic {
				odd = "the answer is about " + text.Quote(s.Hide(m.Topic))
			}
			if odd != "" {
				m = Mirror{}
				return errors.New(odd)
			}
			return nil
		})
	}, func(server, cluster, link string) (*http.Request, error) {
		return newMirrorRequest(server, cluster, link, topic)
	})
	if err != nil {
		return Mirror{}, err
	}
	return m, nil
}

// named returns a link's name with its cluster.
func (c *Client) named(link string) string {
	return "link " + text.Quote(link) + " on " + text.Quote(c.clusterID)
}

// read sends a GET and has its answer read. The error begins with the name of the object, which is what.
func (c *Client) read(
	ctx context.Context, what, path, link string, read func(http.Header, io.Reader, *wire.Secrets) error,
	build func(server, cluster, link string) (*http.Request, error),
) error {
	var secrets wire.Secrets
	stands, _ := c.sender.Send(ctx, &wire.Request{
		Make:    func(io.Reader) (*http.Request, error) { return c.address(path, link, build) },
		Safe:    true,
		Read:    func(h http.Header, body io.Reader) error { return read(h, body, &secrets) },
		Secrets: &secrets,
		Log:     []slog.Attr{slog.String("operation", "read "+what)},
	})
	if err := evidenceError(stands); err != nil {
		return wire.Because(strings.TrimSpace(what)+" was not read", err)
	}
	return nil
}

// age reads the Age header, in seconds. One that is too large saturates.
func age(h http.Header) time.Duration {
	n, _ := strconv.ParseInt(h.Get("Age"), 10, 32)
	return time.Duration(max(0, n)) * time.Second
}

// checkRead returns what is wrong with the arguments of a read.
func (c *Client) checkRead(link string, topics []string) error {
	bad := &argumentError{}
	c.checkMade(bad)
	checkID(bad, "link", link)
	if len(topics) > 0 {
		checkTopics(bad, topics)
	}
	return bad.err()
}

// checkMade notes in bad if the Client was not made by NewClient.
func (c *Client) checkMade(bad *argumentError) {
	if c == nil || c.sender.Transport == nil {
		bad.add("Client", "it was not made by NewClient")
	}
}

// oddRows counts what is wrong with a list, and keeps the first.
type oddRows struct {
	n     int
	first string
}

func (o *oddRows) add(wrong string) {
	if o.n++; o.n == 1 {
		o.first = wrong
	}
}

// err returns an error that says it; nil if nothing is wrong.
func (o *oddRows) err(what string) error {
	switch o.n {
	case 0:
		return nil
	case 1:
		return errors.New(what + " is not whole: " + o.first)
	}
	return fmt.Errorf("%s is not whole: %d things are wrong, the first: %s", what, o.n, o.first)
}
