package mirrortest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// topic is a topic on one of the clusters. Its status is "" if it never was a mirror.
type topic struct {
	status     mirror.Status
	since      time.Time       // when status began
	next       []mirror.Status // what status becomes, one after the other
	every      time.Duration   // each of them after this time
	partitions []Partition
	// oldSource says that the topic on the other cluster was a mirror of this one when it was stopped.
	oldSource bool
	// ahead is, for each partition of a former source, how many messages it has that its former mirror
	// never got; nil for none.
	ahead []int64

	mirrorError string
	reasons     []mirror.Reason

	requests, applied map[mirror.Verb]int
}

func newTopic(s mirror.Status, partitions []Partition) *topic {
	return &topic{
		status: s, since: time.Now(), partitions: slices.Clone(partitions),
		requests: map[mirror.Verb]int{}, applied: map[mirror.Verb]int{},
	}
}

// statusNow returns the status after all the changes that have fallen due.
func (t *topic) statusNow() mirror.Status {
	for len(t.next) > 0 && len(t.reasons) == 0 && time.Since(t.since) >= t.every {
		t.status, t.since, t.next = t.next[0], t.since.Add(t.every), t.next[1:]
		t.fetches()
	}
	return t.status
}

// fetches has a mirror that has become ACTIVE fetch from each partition.
func (t *topic) fetches() {
	if t.status != mirror.StatusActive {
		return
	}
	for i := range t.partitions {
		t.partitions[i].LastSourceFetchOffset = max(0, t.partitions[i].LastSourceFetchOffset)
	}
}

// goThrough begins with the first of the statuses, and comes to the last after the given time.
func (t *topic) goThrough(statuses []mirror.Status, settle time.Duration) {
	if len(statuses) == 0 {
		return
	}
	t.status, t.since, t.next = statuses[0], time.Now(), statuses[1:]
	t.fetches()
	t.every = settle / time.Duration(max(1, len(t.next)))
}

// Status returns the mirror status that a topic has now; "" if it is not a mirror, or not there.
func (c *Cluster) Status(name string) mirror.Status {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	if t := c.topics[name]; t != nil {
		return t.statusNow()
	}
	return ""
}

// transition is what a verb does to a topic.
type transition struct {
	// from are the statuses that it starts from; "" is that of a topic that never was a mirror.
	from []mirror.Status
	// restores says that the topic must be an old source, and the one on the other cluster be stopped.
	restores bool
	// here and there are the statuses that the topic, and the one on the other cluster, go through; none
	// if it stays as it is.
	here, there []mirror.Status
	// also is what else it does; nil for nothing.
	also func(here, there *topic)
}

// stops tells whether the verb stops the mirror.
func (t transition) stops() bool { return len(t.here) > 0 && t.here[0] == mirror.StatusPendingStopped }

var (
	mirroring = []mirror.Status{mirror.StatusActive, mirror.StatusPaused}
	stopping  = []mirror.Status{mirror.StatusPendingStopped, mirror.StatusStopped}
)

// transitions is what is known of the verbs, and assumed: see the package documentation.
var transitions = map[mirror.Verb]transition{
	mirror.VerbReverseAndPause: {
		from: mirroring, here: stopping, there: []mirror.Status{mirror.StatusPendingMirror, mirror.StatusPaused},
	},
	mirror.VerbReverseAndStart: {
		from: mirroring, here: stopping, there: []mirror.Status{mirror.StatusPendingMirror, mirror.StatusActive},
	},
	mirror.VerbPromote: {
		from: mirroring, here: stopping,
		also: func(here, there *topic) { here.oldSource, there.oldSource, there.ahead = false, true, nil },
	},
	mirror.VerbFailover: {
		from: append(slices.Clone(mirroring), mirror.StatusFailed, mirror.StatusLinkFailed, mirror.StatusLinkPaused,
			mirror.StatusSourceUnavailable),
		here: stopping,
		also: func(here, there *topic) {
			here.oldSource, there.oldSource, there.ahead = false, true, lags(here.partitions)
		},
	},
	mirror.VerbPause:  {from: mirroring, here: []mirror.Status{mirror.StatusPaused}},
	mirror.VerbResume: {from: mirroring, here: []mirror.Status{mirror.StatusActive}},
	mirror.VerbTruncateAndRestore: {
		from: []mirror.Status{"", mirror.StatusStopped}, restores: true,
		here: []mirror.Status{mirror.StatusPendingSetupForRestore, mirror.StatusPendingRestore, mirror.StatusActive},
		also: func(here, _ *topic) { here.ahead = nil },
	},
}

func lags(partitions []Partition) []int64 {
	all := make([]int64, len(partitions))
	for i, p := range partitions {
		all[i] = p.Lag
	}
	return all
}

// refusal is why a verb cannot be done to one topic.
type refusal struct {
	code    int
	message string
}

// refuse returns why a verb cannot be done to a topic now; nil if it can. The pair's mu is held.
func (c *Cluster) refuse(verb mirror.Verb, name string) *refusal {
	t, how := c.topics[name], transitions[verb]
	if t == nil {
		return &refusal{40403, fmt.Sprintf("Topic '%s' is not on cluster '%s'", name, c.ID)}
	}
	s := t.statusNow()
	other := c.peer.topics[name].statusNow()
	switch {
	case slices.Contains(how.from, s) && how.restores && other != mirror.StatusStopped:
		return &refusal{400, fmt.Sprintf("The mirror of topic '%s' on the other cluster has not stopped", name)}
	case slices.Contains(how.from, s) && how.restores && !t.oldSource:
		return &refusal{400, fmt.Sprintf("Topic '%s' is not the source that the stopped mirror had", name)}
	case slices.Contains(how.from, s):
		return nil
	case how.stops() && (s == mirror.StatusStopped || s == mirror.StatusPendingStopped):
		return &refusal{400, fmt.Sprintf("Topic '%s' has already stopped its mirror from '%s'", name, c.pair.link)}
	case s == "":
		return &refusal{404, "The mirror topic doesn't exist: " + name}
	}
	return &refusal{400, fmt.Sprintf("Topic '%s' does not allow %s while its mirror is %s", name, verb, s)}
}

// apply does it. The pair's mu is held.
func (c *Cluster) apply(verb mirror.Verb, name string) {
	here, there, how := c.topics[name], c.peer.topics[name], transitions[verb]
	here.applied[verb]++
	if len(how.here) > 1 || here.status != how.here[0] { // a second pause or resume does nothing
		here.goThrough(how.here, c.pair.opts.Settle)
	}
	there.goThrough(how.there, c.pair.opts.Settle)
	if how.also != nil {
		how.also(here, there)
	}
}

// names returns the cluster's topics that are or were mirrors, sorted: those that a pattern can
// select. The pair's mu is held.
func (c *Cluster) names() []string {
	var names []string
	for name, t := range c.topics {
		if t.statusNow() != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
