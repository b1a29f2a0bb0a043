package wait

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// A Stage says how far a topic has come. Its text forms are "no sign", "in progress", "done" and "blocked".
type Stage uint8

const (
	// StageNoSign says that nothing that was seen shows that the change has begun. It is no proof that the change
	// was not made.
	StageNoSign Stage = iota
	// StageInProgress says that something was seen to move.
	StageInProgress
	// StageDone says that the topic has the status that the verb leads to, on each cluster that the verb changes. It
	// is no proof that this call did it, that all data has come over, or that a mirror has caught up.
	StageDone
	// StageBlocked says that what was seen does not lead to the goal by itself: somebody has to act.
	StageBlocked
)

// stages are in the order of urgency.
var stages = []Stage{StageBlocked, StageNoSign, StageInProgress, StageDone}

var stageNames = []string{"no sign", "in progress", "done", "blocked"}

// String returns the stage's name.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return fmt.Sprintf("stage(%d)", uint8(s))
}

// MarshalText returns the stage's name.
func (s Stage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a stage's name. It fails for any other text.
func (s *Stage) UnmarshalText(name []byte) error {
	i := slices.Index(stageNames, string(name))
	if i < 0 {
		return fmt.Errorf("%q is none of %s", name, strings.Join(stageNames, ", "))
	}
	*s = Stage(i) //nolint:gosec // there are four
	return nil
}

// age says whether a state began before the call.
type age uint8

const (
	ageNotKnown age = iota
	ageBefore
	ageSince
)

// sight is what one cluster shows of a topic.
type sight struct {
	cluster string
	read    bool // a new list shows the topic, or shows that it is not listed
	listed  bool
	gone    bool // this wait saw it listed before
	status  mirror.Status
	age     age
	moved   bool          // this wait saw it come to its status
	firm    bool          // two new lists say so, the second one 30 s or more after the call
	left    bool          // this wait saw it, since the call, in a status that the verb does not start from
	arrived bool          // this wait saw it at its goal
	hint    mirror.Status // of a row that is older than what was seen, and can hide a change; "" if there is none
	stays   time.Duration // for how long lists of the other cluster have come since it came to its status
}

// finding is what the judge says.
type finding struct {
	stage         Stage
	notes         []string
	next          string  // what to do; "" if that follows from the stage
	ask           int     // the cluster to ask for reasons, from 1; 0 is none
	arrived, left [2]bool // for each cluster: what to remember of this sight
}

// verdict is what one cluster's sight comes to.
type verdict uint8

const (
	still verdict = iota
	moving
	stuck
	there
)

// aloneAfter is how long a topic may be stopped without a mirror on the other cluster before that is pointed out.
const aloneAfter = time.Minute

// Where a reversal finds the topic on the other cluster, if it is listed there, and what it goes through.
var (
	otherFrom    = []mirror.Status{mirror.StatusStopped}
	otherThrough = []mirror.Status{mirror.StatusPendingMirror, mirror.StatusPendingSynchronize}
)

// judge says how far a topic has come, by what the two clusters show. It looks at nothing else.
func judge(v mirror.Verb, this, other sight) (f finding) {
	goal, otherGoal := v.Goal()
	a, b := f.look(v, this, 0, goal), there
	moves := a == moving || a == there && this.age != ageBefore
	if otherGoal != "" {
		resumed := otherGoal == mirror.StatusPaused && other.status == mirror.StatusActive
		paused := otherGoal == mirror.StatusActive && other.status == mirror.StatusPaused
		switch {
		case resumed:
			f.note("it is already resumed on %s", other.cluster)
			b = f.look(v, other, 1, mirror.StatusActive)
		case paused && this.status == goal:
			b = f.block(other, "resume it on "+other.cluster, "it is PAUSED on %s", other.cluster)
		case paused: // on its way
			b = min(f.look(v, other, 1, mirror.StatusPaused), moving)
		default:
			b = f.look(v, other, 1, otherGoal)
		}
		moves = moves || b == moving || b == there && other.age != ageBefore
		noMirror := other.read && (!other.listed || other.status == mirror.StatusStopped)
		if this.status == goal && noMirror && this.stays >= aloneAfter {
			f.note("%s has no mirror of it, as after a promote or a failover", other.cluster)
			f.next = stopProducers + other.cluster
		}
	}
	switch {
	case a == stuck || b == stuck:
		f.stage = StageBlocked
	case a == there && b == there:
		f.stage, f.ask = StageDone, 0
	case moves:
		f.stage = StageInProgress
	}
	return f
}

// look says what one cluster's sight comes to.
func (f *finding) look(v mirror.Verb, s sight, side int, goal mirror.Status) verdict {
	from, through := v.From(), v.Through()
	if side == 1 {
		from, through = otherFrom, otherThrough
	}
	hides, pending := hidesMore(s.status), strings.HasPrefix(string(s.status), "PENDING_")
	known, starts := slices.Contains(knownStatuses, s.status), slices.Contains(from, s.status)
	moves := pending || hides || !known
	f.left[side] = s.listed && s.age == ageSince && !starts && !hides
	if s.listed && s.status != goal && f.ask == 0 {
		f.ask = side + 1
	}
	for _, hidden := range []mirror.Status{s.status, s.hint} {
		if hidesMore(hidden) {
			f.note("it is %s on %s, which can hide %s", hidden, s.cluster, cmp.Or(v.Hidden(), "a change that is under way or done"))
		}
	}
	switch {
	case !s.read:
		f.note("%s has given no new list of it yet", s.cluster)
		return still
	case !s.listed && s.gone:
		return f.block(s, "look for it on "+s.cluster+" before sending it again", "%s no longer lists it", s.cluster)
	case !s.listed:
		if side == 0 && !v.FromUnlisted() {
			f.note("%s has never listed it: is the name right?", s.cluster)
		}
		return still
	case s.status == goal:
		return f.atGoal(s, side)
	case !known:
		f.note("it is %s on %s, a status that this library does not know", s.status, s.cluster)
	case pending && !slices.Contains(through, s.status):
		f.note("%s is not on the way of %s", s.status, v)
	}
	switch {
	case s.arrived && !hides:
		return f.block(s, undone, "it was %s on %s, and is no longer", goal, s.cluster)
	case s.status == mirror.StatusFailed && (s.age == ageSince || s.moved):
		return f.block(s, fix, "it is FAILED on %s", s.cluster)
	case starts && s.left && hides:
		return moving
	case starts && s.left:
		return f.block(s, "it went back: find out why before sending it again", "it is back to %s on %s", s.status, s.cluster)
	case starts:
		return still
	case s.age == ageBefore:
		f.note("it was %s on %s before this call", s.status, s.cluster)
		return still
	case moves && (s.age == ageSince || s.moved || !hides):
		return moving
	case s.age == ageNotKnown && !s.moved:
		f.note("how long it has been %s on %s is not known", s.status, s.cluster)
		return still
	}
	return f.block(s, fix, "it has become %s on %s", s.status, s.cluster)
}

// atGoal judges a topic that is at its goal: a state that may be from before the call needs a second list.
func (f *finding) atGoal(s sight, side int) verdict {
	f.arrived[side] = s.age == ageSince || s.firm
	switch s.age {
	case ageBefore:
		f.note("it was %s on %s before this call", s.status, s.cluster)
	case ageNotKnown:
		f.note("how long it has been %s on %s is not known", s.status, s.cluster)
	}
	switch {
	case f.arrived[side]:
		return there
	case s.age == ageBefore:
		return still
	}
	return moving
}

func (f *finding) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// block says that it does not go on by itself, once that is firm.
func (f *finding) block(s sight, next, format string, args ...any) verdict {
	f.note(format, args...)
	if !s.firm {
		return moving
	}
	f.next = next
	return stuck
}

// What to do, where a stage alone does not say it.
const (
	stopProducers = "STOP: keep producers off "
	undone        = "somebody undid it: find out who before sending it again"
	fix           = "fix what stands under WHY; then wait again, or send it again"
)

// hidesMore tells whether a status can hide that a change is under way, or done.
func hidesMore(s mirror.Status) bool {
	return s == mirror.StatusSourceUnavailable || s == mirror.StatusLinkPaused || s == mirror.StatusLinkFailed
}

// knownStatuses are those that have a constant.
var knownStatuses = []mirror.Status{
	mirror.StatusActive, mirror.StatusPaused, mirror.StatusStopped, mirror.StatusPendingStopped, mirror.StatusPendingMirror,
	mirror.StatusPendingSetupForRestore, mirror.StatusPendingRestore, mirror.StatusPendingSynchronize,
	mirror.StatusFailed, mirror.StatusLinkFailed, mirror.StatusLinkPaused, mirror.StatusSourceUnavailable,
}
