package wait

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// A Stage says how far a topic has come.
type Stage string

const (
	// StageNoSign says that no list shows the change. The change may have been made nevertheless.
	StageNoSign Stage = "no sign"
	// StageInProgress says that a list shows the change begun.
	StageInProgress Stage = "in progress"
	// StageDone says that the topic is at the verb's goal, on each cluster that the verb changes. Data may be missing, a
	// mirror need not have caught up, and somebody else may have made the change.
	StageDone Stage = "done"
	// StageBlocked says that the topic does not come to the goal by itself: somebody has to act.
	StageBlocked Stage = "blocked"
)

// stages are in the order of urgency.
var stages = []Stage{StageBlocked, StageNoSign, StageInProgress, StageDone}

// age says whether a state began before the call.
type age uint8

const (
	ageNotKnown age = iota
	ageBefore
	ageSince
)

// sight is the state of a topic on a cluster, and facts about earlier lists.
type sight struct {
	Sight
	cluster string
	gone    bool // an earlier list had the topic, and this one has not
	age     age
	moved   bool          // the topic came to its status during the wait
	firm    bool          // two new lists agree, the second 30 s or more after the call
	left    bool          // an earlier list had, since the call, a status that the verb does not start from
	arrived bool          // an earlier list had the topic at its goal
	hint    mirror.Status // of an older row; "" if there is none
	stays   time.Duration // from the first list with the status to the latest list of the other cluster
}

// listed tells whether a new list has the topic.
func (s *sight) listed() bool { return s.Status != "" }

// finding is the result of the judge.
type finding struct {
	stage         Stage
	notes         []string
	next          string  // what to do; "" if the stage says enough
	ask           int     // the cluster to ask for reasons, from 1; 0 is none
	arrived, left [2]bool // for each cluster: facts for the next sight
}

// verdict is the result for a cluster.
type verdict uint8

const (
	still verdict = iota
	moving
	stuck
	there
)

// A topic may be stopped for aloneAfter without a mirror on the other cluster before people are warned.
const aloneAfter = time.Minute

// The statuses on the other cluster that a reversal starts from, and goes through.
var (
	otherFrom    = []mirror.Status{mirror.StatusStopped}
	otherThrough = []mirror.Status{mirror.StatusPendingMirror, mirror.StatusPendingSynchronize, mirror.StatusPaused}
)

// judge returns the stage of a topic. The result depends on the two sights alone.
func judge(v mirror.Verb, this, other sight) (f finding) {
	goal, otherGoal := v.Goal()
	a, b := f.look(v, this, 0, goal), there
	moves := a == moving || a == there && this.age != ageBefore
	if otherGoal != "" {
		atGoal := this.Status == goal
		switch {
		case otherGoal == mirror.StatusPaused && other.Status == mirror.StatusActive:
			f.note("it is already resumed on %s", other.cluster)
			b = f.look(v, other, 1, mirror.StatusActive)
		case otherGoal == mirror.StatusActive && other.Status == mirror.StatusPaused && atGoal:
			b = f.block(other, "resume it on "+other.cluster, "it is PAUSED on %s", other.cluster)
		default:
			b = f.look(v, other, 1, otherGoal)
		}
		moves = moves || b == moving || b == there && other.age != ageBefore
		noMirror := !other.At.IsZero() && (!other.listed() || other.Status == mirror.StatusStopped)
		if atGoal && noMirror && this.stays >= aloneAfter {
			f.note("%s has no mirror of it, as after a promote or a failover", other.cluster)
			f.next = stopProducers + other.cluster
		}
	}
	switch f.stage = StageNoSign; {
	case a == stuck || b == stuck:
		f.stage = StageBlocked
	case a == there && b == there:
		f.stage, f.ask = StageDone, 0
	case moves:
		f.stage = StageInProgress
	}
	return f
}

// look judges the sight of a cluster.
func (f *finding) look(v mirror.Verb, s sight, side int, goal mirror.Status) verdict {
	from, through := v.From(), v.Through()
	if side == 1 {
		from, through = otherFrom, otherThrough
	}
	starts, known := slices.Contains(from, s.Status), slices.Contains(knownStatuses, s.Status)
	hides, onTheWay := hidesMore(s.Status), slices.Contains(through, s.Status)
	pending := strings.HasPrefix(string(s.Status), "PENDING_")
	moves := pending || hides || !known || onTheWay
	f.left[side] = s.listed() && s.age == ageSince && !starts && !hides
	if s.listed() && s.Status != goal && f.ask == 0 {
		f.ask = side + 1
	}
	if s.Error != "" {
		f.note("%s says %s", s.cluster, s.Error)
	}
	for _, hidden := range []mirror.Status{s.Status, s.hint} {
		if hidesMore(hidden) {
			f.note("it is %s on %s, which can hide %s", hidden, s.cluster, cmp.Or(v.Hidden(), "a change that is under way or done"))
		}
	}
	switch {
	case s.At.IsZero():
		f.note("%s has given no new list of it yet", s.cluster)
		return still
	case !s.listed() && s.gone:
		return f.block(s, "look for it on "+s.cluster+" before sending it again", "%s no longer lists it", s.cluster)
	case !s.listed():
		if side == 0 && !v.FromUnlisted() {
			f.note("%s has never listed it: is the name right?", s.cluster)
		}
		return still
	case s.Status == goal: // a state from before the call needs a second list
		f.arrived[side] = s.age == ageSince || s.firm
		f.noteAge(s)
		switch {
		case f.arrived[side]:
			return there
		case s.age == ageBefore:
			return still
		}
		return moving
	case !known:
		f.note("it is %s on %s, a status that this library does not know", s.Status, s.cluster)
	case pending && !onTheWay:
		f.note("%s is not on the way of %s", s.Status, v)
	}
	switch {
	case s.arrived && !hides:
		return f.block(s, undone, "it was %s on %s, and is no longer", goal, s.cluster)
	case s.Status == mirror.StatusFailed && (s.age == ageSince || s.moved):
		return f.block(s, fix, "it is FAILED on %s", s.cluster)
	case starts && s.left && hides:
		return moving
	case starts && s.left:
		return f.block(s, "it went back: find out why before sending it again", "it is back to %s on %s", s.Status, s.cluster)
	case starts:
		return still
	case s.age == ageBefore || s.age == ageNotKnown && !s.moved && (hides || !moves):
		f.noteAge(s)
		return still
	case moves:
		return moving
	}
	return f.block(s, fix, "it has become %s on %s", s.Status, s.cluster)
}

// noteAge notes that the status may be from before the call.
func (f *finding) noteAge(s sight) {
	switch s.age {
	case ageBefore:
		f.note("it was %s on %s before this call", s.Status, s.cluster)
	case ageNotKnown:
		f.note("how long it has been %s on %s is not known", s.Status, s.cluster)
	}
}

func (f *finding) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// block returns stuck, or moving as long as the sight is not firm.
func (f *finding) block(s sight, next, format string, args ...any) verdict {
	f.note(format, args...)
	if !s.firm {
		return moving
	}
	f.next = next
	return stuck
}

// What to do.
const (
	stopProducers = "STOP: keep producers off "
	undone        = "somebody undid it: find out who before sending it again"
	fix           = "fix what stands under WHY; then wait again, or send it again"
)

// hidesMore tells whether a status can hide that a change is under way, or done.
func hidesMore(s mirror.Status) bool {
	return s == mirror.StatusSourceUnavailable || s == mirror.StatusLinkPaused || s == mirror.StatusLinkFailed
}

// knownStatuses are the statuses with a constant.
var knownStatuses = []mirror.Status{
	mirror.StatusActive, mirror.StatusPaused, mirror.StatusStopped, mirror.StatusPendingStopped, mirror.StatusPendingMirror,
	mirror.StatusPendingSetupForRestore, mirror.StatusPendingRestore, mirror.StatusPendingSynchronize,
	mirror.StatusFailed, mirror.StatusLinkFailed, mirror.StatusLinkPaused, mirror.StatusSourceUnavailable,
}
