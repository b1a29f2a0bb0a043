package mirror

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/wire"
)

// The errors to test for with errors.Is.
var (
	// ErrInvalidArgument says that the call or the Config was wrong. Nothing was sent.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrNoTopics says that no topic was selected: the selection was empty, or the server answered a pattern with no
	// rows.
	ErrNoTopics = errors.New("no topics")
	// ErrOutcomeUnknown says that at least one topic may have been changed and the outcome is not known. Look at the
	// cluster before you send the topic again.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrUnauthenticated says that the server answered 401: nothing was done (assumed).
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrRateLimited says that the rate limiter in front of the server rejected the request: nothing was done. Only the
	// header DoSFilter: unavailable is proof of a rejection (observed). Other 429s do not match.
	ErrRateLimited = errors.New("rate limited")
	// ErrNoLink says that the server does not know the link (observed: the text of a 404). The server may say so for up
	// to 30 s after the link was made.
	ErrNoLink = errors.New("no such link")
	// ErrNoMirror says that the server does not know the mirror topic (observed: the text of a 404).
	ErrNoMirror = errors.New("no such mirror topic")
)

// The texts of a server's two kinds of 404 (observed).
const (
	noLinkText   = "The cluster link doesn't exist"
	noMirrorText = "The mirror topic doesn't exist"
)

// maxText is the largest size, in bytes, of a foreign text in a report or an error.
const maxText = wire.MaxText

// An APIError is any response except a readable 200.
type APIError struct {
	// Status is the HTTP status code.
	Status int
	// Code is the error code from the body: Kafka's code (40101) or the cloud's code if numeric; 0 if there was none.
	Code int
	// Message is the body's message, made printable and shortened: the message of a Kafka error, the title and detail
	// of a cloud error, or the title of an HTML page. Message may be empty.
	Message string
	// RequestID is the X-Request-Id header (assumed) or else the id in the body; "" if there was neither.
	RequestID string
	// RetryAfter is how long the server asked the client to wait; 0 if the server did not say.
	RetryAfter time.Duration

	rateLimited bool
}

// Error returns status, code, message and request id on a printable line.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP %d", e.Status)
	if name := http.StatusText(e.Status); name != "" {
		b.WriteString(" " + name)
	}
	said := strings.HasSuffix(b.String(), e.Message) // an empty message, or a page's title such as 502 Bad Gateway
	if e.Code != 0 && e.Code != e.Status {
		fmt.Fprintf(&b, ", code %d", e.Code)
	}
	if !said {
		b.WriteString(": " + e.Message)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %v)", e.RetryAfter)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request id %s)", e.RequestID)
	}
	return b.String()
}

// Is makes a 401 match ErrUnauthenticated and a rejection by the rate limiter match ErrRateLimited. A 404 matches
// ErrNoLink or ErrNoMirror by its text.
func (e *APIError) Is(target error) bool {
	switch target {
	case ErrUnauthenticated:
		return e.Status == http.StatusUnauthorized
	case ErrRateLimited:
		return e.rateLimited
	case ErrNoLink:
		return e.Status == http.StatusNotFound && strings.HasPrefix(e.Message, noLinkText)
	case ErrNoMirror:
		return e.Status == http.StatusNotFound && strings.HasPrefix(e.Message, noMirrorText)
	}
	return false
}

// evidenceError returns why an attempt brought no answer, or nil if an answer was read to its end.
func evidenceError(e wire.Evidence) error {
	if e.Proof == wire.Answered {
		return nil
	}
	err := e.Err
	if e.Status != 0 && !e.Answer {
		err = wire.Join(&APIError{
			Status: e.Status, Code: e.Code, Message: e.Message, RequestID: e.RequestID,
			RetryAfter: e.RetryAfter, rateLimited: e.RateLimited,
		}, err)
	}
	if e.Doubt != "" {
		err = wire.Join(err, errors.New(e.Doubt+", so the request may have been processed"))
	}
	return err
}

// A TopicError is the server's refusal of one topic.
type TopicError struct {
	Topic string
	// Code is the row's error_code; 0 if only the message says that the row failed.
	Code int
	// Message is the row's error_message, made printable and shortened. Message may be empty.
	Message string
}

// Error returns topic, code and message on a printable line.
func (e *TopicError) Error() string {
	return text.Line(e.Topic, maxTopicName) + ": " + codeAndMessage(e.Code, e.Message)
}

// Retriable reports whether the code is Kafka's code for a temporary error (contract: 50003). Retriable does not prove
// that nothing was done: time-outs have the code 50003 too.
func (e *TopicError) Retriable() bool { return e.Code == 50003 }

// AlreadyStopped reports whether the server says that the mirror was already stopped (contract: the text of its
// example). After a lost answer an earlier reversal, promote or failover may have stopped the mirror. The meaning of
// the text in answers to the other verbs is not known.
func (e *TopicError) AlreadyStopped() bool {
	return e.Code == http.StatusBadRequest && strings.Contains(e.Message, "has already stopped its mirror")
}

// Is makes a row with code 404 match ErrNoMirror if the message says so.
func (e *TopicError) Is(target error) bool {
	return target == ErrNoMirror && e.Code == http.StatusNotFound && strings.HasPrefix(e.Message, noMirrorText)
}

func codeAndMessage(code int, message string) string {
	switch {
	case code == 0:
		return message
	case message == "":
		return fmt.Sprintf("code %d, no message", code)
	}
	return fmt.Sprintf("%d: %s", code, message)
}

// An IncompleteError says that not every topic was accepted. Every error from a verb of a Client is an IncompleteError,
// bad arguments included.
type IncompleteError struct {
	// Report is the report returned beside the error.
	Report *Report

	causes []error
}

// Error returns the counts and the first cause on a printable line.
func (e *IncompleteError) Error() string {
	s := "not all accepted"
	if e.Report != nil {
		s = e.Report.String()
	}
	if len(e.causes) > 0 {
		s += ": " + e.causes[0].Error()
	}
	if n := len(e.causes) - 1; n > 0 {
		s += " (and " + text.Count(n, "other cause") + ")"
	}
	return s
}

// Unwrap returns the distinct causes: the problems of the run, then why topics are Unknown or Untouched, then the
// refusals. Causes of a kind are in the order asked, but topics with already stopped mirrors come last.
func (e *IncompleteError) Unwrap() []error { return e.causes }

// Is makes the error match ErrOutcomeUnknown if a topic, named or not, may have been changed and the outcome is not
// known.
func (e *IncompleteError) Is(target error) bool {
	return target == ErrOutcomeUnknown && e.Report != nil && (e.Report.Count(Unknown) > 0 || e.Report.Lost)
}

// Err returns nil only if at least one topic was asked for, every topic was accepted, the answer was read to its end
// and no row was unexpected. Otherwise Err returns an *IncompleteError. The verb's own error also matches the errors of
// contexts, transports, credentials and recorders, which a report does not keep.
func (r *Report) Err() error { return r.incomplete(r.recorded) }

// recorded returns the error behind a text of the report, taken from the attempts.
func (r *Report) recorded(why string) error {
	var found Attempt // the attempt with the longest error within the text
	for _, a := range r.Attempts {
		if len(a.Error) > len(found.Error) && strings.Contains(why, a.Error) {
			found = a
		}
	}
	cut := found.HTTPStatus == http.StatusOK && found.Message == ""
	if found.HTTPStatus == 0 || cut {
		return errors.New(why)
	}
	return wire.WithText(why, &APIError{
		Status: found.HTTPStatus, Code: found.Code, Message: found.Message, RequestID: found.RequestID,
		rateLimited: found.RateLimited,
	})
}

// incomplete returns the report's error. errorOf returns the error of a text.
func (r *Report) incomplete(errorOf func(text string) error) error {
	e := &IncompleteError{Report: r}
	for _, p := range r.Problems {
		e.causes = append(e.causes, errorOf(p))
	}
	if n := len(r.Unexpected); n > 0 {
		e.causes = append(e.causes, errors.New(r.unexpectedText()))
	}
	known := map[string]bool{}
	for i := range r.Results {
		res := &r.Results[i]
		if res.Outcome != Accepted && res.Outcome != Failed && !known[res.Why] {
			known[res.Why] = true
			if !slices.Contains(r.Problems, res.Why) {
				e.causes = append(e.causes, errorOf(res.Why))
			}
		}
	}
	for _, stopped := range []bool{false, true} { // topics that an earlier call may have stopped come last
		for i := range r.Results {
			if res := &r.Results[i]; res.Outcome == Failed && res.AlreadyStopped() == stopped {
				e.causes = append(e.causes, res.Err())
			}
		}
	}
	switch {
	case len(e.causes) > 0:
		return e
	case r.Lost:
		e.causes = []error{errors.New("topics that no row is about may have been changed")}
		return e
	case len(r.Results) == 0:
		e.causes = []error{wire.WithText("the server answered with no rows", ErrNoTopics)}
		return e
	}
	return nil
}

// unexpectedText counts the unexpected rows and describes the first.
func (r *Report) unexpectedText() string {
	first := &r.Unexpected[0]
	s := "the answer has " + text.Count(len(r.Unexpected), "unexpected row") + ", the first"
	if first.Topic != "" {
		s += " about " + text.Quote(first.Topic)
	}
	return s + ": " + strings.Join(first.Notes, "; ")
}

// argumentError lists everything wrong with the arguments in a single error.
type argumentError struct {
	problems []string
	noTopics bool
	// names are the caller's names of the fields; nil keeps the fields' own names.
	names map[string]string
}

// add adds a problem with a field. A value in the text must be quoted.
func (e *argumentError) add(field, format string, args ...any) {
	if name, renamed := e.names[field]; renamed {
		field = name
	}
	e.problems = append(e.problems, field+": "+fmt.Sprintf(format, args...))
}

// err returns e, or nil if nothing is wrong.
func (e *argumentError) err() error {
	if len(e.problems) == 0 {
		return nil
	}
	return e
}

func (e *argumentError) Error() string {
	return ErrInvalidArgument.Error() + ": " + strings.Join(e.problems, "; ")
}

func (e *argumentError) Is(target error) bool {
	return target == ErrInvalidArgument || target == ErrNoTopics && e.noTopics
}
