package wire

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// MaxText is the largest size, in bytes, of a foreign text that is kept or shown.
const MaxText = 1024

const (
	redacted = "(redacted)"
	// minSecret is the length of the shortest secret: a shorter value would be found everywhere.
	minSecret = 6
)

// Secrets are the credentials of a call, taken from its requests' headers. Escaped or encoded copies of a secret are
// not looked for. The zero value has no secrets. Secrets are safe for concurrent use.
type Secrets struct {
	mu       sync.Mutex
	values   []string
	replacer *strings.Replacer
}

// secretNames are parts of the names of headers whose values are secrets.
var secretNames = []string{"auth", "cookie", "key", "token", "secret", "passw", "credential", "signature"}

// Add adds the credentials in a request's headers: each value, the part after its scheme, and for HTTP Basic the pair
// and the password.
func (s *Secrets) Add(h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.values)
	for name, values := range h {
		name = strings.ToLower(name)
		if !slices.ContainsFunc(secretNames, func(part string) bool { return strings.Contains(name, part) }) {
			continue
		}
		for _, value := range values {
			scheme, rest, _ := strings.Cut(value, " ")
			forms := []string{value, rest}
			if pair, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "Basic") {
				_, password, _ := strings.Cut(string(pair), ":")
				forms = append(forms, string(pair), password)
			}
			for _, form := range forms {
				if len(form) >= minSecret && !slices.Contains(s.values, form) {
					s.values = append(s.values, form)
				}
			}
		}
	}
	if len(s.values) == before {
		return
	}
	slices.SortFunc(s.values, func(a, b string) int { return len(b) - len(a) }) // the longest first
	var pairs []string
	for _, value := range s.values {
		pairs = append(pairs, value, redacted)
	}
	s.replacer = strings.NewReplacer(pairs...)
}

// Hide returns the text without the secrets.
func (s *Secrets) Hide(t string) string {
	s.mu.Lock()
	replacer := s.replacer
	s.mu.Unlock()
	if replacer == nil {
		return t
	}
	return replacer.Replace(t)
}

// Show returns a foreign text without the secrets, as a printable line of at most limit bytes.
func (s *Secrets) Show(t string, limit int) string { return text.Line(s.Hide(t), limit) }

// An Error is an error whose text is safe to show.
type Error struct {
	text string
	err  error
}

func (e *Error) Error() string { return e.text }
func (e *Error) Unwrap() error { return e.err }

// GoString keeps %#v from printing the wrapped error, whose text may have a secret.
func (e *Error) GoString() string { return e.text }

// The parts of a URL that can hold a secret: user info, query and fragment.
var (
	userInfo = regexp.MustCompile(`://[^\s"/]*@`)
	query    = regexp.MustCompile(`(://[^\s"?#]*)[?#][^\s"]*`)
)

// foreign gives another package's error a text without secrets.
func (s *Secrets) foreign(err error) error {
	if err == nil {
		return nil
	}
	shown := userInfo.ReplaceAllString(query.ReplaceAllString(s.Hide(err.Error()), "$1"), "://")
	return &Error{text.Line(shown, MaxText), err}
}

// Foreign gives another package's error, such as a recorder's, a safe text where no credentials are known.
func Foreign(err error) error { return (&Secrets{}).foreign(err) }

// WithText gives an error another text.
func WithText(shown string, err error) error { return &Error{shown, err} }

// Because begins an error's text with the place of the failure. For a nil error the text is the place.
func Because(where string, err error) error {
	if err == nil {
		return &Error{where, nil}
	}
	return &Error{where + ": " + text.Line(err.Error(), MaxText), err}
}

// Ended says that ctx ended an operation or would end too soon. The error matches the context's error and its cause.
func Ended(ctx context.Context, where string, err error) error {
	if ctx.Err() == nil { // sleep does not begin a wait that the deadline would end
		where += ": the call's deadline comes before the end of the wait"
		return &Error{where, errors.Join(context.DeadlineExceeded, err)}
	}
	cause := Foreign(context.Cause(ctx))
	out := where + ": " + cause.Error()
	if err != nil && !errors.Is(err, ctx.Err()) {
		out += ": " + err.Error()
	}
	return &Error{out, errors.Join(ctx.Err(), cause, err)}
}

// Join joins two errors on a single line. Either may be nil.
func Join(a, b error) error {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return &Error{a.Error() + "; " + b.Error(), errors.Join(a, b)}
}
