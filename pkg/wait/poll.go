package wait

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

const (
	// Lists are told apart by the header Date, which has whole seconds.
	minInterval = 2 * time.Second
	// The pause after a lost read doubles up to maxPause.
	maxPause = time.Minute
	// A cluster may answer 404 for freshLink after a link was made (observed).
	freshLink = 30 * time.Second
	// Done gives up a cluster that was read before after maxRefusals in a row over refusalsOver.
	maxRefusals  = 3
	refusalsOver = 15 * time.Second

	maxLine = 512 // bytes
)

// ClusterProgress says how the reading of one cluster goes.
type ClusterProgress struct {
	ClusterID string `json:"cluster_id"`
	// Asked counts the requests for a list, Answered the lists that were read to their end, and Lists the new ones.
	Asked    int `json:"asked"`
	Answered int `json:"answered"`
	Lists    int `json:"lists"`
	// Listed is when the latest new list was asked for; the zero time if there was none.
	Listed time.Time `json:"listed,omitzero"`
	// Dark says that the latest request gave no new list. HTTPStatus is the status of an error response; 0 if there was
	// none.
	Dark       bool `json:"dark,omitempty"`
	HTTPStatus int  `json:"http_status,omitempty"`
	// Error says on a printable line why the latest list was not read, not new or not whole.
	Error string `json:"error,omitempty"`
}

// reading is the result of a request for a list.
type reading struct {
	side        *side
	asked, read time.Time
	jitter      float64
	list        *mirror.Listing
	err         error
}

// side is a cluster. Each side has its own pace.
type side struct {
	ClusterProgress
	client *mirror.Client
	// floor is the earliest Date of a new list. If behind is set, floor is the latest Date less behind.
	floor  time.Time
	behind time.Duration
	looks  int  // requests at most; 0 is any number
	linked bool // a 404 of the link is an answer too

	dates     map[time.Time]bool // of the new lists
	newest    reading            // the latest new list, without rows
	next      time.Time
	pause     time.Duration // after a lost read; 0 after a list
	busy      bool
	refusals  int // in a row
	refusedAt time.Time

	quietUntil time.Time // the cluster is not asked for reasons before
}

// poller reads the lists of the sides.
type poller struct {
	link     string
	keep     []string // topics
	interval time.Duration
	began    time.Time
	sides    []*side
	readings chan reading
}

func newPoller(link string, keep []string, interval time.Duration, clients ...*mirror.Client) *poller {
	p := &poller{
		link: link, keep: keep, interval: max(interval, minInterval), began: time.Now(),
		readings: make(chan reading, len(clients)),
	}
	for _, c := range clients {
		s := &side{client: c.WithRetryFor(-1), dates: map[time.Time]bool{}, next: p.began}
		s.ClusterID = c.ClusterID()
		p.sides = append(p.sides, s)
	}
	return p
}

// errOver says that the time is over, or that no side has a look left.
var errOver = errors.New("over")

// contextEnded begins the error of a wait whose context has ended.
const contextEnded = "the context ended"

// jitter spreads out the polls of many processes.
var jitter = rand.Float64

// run reads lists and hands each to step, until step returns true, until the time is over, or until ctx ends. When run
// returns, no read is under way.
func (p *poller) run(
	ctx context.Context, until func() time.Time,
	step func(r reading, fresh bool, refused error) (end bool, err error),
) error {
	bounded, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		for _, s := range p.sides {
			if s.busy {
				<-p.readings
			}
		}
	}()
	for ctx.Err() == nil {
		now, wake, idle, factor := time.Now(), until(), true, 1+0.15*jitter()
		if !now.Before(wake) {
			return errOver
		}
		for _, s := range p.sides {
			switch {
			case s.busy:
				idle = false
			case s.looks > 0 && s.Asked == s.looks:
			case s.next.After(now.Add(p.interval / 10)): // sides that are due soon are asked together
				idle = false
				if s.next.Before(wake) {
					wake = s.next
				}
			default:
				idle, s.busy = false, true
				go p.read(bounded, s, now, factor)
			}
		}
		if idle {
			return errOver
		}
		timer := time.NewTimer(wake.Sub(now))
		select {
		case r := <-p.readings:
			if r.side.busy = false; ctx.Err() != nil {
				break
			}
			fresh, refused := p.take(r)
			if end, err := step(r, fresh, refused); end {
				return err
			}
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	if cause := context.Cause(ctx); !errors.Is(ctx.Err(), cause) {
		return fmt.Errorf("%s: %w: %w", contextEnded, ctx.Err(), cause)
	}
	return fmt.Errorf("%s: %w", contextEnded, ctx.Err())
}

func (p *poller) read(ctx context.Context, s *side, now time.Time, jitter float64) {
	r := reading{side: s, asked: now, jitter: jitter, list: &mirror.Listing{}, err: errors.New("the read was broken off")}
	defer func() { p.readings <- r }()
	r.list, r.err = s.client.Mirrors(ctx, p.link, p.keep...)
	r.read = time.Now()
}

// take notes the result of a reading. Take returns whether the list is new, and an error if the cluster refuses for good.
func (p *poller) take(r reading) (fresh bool, end error) {
	s := r.side
	s.Asked++
	if s.Error, s.HTTPStatus = "", 0; r.err != nil {
		s.Error = text.Line(r.err.Error(), maxLine)
	}
	pause := time.Duration(r.jitter * float64(max(p.interval, 4*r.read.Sub(r.asked))))
	switch why := s.old(r.list); {
	case s.linked && errors.Is(r.err, mirror.ErrNoLink):
		fresh, s.Error = true, ""
	case !r.list.Read:
		s.pause = max(p.interval, min(maxPause, 2*max(s.pause, p.interval)))
		pause, end = s.pause, p.refused(r)
		var api *mirror.APIError
		if errors.As(r.err, &api) {
			s.HTTPStatus, pause = api.Status, max(pause, api.RetryAfter)
		}
	default:
		s.Answered++
		s.pause, s.refusals, s.Error, fresh = 0, 0, cmp.Or(why, s.Error), why == ""
	}
	s.Dark, s.next = !fresh, r.read.Add(pause+p.interval/10)
	if !fresh {
		return false, end
	}
	s.Lists++
	s.Listed, s.newest = r.asked, r
	s.newest.list = &mirror.Listing{At: r.list.At} // the rows are not kept
	if at := r.list.At; !at.IsZero() {
		s.dates[at] = true
		if low := at.Add(-s.behind); s.behind > 0 && low.After(s.floor) {
			s.floor = low
		}
	}
	return true, nil
}

// old returns why a list is not new; "" for a new list.
func (s *side) old(l *mirror.Listing) string {
	switch {
	case l.Age > 0:
		return fmt.Sprintf("a cache answered (Age %.0f s)", l.Age.Seconds())
	case l.At.IsZero() && !l.Complete:
		return "it has no Date and is not whole"
	case l.At.IsZero():
		return ""
	case s.dates[l.At]:
		return "it has the Date of an earlier one, as from a cache"
	case l.At.Before(s.floor):
		return "it is older than the call or than another list"
	}
	return ""
}

// refused counts the refusals of a cluster, and returns an error if the cluster refuses for good.
func (p *poller) refused(r reading) error {
	s, status := r.side, 0
	var api *mirror.APIError
	if errors.As(r.err, &api) {
		status = api.Status
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		if s.refusals++; s.refusals == 1 {
			s.refusedAt = r.asked
		}
		fresh := status == http.StatusNotFound && r.asked.Sub(p.began) < freshLink
		again := s.refusals >= maxRefusals && r.asked.Sub(s.refusedAt) >= refusalsOver
		if fresh || s.Answered > 0 && !again {
			return nil
		}
	case errors.Is(r.err, mirror.ErrInvalidArgument):
	case status/100 != 4 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		s.refusals = 0
		return nil
	}
	return fmt.Errorf("cluster %s cannot be read: %w", s.ClusterID, r.err)
}
