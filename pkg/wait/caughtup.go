package wait

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// LagOptions say how CaughtUp waits. The zero value of every field is ready to use.
type LagOptions struct {
	// Other, if set, is a client of the source cluster, which must answer too: a mirror whose source has died shows lag 0.
	Other *mirror.Client
	// MaxLag is the largest lag of a partition that passes.
	MaxLag int64
	// Interval is as in Options, but 0 is 10 s.
	Interval time.Duration
	// Patience is how long CaughtUp goes on while no topic becomes ready and no lag falls below its lowest. With 0 each
	// cluster is asked exactly twice, at least 10 s apart.
	Patience time.Duration
	// AllowNeverFetched is for a link without any traffic: partitions without an offset count as empty although no ACTIVE
	// mirror of the link has an offset above 0.
	AllowNeverFetched bool
	// OnPoll is as in Options.
	OnPoll func(context.Context, *Lagging) error
}

const (
	apart       = 10 * time.Second // the two lists that decide
	activeFor   = time.Minute      // a mirror that was just resumed shows a lag from before
	emptyAfter  = 5 * time.Minute  // a mirror that has just begun has no offset
	behindOther = 30 * time.Second // an older list is not new
)

// Lagging says how far the topics are from having caught up. A Lagging is plain data, and belongs to the caller.
type Lagging struct {
	// Version is the version of the JSON form, 1.
	Version   int    `json:"version"`
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	// Began is the begin of the wait, and At the time of the Lagging, by the clock of this process.
	Began time.Time `json:"began"`
	At    time.Time `json:"at"`
	// Ready says that all topics have caught up. Ended is why the wait ended; "" while the wait goes on.
	Ready bool   `json:"ready"`
	Ended string `json:"ended,omitempty"`
	// Again is the least time until another try can succeed; 0 if not known.
	Again time.Duration `json:"again_ns,omitempty"`
	// Clusters are the clusters that were read, the cluster of the mirrors first.
	Clusters []ClusterProgress `json:"clusters"`
	Topics   []TopicLag        `json:"topics"`

	err error
}

// TopicLag says how far a topic is from having caught up.
type TopicLag struct {
	Topic string `json:"topic"`
	// Ready says that the topic has caught up. Why says why not.
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"`
	// Status is the mirror's; "" if the topic is not listed.
	Status mirror.Status `json:"status,omitempty"`
	// Lag is the sum over the partitions; -1 if not known.
	Lag int64 `json:"lag"`
	// Partitions is the number of partitions, -1 if not known, and Empty the number without a lag and an offset.
	Partitions int `json:"partitions"`
	Empty      int `json:"empty"`
	// Again is the least time until the topic can be ready; 0 if not known.
	Again time.Duration `json:"again_ns,omitempty"`
}

// CaughtUp waits until the mirror topics have caught up with their sources. Stop the producers first. Two new lists, 10 s
// or more apart, and every new list between the two must show of each topic that
//   - the mirror is ACTIVE, for a minute or more, and without an error,
//   - the lag of each partition is known, and at most LagOptions.MaxLag,
//   - nothing was fetched in between, if MaxLag is 0,
//   - a partition with lag 0 and without an offset is empty: the mirror is ACTIVE for 5 minutes or more, the partition has
//     shown no offset before, and some ACTIVE mirror of the link has an offset above 0.
//
// With LagOptions.Other, the source cluster must have answered after the first of the two lists. A 404 of the link is an
// answer.
//
// The Lagging is never nil. The error is the result of Lagging.Err: nil only if all topics are ready. The error matches
// ErrStalled if Patience ran out, mirror.ErrInvalidArgument, the *mirror.APIError of a cluster that refuses to be read, the
// error of OnPoll, and the error and the cause of ctx.
//
// Producers may still be running, and without Other the source may have died.
func CaughtUp(
	ctx context.Context, client *mirror.Client, link string, topics []string, o LagOptions,
) (*Lagging, error) {
	g, err := newGate(client, link, topics, o)
	if err == nil {
		err = g.run(ctx)
	}
	l := g.lagging(err, true)
	return l, l.Err()
}

// errTwice ends a call without Patience.
var errTwice = errors.New("the clusters were asked twice")

// gate is the state of a call of CaughtUp.
type gate struct {
	*poller
	options LagOptions
	topics  []*lagTopic
	moved   time.Time // when a topic last became ready, or a lag fell
}

func newGate(client *mirror.Client, link string, topics []string, o LagOptions) (*gate, error) {
	g := &gate{poller: newPoller(link, nil, 0), options: o}
	var bad []string
	clients := []*mirror.Client{client}
	switch {
	case client == nil:
		bad = append(bad, "client: there is none")
	case o.Other != nil && client.ClusterID() == o.Other.ClusterID():
		bad = append(bad, "Other: a client of the same cluster")
	case o.Other != nil:
		clients = append(clients, o.Other)
	}
	if len(topics) == 0 {
		bad = append(bad, "topics: there are none")
	}
	if o.MaxLag < 0 {
		bad = append(bad, fmt.Sprintf("MaxLag: %d is negative", o.MaxLag))
	}
	if len(bad) > 0 {
		return g, fmt.Errorf("%w: %s", mirror.ErrInvalidArgument, strings.Join(bad, "; "))
	}
	interval, looks := cmp.Or(o.Interval, apart), 0
	if o.Patience == 0 {
		interval, looks = max(interval, apart), 2
	}
	g.poller = newPoller(link, topics, interval, clients...)
	for i, s := range g.sides {
		s.behind, s.looks, s.linked = behindOther, looks, i == 1
	}
	g.moved = g.began
	for _, name := range topics {
		now := TopicLag{Topic: name, Lag: -1, Partitions: -1, Why: "not seen yet"}
		g.topics = append(g.topics, &lagTopic{now: now, lowest: -1, shown: map[int]bool{}})
	}
	return g, nil
}

// run waits, and returns nil if all topics are ready.
func (g *gate) run(ctx context.Context) error {
	until := func() time.Time {
		if g.options.Patience == 0 {
			return g.began.Add(math.MaxInt64)
		}
		return g.moved.Add(g.options.Patience)
	}
	err := g.poller.run(ctx, until, func(r reading, fresh bool, refused error) (end bool, err error) {
		if fresh && r.side == g.sides[0] {
			rows := rowsOf(r.list)
			for _, t := range g.topics {
				if t.see(r, rows[t.now.Topic], &g.options) {
					g.moved = r.read
				}
			}
		}
		end = refused != nil || g.ready()
		if g.options.OnPoll != nil {
			if stop := g.options.OnPoll(ctx, g.lagging(refused, end)); stop != nil {
				return true, fmt.Errorf("OnPoll returned an error: %w", stop)
			}
		}
		return end, refused
	})
	switch {
	case !errors.Is(err, errOver):
		return err
	case g.options.Patience == 0:
		return errTwice
	}
	return fmt.Errorf("no topic became ready and no lag fell for %v: %w", g.options.Patience, ErrStalled)
}

// ready tells whether all topics are ready, and the source cluster has answered since the first of the lists.
func (g *gate) ready() bool {
	var from time.Time
	for _, t := range g.topics {
		if !t.now.Ready {
			return false
		}
		if t.from.After(from) {
			from = t.from
		}
	}
	return !g.sides[0].Dark && (len(g.sides) == 1 || g.sides[1].Listed.After(from))
}

// lagTopic is the history of a topic in the lists.
type lagTopic struct {
	now    TopicLag
	ready  bool                  // the latest list shows no lag
	from   time.Time             // when the first list in a row without lag and movement was asked for
	active time.Time             // when the first list in a row with ACTIVE since the same time was asked for
	since  time.Time             // when its status began, by the cluster's clock
	lags   []mirror.PartitionLag // of the latest list, by partition
	shown  map[int]bool          // partitions with an offset in any list
	lowest int64                 // sum of the lags; -1 if none was known
	first  sums
}

// sums are the sums of lags and offsets in a list with all lags.
type sums struct {
	at           time.Time
	lag, fetched int64
}

// see takes in the topic's row of a new list, nil for none. See returns whether the topic has become ready, or its lag has
// fallen.
func (t *lagTopic) see(r reading, m *mirror.Mirror, o *LagOptions) (progress bool) {
	was, before, lowest := t.ready, t.lags, t.lowest
	t.now = TopicLag{Topic: t.now.Topic, Lag: -1, Partitions: -1}
	perSecond := t.check(r, m, o)
	t.ready = t.now.Why == ""
	moved := o.MaxLag == 0 && !slices.EqualFunc(before, t.lags, func(a, b mirror.PartitionLag) bool {
		return a.Partition == b.Partition && a.LastSourceFetchOffset == b.LastSourceFetchOffset
	})
	if t.ready && (!was || moved) {
		t.from = r.asked
	}
	switch t.now.Ready = t.ready && r.asked.Sub(t.from) >= apart; {
	case !t.ready || t.now.Ready:
	case was && moved:
		t.now.Again = apart
		t.now.Why = fmt.Sprintf("messages still come, %.1f/s: are producers still writing?", perSecond)
	default:
		t.now.Again, t.now.Why = apart, "caught up, and another list has to agree"
	}
	return t.ready && !was || lowest >= 0 && t.lowest < lowest
}

// check notes the lags of the row, and why the topic has not caught up. Check returns the messages fetched per second since
// the first list.
func (t *lagTopic) check(r reading, m *mirror.Mirror, o *LagOptions) (perSecond float64) {
	if m == nil || m.Status != mirror.StatusActive || !t.since.Equal(m.Since) {
		t.active = time.Time{}
	}
	if t.lags = nil; m == nil {
		t.now.Why = "not listed"
		if !r.list.Complete {
			t.now.Why = "not in the list, which is not whole"
		}
		return 0
	}
	if m.Status == mirror.StatusActive && t.active.IsZero() {
		t.active = r.asked
	}
	t.since, t.now.Status, t.now.Partitions = m.Since, m.Status, m.Partitions
	active := r.asked.Sub(t.active)
	if !r.list.At.IsZero() && !m.Since.IsZero() {
		active = max(active, r.list.At.Sub(m.Since))
	}
	t.lags = slices.SortedFunc(slices.Values(m.Lags), func(a, b mirror.PartitionLag) int { return cmp.Compare(a.Partition, b.Partition) })
	var largest int64
	lost, unbegun, known := 0, 0, 0
	now := sums{at: r.asked}
	for i, p := range t.lags {
		twice := i > 0 && p.Partition == t.lags[i-1].Partition
		if p.Lag < 0 || p.Partition < 0 || p.Partition >= m.Partitions || twice {
			continue
		}
		known++
		largest, now.lag, now.fetched = max(largest, p.Lag), now.lag+p.Lag, now.fetched+max(0, p.LastSourceFetchOffset)
		switch {
		case p.LastSourceFetchOffset >= 0:
			t.shown[p.Partition] = true
		case t.shown[p.Partition]:
			lost++
		case p.Lag > 0:
			unbegun++
		default:
			t.now.Empty++
		}
	}
	whole := known == len(t.lags) && known == m.Partitions
	if whole {
		t.now.Lag = now.lag
		if t.lowest < 0 || now.lag < t.lowest {
			t.lowest = now.lag
		}
		if t.first.at.IsZero() {
			t.first = now
		}
		perSecond = float64(now.fetched-t.first.fetched) / max(1, now.at.Sub(t.first.at).Seconds())
	}
	why := func(again time.Duration, format string, args ...any) {
		t.now.Why, t.now.Again = fmt.Sprintf(format, args...), again
	}
	empty := text.Count(t.now.Empty, "partition") + " without an offset, and "
	switch {
	case m.Status != mirror.StatusActive:
		why(0, "%s, not ACTIVE", m.Status)
	case m.Error != "":
		why(0, "ACTIVE, with the error %s", m.Error)
	case m.Partitions <= 0:
		why(0, "how many partitions it has is not known")
	case !whole:
		why(0, "the lag of %d of %s is not known", max(1, m.Partitions-known), text.Count(m.Partitions, "partition"))
	case unbegun > 0:
		why(0, "%s with a lag and without an offset: nothing was fetched yet", text.Count(unbegun, "partition"))
	case lost > 0:
		why(0, "%s had an offset and has none now, as after a leader change", text.Count(lost, "partition"))
	case largest > o.MaxLag:
		again, rate := t.lagRate(r)
		why(again, "lag %d%s", t.now.Lag, rate)
	case active < activeFor:
		why(activeFor-active, "ACTIVE for %v: its lag may be from before", active.Round(time.Second))
	case t.now.Empty > 0 && active < emptyAfter:
		why(emptyAfter-active, "%sACTIVE for %v", empty, active.Round(time.Second))
	case t.now.Empty > 0 && !r.list.Fetched && !o.AllowNeverFetched:
		why(0, "%sno mirror of the link has one: was anything ever fetched?", empty)
	}
	return perSecond
}

// lagRate returns the change of the lag per second since the first list, and the time until the lag is 0.
func (t *lagTopic) lagRate(r reading) (again time.Duration, rate string) {
	seconds := r.asked.Sub(t.first.at).Seconds()
	switch perSecond := float64(t.first.lag-t.now.Lag) / seconds; {
	case seconds == 0:
		return 0, ""
	case perSecond > 0:
		again = time.Duration(float64(t.now.Lag) / perSecond * float64(time.Second)).Round(time.Second)
		return again, fmt.Sprintf(", falling by %.1f/s", perSecond)
	case perSecond < 0:
		return 0, fmt.Sprintf(", rising by %.1f/s: are producers still writing?", -perSecond)
	}
	return 0, ", not falling"
}

// lagging returns the present Lagging.
func (g *gate) lagging(err error, over bool) *Lagging {
	l := &Lagging{
		Version: version, Link: g.link, Began: g.began, At: time.Now(), Ready: over && err == nil, err: err,
		Clusters: []ClusterProgress{}, Topics: []TopicLag{},
	}
	switch {
	case l.Ready:
		l.Ended = "all have caught up"
	case over:
		l.Ended = text.Line(err.Error(), maxLine)
	}
	for _, s := range g.sides {
		l.Clusters = append(l.Clusters, s.ClusterProgress)
		l.ClusterID = l.Clusters[0].ClusterID
	}
	for _, t := range g.topics {
		l.Topics = append(l.Topics, t.now)
		l.Again = max(l.Again, t.now.Again)
	}
	return l
}

// Err returns nil only if all topics have caught up. CaughtUp returns the same error. After json.Unmarshal the error
// matches no others.
func (l *Lagging) Err() error {
	if l.Ready {
		return nil
	}
	return &failure{text: strings.TrimSuffix(l.String()+": "+l.Ended, ": "), causes: []error{l.err}}
}
