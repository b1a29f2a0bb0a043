package mirrortest

import (
	"fmt"
	"slices"
	"time"
)

// Status is a mirror topic's status. The set is open: Options may set any other.
type Status string

// The statuses that a reversal comes through.
const (
	// Active mirrors are kept up to date by their link.
	Active Status = "ACTIVE"
	// Paused mirrors are not; the former source of a reversed topic becomes one.
	Paused Status = "PAUSED"
	// PendingStopped mirrors are being reversed: accepted, not done.
	PendingStopped Status = "PENDING_STOPPED"
	// PendingMirror topics are former sources that are becoming mirrors.
	PendingMirror Status = "PENDING_MIRROR"
	// Stopped mirrors are ordinary, writable topics.
	Stopped Status = "STOPPED"
)

// topic is a topic on one of the clusters. Its status is "" if it never was a mirror.
type topic struct {
	status     Status
	then       Status    // what status becomes
	when       time.Time // at this time; zero if the status is not about to change
	partitions []Partition
	requests   int
	applied    int
}

func (t *topic) statusNow() Status {
	if !t.when.IsZero() && !time.Now().Before(t.when) {
		t.status, t.when = t.then, time.Time{}
	}
	return t.status
}

func (t *topic) move(through, to Status, settle time.Duration) {
	t.status, t.then, t.when = through, to, time.Now().Add(settle)
}

// Status returns the mirror status that a topic has now; "" if it is not a mirror, or not there.
func (c *Cluster) Status(name string) Status {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	if t := c.topics[name]; t != nil {
		return t.statusNow()
	}
	return ""
}

// refusal is why one topic cannot be reversed.
type refusal struct {
	code    int
	message string
}

// refuse returns why a topic cannot be reversed now; nil if it can. The pair's mu is held.
func (c *Cluster) refuse(name string) *refusal {
	t := c.topics[name]
	if t == nil {
		return &refusal{40403, fmt.Sprintf("Topic '%s' is not on cluster '%s'", name, c.ID)}
	}
	switch s := t.statusNow(); s {
	case Active, Paused:
		return nil
	case Stopped, PendingStopped:
		return &refusal{400, fmt.Sprintf("Topic '%s' has already stopped its mirror from '%s'", name, c.pair.link)}
	case "":
		return &refusal{404, "The mirror topic doesn't exist: " + name}
	default:
		return &refusal{400, fmt.Sprintf("Topic '%s' cannot be reversed while its mirror is %s", name, s)}
	}
}

// reverse does it: the topic here becomes writable, and the one on the peer a paused mirror. The
// pair's mu is held.
func (c *Cluster) reverse(name string) {
	here, there := c.topics[name], c.peer.topics[name]
	here.applied++
	here.move(PendingStopped, Stopped, c.pair.opts.Settle)
	there.move(PendingMirror, Paused, c.pair.opts.Settle)
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
