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

// The kinds of error that a caller tells apart with errors.Is.
var (
	// ErrInvalidArgument says that the call, or the Config, was wrong. Nothing was sent.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrNoTopics says that no topic was selected: an empty selection, or a pattern to which the server answered with
	// no rows.
	ErrNoTopics = errors.New("no topics")
	// ErrOutcomeUnknown says that at least one topic may have been changed, and the outcome is not known. Look at the
	// cluster before you send the topic again.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrUnauthenticated says that the server answered 401: nothing was done (assumed).
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrRateLimited says that the rate limiter in front of the server rejected the request: nothing was done. Only the
	// header DoSFilter: unavailable proves that (observed). Another 429 does not match.
	ErrRateLimited = errors.New("rate limited")
	// ErrNoLink says that the server knows no such link (observed: the text of a 404). Of a link that was just made the
	// server may say so for up to 30 s.
	ErrNoLink = errors.New("no such link")
	// ErrNoMirror says that the server knows no such mirror topic (observed: the text of a 404).
	ErrNoMirror = errors.New("no such mirror topic")
)

// The texts by which a server's two kinds of 404 are told apart (observed).
const (
	noLinkText   = "The cluster link doesn't exist"
	noMirrorText = "The mirror topic doesn't exist"
)

// maxText bounds, in bytes, each text from elsewhere that is kept or shown.
const maxText = wire.MaxText

// An APIError is a response that was not a readable 200.
type APIError struct {
	// Status is the HTTP status code.
	Status int
	// Code is the error code from the body, Kafka's (40101) or the cloud's where that is a number; 0 if there was none.
	Code int
	// Message is what the body says, made printable and shortened: the message of Kafka's shape, title and detail of
	// the cloud's, the title of an HTML page. It may be empty.
	Message string
	// RequestID is the X-Request-Id header or the id in the body; "" if there was neither. That the server sends the
	// header is assumed.
	RequestID string
	// RetryAfter is how long the server asked to wait; 0 if the server did not say.
	RetryAfter time.Duration

	rateLimited bool
}

// Error gives the status, code, message and request id on one printable line.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP %d", e.Status)
	if name := http.StatusText(e.Status); name != "" {
		b.WriteString(" " + name)
	}
	said := strings.HasSuffix(b.String(), e.Message) // none, or as a page's title has it: 502 Bad Gateway
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

// Is makes a 401 match ErrUnauthenticated, a rejection by the rate limiter ErrRateLimited, and a 404 ErrNoLink or
// ErrNoMirror if that is what its text says.
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

// evidenceError returns why an attempt brought no answer that was read to its end; nil if it did.
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
	// Code is the row's error_code; 0 if the row failed by its message alone.
	Code int
	// Message is the row's error_message, made printable and shortened; it may be empty.
	Message string
}

// Error gives topic, code and message on one printable line.
func (e *TopicError) Error() string {
	return text.Line(e.Topic, maxTopicName) + ": " + codeAndMessage(e.Code, e.Message)
}

// Retriable tells whether the code is Kafka's for an error that may pass (contract: 50003). The code does not prove
// that nothing was done: time-outs have that code too.
func (e *TopicError) Retriable() bool { return e.Code == 50003 }

// AlreadyStopped tells whether the server says that the topic's mirror has stopped already (contract: the text of its
// example). After a lost answer an earlier reversal, promote or failover may have stopped it. What the text means in
// answer to the other verbs is not known.
func (e *TopicError) AlreadyStopped() bool {
	return e.Code == http.StatusBadRequest && strings.Contains(e.Message, "has already stopped its mirror")
}

// Is makes a row with code 404 match ErrNoMirror if that is what its text says.
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

// An IncompleteError says that a call fell short of 'all accepted'. Every error that a verb of a Client returns is one,
// bad arguments included.
type IncompleteError struct {
	// Report is the report that the verb returned beside the error.
	Report *Report

	causes []error
}

// Error gives the counts and the first cause on one printable line.
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

// Unwrap returns the distinct causes: what was wrong with the run first, then why topics are Unknown or Untouched, then
// the refusals, each in the order asked, and last the topics whose mirrors had stopped already.
func (e *IncompleteError) Unwrap() []error { return e.causes }

// Is makes the error match ErrOutcomeUnknown where a topic, named or not, may have been changed and the outcome is not
// known.
func (e *IncompleteError) Is(target error) bool {
	return target == ErrOutcomeUnknown && e.Report != nil && (e.Report.Count(Unknown) > 0 || e.Report.Lost)
}

// Err returns nil only if every topic asked for was accepted, there was at least one, the answer was read to its end,
// and nothing unexpected was in it; otherwise it returns an *IncompleteError. The verb's own error also matches the
// errors of contexts, transports, credentials and recorders, which a report does not keep.
func (r *Report) Err() error { return r.incomplete(r.recorded) }

// recorded returns the error that a text of the report is about, as far as the attempts tell.
func (r *Report) recorded(why string) error {
	var found Attempt // of those whose error is in the text, the one with the longest
	for _, a := range r.Attempts {
		if len(a.Error) > len(found.Error) && strings.Contains(why, a.Error) {
			found = a
		}
	}
	if found.HTTPStatus == 0 || found.HTTPStatus == http.StatusOK && found.Message == "" { // no response, or a cut answer
		return errors.New(why)
	}
	return wire.WithText(why, &APIError{
		Status: found.HTTPStatus, Code: found.Code, Message: found.Message, RequestID: found.RequestID,
		rateLimited: found.RateLimited,
	})
}

// incomplete returns the report's error. ErrorOf returns the error of a text.
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
	for _, stopped := range []bool{false, true} { // those that an earlier call may have stopped come last
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

// unexpectedText says how many rows were not asked for, and what the first is about.
func (r *Report) unexpectedText() string {
	first := &r.Unexpected[0]
	s := "the answer has " + text.Count(len(r.Unexpected), "unexpected row") + ", the first"
	if first.Topic != "" {
		s += " about " + text.Quote(first.Topic)
	}
	return s + ": " + strings.Join(first.Notes, "; ")
}

// argumentError is everything that is wrong with the arguments, in one error.
type argumentError struct {
	problems []string
	noTopics bool
	// names are what the caller calls the fields; nil is as they are.
	names map[string]string
}

// add notes a problem with a field. A value that is shown must be quoted.
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
