package mirror

import (
	"fmt"
	"slices"
	"strings"

	printable "github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// An Outcome says how a call ended for one topic, and so what to do next. Its text forms are
// "unknown", "accepted", "failed" and "untouched".
type Outcome uint8

const (
	// Unknown says that the request may have been carried out for this topic. Look at the cluster before
	// sending it again.
	Unknown Outcome = iota
	// Accepted says that the server accepted the change. It is not done yet: the topic may go through
	// PENDING_* statuses until it has the status that the verb leads to (observed). In a dry run: it would be
	// accepted.
	Accepted
	// Failed says that the server answered for this topic and said no.
	Failed
	// Untouched says that nothing was done: the request was never sent, or refused as a whole. Fix the
	// cause and send it again.
	Untouched
)

// outcomes are all there are, in the order in which they are told.
var outcomes = [...]Outcome{Accepted, Failed, Unknown, Untouched}

var outcomeNames = [...]string{Unknown: "unknown", Accepted: "accepted", Failed: "failed", Untouched: "untouched"}

// String returns the outcome's name.
func (o Outcome) String() string { return nameOf(o, outcomeNames[:], "outcome") }

// MarshalText returns the outcome's name. It fails for a value that is no outcome.
func (o Outcome) MarshalText() ([]byte, error) { return marshalName(o, outcomeNames[:]) }

// UnmarshalText reads an outcome's name. It fails for any other text.
func (o *Outcome) UnmarshalText(text []byte) error { return unmarshalName(o, outcomeNames[:], text) }

// nameOf returns the name of a value; one that has none gets one of its kind and number.
func nameOf[T ~uint8](v T, names []string, kind string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", kind, uint8(v))
}

func marshalName[T ~uint8](v T, names []string) ([]byte, error) {
	if int(v) >= len(names) {
		return nil, fmt.Errorf("%w: %v", ErrInvalidArgument, v)
	}
	return []byte(names[v]), nil
}

func unmarshalName[T ~uint8](v *T, names []string, text []byte) error {
	i := slices.Index(names, string(text))
	if i < 0 {
		return fmt.Errorf("%w: %s is none of %s",
			ErrInvalidArgument, printable.Quote(string(text)), strings.Join(names, ", "))
	}
	*v = T(i)
	return nil
}

// Unaccounted says what is known of topics that a call is about and no Result is: those that a
// pattern covers and no row was read about. A selection by name has a Result for each topic. Its text
// forms are "none", "untouched" and "unknown".
type Unaccounted uint8

const (
	// UnaccountedNone says that there are no such topics: the zero value.
	UnaccountedNone Unaccounted = iota
	// UnaccountedUntouched says that nothing was done.
	UnaccountedUntouched
	// UnaccountedUnknown says that the request may have been carried out for topics that are not known.
	UnaccountedUnknown
)

var unaccountedNames = [...]string{
	UnaccountedNone: "none", UnaccountedUntouched: "untouched", UnaccountedUnknown: "unknown",
}

// String returns the value's name.
func (u Unaccounted) String() string { return nameOf(u, unaccountedNames[:], "unaccounted") }

// MarshalText returns the value's name. It fails for a value that has none.
func (u Unaccounted) MarshalText() ([]byte, error) { return marshalName(u, unaccountedNames[:]) }

// UnmarshalText reads a value's name. It fails for any other text.
func (u *Unaccounted) UnmarshalText(text []byte) error {
	return unmarshalName(u, unaccountedNames[:], text)
}
