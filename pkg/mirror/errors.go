package mirror

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	printable "github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// The kinds of error that a caller tells apart with errors.Is.
var (
	// ErrInvalidArgument says that the call, or the Config, was wrong. Nothing was sent.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrNoTopics says that no topic was selected: an empty selection, or a pattern to which the
	// server answered with no rows.
	ErrNoTopics = errors.New("no topics")
	// ErrOutcomeUnknown says that at least one topic may have been changed, and the outcome is not
	// known. Look at the cluster before you send it again.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrUnauthenticated says that the server answered 401: nothing was done.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrRateLimited says that the rate limiter in front of the server rejected the request before it
	// was processed: nothing was done. Only the header DoSFilter: unavailable proves that; another
	// 429 does not match.
	ErrRateLimited = errors.New("rate limited")
	// ErrNoLink says that the server knows no such link (observed: the text of a 404; of a link that was
	// just made it may say so for up to 30 s).
	ErrNoLink = errors.New("no such link")
	// ErrStalled says that Follow saw nothing move for as long as FollowOptions.Patience.
	ErrStalled = errors.New("stalled")
	// ErrNoMirror says that the server knows no such mirror topic (observed: the text of a 404).
	ErrNoMirror = errors.New("no such mirror topic")
)

// The texts by which a server's two kinds of 404 are told apart (observed).
const (
	noLinkText   = "The cluster link doesn't exist"
	noMirrorText = "The mirror topic doesn't exist"
)

// Codes that a server is known to send, as APIError.Code or TopicError.Code.
const (
	CodeBadRequest         = 400   // the request, or a topic that cannot be altered now (contract)
	CodeUnknownServerError = 40002 // may stand for any error, after dispatch too (observed)
	CodeUnauthenticated    = 40101 // the credential is not known (contract)
	CodeUnauthorized       = 40301 // the credential has no right to this (observed)
	CodeUnknownTopic       = 40403 // the cluster has no such topic (observed)
	CodeQuotaExceeded      = 42901 // a quota of the broker, after dispatch (observed)
	CodeRetriable          = 50003 // an error that may pass; no proof that nothing was done (contract)
)

// A TopicError is the server's refusal for one topic.
type TopicError struct {
	Topic string
	// Code is the row's error_code; 0 if the row failed by its message alone.
	Code int
	// Message is the row's error_message, made printable and shortened; it may be empty.
	Message string
}

// Error gives topic, code and message on one printable line.
func (e *TopicError) Error() string {
	return cleanLong(e.Topic + ": " + codeAndMessage(e.Code, e.Message))
}

// Retriable tells whether the code is Kafka's for a passing error (contract: 50003). It is no proof
// that nothing was done: time-outs have that code too.
func (e *TopicError) Retriable() bool { return e.Code == CodeRetriable }

// Is makes a row with code 404 match ErrNoMirror if that is what it says.
func (e *TopicError) Is(target error) bool {
	return target == ErrNoMirror && e.Code == http.StatusNotFound && strings.HasPrefix(e.Message, noMirrorText)
}

// AlreadyStopped tells whether the server says that the topic's mirror has stopped already (contract: the
// text of its example). After a lost answer, or when a job is taken up again, an earlier reversal, promote
// or failover may have done it. What the text means in answer to the other verbs is not known.
func (e *TopicError) AlreadyStopped() bool {
	return e.Code == CodeBadRequest && strings.Contains(e.Message, "has already stopped its mirror")
}

func codeAndMessage(code int, message string) string {
	switch {
	case code == 0 && message == "":
		return "refused"
	case code == 0:
		return message
	case message == "":
		return fmt.Sprintf("code %d, no message", code)
	}
	return fmt.Sprintf("%d: %s", code, message)
}

// argumentError is everything that is wrong with the arguments, in one error.
type argumentError struct {
	problems []string
	noTopics bool
}

// add notes a problem with a field. What is shown of a caller's value is quoted by the caller.
func (e *argumentError) add(field, format string, args ...any) {
	e.problems = append(e.problems, field+": "+fmt.Sprintf(format, args...))
}

// err returns e, or nil if there is nothing wrong.
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

// causeError is a cause with a text of its own, and the error below it if there is one. It is
// used by pointer, so that causes can be told apart by identity.
type causeError struct {
	text string
	err  error
}

func (e *causeError) Error() string { return e.text }
func (e *causeError) Unwrap() error { return e.err }

// cause gives err a text that says where it came up. What err says is made printable and
// shortened, for a server may have had its hand in it.
func cause(where string, err error) error {
	if err == nil {
		return &causeError{text: where}
	}
	return &causeError{text: where + ": " + clean(err.Error()), err: err}
}

// joined puts two causes in one, where neither may be lost. Either may be nil.
func joined(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &causeError{text: a.Error() + "; " + b.Error(), err: errors.Join(a, b)}
}

// clean makes the text of somebody else's error safe to show.
func clean(text string) string { return printable.Line(text, maxText) }

// cleanLong does so for a text that the library put together out of several.
func cleanLong(text string) string { return printable.Line(text, 64*maxText) }

// maxText bounds, in bytes, each text of somebody else's that is kept or shown.
const maxText = 1024

// count returns "1 topic", "2 topics".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// badCredentialError is the library's own error about a credential; it never quotes one.
type badCredentialError struct{ problem string }

func badCredential(problem string) error { return &badCredentialError{problem} }

func (e *badCredentialError) Error() string {
	return ErrInvalidArgument.Error() + ": " + e.problem
}

func (e *badCredentialError) Is(target error) bool { return target == ErrInvalidArgument }

// An APIError is a response to a whole request that was not a readable 200.
type APIError struct {
	// Status is the HTTP status code.
	Status int
	// Code is the error code from the body, Kafka's (40101) or the cloud's where that is a
	// number; 0 if there was none.
	Code int
	// Message is what the body says, made printable and shortened: the message of Kafka's shape,
	// title and detail of the cloud's, the title of an HTML page. It may be empty.
	Message string
	// RequestID is the X-Request-Id header or the id in the body; "" if there was neither. That
	// the server sends the header is assumed.
	RequestID string
	// RetryAfter is how long the server asked to wait; 0 if it did not say, or not legibly.
	RetryAfter time.Duration

	// rateLimited says that the rate limiter rejected the request before dispatch.
	rateLimited bool
}

// Error gives the status, code, message and request id on one printable line.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP %d", e.Status)
	if text := http.StatusText(e.Status); text != "" {
		b.WriteString(" " + text)
	}
	if e.Code != 0 && e.Code != e.Status {
		fmt.Fprintf(&b, ", code %d", e.Code)
	}
	if e.Message != "" && e.Message != http.StatusText(e.Status) && e.Message != b.String() {
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

// Is makes a 401 match ErrUnauthenticated, a 429 of the rate limiter ErrRateLimited, and a 404 ErrNoLink or
// ErrNoMirror if that is what it says.
func (e *APIError) Is(target error) bool {
	switch target {
	case ErrNoLink:
		return e.Status == http.StatusNotFound && strings.HasPrefix(e.Message, noLinkText)
	case ErrNoMirror:
		return e.Status == http.StatusNotFound && strings.HasPrefix(e.Message, noMirrorText)
	case ErrUnauthenticated:
		return e.Status == http.StatusUnauthorized
	case ErrRateLimited:
		return e.rateLimited
	}
	return false
}
