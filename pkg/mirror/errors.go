package mirror

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

// The kinds of error that a caller tells apart with errors.Is.
var (
	// ErrInvalidArgument says that the call, or the Config, was wrong. Nothing was sent.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrNoTopics says that no topic was selected: an empty selection, or a pattern to which the
	// server answered with no rows.
	ErrNoTopics = errors.New("no topics")
	// ErrOutcomeUnknown says that at least one topic may have been reversed, and the outcome is not
	// known. Look at the cluster before you send it again.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrUnauthenticated says that the server answered 401: nothing was done.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrRateLimited says that the rate limiter in front of the server rejected the request before it
	// was processed: nothing was done. Only the header DoSFilter: unavailable proves that; another
	// 429 does not match.
	ErrRateLimited = errors.New("rate limited")
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

// foreignError is an error of somebody else's code. It matches what it wraps, but never what only the
// library says: an error of another call that comes back through middleware, a hook or a context
// says nothing about this call.
type foreignError struct {
	text string // without secrets
	err  error
}

// foreign marks an error as somebody else's. A nil error stays nil.
func foreign(err error) error { return (*redactor)(nil).foreign(err) }

// foreign does so and takes the credential out of the error's text.
func (r *redactor) foreign(err error) error {
	if err == nil {
		return nil
	}
	return &foreignError{r.text(withoutURLSecrets(err)), err}
}

func (e *foreignError) Error() string { return e.text }

// Is looks for the target below, unless it is one of the library's.
func (e *foreignError) Is(target error) bool {
	switch target {
	case ErrInvalidArgument, ErrNoTopics, ErrOutcomeUnknown, ErrUnauthenticated, ErrRateLimited:
		return false
	}
	return guarded(func() bool { return errors.Is(e.err, target) })
}

// As looks for the target below, unless it is of one of the library's types.
func (e *foreignError) As(target any) bool {
	switch target.(type) {
	case **APIError, **TopicError, **IncompleteError, **argumentError:
		return false
	}
	return guarded(func() bool { return errors.As(e.err, target) })
}

// guarded asks somebody else's error something. One whose methods panic, such as a nil pointer of a
// type of net, answers no.
func guarded(ask func() bool) (answer bool) {
	defer func() {
		if recover() != nil {
			answer = false
		}
	}()
	return ask()
}

// credentialError marks an error of a credential as somebody else's, unless it is the library's own.
func (r *redactor) credentialError(err error) error {
	var own *badCredentialError
	if errors.As(err, &own) && own != nil {
		return own
	}
	return r.foreign(err)
}

// maxText bounds, in bytes, each text of somebody else's that is kept or shown.
const maxText = 1024

// count returns "1 topic", "2 topics".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
