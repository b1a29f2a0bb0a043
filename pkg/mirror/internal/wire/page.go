package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"html"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// maxPage is the largest part of an error page that is read, in bytes. A message can list every topic of the request.
const maxPage = 1 << 20

// page is the body of a response without an answer.
type page struct {
	text   []byte
	whole  bool // the body was read to its end and is readable
	isJSON bool
	coding string
}

func readPage(resp *http.Response, coding string) page {
	p := page{isJSON: isJSON(resp.Header), coding: coding}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return p // the bytes that follow are not a body
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	p.whole = err == nil && len(body) <= maxPage && coding == ""
	p.text = body[:min(len(body), maxPage)]
	return p
}

func (p page) contains(s string) bool { return bytes.Contains(p.text, []byte(s)) }

// isObject reports whether the page is exactly a JSON object.
func (p page) isObject() bool {
	var members map[string]json.RawMessage
	return p.whole && p.isJSON && json.Unmarshal(p.text, &members) == nil && members != nil
}

// tell reads the page's message for people. The message does not change what the page proves.
func (e *Evidence) tell(h http.Header, p page, s *Secrets) {
	body := strings.TrimSpace(string(p.text))
	location := h.Get("Location")
	switch {
	case e.Status/100 == 3 && location != "":
		body = "redirected to " + place(s.Hide(location)) + ", not followed" // place escapes the rest
	case p.coding != "":
		body = "the body has a Content-Encoding that cannot be undone: " + p.coding
	case strings.HasPrefix(body, "<"):
		body = title(body)
	default:
		body = e.readError(body, s)
	}
	if e.Status/100 == 2 && p.coding == "" {
		kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
		kind = cmp.Or(kind, "of no type")
		body = strings.TrimSuffix("the answer is "+kind+", not a 200 of application/json: "+body, ": ")
	}
	e.Message = s.Show(body, MaxText)
}

// An errorBody is an error of Kafka's shape or of the cloud's.
type errorBody struct {
	ErrorCode json.RawMessage `json:"error_code"`
	Code      json.RawMessage `json:"code"` // a number, a number in quotes, or a name
	ID        string          `json:"id"`
	Message   string          `json:"message"`
	Title     string          `json:"title"`
	Detail    string          `json:"detail"`
}

// readError reads code and id of either error shape and returns the message. A body of neither shape is returned
// unchanged.
func (e *Evidence) readError(body string, s *Secrets) string {
	var in struct {
		errorBody
		Errors []errorBody `json:"errors"`
	}
	_ = json.Unmarshal([]byte(body), &in) // members of another type are passed over
	first := in.errorBody
	if len(in.Errors) > 0 {
		first = in.Errors[0]
	}
	e.RequestID = cmp.Or(e.RequestID, s.Show(first.ID, 128))
	for _, code := range []json.RawMessage{first.Code, first.ErrorCode} {
		if n, err := strconv.ParseInt(strings.Trim(string(code), `"`), 10, 32); err == nil {
			e.Code = int(n)
		}
	}
	var parts []string
	for _, part := range []string{first.Message, first.Title, first.Detail} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if more := len(in.Errors) - 1; more > 0 {
		parts = append(parts, text.Count(more, "more error"))
	}
	if len(parts) == 0 && e.Code == 0 {
		return body
	}
	return strings.Join(parts, ": ")
}

var titleElement = regexp.MustCompile(`(?is)<title>(.*?)</title>`)

// title returns the title of an HTML page; "an HTML page" if the page has none.
func title(page string) string {
	if m := titleElement.FindStringSubmatch(page); m != nil {
		return cmp.Or(strings.Join(strings.Fields(html.UnescapeString(m[1])), " "), "an HTML page")
	}
	return "an HTML page"
}

// place returns the target of a redirect without user info, query and fragment.
func place(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Opaque != "" {
		return "a place that cannot be read"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

func isJSON(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";") // a type with bad parameters is still one
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}

// contentCoding returns the coding that net/http did not undo, or "". net/http removes the header of a coding that it
// has undone.
func contentCoding(h http.Header) string {
	for _, coding := range elements(h, "Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return coding
		}
	}
	return ""
}

// retryAfter returns the wait that a server asks for: the Retry-After header, in whole seconds or as a date. A date is
// compared with the response's own Date if there is a Date. On a 429 without Retry-After the wait is X-RateLimit-Reset,
// in whole seconds. retryAfter returns 0 if no header is readable, and saturates.
func retryAfter(status int, h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" && status == http.StatusTooManyRequests {
		value = strings.TrimSpace(h.Get("X-RateLimit-Reset"))
	}
	if value != "" && strings.Trim(value, "0123456789") == "" {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n > math.MaxInt64/int64(time.Second) {
			return math.MaxInt64
		}
		return time.Duration(n) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(0, until.Sub(now))
}
