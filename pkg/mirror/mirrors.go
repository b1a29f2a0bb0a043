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
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/wire"
)

// Status is a mirror topic's status, as returned by a cluster. The set is open: a server may return other statuses.
type Status string

// The known statuses. Their meanings are observed, except for PENDING_MIRROR and PENDING_RESTORE, which are assumed.
const (
	StatusActive                 Status = "ACTIVE"          // kept up to date by its link, but may lag
	StatusPaused                 Status = "PAUSED"          // not kept up to date until resumed
	StatusStopped                Status = "STOPPED"         // no mirror any more: an ordinary, writable topic
	StatusPendingStopped         Status = "PENDING_STOPPED" // being stopped: accepted, not done
	StatusPendingMirror          Status = "PENDING_MIRROR"  // about to be a mirror
	StatusPendingSetupForRestore Status = "PENDING_SETUP_FOR_RESTORE"
	StatusPendingRestore         Status = "PENDING_RESTORE" // being truncated and restored
	StatusPendingSynchronize     Status = "PENDING_SYNCHRONIZE"
	StatusFailed                 Status = "FAILED"             // the mirror has failed
	StatusLinkFailed             Status = "LINK_FAILED"        // its link has failed
	StatusLinkPaused             Status = "LINK_PAUSED"        // its link is paused
	StatusSourceUnavailable      Status = "SOURCE_UNAVAILABLE" // its source cannot be reached; can hide a failover
)

// Mirror is a mirror topic as returned by its cluster. Its texts are printable and shortened.
type Mirror struct {
	// Topic is the mirror topic's name. Source is the name of its source on the other cluster.
	Topic  string `json:"topic"`
	Source string `json:"source,omitempty"`
	// Status is the topic's status; "" if the status could not be read.
	Status Status `json:"status"`
	// Since is the server's state_time_ms, by the cluster's own clock: when the status began (assumed). The zero time
	// means not known.
	Since time.Time `json:"since,omitzero"`
	// Error names the mirror's error, such as SOURCE_TOPIC_MAY_BE_DELETED; "" if the server gives none. The set is
	// open.
	Error string `json:"error,omitempty"`
	// Partitions is the number of partitions; -1 if not known.
	Partitions int `json:"partitions"`
	// Lags are the partitions' lags as returned by the server, in any order and possibly with gaps. Lags of a STOPPED
	// mirror are left over from before (observed).
	Lags []PartitionLag `json:"lags,omitempty"`
	// Reasons say why a change of the topic did not succeed; at most 100. Only Client.Mirror asks for reasons.
	// Confluent Platform of mid-2024 does not support the parameter.
	Reasons []Reason `json:"reasons,omitempty"`
}

// Reason is why a change or a task did not succeed.
type Reason struct {
	// Code is a name, such as CONSUMER_GROUP_IN_USE_ERROR. The set is open.
	Code string `json:"code"`
	// Message describes the reason; may be empty.
	Message string `json:"message,omitempty"`
}

// String returns code and message on a printable line.
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

// Listing is a cluster's list of a link's mirror topics. A Listing belongs to the caller.
type Listing struct {
	// ClusterID and Link are those of the call.
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	// At is the answer's Date header, by the server's clock; the zero time if there was none. Age is the answer's Age
	// header, the time spent in a cache; 0 if there was none.
	At  time.Time     `json:"at,omitzero"`
	Age time.Duration `json:"age_ns,omitempty"`
	// Mirrors are the mirror topics in the order of the answer, STOPPED topics included. If the call named topics,
	// Mirrors has only the named topics.
	Mirrors []Mirror `json:"mirrors"`
	// Read says that the answer was a single list, read to its end. Complete says that nothing is missing either: there
	// is no further page, and each row has a name and a status, belongs to this link and is unique. If Complete is
	// false, a topic's absence proves nothing.
	Read     bool `json:"read"`
	Complete bool `json:"complete"`
	// Fetched says that an ACTIVE mirror topic of the link, in Mirrors or not, has an offset above 0. Something was
	// fetched over the link.
	Fetched bool `json:"fetched"`
}

// Mirror returns the mirror topic with the given name and whether the topic is listed. Mirror searches Mirrors
// linearly.
func (l *Listing) Mirror(topic string) (Mirror, bool) {
	i := slices.IndexFunc(l.Mirrors, func(m Mirror) bool { return m.Topic == topic })
	if i < 0 {
		return Mirror{}, false
	}
	return l.Mirrors[i], true
}

// Topics returns the names of the mirror topics with any of the given statuses, in the order of Mirrors. Without a
// status Topics returns every topic that is not STOPPED: the topics left for a failover.
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

// Lag adds up the lags of the mirror topics, except STOPPED topics. With a dead source a cluster shows no lag, however
// much was never fetched (observed).
func (l *Listing) Lag() LagSummary {
	var s LagSummary
	for i := range l.Mirrors {
		if m := &l.Mirrors[i]; m.Status != StatusStopped {
			s.add(m.Topic, m.Lags)
		}
	}
	return s
}

// LogValue returns the listing for a log record: counts, not topics.
func (l *Listing) LogValue() slog.Value {
	if l == nil {
		return slog.StringValue("<nil>")
	}
	return slog.GroupValue(
		slog.String("cluster_id", text.Line(l.ClusterID, maxText)), slog.String("link", text.Line(l.Link, maxText)),
		slog.Int("mirrors", len(l.Mirrors)), slog.Time("at", l.At), slog.Bool("complete", l.Complete),
	)
}

// Mirrors lists the mirror topics of a link with a single GET. If topics are named, the Listing has only the named
// topics. A named topic missing from the list is no error; see Listing.Mirror.
//
// The Listing is never nil. After an error the Listing has everything that was read. The error is nil only if the
// Listing is Complete. The error matches ErrNoLink if the server does not know the link (for up to 30 s after the link
// was made: observed). ErrInvalidArgument, ErrUnauthenticated, ErrRateLimited and *APIError match as for a verb.
//
// A read changes nothing and is retried like a dry run. Mirrors returns at once when ctx ends.
func (c *Client) Mirrors(ctx context.Context, link string, topics ...string) (*Listing, error) {
	l := &Listing{ClusterID: c.ClusterID(), Link: link, Mirrors: []Mirror{}}
	if err := c.checkRead(link, topics); err != nil {
		return l, err
	}
	wanted := setOf(topics)
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
			if m.Topic == "" || len(topics) > 0 && !wanted[m.Topic] {
				return
			}
			if i, twice := places[m.Topic]; twice {
				odd.add(s.Hide(m.Topic) + " has more than one row")
				if have := &l.Mirrors[i]; have.Status != m.Status { // the true status is not known
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

// Mirror reads a mirror topic with the reasons why a change of the topic did not succeed. Servers without support for
// the parameter return no reasons. The error matches ErrNoLink or ErrNoMirror if the server says so. Otherwise the
// error is as for Mirrors.
func (c *Client) Mirror(ctx context.Context, link, topic string) (Mirror, error) {
	var m Mirror
	if err := c.checkRead(link, []string{topic}); err != nil {
		return m, err
	}
	what := "the mirror topic " + text.Quote(topic) + " of " + c.named(link)
	path := "/mirrors/" + url.PathEscape(topic)
	err := c.readOne(ctx, what, path, link, func(v jsontext.Value, s *wire.Secrets) error {
		var odd string
		if m, odd = readMirror(v, link, s); odd == "" && m.Topic != topic {
			odd = "the answer is about " + text.Quote(s.Hide(m.Topic))
		}
		if odd != "" {
			return errors.New(odd)
		}
		return nil
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

// read sends a GET and has its answer read. what names the object in the error.
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
		return wire.Because(what+" was not read", err)
	}
	return nil
}

// readOne is like read for an answer that is a single object.
func (c *Client) readOne(
	ctx context.Context, what, path, link string, object func(jsontext.Value, *wire.Secrets) error,
	build func(server, cluster, link string) (*http.Request, error),
) error {
	return c.read(ctx, what, path, link, func(_ http.Header, body io.Reader, s *wire.Secrets) error {
		return readObject(body, func(v jsontext.Value) error { return object(v, s) })
	}, build)
}

// age returns the Age header, which is in seconds. Large values saturate.
func age(h http.Header) time.Duration {
	n, _ := strconv.ParseInt(h.Get("Age"), 10, 32)
	return time.Duration(max(0, n)) * time.Second
}

// checkRead returns an error if the arguments of a read are wrong.
func (c *Client) checkRead(link string, topics []string) error {
	bad := &argumentError{}
	c.checkMade(bad)
	checkID(bad, "link", link)
	if len(topics) > 0 {
		checkTopics(bad, topics)
	}
	return bad.err()
}

// checkMade adds a problem to bad if the Client was not made by NewClient.
func (c *Client) checkMade(bad *argumentError) {
	if c == nil || c.sender.Transport == nil {
		bad.add("Client", "it was not made by NewClient")
	}
}

// oddRows counts the problems of a list and keeps the first.
type oddRows struct {
	n     int
	first string
}

func (o *oddRows) add(wrong string) {
	if o.n++; o.n == 1 {
		o.first = wrong
	}
}

// err returns an error with the count and the first problem, or nil if there is none.
func (o *oddRows) err(what string) error {
	switch o.n {
	case 0:
		return nil
	case 1:
		return errors.New(what + " is not whole: " + o.first)
	}
	return fmt.Errorf("%s is not whole: %d things are wrong, the first: %s", what, o.n, o.first)
}
