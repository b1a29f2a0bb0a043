package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

// maxErrorBody bounds what is read of an error page, in bytes.
const maxErrorBody = 64 << 10

func isJSON(h http.Header) bool {
	// A media type with bad parameters is still one.
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return mediaType == "application/json" && (err == nil || errors.Is(err, mime.ErrInvalidMediaParameter))
}

// judge says what an answer proves that is not a readable 200.
func judge(resp *http.Response) verdict {
	e := apiError(resp)
	o := Unknown
	switch s := resp.StatusCode; s {
	case http.StatusBadRequest:
		// 40002 can wrap an error of unknown origin, after dispatch.
		if e.Code != 40002 {
			o = Untouched
		}
	case http.StatusUnauthorized,
		http.StatusForbidden, http.StatusNotFound, // assumed: they touch nothing
		http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusProxyAuthRequired,
		http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity, http.StatusRequestHeaderFieldsTooLarge:
		o = Untouched
	case http.StatusTooManyRequests:
		// The filter answers before dispatch, in HTML or with a header of its own; a broker's quota,
		// in JSON, may answer after it.
		if e.filtered {
			o = Untouched
		}
	default:
		if s/100 == 3 { // not followed
			o = Untouched
		}
	}
	return verdict{outcome: o, err: e}
}

// apiError reads an error page, as far as its bound.
func apiError(resp *http.Response) *APIError {
	e := &APIError{
		Status:     resp.StatusCode,
		RequestID:  requestID(resp.Header),
		RetryAfter: retryAfter(resp.Header),
	}
	if l := resp.Header[hiddenLocation]; len(l) > 0 {
		e.Message = "redirected to " + place(l[0]) + ", not followed"
		return e
	}
	// What cannot be read of the page does not change what the status says.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	isHTML := mediaType == "text/html"
	text := strings.TrimSpace(string(body))
	switch {
	case isHTML || strings.HasPrefix(text, "<"):
		text = htmlTitle(text)
	default:
		text = e.readJSON(text)
	}
	if resp.StatusCode/100 == 2 {
		kind := printable.Line(mediaType, 128)
		if kind == "" {
			kind = "of no type"
		}
		text = strings.TrimSuffix("the answer is "+kind+", not a 200 of application/json: "+text, ": ")
	}
	e.Message = printable.Line(text, maxText)
	e.filtered = resp.StatusCode == http.StatusTooManyRequests && (isHTML || len(resp.Header.Values("DoSFilter")) > 0)
	return e
}

// requestID is by which the server may know a request again. That it sends the header is assumed.
func requestID(h http.Header) string { return printable.Line(h.Get("X-Request-Id"), 128) }

// readJSON takes code and id from a body of either error shape, and returns its message, or the
// body if it is of neither.
func (e *APIError) readJSON(body string) string {
	var page struct {
		gen.Error
		Errors []gen.Error `json:"errors"`
	}
	var wrongType *json.UnmarshalTypeError // the other members are read all the same
	if err := json.Unmarshal([]byte(body), &page); err != nil && !errors.As(err, &wrongType) {
		return body
	}
	first := page.Error
	if len(page.Errors) > 0 {
		first = page.Errors[0]
	}
	if first.ID != nil && e.RequestID == "" {
		e.RequestID = printable.Line(*first.ID, 128)
	}
	if first.ErrorCode != nil {
		e.Code = int(*first.ErrorCode)
	} else if first.Code != nil {
		if n, err := strconv.ParseInt(*first.Code, 10, 32); err == nil {
			e.Code = int(n)
		}
	}
	var parts []string
	for _, p := range []*string{first.Message, first.Title, first.Detail} {
		if p != nil && *p != "" {
			parts = append(parts, *p)
		}
	}
	if more := len(page.Errors) - 1; more > 0 {
		parts = append(parts, count(more, "more error"))
	}
	if len(parts) == 0 && e.Code == 0 {
		return body
	}
	return strings.Join(parts, ": ")
}

// htmlTitle returns the title of an HTML page; "an HTML page" if it has none.
func htmlTitle(page string) string {
	lower := strings.ToLower(page)
	if len(lower) == len(page) { // else the places differ
		if _, after, ok := strings.Cut(lower, "<title>"); ok {
			if title, _, ok := strings.Cut(after, "</title>"); ok {
				start := len(page) - len(after)
				text := html.UnescapeString(page[start : start+len(title)])
				if text = strings.Join(strings.Fields(text), " "); text != "" {
					return text
				}
			}
		}
	}
	return "an HTML page"
}

// place returns where a redirect points, without user, query and fragment, which may hold
// secrets.
func place(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Opaque != "" {
		return "a place that cannot be read"
	}
	return printable.Line((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String(), maxText)
}

// An APIError is an answer to a whole request that was not a readable 200.
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

	// filtered says that the rate filter turned the request away before dispatch.
	filtered bool
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
	if e.Message != "" && e.Message != http.StatusText(e.Status) {
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

// Is makes a 401 match ErrUnauthenticated, and a 429 of the rate filter ErrRateLimited.
func (e *APIError) Is(target error) bool {
	switch target {
	case ErrUnauthenticated:
		return e.Status == http.StatusUnauthorized
	case ErrRateLimited:
		return e.filtered
	}
	return false
}

// retryAfter reads how long a server asks to wait, from the Retry-After header: whole seconds, or
// a date, which is measured against the answer's own Date, so that the clocks need not agree. It
// is 0 if the header is not there, or not legible, or says a time that has passed, and it
// saturates.
func retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text != "" && strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > math.MaxInt64/int64(time.Second) {
			return math.MaxInt64
		}
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	from, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(from))
}
