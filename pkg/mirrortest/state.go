package mirrortest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// topic is a topic on one of the clusters.
type topic struct {
	name, link string
	cluster    *Cluster
	other      *topic  // on the other cluster
	states     []state // the last one is the present state

	next    []mirror.Status // the statuses that follow
	due     time.Time       // when the first of next begins
	every   time.Duration   // how long each status lasts
	waits   bool            // whether active consumer groups hold up the change
	reasons []Reason

	// oldSource is true if the topic on the other cluster was a mirror of this topic when the mirror stopped.
	oldSource bool
	// ahead are the partitions of a former source, with the lag of its former mirror: the messages that the mirror
	// never got.
	ahead []Partition

	sent, applied map[mirror.Verb]int
}

// state is the state of a topic from a moment on.
type state struct {
	from       time.Time
	status     mirror.Status // "" if the topic never was a mirror
	since      time.Time     // when the status began
	err        string        // mirror_topic_error; "" is NO_ERROR
	partitions []Partition
}

func newTopic(c *Cluster, t Topic, s mirror.Status, partitions []Partition) *topic {
	first := state{from: time.Now(), status: s, since: time.Now().Add(-t.Age), partitions: slices.Clone(partitions)}
	return &topic{
		name: t.Name, link: t.Link, cluster: c, states: []state{first},
		sent: map[mirror.Verb]int{}, applied: map[mirror.Verb]int{},
	}
}

// now applies the due changes and returns the present state.
func (t *topic) now() state {
	for len(t.next) > 0 {
		wait := time.Until(t.due)
		if len(t.heldBy()) > 0 {
			t.due = t.due.Add(max(0, -wait)) // the change continues as soon as nothing holds it up
			break
		}
		if wait > 0 {
			break
		}
		t.become(t.next[0], t.due)
		t.next, t.due = t.next[1:], t.due.Add(t.every)
	}
	return t.states[len(t.states)-1]
}

// at returns the state at an earlier time.
func (t *topic) at(when time.Time) state {
	t.now()
	for _, s := range slices.Backward(t.states) {
		if !s.from.After(when) {
			return s
		}
	}
	return t.states[0]
}

// heldBy returns why the pending change does not continue.
func (t *topic) heldBy() []Reason {
	reasons := slices.Clone(t.reasons)
	if t.waits && len(t.next) > 0 {
		for _, g := range t.cluster.groups {
			if g.active() && slices.Contains(g.Topics, t.name) {
				reasons = append(reasons, Reason{"CONSUMER_GROUP_IN_USE_ERROR", "Consumer group '" + g.ID + "' is active"})
			}
		}
	}
	return reasons
}

// change adds a state to the topic's states.
func (t *topic) change(from time.Time, do func(*state)) {
	s := t.states[len(t.states)-1]
	s.from = from
	do(&s)
	t.states = append(t.states, s)
}

// become gives the topic a status. A mirror that becomes ACTIVE fetches all messages of its source.
func (t *topic) become(status mirror.Status, at time.Time) {
	t.change(at, func(s *state) {
		s.status, s.since = status, at
		if status != mirror.StatusActive {
			return
		}
		source := t.other.states[len(t.other.states)-1].partitions
		s.partitions = slices.Clone(s.partitions)
		for i := range min(len(source), len(s.partitions)) {
			s.partitions[i].LastSourceFetchOffset = max(s.partitions[i].LastSourceFetchOffset, source[i].LastSourceFetchOffset)
		}
	})
}

// goThrough starts with the first status, and reaches the last status after the given time.
func (t *topic) goThrough(statuses []mirror.Status, takes time.Duration) {
	now := time.Now()
	t.become(statuses[0], now)
	t.next = statuses[1:]
	t.every = takes / time.Duration(max(1, len(t.next)))
	t.due = now.Add(t.every)
}

// transition is the effect of a verb on a topic.
type transition struct {
	// from are the statuses that the verb starts from; "" is a topic that never was a mirror.
	from []mirror.Status
	// restores means that the topic must be an old source, and the topic on the other cluster must be stopped.
	restores bool
	// waits means that an active consumer group on the cluster holds up the change.
	waits bool
	// here and there are the statuses that the topic, and the topic on the other cluster, go through. Without there,
	// the other topic does not change.
	here, there []mirror.Status
	// also is a further effect of the verb, or nil.
	also func(here, there *topic)
}

// stops returns whether the verb stops the mirror.
func (t transition) stops() bool { return t.here[0] == mirror.StatusPendingStopped }

var (
	mirroring = []mirror.Status{mirror.StatusActive, mirror.StatusPaused}
	stopping  = []mirror.Status{mirror.StatusPendingStopped, mirror.StatusStopped}
)

// transitions holds the known and the assumed effects of the verbs: see the package documentation.
var transitions = map[mirror.Verb]transition{
	mirror.VerbReverseAndPause: {
		from: mirroring, here: stopping, there: []mirror.Status{mirror.StatusPendingMirror, mirror.StatusPaused},
	},
	mirror.VerbReverseAndStart: {
		from: mirroring, here: stopping, there: []mirror.Status{mirror.StatusPendingMirror, mirror.StatusActive},
	},
	mirror.VerbPromote: {
		from: mirroring, here: stopping, waits: true,
		also: func(here, there *topic) { here.oldSource, there.oldSource, there.ahead = false, true, nil },
	},
	mirror.VerbFailover: {
		from: append(slices.Clone(mirroring), mirror.StatusFailed, mirror.StatusLinkFailed, mirror.StatusLinkPaused,
			mirror.StatusSourceUnavailable),
		here: stopping,
		also: func(here, there *topic) {
			here.oldSource, there.oldSource, there.ahead = false, true, here.now().partitions
		},
	},
	mirror.VerbPause:  {from: mirroring, here: []mirror.Status{mirror.StatusPaused}},
	mirror.VerbResume: {from: mirroring, here: []mirror.Status{mirror.StatusActive}},
	mirror.VerbTruncateAndRestore: {
		from: []mirror.Status{"", mirror.StatusStopped}, restores: true, waits: true,
		here: []mirror.Status{mirror.StatusPendingSetupForRestore, mirror.StatusPendingRestore, mirror.StatusActive},
		also: func(here, _ *topic) { here.ahead = nil },
	},
}

// refusal is why a topic does not allow a verb.
type refusal struct {
	code    int
	message string
}

func (r refusal) put(row members) { row["error_code"], row["error_message"] = r.code, r.message }

// refuse returns why a topic does not allow a verb now, or nil. The pair's mu is held.
func (c *Cluster) refuse(verb mirror.Verb, link, name string) *refusal {
	t, how := c.topics[name], transitions[verb]
	if t == nil {
		return &refusal{40403, fmt.Sprintf("Topic '%s' is not on cluster '%s'", name, c.ID)}
	}
	s, other := t.now().status, t.other.now().status
	starts := t.link == link && slices.Contains(how.from, s)
	switch {
	case starts && how.restores && other != mirror.StatusStopped:
		return &refusal{400, fmt.Sprintf("The mirror of topic '%s' on the other cluster has not stopped", name)}
	case starts && how.restores && !t.oldSource:
		return &refusal{400, fmt.Sprintf("Topic '%s' is not the source that the stopped mirror had", name)}
	case starts:
		return nil
	case s == "" || t.link != link:
		return &refusal{404, "The mirror topic doesn't exist: " + name}
	case how.stops() && (s == mirror.StatusStopped || s == mirror.StatusPendingStopped):
		return &refusal{400, fmt.Sprintf("Topic '%s' has already stopped its mirror from '%s'", name, link)}
	}
	return &refusal{400, fmt.Sprintf("Topic '%s' does not allow %s while its mirror is %s", name, verb, s)}
}

// apply applies the verb. The pair's mu is held.
func (c *Cluster) apply(verb mirror.Verb, name string) {
	here, how := c.topics[name], transitions[verb]
	here.applied[verb]++
	if len(how.here) > 1 || here.now().status != how.here[0] { // a second pause or resume does nothing
		here.goThrough(how.here, c.pair.opts.Takes)
	}
	here.waits = how.waits
	if len(how.there) > 0 {
		here.other.goThrough(how.there, c.pair.opts.Takes)
	}
	if how.also != nil {
		how.also(here, here.other)
	}
}

// names returns the topics of a link that are or were mirrors on the cluster, sorted. A pattern selects from these
// topics. The pair's mu is held.
func (c *Cluster) names(link string) []string {
	names := []string{}
	for name, t := range c.topics {
		if t.link == link && t.now().status != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Status returns the current mirror status of a topic; "" for a topic that is missing or not a mirror.
func (c *Cluster) Status(name string) (s mirror.Status) {
	c.change(name, func(t *topic) { s = t.now().status })
	return s
}

// SetStatus gives a mirror topic a status, as if the status had changed by itself. Pending changes are dropped.
func (c *Cluster) SetStatus(name string, s mirror.Status) {
	c.change(name, func(t *topic) { t.goThrough([]mirror.Status{s}, 0) })
}

// SetError gives a mirror topic the name of an error; "" is NO_ERROR.
func (c *Cluster) SetError(name, code string) {
	c.change(name, func(t *topic) { t.change(time.Now(), func(s *state) { s.err = code }) })
}

// SetReasons gives a mirror topic the reasons why a change does not succeed. While there are reasons, the topic's
// status does not change by itself.
func (c *Cluster) SetReasons(name string, reasons ...Reason) {
	c.change(name, func(t *topic) { t.reasons = slices.Clone(reasons) })
}

// SetPartitions sets the partitions of a topic with their lags.
func (c *Cluster) SetPartitions(name string, partitions ...Partition) {
	partitions = slices.Clone(partitions)
	c.change(name, func(t *topic) { t.change(time.Now(), func(s *state) { s.partitions = partitions }) })
}

// SetGroup adds a consumer group to the cluster, or changes it.
func (c *Cluster) SetGroup(g Group) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	for _, t := range c.topics {
		t.now() // changes that the group held up until now
	}
	c.groups = append(slices.DeleteFunc(c.groups, func(old Group) bool { return old.ID == g.ID }), g)
}

// change calls do with the topic in its present state, if the topic exists.
func (c *Cluster) change(name string, do func(*topic)) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	if t := c.topics[name]; t != nil {
		t.now()
		do(t)
	}
}
