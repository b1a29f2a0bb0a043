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
	secrets  []string
	replacer *strings.Replacer
}

const (
	redacted = "(redacted)"
	// minSecret is the length from which a value counts as a secret; a shorter one would be found
	// everywhere.
	minSecret = 6
)

// newRedactor returns a redactor for what a credential wrote. The identity pool is no secret.
func newRedactor(credential http.Header) *redactor {
	var secrets []string
	for name, values := range credential {
		if name == identityPoolHeader {
			continue
		}
		for _, value := range values {
			secrets = append(secrets, value)
			scheme, rest, found := strings.Cut(value, " ")
			if !found {
				continue
			}
			rest = strings.TrimSpace(rest)
			secrets = append(secrets, rest)
			if basic, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "Basic") {
				_, secret, _ := strings.Cut(string(basic), ":")
				secrets = append(secrets, string(basic), secret)
			}
		}
	}
	r := &redactor{}
	for _, s := range secrets {
		for _, form := range []string{
			s, strings.TrimRight(s, "="), url.QueryEscape(s), url.PathEscape(s), hex.EncodeToString([]byte(s)),
			strings.ToUpper(hex.EncodeToString([]byte(s))),
			base64.RawStdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)),
		} {
			if len(form) >= minSecret && !slices.Contains(r.secrets, form) {
				r.secrets = append(r.secrets, form)
			}
		}
	}
	slices.SortFunc(r.secrets, func(a, b string) int { return len(b) - len(a) }) // the longest first
	var pairs []string
	for _, s := range r.secrets {
		pairs = append(pairs, s, redacted)
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

// text returns the text without the secrets. Where one stands in it in an escaped form, nothing of the
// text is left.
func (r *redactor) text(s string) string {
	if r == nil || len(r.secrets) == 0 {
		return s
	}
	s = r.replacer.Replace(s)
	for plain := s; ; {
		next := unescaped(plain)
		if next == plain {
			return s
		}
		if plain = next; r.replacer.Replace(plain) != plain {
			return redacted
		}
	}
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
			n, _ := strconv.ParseUint(escape[1:], 16, 8) // two hexadecimal digits
			return string([]byte{byte(n)})
		})
	}
	return html.UnescapeString(s)
}

var (
	jsonEscape    = regexp.MustCompile(`\\(?:u[0-9a-fA-F]{4}|["\\/])`)
	percentEscape = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
	// urlSecrets finds the parts of a URL that can hold a secret: user info, query and fragment.
	urlSecrets = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)(?:[^\s"'/?#@]*@)?([^\s"'?#]*)(?:[?#][^\s"']*)?`)
)

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
		place, _, _ := strings.Cut(u.URL, "?")
		place, _, _ = strings.Cut(place, "#")
		text = strings.ReplaceAll(text, strconv.Quote(u.URL), strconv.Quote(place))
		text = strings.ReplaceAll(text, u.URL, place)
	})
	return urlSecrets.ReplaceAllString(text, "$1$2")
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
