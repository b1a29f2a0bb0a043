package mirror

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Stage says how far a followed topic has come. Its text forms are "no sign", "in progress", "done" and
// "blocked".
type Stage uint8

const (
	// StageNoSign says that nothing that was seen says that the change has begun. It does not say that it
	// was not made.
	StageNoSign Stage = iota
	// StageInProgress says that something was seen to move.
	StageInProgress
	// StageDone says that the topic has the status that the verb leads to, on each cluster that it changes.
	// It is not proof that this call did it, that all data has come over, or that a mirror has caught up.
	StageDone
	// StageBlocked says that what was seen does not lead to the goal by itself: somebody has to act.
	StageBlocked
)

// stages are all there are, in the order in which they are told.
var stages = [...]Stage{StageDone, StageInProgress, StageBlocked, StageNoSign}

var stageNames = [...]string{
	StageNoSign: "no sign", StageInProgress: "in progress", StageDone: "done", StageBlocked: "blocked",
}

// String returns the stage's name.
func (s Stage) String() string { return nameOf(s, stageNames[:], "stage") }

// MarshalText returns the stage's name. It fails for a value that is no stage.
func (s Stage) MarshalText() ([]byte, error) { return marshalName(s, stageNames[:]) }

// UnmarshalText reads a stage's name. It fails for any other text.
func (s *Stage) UnmarshalText(text []byte) error { return unmarshalName(s, stageNames[:], text) }

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
	read    bool // a list was read that shows it, or shows that it is not listed
	listed  bool
	mirror  Mirror
	age     age
	left    bool // this Follow saw it in a status that is neither a start nor hides more
	had     bool // this Follow saw it in its present status before, and then in another
	gone    bool // this Follow saw it listed before
	firm    bool // two whole lists in a row say the same
}

// moment is what is known of the time at which the two sights are judged.
type moment struct {
	sinceCall time.Duration // since the last attempt of the topic's batch
	aloneFor  time.Duration // how long after the topic was first seen at its goal here the latest list there was
	doneAt    time.Time     // when it was last seen done; zero if it was not
}

// finding is what is made of it.
type finding struct {
	stage   Stage
	earlier bool // done, and it was there already before the call
	alone   bool // it is stopped here, and there is no mirror of it there
	notes   []string
}

const (
	// Nothing is called blocked earlier than this after the call.
	blockedAfter = 30 * time.Second
	// So long a topic may be stopped here without a mirror there before that is pointed out.
	aloneAfter = time.Minute
)

// judge says what stage a topic is at, by what the two clusters show. It looks at nothing else.
func (v verb) judge(here, there sight, now moment) (f finding) {
	note := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(f.notes, text) {
			f.notes = append(f.notes, text)
		}
	}
	both := v.doneThere != ""
	hereDone := here.listed && here.mirror.Status == v.done
	resumed := v.doneThere == StatusPaused && there.listed && there.mirror.Status == StatusActive
	if hereDone && (!both || resumed || there.listed && there.mirror.Status == v.doneThere) {
		f.stage = StageDone
		f.earlier = here.age == ageBefore && (!both || there.age == ageBefore)
		switch {
		case f.earlier:
			note("it was already there before this call")
		case here.age == ageNotKnown || both && there.age == ageNotKnown:
			note("how long it has been so is not known")
		}
		if resumed {
			note("it is already resumed on %s", there.cluster)
		}
		return f
	}

	signs, blocked := false, false
	block := func(s sight, format string, args ...any) {
		note(format, args...)
		signs = true // until it is firm
		blocked = blocked || s.firm && now.sinceCall >= blockedAfter
	}
	v.look(here, v.done, v.from, v.through, note, block, &signs)
	if here.read && !here.listed && !here.gone && !v.fromUnlisted {
		note("%s does not list it", here.cluster)
	}
	switch paused := there.listed && there.mirror.Status == StatusPaused; {
	case !both:
	case resumed: // past the goal
		v.look(there, StatusActive, fromThere, throughThere, note, block, &signs)
	case v.doneThere == StatusActive && paused && hereDone:
		block(there, "it is PAUSED on %s: resume it there", there.cluster)
	case v.doneThere == StatusActive && paused:
		v.look(there, StatusPaused, fromThere, throughThere, note, block, &signs)
	default:
		v.look(there, v.doneThere, fromThere, throughThere, note, block, &signs)
	}
	if !now.doneAt.IsZero() {
		firm := here
		firm.firm = here.firm && (!both || there.firm)
		block(firm, "it was seen done at %s, and no longer", now.doneAt.UTC().Format(time.RFC3339))
	}
	noMirror := there.read && (!there.listed || there.mirror.Status == StatusStopped)
	if both && hereDone && noMirror && now.aloneFor >= aloneAfter {
		f.alone = true
		note("%s has no mirror of it: this also is what a promote or failover looks like; both sides may take writes",
			there.cluster)
	}
	switch {
	case blocked:
		f.stage = StageBlocked
	case signs:
		f.stage = StageInProgress
	}
	return f
}

// Where a reversal finds the topic on the other cluster, if it is listed there, and what it goes through.
var (
	fromThere    = []Status{StatusStopped}
	throughThere = []Status{StatusPendingMirror, StatusPendingSynchronize}
)

// look judges what one cluster shows of a topic that is not done.
func (v verb) look(
	s sight, goal Status, from, through []Status,
	note func(string, ...any), block func(sight, string, ...any), signs *bool,
) {
	status := s.mirror.Status
	switch {
	case !s.read:
		note("%s has said nothing certain of it yet", s.cluster)
		return
	case !s.listed:
		if s.gone {
			block(s, "%s no longer lists it", s.cluster)
		}
		return
	case hidesMore(status):
		hidden := cmp.Or(v.hidden, "a change that is under way or done")
		note("it is %s on %s, which can hide %s", status, s.cluster, hidden)
	}
	starts, pending := slices.Contains(from, status) && status != goal, strings.HasPrefix(string(status), "PENDING_")
	known := slices.Contains(knownStatuses, status)
	moves := status == goal || pending || hidesMore(status) || !known
	switch {
	case status == StatusFailed && s.age == ageSince:
		block(s, "it is FAILED on %s", s.cluster)
	case starts && hidesMore(status):
		*signs = *signs || s.left
	case starts && s.left && s.had:
		block(s, "it is back to %s on %s", status, s.cluster)
	case starts && s.left:
		block(s, "it is %s on %s", status, s.cluster)
	case starts:
	case s.age == ageBefore:
		note("it was %s on %s before this call", status, s.cluster)
	case s.age == ageNotKnown:
		note("it is %s on %s; how long it has been so is not known", status, s.cluster)
		*signs = *signs || moves && !hidesMore(status)
	case moves:
		*signs = true
	default:
		block(s, "it has become %s on %s", status, s.cluster)
	}
	switch {
	case !known:
		note("it is %s on %s, a status that this library does not know", status, s.cluster)
	case pending && !slices.Contains(through, status):
		note("%s is not on the way of %s", status, v.name)
	}
}

// hidesMore tells whether a status can hide that a change is under way, or done.
func hidesMore(s Status) bool {
	return s == StatusSourceUnavailable || s == StatusLinkPaused || s == StatusLinkFailed
}

// knownStatuses are those that have a constant.
var knownStatuses = []Status{
	StatusActive, StatusPaused, StatusStopped, StatusPendingStopped, StatusPendingMirror, StatusPendingSetupForRestore,
	StatusPendingRestore, StatusPendingSynchronize, StatusFailed, StatusLinkFailed, StatusLinkPaused,
	StatusSourceUnavailable,
}
