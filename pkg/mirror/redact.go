package mirror

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// redactor takes the credential of one attempt out of other people's texts: a server, a proxy or
// middleware may repeat it. Its zero value takes out nothing.
type redactor struct {
	longest  int // of the secrets, in bytes
	replacer *strings.Replacer
}

const (
	redacted = "(redacted)"
	// minSecret is the length from which a value counts as a secret; a shorter one would be found
	// everywhere.
	minSecret = 6
	// minNamed is the length from which a topic's name counts as a secret that is in it; shorter ones
	// can well be names.
	minNamed = 12
	// maxRedacted bounds how much of a text is looked at, in bytes; much less of it is shown. maxLayers
	// bounds how many layers of escapes are undone.
	maxRedacted = 64 << 10
	maxLayers   = 3
)

// secretHeader finds the names of headers whose values are secrets.
var secretHeader = regexp.MustCompile(`(?i)auth|cookie|key|token|secret|passw|credential|signature`)

// newRedactor returns a redactor for what a credential wrote, in several attempts.
func newRedactor(credentials ...http.Header) *redactor {
	var secrets []string
	for _, credential := range credentials {
		for name, values := range credential {
			if !secretHeader.MatchString(name) {
				continue
			}
			for _, value := range values {
				secrets = append(secrets, secretsIn(value)...)
			}
		}
	}
	var forms []string
	for _, s := range secrets {
		for _, form := range []string{
			s, strings.TrimRight(s, "="), url.QueryEscape(s), url.PathEscape(s), hex.EncodeToString([]byte(s)),
			strings.ToUpper(hex.EncodeToString([]byte(s))),
			base64.RawStdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)),
		} {
			if len(form) >= minSecret && !slices.Contains(forms, form) {
				forms = append(forms, form)
			}
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) }) // the longest first
	r := &redactor{}
	var pairs []string
	for _, form := range forms {
		r.longest = max(r.longest, len(form))
		pairs = append(pairs, form, redacted)
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

// secretsIn returns the value of a header, the part after its scheme, and what HTTP Basic encodes, each
// of which may be empty.
func secretsIn(value string) []string {
	scheme, rest, _ := strings.Cut(value, " ")
	rest = strings.TrimSpace(rest)
	secrets := []string{value, rest}
	if basic, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "Basic") {
		_, secret, _ := strings.Cut(string(basic), ":")
		secrets = append(secrets, string(basic), secret)
	}
	return secrets
}

// text returns the text without the secrets. Where one stands in it in an escaped form, nothing of the
// text is left.
func (r *redactor) text(s string) string { return r.cutText(s, false) }

// cutText does so for a text that may have been cut off, in the middle of a secret.
func (r *redactor) cutText(s string, cut bool) string {
	if r == nil || r.longest == 0 {
		return s
	}
	if len(s) > maxRedacted {
		s, cut = s[:maxRedacted], true
	}
	s = r.replacer.Replace(s)
	plain := s
	for range maxLayers {
		next := unescaped(plain)
		if next == plain {
			break
		}
		if plain = next; r.replacer.Replace(plain) != plain {
			return redacted
		}
	}
	if cut {
		s = s[:max(0, len(s)-r.longest)]
	}
	return s
}

// inName tells whether a topic's name has a secret in it that is no name itself.
func (r *redactor) inName(name string) bool {
	return len(name) >= minNamed && r.text(name) != name
}

// unescaped undoes one layer of the escapes of JSON, URLs and HTML. It never makes a text longer.
func unescaped(s string) string {
	if strings.ContainsRune(s, '\\') {
		s = jsonEscape.ReplaceAllStringFunc(s, func(escape string) string {
			var text string
			if err := json.Unmarshal([]byte(`"`+escape+`"`), &text); err != nil {
				return escape
			}
			return text
		})
	}
	if strings.ContainsRune(s, '%') {
		s = percentEscape.ReplaceAllStringFunc(s, func(escape string) string {
			text, _ := url.PathUnescape(escape) // one byte
			return text
		})
	}
	return html.UnescapeString(s)
}

var (
	jsonEscape    = regexp.MustCompile(`\\(?:u[0-9a-fA-F]{4}|["\\/])`)
	percentEscape = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
	// What of a URL can hold a secret: user info, query and fragment.
	userInfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*:(?://|\\/\\/))[^\s"]*@`)
	query    = regexp.MustCompile(`\?[^\s"]*=[^\s"]*`)
	afterURL = regexp.MustCompile(`(://[^\s"?#]*)[?#][^\s"]*`)
)

// withoutSecrets returns a URL without user info, query and fragment.
func withoutSecrets(u string) string {
	u, _, _ = strings.Cut(u, "?")
	u, _, _ = strings.Cut(u, "#")
	if scheme, rest, found := strings.Cut(u, "://"); found {
		return scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
	}
	return u
}

// withoutURLSecrets returns the text of an error without user info, query and fragment of the URLs in
// it.
func withoutURLSecrets(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "an error that cannot be printed"
		}
	}()
	text = err.Error()
	eachBelow(err, func(e error) {
		u, ok := e.(*url.Error) //nolint:errorlint // each error of the tree is looked at
		if !ok {
			return
		}
		place := withoutSecrets(u.URL)
		if u.Op == "parse" && u.Err != nil { // what is not a URL has no parts that can be told apart
			place = "(not shown)"
			text = strings.ReplaceAll(text, u.Err.Error(), "it is not a URL")
		}
		text = strings.ReplaceAll(text, strconv.Quote(u.URL), strconv.Quote(place))
		text = strings.ReplaceAll(text, u.URL, place)
	})
	text = userInfo.ReplaceAllString(text, "$1")
	text = query.ReplaceAllStringFunc(text, func(part string) string {
		if strings.HasSuffix(part, ":") { // it belongs to the sentence
			return ":"
		}
		return ""
	})
	return afterURL.ReplaceAllString(text, "$1")
}

// eachBelow calls f with the error and each one that it wraps.
func eachBelow(err error, f func(error)) {
	for err != nil {
		f(err)
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range several.Unwrap() {
				eachBelow(e, f)
			}
			return
		}
		err = errors.Unwrap(err)
	}
}

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

// GoString keeps %#v from printing what is below.
func (e *foreignError) GoString() string { return strconv.Quote(e.text) }

// Is looks for the target below, unless it is one of the library's.
func (e *foreignError) Is(target error) bool {
	switch target {
	case ErrInvalidArgument, ErrNoTopics, ErrOutcomeUnknown, ErrUnauthenticated, ErrRateLimited,
		ErrNoLink, ErrNoMirror, ErrStalled:
		return false
	}
	return guarded(func() bool { return errors.Is(e.err, target) })
}

// As looks for the target below, unless it is of one of the library's types.
func (e *foreignError) As(target any) bool {
	switch target.(type) {
	case **APIError, **TopicError, **IncompleteError, **NotDoneError, **argumentError:
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
	if own, ok := err.(*badCredentialError); ok && own != nil { //nolint:errorlint // the very one
		return own
	}
	theirs := r.foreign(err)
	var own *badCredentialError
	if guarded(func() bool { return errors.As(err, &own) }) && own != nil {
		return &causeError{text: theirs.Error(), err: errors.Join(theirs, own)}
	}
	return theirs
}
